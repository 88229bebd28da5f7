//! Turned by the event loop of another library, which waits in place of [`poll`](Manager::poll).

use super::{By, Manager};
use crate::core::Stage;
use crate::error::PollError;
use crate::stop::DrainReport;
use exeunt_lifecycle::{Phase, Scope, Stop};
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// For a thread that has an event loop already: it watches [`raw_fd`](Self::raw_fd), keeps a timer for
/// [`next_due`](Self::next_due), and polls without waiting when either says so.
///
/// ```
/// use exeunt_manager::{Event, Manager};
/// use std::time::{Duration, Instant};
///
/// let mut manager = Manager::new(|conn, event| if let Event::HttpMessage(_) = event { conn.reply(200, &[], "hello") });
/// let listener = manager.listen("http://127.0.0.1:0")?;
/// let watched = manager.raw_fd()?; // for the other loop, once
/// assert!(watched >= 0);
/// manager.poll(Duration::ZERO)?; // whenever it is readable, or due
/// let due = manager.next_due()?; // behind each poll, and before the first
/// assert!(due.is_none_or(|due| due <= Instant::now() + Duration::from_secs(60)));
/// # drop(listener);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl Manager {
    /// A descriptor that is readable while a poll has something to do that the kernel, or another thread, has told of. It is for waiting
    /// (epoll(7), "epoll file descriptors are themselves pollable"), and nothing else: what is read from it, or closed, is a fault.
    /// It is open as long as this manager.
    ///
    /// # Errors
    ///
    /// There is no loop; see [`PollError`].
    pub fn raw_fd(&mut self) -> Result<RawFd, PollError> {
        Ok(self.reactor()?.raw_fd())
    }

    /// When to poll at the latest, though nothing has become readable: for a timer, or somebody's time that is over; now, or
    /// a moment ago, if there is something left to be done; `None` if nothing is due. Ask behind each poll and before the
    /// first wait, since this is also what makes other threads' calls (answers, wakeups, timers) readable from here on. (So does a
    /// call between this and the wait; one in a poll is done by that poll, or seen in here.)
    ///
    /// # Errors
    ///
    /// There is no loop; see [`PollError`].
    pub fn next_due(&mut self) -> Result<Option<Instant>, PollError> {
        let due = self.reactor()?.next_due();
        let ends = match self.core.stage() {
            _ if self.drain_began.is_none() => None,
            Stage::Cut => self.cut_ends.flatten(),
            Stage::Serving | Stage::Draining => self.drain_ends,
        };
        Ok([due, ends].into_iter().flatten().min())
    }

    /// One pass of a [`drain`](Self::drain), which waits for `timeout` at most, and without limit (but the deadline) if that
    /// is `None`: in place of [`poll`](Self::poll), from the first one on until there is a report. The deadline may be another one each
    /// time.
    ///
    /// # Errors
    ///
    /// As for [`drain`](Self::drain).
    pub fn drain_poll(
        &mut self,
        deadline: Instant,
        timeout: impl Into<Option<Duration>>,
    ) -> Result<Option<DrainReport>, PollError> {
        self.drain_step(&By::Deadline(deadline), timeout.into())
    }

    /// As [`drain_poll`](Self::drain_poll), for whoever has to be done by `end`: what the cut leaves is closed within half of
    /// the time from `deadline` to then, where `drain.linger` is more.
    ///
    /// # Errors
    ///
    /// As for [`drain`](Self::drain).
    pub fn drain_poll_until(
        &mut self,
        deadline: Instant,
        end: Instant,
        timeout: impl Into<Option<Duration>>,
    ) -> Result<Option<DrainReport>, PollError> {
        self.drain_step(&By::Deadlines(deadline, end), timeout.into())
    }

    /// [Follows](Self::follow) that scope's stop, and counts requests as its work while they are in flight. The scope is
    /// busy until this manager is closed: what the handlers of `Close` use is there as long as they are.
    pub fn count_in(&mut self, scope: Scope) {
        self.follow(&scope.stop());
        self.core.count_in(Some(scope));
    }

    /// One pass of a [`run`](Self::run) that was begun by [`count_in`](Self::count_in), which waits for `timeout` at most,
    /// and without limit (but the stop's) if that is `None`: in place of [`poll`](Self::poll), until there is a report.
    ///
    /// # Errors
    ///
    /// See [`PollError`].
    pub fn run_poll(
        &mut self,
        stop: &Stop,
        timeout: impl Into<Option<Duration>>,
    ) -> Result<Option<DrainReport>, PollError> {
        if stop.phase() < Phase::Draining {
            self.poll(timeout)?;
            return Ok(None);
        }
        self.drain_step(&By::Stop(stop), timeout.into())
    }

    fn drain_step(
        &mut self,
        by: &By<'_>,
        timeout: Option<Duration>,
    ) -> Result<Option<DrainReport>, PollError> {
        if self.drain_began.is_none() {
            self.begin_drain()?;
        }
        self.drain_ends = by.deadline();
        if !self.reactor()?.is_drained() {
            self.drain_pass(by, timeout)?;
        }
        if !self.reactor()?.is_drained() {
            return Ok(None);
        }
        Ok(Some(self.end_drain()))
    }

    /// Ends a drain at once, though something is left: what is in flight is cut and reported, as at the deadline, and nothing
    /// is waited for, neither what is ready nor that anybody reads what the cut says.
    ///
    /// # Errors
    ///
    /// As for [`drain`](Self::drain).
    pub fn drain_now(&mut self) -> Result<DrainReport, PollError> {
        if self.drain_began.is_none() {
            self.begin_drain()?;
        }
        if self.core.stage() < Stage::Cut {
            self.reactor()?.cut();
        }
        self.reactor()?.end_cut();
        Ok(self.end_drain())
    }
}
