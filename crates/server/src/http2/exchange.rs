//! What the parts of one HTTP/2 connection know together: its drain machine and the requests in flight.
//!
//! The I/O wrapper runs in the connection's task, each request in one of its own, and the server reaches in from outside
//! when the stop moves on: so one lock, held for nanoseconds and never across a call to anybody else's code.

use super::streams::{Key, Request, Streams};
use crate::alarm::now;
use crate::body::BodyNews;
use crate::common::Common;
use crate::draining::Draining;
use crate::in_flight::Counted;
use crate::peer::Peer;
use crate::registry::{Member, Stage};
#[cfg(feature = "metrics")]
use crate::telemetry::{Activity, Protocol};
use exeunt_drain::http2::{Connection, Effect, Input};
use exeunt_drain::{Wait, Waits};
use exeunt_lifecycle::{Shield, StopImminent};
use http::{Method, StatusCode, Uri};
use slab::Slab;
use std::io::IoSlice;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

/// One connection, shared by its parts.
pub(crate) struct Exchange {
    state: Mutex<State>,
    /// What has been decided, for the parts to carry out when they are polled next: bits of [`order`]. Read without the
    /// lock and set under it, as are the wakers: whoever sets them from outside either finds a task's waker and wakes it,
    /// or the task takes the lock later than that and finds the orders.
    orders: AtomicU8,
    common: Arc<Common>,
    peer: Peer,
    draining: Draining,
}

/// What the machine has ordered.
pub(super) mod order {
    /// Look into the receive queue once, past any cached readiness.
    pub(in crate::http2) const LOOK: u8 = 1;
    /// Tell the HTTP layer that the input has ended.
    pub(in crate::http2) const END_INPUT: u8 = 1 << 1;
    /// Say GOAWAY, once.
    pub(in crate::http2) const GO_AWAY: u8 = 1 << 2;
    /// Answer every request with 503, or reset its stream.
    pub(in crate::http2) const CUT: u8 = 1 << 3;
    /// Read and discard until the end is decided.
    pub(in crate::http2) const LINGER: u8 = 1 << 4;
    /// The connection is over.
    pub(in crate::http2) const CLOSE: u8 = 1 << 5;
    /// It is over with a reset.
    pub(in crate::http2) const RESET: u8 = 1 << 6;
    /// Somebody has waited too long: each request has to ask whether that was in its matter.
    pub(in crate::http2) const OVERDUE: u8 = 1 << 7;
}

struct State {
    drain: Connection,
    streams: Streams,
    /// For the peer, by all that is to be written.
    waits: Waits,
    /// The socket did not take what was last written to it.
    blocked: bool,
    /// The connection's task, once it runs.
    task: Option<Waker>,
    /// The tasks of its requests, where they wait for something.
    waiting: Slab<Waker>,
}

impl Exchange {
    pub(crate) fn new(common: Arc<Common>, peer: Peer, draining: Draining) -> Self {
        let state = State {
            drain: Connection::new(common.limits().drain, now()),
            streams: Streams::default(),
            waits: Waits::default(),
            blocked: false,
            task: None,
            waiting: Slab::new(),
        };
        Self { state: Mutex::new(state), orders: AtomicU8::new(0), common, peer, draining }
    }

