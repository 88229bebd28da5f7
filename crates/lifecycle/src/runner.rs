//! Threads of ours for what is not ours.

use crate::foreign::foreign;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, Builder, ThreadId};
use std::time::{Duration, Instant};

pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Runs `job` in a thread of its own, which nobody waits for. Where none can be had, the job comes back.
pub(crate) fn detached(name: &str, job: Job) -> Result<(), (Job, io::Error)> {
    // The thread gets it only once it exists: one that cannot be started would drop it.
    let (give, take) = mpsc::channel::<Job>();
    let spawned = Builder::new().name(name.to_owned()).spawn(move || {
        if let Ok(job) = take.recv() {
            _ = foreign(job);
        }
    });
    match spawned {
        Ok(_) => give.send(job).map_err(|back| (back.0, io::ErrorKind::BrokenPipe.into())),
        Err(error) => Err((job, error)),
    }
}

/// A thread that runs what it is given, one after the other. It is started while there are threads to be had, and
/// nobody ever joins it, since what it runs may not return.
#[derive(Default)]
pub(crate) struct Runner {
    state: Mutex<State>,
    /// There is something to do, or nothing to wait for.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    running: bool,
    /// How many jobs are over.
    over: u64,
    has_thread: bool,
    /// Which one it is, as soon as it runs.
    thread: Option<ThreadId>,
    closed: bool,
    /// That many jobs were over when somebody had waited for long enough.
    given_up_at: Option<u64>,
}

impl Runner {
    /// Starts its thread, once.
    pub(crate) fn start(self: &Arc<Self>, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        if !state.has_thread && !state.closed {
            let runner = Arc::clone(self);
            Builder::new().name(name.to_owned()).spawn(move || runner.run())?;
            state.has_thread = true;
        }
        Ok(())
    }

    /// Runs it behind what it has; without a thread, the job comes back.
    pub(crate) fn push(&self, job: Job) -> Result<(), Job> {
        let mut state = self.lock();
        if !state.has_thread || state.closed {
            return Err(job);
        }
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits until all is done, `patience` at most, and that once for each job. Not on its own thread, which would
    /// wait for itself.
    pub(crate) fn wait(&self, patience: Duration) {
        let begun = Instant::now();
        let mut state = self.lock();
        if state.thread == Some(thread::current().id()) {
            return;
        }
        while state.running || !state.jobs.is_empty() {
            let left = patience.saturating_sub(begun.elapsed());
            if state.given_up_at == Some(state.over) {
                return;
            }
            if left.is_zero() {
                state.given_up_at = Some(state.over);
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Nothing more comes: its thread ends when all is done.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn run(&self) {
        let mut state = self.lock();
        state.thread = Some(thread::current().id());
        loop {
            if let Some(job) = state.jobs.pop_front() {
                state.running = true;
                drop(state);
                _ = foreign(job);
                state = self.lock();
                state.running = false;
                state.over += 1;
                self.changed.notify_all();
            } else if state.closed {
                return;
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Runner;
    use std::sync::{Arc, mpsc};
    use std::time::{Duration, Instant};

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn jobs_run_in_order_whatever_panics_and_what_is_closed_finishes_them() {
        let runner = Arc::<Runner>::default();
        assert!(runner.push(Box::new(|| {})).is_err(), "nobody would run it");
        runner.start("test").unwrap();
        let (say, hear) = mpsc::channel();
        for number in 0..3 {
            let say = say.clone();
            let job = move || {
                say.send(number).unwrap();
                assert_ne!(number, 1);
            };
            assert!(runner.push(Box::new(job)).is_ok());
        }
        drop(say);
        runner.close();
        assert_eq!(hear.iter().collect::<Vec<_>>(), [0, 1, 2]);
        assert!(runner.push(Box::new(|| {})).is_err());
    }

    #[test]
    fn patience_is_lost_once() {
        let runner = Arc::<Runner>::default();
        runner.start("test").unwrap();
        let (release, held) = mpsc::channel::<()>();
        assert!(runner.push(Box::new(move || _ = held.recv())).is_ok());
        runner.wait(Duration::from_millis(1));
        let begun = Instant::now();
        runner.wait(LONG);
        assert!(begun.elapsed() < LONG);
        drop(release);
        let (say, hear) = mpsc::channel();
        assert!(runner.push(Box::new(move || _ = say.send(()))).is_ok());
        hear.recv().unwrap();
        runner.wait(LONG);
    }
}
