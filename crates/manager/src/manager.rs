//! The manager: the loop, and whoever turns it.

use crate::connection::Connection;
use crate::core::{Core, Stage};
use crate::error::{ListenError, ManagerClosed, PollError};
use crate::event::Event;
use crate::handle::Handle;
use crate::handler::Handler;
use crate::limits::Limits;
use crate::listen::Listen;
use crate::reactor::{Reactor, WAKER};
use crate::stop::DrainReport;
use crate::timer::{Schedule, Timer};
use exeunt_lifecycle::{Lifecycle, Phase, Stop, Watch};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An event loop: sockets, one handler, timers and wakeups, turned by [`poll`](Self::poll) or [`run`](Self::run).
///
/// One thread at a time turns it. Everybody else, handlers included, has [`Handle`]s and [`Connection`]s. Dropping it
/// closes it.
pub struct Manager {
    core: Arc<Core>,
    reactor: Result<Reactor, io::ErrorKind>,
    watch: Option<Watch>,
}

/// How often a deadline that has passed is looked at again.
const LATE: Duration = Duration::from_millis(5);

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
        Self { core, reactor, watch: None }
    }

    /// For other threads, and for handlers.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.core))
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

    /// See [`Handle::connections`].
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        self.handle().connections()
    }

    /// From now on a poll returns at once when this stop moves on, and answers say `Connection: close` from the stop
    /// request on (rule D2). [`run`](Self::run) does this by itself.
    pub fn follow(&mut self, stop: &Stop) {
        self.core.follow(stop);
        let handle = self.handle();
        self.watch = Some(stop.on_change(move || handle.wake()));
        // What happened before is not told.
        self.core.wake();
    }

    /// Waits until something happens (a socket, a due timer, a wakeup, a call from another thread), for `timeout` at most,
    /// without limit if that is `None`; does what is to be done about it, and returns. A signal ends the wait, too.
    ///
    /// # Errors
    ///
    /// The kernel does not wait; see [`PollError`].
    pub fn poll(&mut self, timeout: impl Into<Option<Duration>>) -> Result<(), PollError> {
        match &mut self.reactor {
            Ok(reactor) => reactor.pass(timeout.into()).map_err(PollError::Wait),
            Err(kind) => Err(PollError::NoLoop(*kind)),
        }
    }

    /// Serves until the lifecycle's stop, drains by rules D1 to D8, and returns when nothing is left or the drain
    /// deadline has cut the rest. Requests are counted as the lifecycle's work while they are in flight.
    ///
    /// # Errors
    ///
    /// See [`PollError`]; everything is closed then.
    pub fn run(&mut self, lifecycle: &Lifecycle) -> Result<DrainReport, PollError> {
        let stop = lifecycle.stop();
        self.follow(&stop);
        self.core.count_in(Some(lifecycle.scope("manager")));
        let report = self.serve(&stop);
        if let (Err(_), Ok(reactor)) = (&report, &mut self.reactor) {
            reactor.close();
        }
        // Nothing will begin any more.
        self.core.count_in(None);
        self.watch = None;
        report
    }

    fn serve(&mut self, stop: &Stop) -> Result<DrainReport, PollError> {
        while stop.phase() < Phase::Draining {
            self.poll(None)?;
        }
        self.drain_until(|core, _| core.is_cut(), || stop.drain_deadline())
    }

    /// Stops in peace: listeners close without losing anyone, requests that were accepted are answered, streams are told,
    /// silent connections are closed after their grace; and at `deadline` the rest is cut, and reported.
    ///
    /// # Errors
    ///
    /// See [`PollError`].
    pub fn drain(&mut self, deadline: Instant) -> Result<DrainReport, PollError> {
        self.drain_until(|_, now| now >= deadline, || Some(deadline))
    }

    fn drain_until(
        &mut self,
        is_over: impl Fn(&Core, Instant) -> bool,
        deadline: impl Fn() -> Option<Instant>,
    ) -> Result<DrainReport, PollError> {
        let began = Instant::now();
        self.reactor()?.begin_drain();
        while !self.reactor()?.is_drained() {
            let now = Instant::now();
            if self.core.stage() < Stage::Cut && is_over(&self.core, now) {
                // The process may have been stopped meanwhile: what is there is looked at before anything is cut (L2).
                self.poll(Duration::ZERO)?;
                self.reactor()?.cut();
                continue;
            }
            let left = deadline().filter(|_| self.core.stage() < Stage::Cut);
            // A deadline that has passed takes effect a little later (L2): that is not waited for in a circle.
            let left = left.map(|at| at.saturating_duration_since(now));
            self.poll(left.map(|left| if left.is_zero() { LATE } else { left }))?;
        }
        Ok(self.core.account().report(began.elapsed()))
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
        let timers = self.core.timers().clear();
        drop(timers);
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("open", &self.core.open().len()).finish_non_exhaustive()
    }
}
