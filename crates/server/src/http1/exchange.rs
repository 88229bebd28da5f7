//! What the parts of one connection know together: its drain machine and the request in progress.
//!
//! The I/O wrapper, the service wrapper, the response body and the connection's task all run in one task but for a
//! response body that the program keeps elsewhere, and the server reaches in from outside when the drain begins or is
//! cut: so one lock, held for nanoseconds and never across a call to anybody else's code.

use crate::alarm::now;
use crate::body::BodyNews;
use crate::common::Common;
use crate::draining::Draining;
use crate::in_flight::Counted;
use crate::peer::Peer;
use crate::registry::{Member, Stage};
#[cfg(feature = "metrics")]
use crate::telemetry::{Activity, Protocol};
use exeunt_drain::{Connection, Effect, Framing, Input, Wait, Waits};
use exeunt_lifecycle::{CutWork, Shield, StopImminent, Work};
use http::{Method, Uri};
use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

/// One connection, shared by its parts.
pub(crate) struct Exchange {
    state: Mutex<State>,
    /// What has been decided, for the parts to carry out when they are polled next: bits of [`order`].
    orders: AtomicU16,
    /// The program's response body has given its last byte, which may still lie in a buffer.
    body_done: AtomicBool,
    common: Arc<Common>,
    draining: Draining,
    peer: Peer,
}

/// What the machine has ordered. The parts ask at every poll, hence bits that are read without the lock. They are set
/// under it, as is the task's waker: whoever sets them from outside either finds the waker and wakes the task, or the
/// task takes the lock later than that and finds the orders.
pub(crate) mod order {
    /// Look into the receive queue once, past any cached readiness.
    pub(crate) const LOOK: u16 = 1;
    /// Tell the HTTP layer that the input has ended.
    pub(crate) const END_INPUT: u16 = 1 << 1;
    /// Answer the pending request with 503.
    pub(crate) const ANSWER_503: u16 = 1 << 2;
    /// Read and discard until the end is decided.
    pub(crate) const LINGER: u16 = 1 << 3;
    /// The connection is over.
    pub(crate) const CLOSE: u16 = 1 << 4;
    /// It is over with a reset.
    pub(crate) const RESET: u16 = 1 << 5;
    /// Lend the stream to the program, once what was written before is with the kernel.
    pub(crate) const LEND: u16 = 1 << 6;
    /// What came first is the preface of HTTP/2.
    pub(crate) const HTTP2: u16 = 1 << 7;
    /// Answer the pending request with 408.
    pub(crate) const ANSWER_408: u16 = 1 << 8;
}

struct State {
    drain: Connection,
    waits: Waits,
    request: Option<Request>,
    /// How many requests have begun, which tells them apart.
    requests: u64,
    /// The time of the latest news.
    latest: Instant,
    /// The connection's task, once it runs.
    task: Option<Waker>,
    /// What the connection's task keeps of a stream that is lent to the program, whatever its type.
    tunnel: Option<Arc<dyn Any + Send + Sync>>,
}

/// A request from the end of its head until its response is with the kernel, or the program is done with the connection.
struct Request {
    method: Method,
    uri: Uri,
    began: Instant,
    /// Gone once the work was cut: a 503 that is still written counts for nothing.
    work: Option<Work>,
    /// What is wrong with its body, as far as that was read.
    body_fault: Option<BodyNews>,
}

impl Request {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.uri)
    }
}

impl Exchange {
    pub(crate) fn new(common: Arc<Common>, peer: Peer) -> Self {
        let now = now();
        Self {
            state: Mutex::new(State {
                drain: Connection::new(common.limits().drain, now),
                waits: Waits::default(),
                request: None,
                requests: 0,
                latest: now,
                task: None,
                tunnel: None,
            }),
            orders: AtomicU16::new(0),
            body_done: AtomicBool::new(false),
            draining: common.streams.draining(),
            common,
            peer,
        }
    }

    /// Whether any of these [`order`]s is in force.
    pub(crate) fn is_ordered(&self, orders: u16) -> bool {
        self.orders.load(Ordering::Acquire) & orders != 0
    }

    /// Whether a last look is ordered. The order is given once.
    pub(crate) fn take_look(&self) -> bool {
        self.is_ordered(order::LOOK)
            && self.orders.fetch_and(!order::LOOK, Ordering::AcqRel) & order::LOOK != 0
    }

    /// The peer speaks HTTP/2: the connection goes on without this.
    pub(crate) fn leave_to_http2(&self) {
        self.orders.fetch_or(order::HTTP2, Ordering::AcqRel);
    }

