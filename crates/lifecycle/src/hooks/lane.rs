//! Jobs that wait for one thread.

use super::set::Checked;
use crate::cause::{Failure, in_words};
use crate::foreign::foreign;
use crate::signal::Signal;
use std::collections::VecDeque;
use std::fmt;
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
        let error = match foreign(self.run) {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => {
                let told = in_words(&*error);
                // Its words are what matters of it.
                _ = foreign(|| drop(error));
                told
            }
            Err(panic) => panic,
        };
        Some(Failure { name, error })
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

    /// Answers the one that it replaces.
    pub(super) fn push(&mut self, job: Job) -> Option<Job> {
        let merge = job.merge.filter(|_| self.jobs.len() >= WAITING);
        let same = merge.and_then(|merge| self.jobs.iter().rposition(|other| other.merge == Some(merge)));
        let replaced = same.and_then(|same| self.jobs.remove(same));
        self.jobs.push_back(job);
        replaced
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

    /// Lets go of the thread; answers the names of what was not done, and what waited.
    pub(super) fn abandon(&mut self) -> (Vec<String>, VecDeque<Job>) {
        if self.running {
            self.thread = None;
        }
        let jobs = std::mem::take(&mut self.jobs);
        let waiting = jobs.iter().filter_map(|job| job.name.clone());
        let mut names: Vec<String> = self.running_name.clone().into_iter().chain(waiting).collect();
        names.dedup();
        (names, jobs)
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
        [job(10, 0), job(12, 0), job(10, 0)].into_iter().for_each(|job| drop(lane.push(job)));
        assert_eq!(names(&mut lane), ["10.0", "12.0", "10.0"]);
    }

    #[test]
    fn what_is_too_much_is_merged_with_the_last_of_its_kind() {
        let mut lane = Lane::default();
        let mut push = |job| lane.push(job).and_then(|replaced| replaced.name);
        assert_eq!(push(job(12, 0)), None);
        for waiting in 1..=WAITING {
            assert_eq!(push(job(10, 0)).is_some(), waiting == WAITING);
        }
        assert_eq!(push(job(12, 1)), None);
        assert_eq!(push(Job::own(|| {})), None);
        assert_eq!(push(job(10, 0)).as_deref(), Some("10.0"));
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
        assert_eq!(text(Job::own(|| std::panic::panic_any(1))), Some("panicked".to_owned()));
    }

    #[test]
    fn what_is_abandoned_is_named_once() {
        let mut lane = Lane::default();
        [job(10, 0), job(10, 0), Job::own(|| {})].into_iter().for_each(|job| drop(lane.push(job)));
        drop(lane.next());
        lane.close();
        assert!(!lane.is_finished());
        let (names, jobs) = lane.abandon();
        assert_eq!((names, jobs.len()), (vec!["10.0".to_owned()], 2));
        lane.done();
        assert!(lane.is_finished());
    }
}
