//! Closing without losing anyone (rule D3).

use std::{
    fmt, mem, thread,
    time::{Duration, Instant},
};

use crate::{
    accept::Accept,
    connection::Connection,
    listener::Listener,
    system::{self, Handshakes},
};

use self::{
    procedure::{Action, Plan, Procedure, SETTLE},
    report::{CloseReport, Method, Ownership},
    search::{Search, Whose},
};

mod procedure;
pub(crate) mod report;
mod search;

/// The bounds of a close.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseOptions {
    /// The longest that the close may take, 2 s by default: beyond the second after which an unanswered handshake
    /// packet is repeated (RFC 6298 §2), so that one lost packet loses no client.
    pub limit: Duration,
    /// How long handshakes under way are waited for where the system does not tell of them, 250 ms by default: a round
    /// trip to the other side of the world.
    pub handshake_grace: Duration,
    /// The longest search in `/proc` for others who hold the socket, 500 ms by default; it takes some microseconds for
    /// each open descriptor. If it does not suffice, the socket is not filtered but emptied.
    pub owner_search: Duration,
}

impl Default for CloseOptions {
    fn default() -> Self {
        Self {
            limit: Duration::from_secs(2),
            handshake_grace: Duration::from_millis(250),
            owner_search: Duration::from_millis(500),
        }
    }
}

impl CloseOptions {
    /// With this `limit`.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// With this `handshake_grace`.
    #[must_use]
    pub fn handshake_grace(mut self, grace: Duration) -> Self {
        self.handshake_grace = grace;
        self
    }

    /// With this `owner_search`.
    #[must_use]
    pub fn owner_search(mut self, longest: Duration) -> Self {
        self.owner_search = longest;
        self
    }
}

/// What a step of a close came to.
#[derive(Debug)]
pub enum Step {
    /// A client that had to be accepted so as not to be lost. Step again at once.
    Accepted(Connection),
    /// Nothing to do before this instant, never more than 10 ms away. The socket need not be watched meanwhile.
    Wait {
        /// When to step again; earlier does no harm.
        until: Instant,
    },
    /// The socket is closed. Further steps say the same.
    Closed(CloseReport),
}

/// A listener on its way out. See the crate's documentation for a loop that drives it.
///
/// A step never waits. It takes as long as one pass over the kernel's table of connections does (a tenth of a
/// millisecond for a table of 262,144), or at the beginning a slice of up to 5 ms of the search for other owners.
///
/// Dropped before it says `Closed`, it closes the socket at once and loses whoever is on the way.
pub struct Closing {
    state: State,
    options: CloseOptions,
    started: Option<Instant>,
}

enum State {
    Deciding {
        listener: Box<Listener>,
        search: Search,
    },
    Running {
        listener: Box<Listener>,
        procedure: Procedure,
        ownership: Ownership,
        handshakes: Option<Handshakes>,
    },
    Closed(CloseReport),
    /// Only while a step is being taken.
    Between,
}

impl Closing {
    pub(crate) fn new(listener: Listener, options: CloseOptions) -> Self {
        Self {
            state: State::Deciding { search: Search::of(&listener), listener: Box::new(listener) },
            options,
            started: None,
        }
    }

    /// Does what is to be done at `now`, which must not go backwards.
    pub fn step(&mut self, now: Instant) -> Step {
        let started = *self.started.get_or_insert(now);
        if let State::Deciding { .. } = self.state
            && let Some(until) = self.decide(now, started)
        {
            return Step::Wait { until };
        }
        self.run(now, started)
    }

    /// Steps and sleeps until the socket is closed, and hands whom it accepts to `serve`. For a thread that has nothing
    /// else to do.
    pub fn block(mut self, mut serve: impl FnMut(Connection)) -> CloseReport {
        loop {
            match self.step(Instant::now()) {
                Step::Accepted(connection) => serve(connection),
                Step::Wait { until } => thread::sleep(until.saturating_duration_since(Instant::now())),
                Step::Closed(report) => return report,
            }
        }
    }

    /// Finds out whose the socket is and how to close it; an instant if that takes a moment longer.
    fn decide(&mut self, now: Instant, started: Instant) -> Option<Instant> {
        let State::Deciding { mut listener, mut search } = mem::replace(&mut self.state, State::Between)
        else {
            return None;
        };
        let so_far = now.saturating_duration_since(started);
        let ownership = match search.go_on(&mut listener, so_far, self.options.owner_search) {
            Whose::Known(ownership) => ownership,
            Whose::Later(pause) => {
                self.state = State::Deciding { listener, search };
                return Some(now + pause);
            }
        };
        let plan = match ownership {
            Ownership::Sole if system::turn_away(&listener.socket) => Plan::Look,
            Ownership::Sole | Ownership::PortShared | Ownership::Unknown(_) => {
                Plan::Empty { at_most: listener.backlog as usize + 1 }
            }
            _ => {
                self.state = State::Closed(left_to_others(ownership, so_far));
                return None;
            }
        };
        if ownership == Ownership::Sole
            && let Some(file) = listener.file.take()
        {
            file.remove();
        }
        let handshakes = if plan == Plan::Look { Handshakes::of(&listener.socket).ok() } else { None };
        let procedure = Procedure::new(plan, now, &self.options);
        self.state = State::Running { listener, procedure, ownership, handshakes };
        None
    }

    fn run(&mut self, now: Instant, started: Instant) -> Step {
        let State::Running { listener, procedure, ownership, handshakes } = &mut self.state else {
            return match &self.state {
                State::Closed(report) => Step::Closed(report.clone()),
                _ => Step::Wait { until: now + SETTLE },
            };
        };
        let mut failure = None;
        loop {
            match procedure.next(now) {
                Action::Look => match handshakes.as_mut().map(Handshakes::count) {
                    Some(Ok(count)) => procedure.looked(count),
                    _ => procedure.blind(),
                },
                Action::Accept => match listener.accept() {
                    Accept::Connection(connection) => {
                        procedure.accepted();
                        return Step::Accepted(connection);
                    }
                    Accept::Nothing => procedure.emptied(now),
                    Accept::BackOff(_) => procedure.exhausted(now),
                    Accept::Failed(error) => {
                        failure = Some(error.to_string());
                        procedure.failed();
                    }
                },
                Action::Wait(until) => return Step::Wait { until },
                Action::Close => break,
            }
        }
        let report = CloseReport {
            method: procedure.method(),
            ownership: ownership.clone(),
            looks: procedure.looks,
            handshakes: procedure.handshakes,
            accepted: procedure.accepted,
            duration: now.saturating_duration_since(started),
            limit_hit: procedure.limit_hit,
            failure,
        };
        self.state = State::Closed(report.clone());
        Step::Closed(report)
    }
}

impl fmt::Debug for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Deciding { listener, .. } => {
                f.debug_tuple("Deciding").field(listener.local_address()).finish()
            }
            State::Running { procedure, .. } => procedure.fmt(f),
            State::Closed(report) => report.fmt(f),
            State::Between => f.write_str("Between"),
        }
    }
}

fn left_to_others(ownership: Ownership, duration: Duration) -> CloseReport {
    CloseReport {
        method: Method::LeftToOthers,
        ownership,
        looks: 0,
        handshakes: 0,
        accepted: 0,
        duration,
        limit_hit: false,
        failure: None,
    }
}