    /// The connection's task begins, and will be woken by this waker for all its life.
    pub(crate) fn run_by(&self, task: &Waker) {
        self.lock().task = Some(task.clone());
    }

    /// Tells the machine what the server wants, from outside the connection's task, and wakes that.
    pub(crate) fn intervene(&self, input: Input<'_>) {
        let task = {
            let mut state = self.lock();
            self.apply(&mut state, now(), input);
            // A task that has not begun yet will read its orders when it does.
            state.task.clone()
        };
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Tells the machine what happened; its answer becomes an order.
    pub(crate) fn tell(&self, input: Input<'_>) {
        self.apply(&mut self.lock(), now(), input);
    }

    /// Ticks the machines, if they wait for a time.
    pub(crate) fn tick(&self) {
        let now = now();
        let overdue = {
            let mut state = self.lock();
            if state.drain.wake_at().is_some() {
                self.apply(&mut state, now, Input::Tick);
            }
            let overdue = state.waits.tick(now);
            overdue.map(|wait| (wait, self.end_wait(&mut state, wait)))
        };
        if let Some((wait, request)) = overdue {
            tracing::warn!(peer = %self.peer, ?wait, ?request, "nobody waits any longer");
        }
    }

    /// When the machines want to be woken, if nothing happens before.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let state = self.lock();
        [state.drain.wake_at(), state.waits.wake_at()].into_iter().flatten().min()
    }

    /// The peer does not take what is written to it.
    pub(crate) fn write_blocked(&self) {
        self.lock().waits.begin(Wait::Write, now(), self.common.limits().write_stall);
    }

    /// It has taken some of it.
    pub(crate) fn write_moved(&self) {
        self.lock().waits.end(Wait::Write);
    }

    /// Whether a response was begun and will not be whole if the connection ends now.
    pub(crate) fn is_torn(&self) -> bool {
        self.lock().drain.is_torn()
    }

    /// A request's head is whole. Answers its number.
    pub(crate) fn begin(&self, method: &Method, uri: &Uri, framing: Framing) -> u64 {
        let work = Some(self.common.scope.begin());
        self.body_done.store(false, Ordering::Release);
        let mut state = self.lock();
        // The head's last byte came just now; a pipelined request may have waited for its turn since.
        let began = state.latest;
        state.request =
            Some(Request { method: method.clone(), uri: uri.clone(), began, work, body_fault: None });
        state.requests += 1;
        state.waits.begin(Wait::Answer, began, self.common.limits().answer);
        self.apply(&mut state, began, Input::HeadDone(framing));
        state.requests
    }

    pub(crate) fn common(&self) -> &Common {
        &self.common
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(crate) fn draining(&self) -> &Draining {
        &self.draining
    }

    /// The response's head is about to be written. Answers whether it must say `Connection: close` (D2).
    pub(crate) fn respond(&self) -> bool {
        let mut state = self.lock();
        let Some(began) = state.request.as_ref().map(|request| request.began) else { return true };
        // Read under the lock, as late as can be: what is written after this is written after the request to stop.
        let stopping = self.common.stop.is_requested();
        state.waits.end(Wait::Answer);
        let last = state.requests >= self.common.limits().requests_per_connection;
        state.drain.on(began, Input::ResponseHead { stopping }) == Some(Effect::SayClose) || last
    }

    /// What is wrong with the request's body, as far as the program has read it.
    pub(crate) fn body_fault(&self) -> Option<BodyNews> {
        self.lock().request.as_ref().and_then(|request| request.body_fault)
    }

    /// The response hands the connection to the program (D6). False: it has been cut, and a 503 goes out instead.
    pub(crate) fn upgrade(&self) -> bool {
        let mut state = self.lock();
        self.apply(&mut state, now(), Input::Upgraded);
        let taken = state.drain.is_upgraded();
        if taken {
            // How long they wait for each other is the program's to say from here on.
            state.waits.end(Wait::Answer);
            state.waits.end(Wait::Body);
            self.orders.fetch_or(order::LEND, Ordering::AcqRel);
        }
        taken
    }

    /// The stream is lent, and this is the end of it that the connection's task has.
    pub(crate) fn lend(&self, tunnel: Arc<dyn Any + Send + Sync>) {
        self.lock().tunnel = Some(tunnel);
    }

    /// Whether the stream is lent.
    pub(crate) fn is_lent(&self) -> bool {
        self.is_ordered(order::LEND) && self.lock().tunnel.is_some()
    }

    /// The end of a lent stream that the connection's task has.
    pub(crate) fn lent<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        if !self.is_ordered(order::LEND) {
            return None;
        }
        self.lock().tunnel.take().and_then(|tunnel| tunnel.downcast().ok())
    }

