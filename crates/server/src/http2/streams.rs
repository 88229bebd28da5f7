//! The requests of one connection that are in flight: each until its response is with the kernel.

use crate::Limits;
use crate::alarm::now;
use crate::body::BodyNews;
use crate::peer::Peer;
#[cfg(feature = "metrics")]
use crate::telemetry::Activity;
use exeunt_drain::{Wait, Waits};
use exeunt_lifecycle::{CutWork, Shield, StopImminent, Work};
use http::{Method, StatusCode, Uri};
use slab::Slab;
use std::time::{Duration, Instant};

/// Which request: places are used again, numbers are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    place: u32,
    number: u32,
}

impl Key {
    /// As one number, for [`InFlight`](crate::InFlight).
    pub(super) fn pack(self) -> u64 {
        u64::from(self.number) << 32 | u64::from(self.place)
    }

    fn unpack(packed: u64) -> Self {
        // Both halves fit.
        Self { place: packed as u32, number: (packed >> 32) as u32 }
    }
}

/// The requests in flight.
#[derive(Debug, Default)]
pub(super) struct Streams {
    requests: Slab<Request>,
    /// Whose response the program has given whole; what of it is not with the kernel lies in the HTTP layer.
    given: Vec<Key>,
    begun: u32,
    /// Of how many responses the program has given a piece, and is not asked for the next.
    unasked: usize,
    /// No wait of a request ends before that: it may be too early, never too late.
    due: Option<Instant>,
}

/// A request from the end of its head until its response is with the kernel.
#[derive(Debug)]
pub(super) struct Request {
    method: Method,
    uri: Uri,
    began: Instant,
    number: u32,
    /// Its stream has become a tunnel (CONNECT, RFC 8441).
    upgraded: bool,
    /// A piece of its response is given, and the next not asked for: it waits for the peer's windows, unless it is
    /// just being written.
    unasked: bool,
    waits: Waits,
    /// Somebody has waited too long (D9): what to answer, or that the stream is to be reset.
    overdue: Option<StatusCode>,
    /// What is wrong with its body, as far as that was read.
    body_fault: Option<BodyNews>,
    /// Gone once the work was cut: a 503 that is still written counts for nothing.
    work: Option<Work>,
}

impl Request {
    fn name(&self) -> String {
        // The authority is the client's word for us, and an absolute form is no name for a request.
        match self.uri.path_and_query() {
            Some(path) => format!("{} {path}", self.method),
            None => format!("{} {}", self.method, self.uri),
        }
    }
}

impl Streams {
    pub(super) fn begin(&mut self, method: Method, uri: Uri, work: Work, limit: Duration) -> Key {
        self.begun = self.begun.wrapping_add(1);
        let (number, began) = (self.begun, now());
        let request = Request {
            method,
            uri,
            began,
            number,
            upgraded: false,
            unasked: false,
            waits: Waits::default(),
            overdue: None,
            body_fault: None,
            work: Some(work),
        };
        // Streams that are open at once are bounded far below.
        let key = Key { place: self.requests.insert(request) as u32, number };
        self.wait(key, Wait::Answer, began, limit);
        key
    }

    /// How many requests there were.
    pub(super) fn begun(&self) -> u64 {
        u64::from(self.begun)
    }

    /// The head of the response is the HTTP layer's; it may hand the stream to the program.
    pub(super) fn answered(&mut self, key: Key, upgraded: bool) {
        if let Some(request) = self.find(key) {
            request.upgraded = upgraded;
            request.waits.end(Wait::Answer);
        }
        // Until its body says otherwise: most are given whole, and then nobody needs to be told.
        self.asked(key, upgraded);
    }

    /// Whether the program is asked for more of its response.
    pub(super) fn asked(&mut self, key: Key, asked: bool) {
        let Some(request) = self.find(key) else { return };
        let before = std::mem::replace(&mut request.unasked, !asked);
        self.unasked = (self.unasked + usize::from(!asked)).saturating_sub(usize::from(before));
    }

