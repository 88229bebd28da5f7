//! The manager: the loop, and whoever turns it.

use crate::connect::Connect;
use crate::connection::Connection;
use crate::core::{Core, Stage};
use crate::error::{ConnectError, ListenError, ManagerClosed, PollError};
use crate::event::Event;
use crate::handle::Handle;
use crate::handler::Handler;
use crate::handler::discard;
use crate::limits::Limits;
use crate::listen::Listen;
use crate::reactor::{Passed, Reactor, WAKER};
use crate::stop::DrainReport;
use crate::timer::{Schedule, Timer};
use exeunt_lifecycle::{Lifecycle, Phase, Stop, Watch};
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod embedded;

/// An event loop: sockets, one handler, timers and wakeups, turned by [`poll`](Self::poll) or [`run`](Self::run).
///
/// One thread at a time turns it. Everybody else, handlers included, has [`Handle`]s and [`Connection`]s. Dropping it
/// closes it.
pub struct Manager {
    core: Arc<Core>,
    reactor: Result<Reactor, io::ErrorKind>,
    watch: Option<Watch>,
    drain_began: Option<Instant>,
    /// The deadline that [`drain_poll`](Self::drain_poll) was given.
    drain_ends: Option<Instant>,
    /// When what is ready at the deadline has had its time.
    last_look: Option<Instant>,
    /// When what the cut has left is closed.
    cut_ends: Option<Option<Instant>>,
}

/// How often a deadline that has passed is looked at again.
const LATE: Duration = Duration::from_millis(5);

/// For what is ready when a deadline is found to have passed (L2).
const LAST_LOOK: Duration = Duration::from_millis(100);

/// How long nothing may happen in it.
const GLANCE: Duration = Duration::from_millis(1);

/// Who says when a drain ends.
enum By<'a> {
    Deadline(Instant),
    /// And when what the cut leaves is closed at the latest.
    Deadlines(Instant, Instant),
    Stop(&'a Stop),
}

impl By<'_> {
    fn is_over(&self, core: &Core, now: Instant) -> bool {
        match self {
            Self::Deadline(deadline) | Self::Deadlines(deadline, _) => *deadline <= now,
            Self::Stop(_) => core.is_cut(),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Deadline(deadline) | Self::Deadlines(deadline, _) => Some(*deadline),
            Self::Stop(stop) => stop.drain_deadline(),
        }
    }

    fn hard_deadline(&self) -> Option<Instant> {
        match self {
            Self::Deadline(_) => None,
            Self::Deadlines(_, end) => Some(*end),
            Self::Stop(stop) => stop.hard_deadline(),
        }
    }
}

