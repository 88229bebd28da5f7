//! What the parts of one connection know together: its drain machine and the request in progress.
//!
//! The I/O wrapper, the service wrapper, the response body and the connection's task all run in one task but for a
//! response body that the program keeps elsewhere, and the server reaches in from outside when the drain begins or is
//! cut: so one lock, held for nanoseconds and never across a call to anybody else's code.

use exeunt_drain::{Connection, Effect, Framing, Input, Limits};
use exeunt_lifecycle::{CutWork, Scope, Work};
use futures_util::task::AtomicWaker;
use http::{Method, Uri};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The time, by the runtime's clock (which a test may have paused).
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// One connection, shared by its parts.
pub(crate) struct Exchange {
    state: Mutex<State>,
    /// The connection's task, to be woken when the server has changed the state from outside.
    pub(crate) task: AtomicWaker,
    scope: Arc<Scope>,
    peer: Option<SocketAddr>,
}

/// What has been decided, for the parts to carry out when they are polled next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    /// Look into the receive queue once, past any cached readiness.
    pub(crate) look: bool,
    /// Tell the HTTP layer that the input has ended.
    pub(crate) end_input: bool,
    /// Answer the pending request with 503.
    pub(crate) answer_503: bool,
    /// Read and discard until the end is decided.
    pub(crate) linger: bool,
    /// The connection is over.
    pub(crate) close: bool,
    /// It is over with a reset.
    pub(crate) reset: bool,
}

struct State {
    drain: Connection,
    request: Option<Request>,
    orders: Orders,
}

/// A request from the end of its head until its response is with the kernel.
struct Request {
    method: Method,
    uri: Uri,
    began: Instant,
    /// Gone once the work was cut: a 503 that is still written counts for nothing.
    work: Option<Work>,
    /// The program's response body has given its last byte, which may still lie in a buffer.
    body_done: bool,
}

impl Exchange {
    pub(crate) fn new(limits: Limits, scope: Arc<Scope>, peer: Option<SocketAddr>) -> Self {
        let state = State { drain: Connection::new(limits, now()), request: None, orders: Orders::default() };
        Self { state: Mutex::new(state), task: AtomicWaker::new(), scope, peer }
    }

    /// Tells the machine what happened; its answer becomes an order. Answers the orders now in force.
    pub(crate) fn tell(&self, input: Input<'_>) -> Orders {
        let mut state = self.lock();
        self.apply(&mut state, input);
        state.orders
    }

    /// The orders in force for whoever is about to read. An order to look is given once.
    pub(crate) fn reading(&self) -> Orders {
        let mut state = self.lock();
        let orders = state.orders;
        state.orders.look = false;
        orders
    }

    /// Ticks the machine if its time has come; answers the orders in force.
    pub(crate) fn tick(&self) -> Orders {
        let mut state = self.lock();
        if state.drain.wake_at().is_some_and(|at| at <= now()) {
            self.apply(&mut state, Input::Tick);
        }
        state.orders
    }

    /// When the machine wants to be woken, if nothing happens before.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.lock().drain.wake_at()
    }

    /// A request's head is whole.
    pub(crate) fn begin(&self, method: &Method, uri: &Uri, framing: Framing) {
        let work = Some(self.scope.begin());
        let request =
            Request { method: method.clone(), uri: uri.clone(), began: now(), work, body_done: false };
        let mut state = self.lock();
        state.request = Some(request);
        self.apply(&mut state, Input::HeadDone(framing));
    }

    /// Whether the pending request is to be answered with 503 in place of the program.
    pub(crate) fn is_refused(&self) -> bool {
        self.lock().orders.answer_503
    }

    /// The response's head is about to be written. Answers whether it must say `Connection: close` (D2).
    pub(crate) fn respond(&self) -> bool {
        let stopping = self.scope.stop().is_requested();
        self.lock().drain.on(now(), Input::ResponseHead { stopping }) == Some(Effect::SayClose)
    }

    /// The program's response body has given its last byte.
    pub(crate) fn body_done(&self) {
        if let Some(request) = &mut self.lock().request {
            request.body_done = true;
        }
    }

    /// The HTTP layer's buffer is empty: a response whose body is done is with the kernel.
    pub(crate) fn flushed(&self) {
        let mut state = self.lock();
        if state.request.as_ref().is_some_and(|request| request.body_done) {
            self.apply(&mut state, Input::ResponseDone);
            state.request = None;
        }
    }

    fn apply(&self, state: &mut State, input: Input<'_>) {
        let orders = &mut state.orders;
        match state.drain.on(now(), input) {
            Some(Effect::LastLook) => orders.look = true,
            Some(Effect::EndInput) => orders.end_input = true,
            Some(Effect::Linger) => orders.linger = true,
            Some(Effect::Close) => orders.close = true,
            Some(Effect::Answer503) => {
                orders.answer_503 = true;
                self.cut(state.request.as_mut());
            }
            Some(Effect::Abort) => {
                orders.close = true;
                orders.reset = true;
                self.cut(state.request.as_mut());
            }
            // `SayClose` is the answer to `respond` alone.
            Some(_) | None => {}
        }
    }

    /// Puts a request into the report as cut, by name (D8).
    fn cut(&self, request: Option<&mut Request>) {
        let Some(request) = request else { return };
        let Some(work) = request.work.take() else { return };
        work.cut(CutWork {
            name: format!("{} {}", request.method, request.uri),
            kind: "request",
            peer: self.peer.map(|peer| peer.to_string()),
            age: now().saturating_duration_since(request.began),
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("peer", &self.peer).finish_non_exhaustive()
    }
}
