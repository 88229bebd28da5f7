//! Jobs that wait for one thread.

use super::set::Checked;
use crate::cause::Failure;
use crate::signal::Signal;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

/// How many jobs may wait. Beyond, a delivery replaces the last of its signal that waits, as the kernel merges what
/// is pending (signal(7)): a hook still begins after every delivery.
const WAITING: usize = 1_024;

/// A signal, and which of its hooks.
type Merge = (Signal, usize);

/// One call of a hook.
pub(super) struct Job {
    /// `None`: our own, which nobody need be told of.
    name: Option<String>,
    merge: Option<Merge>,
    run: Box<dyn FnOnce() -> Checked + Send>,
}

impl Job {
    pub(super) fn hook(name: String, run: impl FnOnce() -> Checked + Send + 'static) -> Self {
        Self { name: Some(name), merge: None, run: Box::new(run) }
    }

    pub(super) fn own(run: impl FnOnce() + Send + 'static) -> Self {
        let run = || {
            run();
            Ok(())
        };
        Self { name: None, merge: None, run: Box::new(run) }
    }

    /// It may be merged with others of the same kind.
    pub(super) fn merged(self, merge: Merge) -> Self {
        Self { merge: Some(merge), ..self }
    }

    /// Runs it, and answers how it failed.
    pub(super) fn run(self) -> Option<Failure> {
        let name = self.name.unwrap_or_default();
        let failure = match catch_unwind(AssertUnwindSafe(self.run)) {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => Failure::new(name, &*error),
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().copied();
                let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
                Failure { name, error: format!("panicked: {}", text.unwrap_or("no message")) }
            }
        };
        tracing::error!(target: "exeunt::lifecycle", hook = failure.name, error = failure.error, "hook failed");
        Some(failure)
    }
}

/// The jobs of one thread, in order.
#[derive(Debug, Default)]
pub(super) struct Lane {
    jobs: VecDeque<Job>,
    running: bool,
    running_name: Option<String>,
    closed: bool,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    pub(super) fn start(&mut self, thread: JoinHandle<()>) {
        self.thread = Some(thread);
    }

    pub(super) fn has_thread(&self) -> bool {
        self.thread.is_some()
    }

    pub(super) fn push(&mut self, job: Job) {
        if self.jobs.len() >= WAITING
            && let Some(merge) = job.merge
            && let Some(waiting) = self.jobs.iter().rposition(|waiting| waiting.merge == Some(merge))
        {
            self.jobs.remove(waiting);
        }
        self.jobs.push_back(job);
    }

    /// Nothing more comes.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// The next job, which runs until [`done`](Self::done).
    pub(super) fn next(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front()?;
        self.running = true;
        self.running_name.clone_from(&job.name);
        Some(job)
    }

    pub(super) fn done(&mut self) {
        self.running = false;
        self.running_name = None;
    }

    /// Nothing runs, and nothing will.
    pub(super) fn is_finished(&self) -> bool {
        self.closed && self.jobs.is_empty() && !self.running
    }

    /// Lets go of the thread and of what waits; answers the names of what was not done.
    pub(super) fn abandon(&mut self) -> Vec<String> {
        if self.running {
            self.thread = None;
        }
        let waiting = self.jobs.drain(..).filter_map(|job| job.name);
        let mut names: Vec<String> = self.running_name.clone().into_iter().chain(waiting).collect();
        names.dedup();
        names
    }

    /// The thread, if it is about to end.
    pub(super) fn take_finished(&mut self) -> Option<JoinHandle<()>> {
        if self.is_finished() { self.thread.take() } else { None }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(signal: i32, hook: usize) -> Job {
        Job::hook(format!("{signal}.{hook}"), || Ok(())).merged((Signal::new(signal), hook))
    }

    fn names(lane: &mut Lane) -> Vec<String> {
        std::iter::from_fn(|| lane.next()).filter_map(|job| job.name).collect()
    }

    #[test]
    fn jobs_run_in_the_order_in_which_they_came() {
        let mut lane = Lane::default();
        [job(10, 0), job(12, 0), job(10, 0)].into_iter().for_each(|job| lane.push(job));
        assert_eq!(names(&mut lane), ["10.0", "12.0", "10.0"]);
    }

    #[test]
    fn what_is_too_much_is_merged_with_the_last_of_its_kind() {
        let mut lane = Lane::default();
        lane.push(job(12, 0));
        for _ in 0..WAITING {
            lane.push(job(10, 0));
        }
        lane.push(job(12, 1));
        lane.push(Job::own(|| {}));
        lane.push(job(10, 0));
        assert_eq!(lane.jobs.len(), WAITING + 2, "none is lost that is the only one of its kind");
        let names = names(&mut lane);
        assert_eq!(names.first().map(String::as_str), Some("12.0"));
        assert_eq!(names.iter().filter(|name| *name == "10.0").count(), WAITING - 1);
        assert_eq!(names.last().map(String::as_str), Some("10.0"), "one begins after every delivery");
    }

    #[test]
    fn panics_and_errors_are_failures() {
        let text = |job: Job| job.run().map(|failure| failure.error);
        assert_eq!(text(job(10, 0)), None);
        assert_eq!(text(Job::hook(String::new(), || Err("no disk".into()))), Some("no disk".to_owned()));
        assert_eq!(text(Job::own(|| panic!("at {}", 1))), Some("panicked: at 1".to_owned()));
        assert_eq!(text(Job::own(|| std::panic::panic_any(1))), Some("panicked: no message".to_owned()));
    }

    #[test]
    fn what_is_abandoned_is_named_once() {
        let mut lane = Lane::default();
        [job(10, 0), job(10, 0), Job::own(|| {})].into_iter().for_each(|job| lane.push(job));
        drop(lane.next());
        lane.close();
        assert!(!lane.is_finished());
        assert_eq!(lane.abandon(), ["10.0"]);
        lane.done();
        assert!(lane.is_finished());
    }
}