impl Manager {
    /// With this handler for everything that has no handler of its own, and the default [`Limits`].
    ///
    /// If the kernel gives no event queue, for lack of descriptors, listening and polling say so.
    pub fn new(handler: impl Fn(&Connection, Event<'_>) + Send + Sync + 'static) -> Self {
        Self::build(Some(Arc::new(handler)), Limits::default())
    }

    /// As [`new`](Self::new), with these limits.
    pub fn with_limits(
        limits: Limits,
        handler: impl Fn(&Connection, Event<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self::build(Some(Arc::new(handler)), limits)
    }

    /// With no handler but those of listeners and connections. A request that nobody handles is never answered, but in
    /// a stop, with 503.
    #[must_use]
    pub fn without_handler() -> Self {
        Self::build(None, Limits::default())
    }

    fn build(handler: Option<Handler>, limits: Limits) -> Self {
        let made = mio::Poll::new().and_then(|poll| Ok((mio::Waker::new(poll.registry(), WAKER)?, poll)));
        let (waker, poll) = match made {
            Ok((waker, poll)) => (Ok(waker), Ok(poll)),
            Err(error) => (Err(error.kind()), Err(error.kind())),
        };
        let core = Arc::new(Core::new(handler, limits, waker));
        let reactor = poll.map(|poll| Reactor::new(Arc::clone(&core), poll));
        Self {
            core,
            reactor,
            watch: None,
            drain_began: None,
            drain_ends: None,
            last_look: None,
            cut_ends: None,
        }
    }

    /// For other threads, and for handlers.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(&self.core)
    }

    /// See [`Handle::listen`].
    ///
    /// # Errors
    ///
    /// See [`ListenError`].
    pub fn listen(&self, url: &str) -> Result<Connection, ListenError> {
        self.handle().listen(url)
    }

    /// See [`Handle::listen_with`].
    ///
    /// # Errors
    ///
    /// See [`ListenError`].
    pub fn listen_with(&self, url: &str, how: Listen) -> Result<Connection, ListenError> {
        self.handle().listen_with(url, how)
    }

    /// See [`Handle::connect`].
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub fn connect(&self, url: &str) -> Result<Connection, ConnectError> {
        self.handle().connect(url)
    }

    /// See [`Handle::connect_with`].
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub fn connect_with(&self, url: &str, how: Connect) -> Result<Connection, ConnectError> {
        self.handle().connect_with(url, how)
    }

    /// See [`Handle::timer`].
    ///
    /// # Errors
    ///
    /// The manager is closed; not as long as there is this.
    pub fn timer(
        &self,
        schedule: Schedule,
        callback: impl FnMut(&Handle) + Send + 'static,
    ) -> Result<Timer, ManagerClosed> {
        self.handle().timer(schedule, callback)
    }

    /// See [`Handle::ws_connect`].
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub fn ws_connect(&self, url: &str, headers: &[(&str, &str)]) -> Result<Connection, ConnectError> {
        self.handle().ws_connect(url, headers)
    }

    /// See [`Handle::ws_connect_with`].
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub fn ws_connect_with(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        how: Connect,
    ) -> Result<Connection, ConnectError> {
        self.handle().ws_connect_with(url, headers, how)
    }

    /// See [`Handle::connections`].
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        self.handle().connections()
    }