    pub(super) fn common(&self) -> &Common {
        &self.common
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(super) fn draining(&self) -> &Draining {
        &self.draining
    }

    /// All [`order`]s in force.
    pub(super) fn orders(&self) -> u8 {
        self.orders.load(Ordering::Acquire)
    }

    /// Whether any of these [`order`]s is in force.
    pub(super) fn is_ordered(&self, orders: u8) -> bool {
        self.orders() & orders != 0
    }

    /// Whether this is ordered. The order is given once.
    pub(super) fn take(&self, order: u8) -> bool {
        self.is_ordered(order) && self.orders.fetch_and(!order, Ordering::AcqRel) & order != 0
    }

    /// The connection's task begins, and will be woken by this waker for all its life.
    pub(super) fn run_by(&self, task: &Waker) {
        self.lock().task = Some(task.clone());
    }

    /// The task of a request waits, and must be woken by a cut. `None`: that has come.
    pub(super) fn wait(&self, task: &Waker) -> Option<usize> {
        let mut state = self.lock();
        (!self.is_ordered(order::CUT)).then(|| state.waiting.insert(task.clone()))
    }

    /// It does not wait any more.
    pub(super) fn forget(&self, waiting: usize) {
        let waker = self.lock().waiting.try_remove(waiting);
        drop(waker);
    }

    /// Tells the machine what happened; its answer becomes an order.
    pub(super) fn tell(&self, input: Input<'_>) {
        self.apply(&mut self.lock(), now(), input);
        self.settle();
    }

    /// The kernel has taken so many bytes of these slices.
    pub(super) fn written(&self, slices: &[IoSlice<'_>], mut count: usize) {
        {
            let mut state = self.lock();
            let now = now();
            state.blocked = false;
            state.waits.end(Wait::Write);
            for slice in slices {
                let taken = slice.get(..count).unwrap_or(slice);
                count -= taken.len();
                self.apply(&mut state, now, Input::Written(taken));
                if count == 0 {
                    break;
                }
            }
        }
        self.settle();
    }

    /// The socket takes nothing.
    pub(super) fn blocked(&self) {
        let mut state = self.lock();
        state.blocked = true;
        self.watch_write(&mut state);
    }

    /// Ticks the machines, if they wait for a time.
    pub(super) fn tick(&self) {
        let (mut waiting, now) = (Vec::new(), now());
        {
            let mut state = self.lock();
            if state.drain.wake_at().is_some() {
                self.apply(&mut state, now, Input::Tick);
            }
            if state.streams.tick(now, &self.peer) {
                self.orders.fetch_or(order::OVERDUE, Ordering::AcqRel);
                waiting.extend(state.waiting.iter().map(|(_, task)| task.clone()));
            }
            if state.waits.tick(now).is_some() {
                tracing::warn!(peer = %self.peer, "nothing that is written is taken: given up");
                // What a drain loses is in its report, by whoever's fault.
                if self.common.stop.is_requested() {
                    state.streams.cut(&self.peer);
                }
                self.orders.fetch_or(order::CLOSE | order::RESET, Ordering::AcqRel);
            }
        }
        waiting.into_iter().for_each(Waker::wake);
    }

    /// When the machines want to be woken, if nothing happens before.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let state = self.lock();
        let all = [state.drain.wake_at(), state.waits.wake_at(), state.streams.wake_at()];
        all.into_iter().flatten().min()
    }

    /// What to answer in the program's place, or that its response is to be broken off, where somebody has waited too long.
    pub(super) fn overdue(&self, key: Key) -> Option<StatusCode> {
        if self.is_ordered(order::OVERDUE) { self.lock().streams.overdue(key) } else { None }
    }

    /// A request's head is whole.
    pub(super) fn begin(&self, method: &Method, uri: &Uri) -> Key {
        let (work, limits) = (self.common.scope.begin(), self.common.limits());
        let mut state = self.lock();
        let key = state.streams.begin(method.clone(), uri.clone(), work, limits.answer);
        if state.streams.begun() >= limits.requests_per_connection {
            self.apply(&mut state, now(), Input::Leave);
        }
        key
    }

    /// What is wrong with the request's body, as far as the program has read it.
    pub(super) fn body_fault(&self, key: Key) -> Option<BodyNews> {
        self.lock().streams.body_fault(key)
    }

    /// The head of the response is the HTTP layer's; it may hand the stream to the program.
    pub(super) fn answered(&self, key: Key, upgraded: bool) {
        self.lock().streams.answered(key, upgraded);
    }

    /// The program is asked for more of its response and has none, or has given a piece.
    pub(super) fn asked(&self, key: Key, asked: bool) {
        let task = {
            let mut state = self.lock();
            let waited = state.waits.wake_at().is_some();
            state.streams.asked(key, asked);
            self.watch_write(&mut state);
            // Its clock is not set for that.
            state.task.clone().filter(|_| !waited && state.waits.wake_at().is_some())
        };
        if let Some(task) = task {
            task.wake();
        }
    }

    /// The program has given its response to the last byte, or dropped it; what is left lies in the HTTP layer.
    pub(super) fn given(&self, key: Key) {
        self.lock().streams.given(key);
        self.settle();
    }

    /// The request is dropped, without a response.
    pub(super) fn abandon(&self, key: Key) {
        let request = self.lock().streams.abandon(key);
        drop(request);
    }

    /// Everything that can be written is with the kernel.
    pub(super) fn flushed(&self) {
        if !self.is_ordered(order::CUT) {
            return;
        }
        let mut state = self.lock();
        if !state.streams.is_owing() {
            self.apply(&mut state, now(), Input::Settled);
        }
    }

    /// The connection is over: what still lay in the HTTP layer is gone with it.
    pub(super) fn over(&self) {
        while let Some(request) = self.over_one() {
            drop(request);
        }
    }

    fn over_one(&self) -> Option<Request> {
        self.lock().streams.settle(0)
    }

    fn apply(&self, state: &mut State, now: Instant, input: Input<'_>) {
        let orders = match state.drain.on(now, input) {
            Some(Effect::GoAway) => order::GO_AWAY,
            Some(Effect::LastLook) => order::LOOK,
            Some(Effect::EndInput) => order::END_INPUT,
            Some(Effect::CutStreams) => order::CUT,
            Some(Effect::Linger) => order::LINGER,
            Some(Effect::Close) => order::CLOSE,
            Some(Effect::Abort) => order::CLOSE | order::RESET,
            Some(_) | None => return,
        };
        if orders & (order::CUT | order::RESET) != 0 {
            state.streams.cut(&self.peer);
        }
        self.orders.fetch_or(orders, Ordering::AcqRel);
    }

    /// Counts out what is with the kernel, with the lock free: the last work of a scope wakes the lifecycle.
    fn settle(&self) {
        while let Some(request) = self.settled() {
            drop(request);
        }
    }

    fn settled(&self) -> Option<Request> {
        let mut state = self.lock();
        let open = state.drain.open_streams();
        let settled = state.streams.settle(open);
        if settled.is_none() {
            self.watch_write(&mut state);
        }
        settled
    }

    /// Waits for a peer that takes nothing: not what the socket is to send, or nothing of responses that
    /// are given (D9).
    fn watch_write(&self, state: &mut State) {
        let waits = state.blocked || state.streams.are_waiting();
        if waits && state.waits.wake_at().is_none() {
            state.waits.begin(Wait::Write, now(), self.common.limits().write_stall);
        } else if !waits {
            state.waits.end(Wait::Write);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member for Exchange {
    #[cfg(feature = "metrics")]
    fn activity(&self) -> (Protocol, Activity) {
        (Protocol::Http2, self.lock().streams.activity())
    }

    fn tell(&self, stage: Stage) {
        let input = match stage {
            Stage::Serving => return,
            Stage::Stopping => Input::Stopping,
            Stage::Draining => Input::Draining,
            Stage::Cut => Input::Cut,
        };
        let (task, waiting) = {
            let mut state = self.lock();
            self.apply(&mut state, now(), input);
            let cut = stage == Stage::Cut;
            let waiting: Vec<_> =
                state.waiting.iter().filter(|_| cut).map(|(_, task)| task.clone()).collect();
            // A task that has not begun yet will read its orders when it does.
            (state.task.clone(), waiting)
        };
        task.into_iter().chain(waiting).for_each(Waker::wake);
    }
}

impl Counted for Exchange {
    fn shield(&self, request: u64, budget: Duration) -> Option<Result<Shield, StopImminent>> {
        self.lock().streams.shield(request, budget)
    }

    fn body(&self, request: u64, news: BodyNews) {
        let task = {
            let mut state = self.lock();
            let sooner = state.streams.body(request, news, self.common.limits());
            state.task.clone().filter(|_| sooner)
        };
        // Its clock is set for later.
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("peer", &self.peer).finish_non_exhaustive()
    }
}
