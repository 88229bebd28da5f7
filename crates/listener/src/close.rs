//! Closing without losing anyone (rule D3).

use std::{fmt, mem, thread, time::Instant};

use crate::{
    accept::Accept,
    connection::Connection,
    listener::Listener,
    system::{self, Handshakes},
};

use self::{
    options::CloseOptions,
    procedure::{Action, Plan, Procedure, SETTLE},
    report::{CloseReport, Newcomers, Ownership},
    search::{Search, Whose},
};

pub(crate) mod options;
mod procedure;
pub(crate) mod report;
mod search;

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
/// A step never waits. It takes as long as one pass over the kernel's table of connections does (0.1 ms when it is
/// empty, 2 ms with 49,000 in it), or at the beginning a slice of up to 5 ms of the search for other owners.
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
        handshakes: Option<Handshakes>,
        /// What is known of it so far.
        report: CloseReport,
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
        let newcomers = match ownership {
            Ownership::Sole => match listener.file.take() {
                Some(file) if file.remove() => Newcomers::Refused,
                Some(_) => Newcomers::Admitted,
                None => system::turn_away(&listener.socket),
            },
            Ownership::PortShared | Ownership::Unknown(_) => Newcomers::Admitted,
            _ => {
                let report = CloseReport::new(ownership, Newcomers::Admitted);
                self.state = State::Closed(CloseReport { duration: so_far, ..report });
                return None;
            }
        };
        let plan = if newcomers == Newcomers::Admitted || listener.address.as_path().is_some() {
            Plan::Empty { at_most: listener.backlog as usize + 1 }
        } else {
            Plan::Look
        };
        let handshakes = if plan == Plan::Look { Handshakes::of(&listener.socket).ok() } else { None };
        let procedure = Procedure::new(plan, now, &self.options);
        let report = CloseReport::new(ownership, newcomers);
        self.state = State::Running { listener, procedure, handshakes, report };
        None
    }

    fn run(&mut self, now: Instant, started: Instant) -> Step {
        let State::Running { listener, procedure, handshakes, report } = &mut self.state else {
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
            looks: procedure.looks,
            handshakes: procedure.handshakes,
            accepted: procedure.accepted,
            duration: now.saturating_duration_since(started),
            limit_hit: procedure.limit_hit,
            failure,
            ..report.clone()
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