    /// A descriptor that a signal handler may write to: whatever comes there ends the wait of the present poll, or of the
    /// next, so that a signal that arrives just before the wait is not slept over. Writing to it is async-signal-safe,
    /// since it is write(2), and does not block; what is written does not matter (Python's `signal.set_wakeup_fd` takes
    /// it). It is open as long as this manager.
    ///
    /// # Errors
    ///
    /// The kernel gives no socket for it; see [`PollError`].
    pub fn signal_fd(&mut self) -> Result<BorrowedFd<'_>, PollError> {
        self.reactor()?.signal_fd().map_err(PollError::Wait)
    }

    /// Has whatever comes at `source` end the wait of the present poll, or of the next, as what is written to
    /// [`signal_fd`](Self::signal_fd) does; for a source that several managers share, or that is there before them. It is
    /// not read: that is for whoever polls, when a poll says `Interrupted`, since each end takes something new to come.
    /// In place of the source that was given before.
    ///
    /// # Errors
    ///
    /// The kernel does not watch it; see [`PollError`].
    pub fn interrupted_by(&mut self, source: &Arc<OwnedFd>) -> Result<(), PollError> {
        self.reactor()?.interrupted_by(source).map_err(PollError::Wait)
    }

    /// Has `around` called wherever the thread that polls may wait: for events, or for a file. What it is given does that,
    /// and says whether it is done: with `false` it does what can be done without waiting for events, and with `true` the
    /// rest. Meanwhile `around` may do without something that others need, a lock of a language's interpreter; in the rest
    /// of a pass, between one handler and the next, nothing waits. For whoever embeds this, and once: false if something
    /// is around waits already.
    pub fn around_waits(
        &self,
        around: impl Fn(&mut (dyn FnMut(bool) -> bool + Send)) + Send + Sync + 'static,
    ) -> bool {
        self.core.around_waits(Box::new(around))
    }

    /// From now on, in place of the stop before, a poll returns at once when this stop moves on, and answers say `Connection: close` from the stop
    /// request on (rule D2). [`run`](Self::run) does this by itself.
    pub fn follow(&mut self, stop: &Stop) {
        self.core.follow(stop);
        let handle = self.handle();
        self.watch = Some(stop.on_change(move || handle.interrupt()));
        // What happened before is not told.
        self.core.wake();
    }

    /// Waits until something happens (a socket, a due timer, a wakeup, a call from another thread), for `timeout` at most,
    /// without limit if that is `None`; does what is to be done about it, and returns. A signal ends the wait, too, and [`Handle::interrupt`] ends
    /// whatever it is at: [`Passed`] tells.
    ///
    /// # Errors
    ///
    /// The kernel does not wait; see [`PollError`].
    pub fn poll(&mut self, timeout: impl Into<Option<Duration>>) -> Result<Passed, PollError> {
        self.pass(timeout.into(), None)
    }

    /// Serves until the lifecycle's stop, drains by rules D1 to D8, and returns when nothing is left or the drain
    /// deadline has cut the rest. What the cut leaves (503s that nobody reads) is closed within `drain.linger`, or half of
    /// the time to the hard deadline where that is less. Requests are counted as the lifecycle's work while they are in
    /// flight.
    ///
    /// # Errors
    ///
    /// See [`PollError`]; everything is closed then.
    pub fn run(&mut self, lifecycle: &Lifecycle) -> Result<DrainReport, PollError> {
        let report = self.run_with(lifecycle, |_| ControlFlow::Continue(()))?;
        // Nobody breaks it off.
        Ok(report.unwrap_or_default())
    }

    /// As [`run`](Self::run), with a look by the caller after each pass, which may break it off: `None` then, and it can be
    /// gone on with, or ended by [`drain`](Self::drain) or [`close`](Self::close). A signal ends a pass.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    pub fn run_with(
        &mut self,
        lifecycle: &Lifecycle,
        each_pass: impl FnMut(Passed) -> ControlFlow<()>,
    ) -> Result<Option<DrainReport>, PollError> {
        let stop = lifecycle.stop();
        self.follow(&stop);
        self.core.count_in(Some(lifecycle.scope("manager")));
        let report = self.serve(&stop, each_pass);
        if let (Err(_), Ok(reactor)) = (&report, &mut self.reactor) {
            reactor.close();
        }
        // Nothing will begin any more.
        self.core.count_in(None);
        self.watch = None;
        report
    }

    fn serve(
        &mut self,
        stop: &Stop,
        mut each_pass: impl FnMut(Passed) -> ControlFlow<()>,
    ) -> Result<Option<DrainReport>, PollError> {
        while stop.phase() < Phase::Draining {
            let passed = self.poll(None)?;
            if each_pass(passed).is_break() {
                return Ok(None);
            }
        }
        self.drain_by(&By::Stop(stop), each_pass)
    }

    /// Stops in peace: listeners close without losing anyone, requests that were accepted are answered, streams are told,
    /// silent connections are closed after their grace; and at `deadline` the rest is cut, and reported.
    ///
    /// It returns within 100 ms and `Limits::drain.linger` of the deadline, and the time of one turn: a handler that runs
    /// is not cut. (The 100 ms are for what is ready when the deadline is found to have passed, rule L2.)
    ///
    /// # Errors
    ///
    /// See [`PollError`].
    pub fn drain(&mut self, deadline: Instant) -> Result<DrainReport, PollError> {
        let report = self.drain_with(deadline, |_| ControlFlow::Continue(()))?;
        // Nobody breaks it off.
        Ok(report.unwrap_or_default())
    }

    /// As [`drain`](Self::drain), with a look by the caller after each pass, which may break it off: `None` then. It can be
    /// gone on with by a further call, with the same deadline or another, and its report tells of all of it. A signal ends
    /// a pass, so that whoever has to do something about signals can do it in here.
    ///
    /// # Errors
    ///
    /// As for [`drain`](Self::drain).
    pub fn drain_with(
        &mut self,
        deadline: Instant,
        each_pass: impl FnMut(Passed) -> ControlFlow<()>,
    ) -> Result<Option<DrainReport>, PollError> {
        self.drain_by(&By::Deadline(deadline), each_pass)
    }

    fn drain_by(
        &mut self,
        by: &By<'_>,
        mut each_pass: impl FnMut(Passed) -> ControlFlow<()>,
    ) -> Result<Option<DrainReport>, PollError> {
        self.begin_drain()?;
        while !self.reactor()?.is_drained() {
            let passed = self.drain_pass(by, None)?;
            if each_pass(passed).is_break() {
                return Ok(None);
            }
        }
        Ok(Some(self.end_drain()))
    }

    fn begin_drain(&mut self) -> Result<(), PollError> {
        self.drain_began.get_or_insert_with(Instant::now);
        self.reactor()?.begin_drain();
        Ok(())
    }

    fn end_drain(&mut self) -> DrainReport {
        let took = self.drain_began.take().map_or(Duration::ZERO, |began| began.elapsed());
        self.core.account().report(took)
    }

    /// A pass that waits for `most` at most.
    fn drain_pass(&mut self, by: &By<'_>, most: Option<Duration>) -> Result<Passed, PollError> {
        match self.core.stage() {
            Stage::Cut => self.end_cut(by, most),
            _ => self.go_on_draining(by, most),
        }
    }

    /// A pass before the deadline, or what is due at it.
    fn go_on_draining(&mut self, by: &By<'_>, most: Option<Duration>) -> Result<Passed, PollError> {
        let now = Instant::now();
        if !by.is_over(&self.core, now) {
            let deadline = by.deadline();
            // One that has passed takes effect a little later (L2): that is not waited for in a circle.
            let ahead = deadline.filter(|at| *at > now);
            let left = deadline.map(|_| ahead.map_or(LATE, |at| at.saturating_duration_since(now)));
            return self.pass(shorter(left, most), ahead);
        }
        // The process may have been stopped meanwhile: what is there is looked at before anything is cut (L2).
        let until = *self.last_look.get_or_insert(now + LAST_LOOK);
        let passed = self.pass(shorter(Some(GLANCE), most), Some(until))?;
        let more = passed == Passed::Interrupted || self.reactor()?.has_more();
        if !more || until <= Instant::now() {
            self.reactor()?.cut();
        }
        Ok(passed)
    }

    /// A pass behind the cut, or its end.
    fn end_cut(&mut self, by: &By<'_>, most: Option<Duration>) -> Result<Passed, PollError> {
        let now = Instant::now();
        let linger = self.core.limits.drain.linger;
        let ends = *self.cut_ends.get_or_insert_with(|| {
            let left = by.hard_deadline().map_or(linger, |hard| hard.saturating_duration_since(now) / 2);
            // Past the end of time there is no end.
            now.checked_add(left.min(linger))
        });
        match ends {
            Some(ends) if ends <= now => {
                self.reactor()?.end_cut();
                Ok(Passed::Whole)
            }
            ends => self.pass(shorter(ends.map(|ends| ends.saturating_duration_since(now)), most), ends),
        }
    }

    fn pass(&mut self, timeout: Option<Duration>, until: Option<Instant>) -> Result<Passed, PollError> {
        self.reactor()?.pass(timeout, until).map_err(PollError::Wait)
    }

    /// Ends everything at once: what is open is closed, the newest first, and told so; timers never fire again. Clients in a
    /// listener's queue, requests in flight and unsent bytes are lost: [`drain`](Self::drain) first.
    pub fn close(self) {
        drop(self);
    }

    fn reactor(&mut self) -> Result<&mut Reactor, PollError> {
        self.reactor.as_mut().map_err(|kind| PollError::NoLoop(*kind))
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.core.shut();
        if let Ok(reactor) = &mut self.reactor {
            reactor.close();
        }
        // Their callbacks are foreign, and dropped outside of the lock.
        let callbacks = self.core.timers().clear();
        for callback in callbacks {
            discard(callback);
        }
        // Last: whoever closes behind this may be in use until here.
        self.core.count_in(None);
    }
}

fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    [one, other].into_iter().flatten().min()
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("open", &self.core.open().len()).finish_non_exhaustive()
    }
}