    /// The program is done with the connection.
    pub(crate) fn returned(&self) {
        let finished = self.lock().request.take();
        drop(finished);
    }

    /// The program's response body has given its last byte.
    pub(crate) fn body_done(&self) {
        self.body_done.store(true, Ordering::Release);
    }

    /// The HTTP layer's buffer is empty: a response whose body is done is with the kernel.
    pub(crate) fn flushed(&self) {
        if !self.body_done.load(Ordering::Acquire) {
            return;
        }
        let finished = {
            let mut state = self.lock();
            self.body_done.store(false, Ordering::Release);
            if state.drain.is_upgraded() {
                return;
            }
            self.apply(&mut state, now(), Input::ResponseDone);
            // What still comes of its body may be silent for `idle`.
            state.waits.end(Wait::Body);
            state.request.take()
        };
        // Counted out with the lock free: the last work of a scope wakes the lifecycle.
        drop(finished);
    }

    fn apply(&self, state: &mut State, now: Instant, input: Input<'_>) {
        state.latest = now;
        let orders = match state.drain.on(now, input) {
            Some(Effect::LastLook) => order::LOOK,
            Some(Effect::EndInput) => order::END_INPUT,
            Some(Effect::Linger) => order::LINGER,
            Some(Effect::Close) => order::CLOSE,
            Some(Effect::Answer503) => order::ANSWER_503,
            Some(Effect::Abort) => order::CLOSE | order::RESET,
            // `SayClose` is the answer to `respond` alone.
            Some(_) | None => return,
        };
        if orders & (order::ANSWER_503 | order::RESET) != 0 {
            self.cut(state);
        }
        self.orders.fetch_or(orders, Ordering::AcqRel);
    }

    /// A wait has lasted too long (D9). Answers the request that it was for.
    fn end_wait(&self, state: &mut State, wait: Wait) -> Option<String> {
        let orders = match wait {
            Wait::Answer => order::ANSWER_503,
            Wait::Body if !state.drain.is_torn() => order::ANSWER_408,
            Wait::Body | Wait::Write => order::CLOSE | order::RESET,
        };
        let name = state.request.as_ref().map(Request::name);
        // What a drain loses is in its report, by whoever's fault.
        if orders & order::RESET != 0 && self.common.stop.is_requested() {
            self.cut(state);
        }
        self.orders.fetch_or(orders, Ordering::AcqRel);
        name
    }

    /// Puts a request into the report as cut, by name (D8).
    fn cut(&self, state: &mut State) {
        let kind = if state.drain.is_upgraded() { "upgrade" } else { "request" };
        let Some(request) = &mut state.request else { return };
        let Some(work) = request.work.take() else { return };
        work.cut(CutWork {
            name: request.name(),
            kind,
            peer: Some(self.peer.to_string()),
            age: now().saturating_duration_since(request.began),
            site: None,
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member for Exchange {
    #[cfg(feature = "metrics")]
    fn activity(&self) -> (Protocol, Activity) {
        let state = self.lock();
        let busy = if state.request.is_some() { Activity::Busy } else { Activity::Idle };
        (Protocol::Http1, if state.drain.is_upgraded() { Activity::Upgraded } else { busy })
    }

    fn tell(&self, stage: Stage) {
        match stage {
            // It reads the stop itself, as late as it can: when a response is about to be written.
            Stage::Serving | Stage::Stopping => {}
            Stage::Draining => self.intervene(Input::Draining),
            Stage::Cut => self.intervene(Input::Cut),
        }
    }
}

impl Counted for Exchange {
    fn shield(&self, request: u64, budget: Duration) -> Option<Result<Shield, StopImminent>> {
        let state = self.lock();
        let current = state.request.as_ref().filter(|_| state.requests == request)?;
        Some(current.work.as_ref().ok_or(StopImminent).and_then(|work| work.shield(budget)))
    }

    fn body(&self, request: u64, news: BodyNews) {
        let mut state = self.lock();
        let State { waits, request: current, requests, .. } = &mut *state;
        let Some(current) = current.as_mut().filter(|_| *requests == request) else { return };
        let limits = self.common.limits();
        match news {
            BodyNews::Awaited => waits.begin(Wait::Body, now(), limits.body_stall),
            BodyNews::Came(bytes) => {
                waits.end(Wait::Body);
                waits.extend(Wait::Answer, limits.earned(bytes));
            }
            BodyNews::TooLong | BodyNews::Broken => current.body_fault = Some(news),
        }
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("peer", &self.peer).finish_non_exhaustive()
    }
}