    /// When to look at who waits for whom.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.due
    }

    /// Ends what has lasted too long (D9). Answers whether there was any.
    pub(super) fn tick(&mut self, now: Instant, peer: &Peer) -> bool {
        if self.due.is_none_or(|due| now < due) {
            return false;
        }
        let (mut due, mut any) = (None, false);
        for (_, request) in &mut self.requests {
            while let Some(wait) = request.waits.tick(now) {
                tracing::warn!(%peer, ?wait, request = request.name(), "nobody waits any longer");
                let of_body = wait == Wait::Body;
                let status =
                    if of_body { StatusCode::REQUEST_TIMEOUT } else { StatusCode::SERVICE_UNAVAILABLE };
                request.overdue = Some(status);
                any = true;
            }
            due = [due, request.waits.wake_at()].into_iter().flatten().min();
        }
        self.due = due;
        any
    }

    /// What to answer in the program's place, or that its response is to be broken off, where somebody has waited too long.
    pub(super) fn overdue(&mut self, key: Key) -> Option<StatusCode> {
        self.find(key)?.overdue
    }

    /// Whether responses of the program's, whole or in part, wait for the peer's windows.
    pub(super) fn are_waiting(&self) -> bool {
        self.unasked > 0 || self.given.iter().any(|key| self.is_plain(*key))
    }

    /// The program is done with it: whole, or by dropping it. What is over by that is to be dropped with the lock free.
    pub(super) fn given(&mut self, key: Key) {
        self.asked(key, true);
        if let Some(request) = self.find(key) {
            request.waits = Waits::default();
            self.given.push(key);
        }
    }

    /// No response will come of it.
    pub(super) fn abandon(&mut self, key: Key) -> Option<Request> {
        self.find(key)?;
        self.requests.try_remove(key.place as usize)
    }

    /// One whose response is with the kernel, now that so many streams are open by what passed the socket.
    ///
    /// The HTTP layer does not tell which stream is which, so of several whole responses that wait for their windows the
    /// first is taken to be the one that went; tunnels, which live longer than responses, last.
    pub(super) fn settle(&mut self, open: usize) -> Option<Request> {
        if self.requests.len() <= open || self.given.is_empty() {
            return None;
        }
        let place = self.given.iter().position(|key| self.is_plain(*key)).unwrap_or(0);
        let key = self.given.remove(place);
        self.requests.try_remove(key.place as usize)
    }

    /// News of a request's body. Answers whether [`wake_at`](Self::wake_at) is sooner for it.
    pub(super) fn body(&mut self, packed: u64, news: BodyNews, limits: &Limits) -> bool {
        let (key, due) = (Key::unpack(packed), self.due);
        match (news, self.find(key)) {
            (BodyNews::Awaited, _) => self.wait(key, Wait::Body, now(), limits.body_stall),
            (BodyNews::Came(bytes), Some(request)) => {
                request.waits.end(Wait::Body);
                request.waits.extend(Wait::Answer, limits.earned(bytes));
            }
            (BodyNews::TooLong | BodyNews::Broken, Some(request)) => request.body_fault = Some(news),
            (_, None) => {}
        }
        self.due != due
    }

    /// What is wrong with a request's body, as far as the program has read it.
    pub(super) fn body_fault(&mut self, key: Key) -> Option<BodyNews> {
        self.find(key)?.body_fault
    }

    /// Whether the program owes a response, or the rest of one.
    pub(super) fn is_owing(&self) -> bool {
        self.requests.len() > self.given.len()
    }

    #[cfg(feature = "metrics")]
    pub(super) fn activity(&self) -> Activity {
        match self.requests.iter().any(|(_, request)| request.upgraded) {
            true => Activity::Upgraded,
            false if self.requests.is_empty() => Activity::Idle,
            false => Activity::Busy,
        }
    }

    /// Puts all into the report as cut, by name (D8).
    pub(super) fn cut(&mut self, peer: &Peer) {
        for (_, request) in &mut self.requests {
            let Some(work) = request.work.take() else { continue };
            work.cut(CutWork {
                name: request.name(),
                kind: if request.upgraded { "upgrade" } else { "request" },
                peer: Some(peer.to_string()),
                age: now().saturating_duration_since(request.began),
                site: None,
            });
        }
    }

    #[track_caller]
    pub(super) fn shield(&mut self, packed: u64, budget: Duration) -> Option<Result<Shield, StopImminent>> {
        let request = self.find(Key::unpack(packed))?;
        Some(request.work.as_ref().ok_or(StopImminent).and_then(|work| work.shield(budget)))
    }

    fn wait(&mut self, key: Key, wait: Wait, now: Instant, limit: Duration) {
        let Some(request) = self.find(key) else { return };
        request.waits.begin(wait, now, limit);
        let due = request.waits.wake_at();
        self.due = [self.due, due].into_iter().flatten().min();
    }

    /// Whether it is no tunnel.
    fn is_plain(&self, key: Key) -> bool {
        self.requests.get(key.place as usize).is_some_and(|request| !request.upgraded)
    }

    fn find(&mut self, key: Key) -> Option<&mut Request> {
        self.requests.get_mut(key.place as usize).filter(|request| request.number == key.number)
    }
}
