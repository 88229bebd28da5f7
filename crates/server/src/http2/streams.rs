//! The requests of one connection that are in flight: each until its response is with the kernel.

use crate::alarm::now;
use crate::body::BodyNews;
use crate::peer::Peer;
#[cfg(feature = "metrics")]
use crate::telemetry::Activity;
use exeunt_lifecycle::{CutWork, Shield, StopImminent, Work};
use http::{Method, Uri};
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
    /// What is wrong with its body, as far as that was read.
    body_fault: Option<BodyNews>,
    /// Gone once the work was cut: a 503 that is still written counts for nothing.
    work: Option<Work>,
}

impl Streams {
    pub(super) fn begin(&mut self, method: Method, uri: Uri, work: Work) -> Key {
        self.begun = self.begun.wrapping_add(1);
        let number = self.begun;
        let request = Request {
            method,
            uri,
            began: now(),
            number,
            upgraded: false,
            body_fault: None,
            work: Some(work),
        };
        // Streams that are open at once are bounded far below.
        Key { place: self.requests.insert(request) as u32, number }
    }

    /// The program is done with it: whole, or by dropping it. What is over by that is to be dropped with the lock free.
    pub(super) fn given(&mut self, key: Key) {
        if self.find(key).is_some() {
            self.given.push(key);
        }
    }

    /// No response will come of it.
    pub(super) fn abandon(&mut self, key: Key) -> Option<Request> {
        self.find(key)?;
        self.requests.try_remove(key.place as usize)
    }

    pub(super) fn upgraded(&mut self, key: Key) {
        if let Some(request) = self.find(key) {
            request.upgraded = true;
        }
    }

    /// One whose response is with the kernel, now that so many streams are open by what passed the socket.
    ///
    /// The HTTP layer does not tell which stream is which, so of several whole responses that wait for their windows the
    /// first is taken to be the one that went; tunnels, which live longer than responses, last.
    pub(super) fn settle(&mut self, open: usize) -> Option<Request> {
        if self.requests.len() <= open || self.given.is_empty() {
            return None;
        }
        let requests = &self.requests;
        let plain = |key: &Key| requests.get(key.place as usize).is_some_and(|request| !request.upgraded);
        let place = self.given.iter().position(plain).unwrap_or(0);
        let key = self.given.remove(place);
        self.requests.try_remove(key.place as usize)
    }

    /// News of a request's body.
    pub(super) fn body(&mut self, packed: u64, news: BodyNews) {
        if let Some(request) = self.find(Key::unpack(packed))
            && matches!(news, BodyNews::TooLong | BodyNews::Broken)
        {
            request.body_fault = Some(news);
        }
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
            // The authority is the client's word for us, and an absolute form is no name for a request.
            let path =
                request.uri.path_and_query().map_or_else(|| request.uri.to_string(), ToString::to_string);
            work.cut(CutWork {
                name: format!("{} {path}", request.method),
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

    fn find(&mut self, key: Key) -> Option<&mut Request> {
        self.requests.get_mut(key.place as usize).filter(|request| request.number == key.number)
    }
}
