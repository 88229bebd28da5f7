use crate::load::{Ledger, clients_of};
use crate::scenario::Scenario;
use serde::Serialize;
use std::fmt;
use std::time::Instant;

/// So many requests have to begin within 10 ms of the signal, or a third of the connections where
/// that is fewer.
const UNDER_LOAD: u32 = 20;

/// Why a round proves nothing: the server was not under the scenario's load when it was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Void {
    /// Too few requests began within 10 ms of the signal.
    NoLoad {
        /// How many did.
        begun: u64,
        /// How many have to.
        needed: u64,
    },
    /// Too few requests before the signal reused a connection; 99 % have to.
    NotKept {
        /// How many did.
        reused: u64,
        /// Of how many, each client's very first apart.
        of: u64,
    },
    /// Too few slow requests were in flight at the signal.
    NotInFlight {
        /// How many were.
        in_flight: u64,
        /// How many have to be.
        needed: u64,
    },
    /// Too few idle connections were open at the signal; 90 % have to be.
    NotOpen {
        /// How many were.
        open: u32,
        /// Of how many.
        of: u32,
    },
    /// Too few clients had taken the place in which the scenario wants them: half sent, reading, streaming; 90 % have to.
    NotInPlace {
        /// How many had.
        in_place: u32,
        /// Of how many.
        of: u32,
    },
}

impl Void {
    /// Whether the server seems not to keep connections at all.
    pub(crate) fn is_not_keeping(self) -> bool {
        match self {
            Self::NotKept { reused, of } => reused * 10 < of,
            Self::NotOpen { open, .. } => open == 0,
            _ => false,
        }
    }
}

impl fmt::Display for Void {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLoad { begun, needed } => {
                write!(f, "only {begun} requests began within 10 ms of the signal, {needed} needed")
            }
            Self::NotKept { reused, of } => {
                write!(f, "only {reused} of {of} requests before the signal reused a connection, 99 % needed")
            }
            Self::NotInFlight { in_flight, needed } => {
                write!(f, "only {in_flight} slow requests were in flight at the signal, {needed} needed")
            }
            Self::NotInPlace { in_place, of } => write!(
                f,
                "only {in_place} of {of} connections were at the signal as the scenario wants them (half sent, \
                 unread, streaming), 90 % needed"
            ),
            Self::NotOpen { open, of } => {
                write!(f, "only {open} of {of} idle connections were open at the signal, 90 % needed")
            }
        }
    }
}

/// Judges a round's load.
pub(super) fn void(
    scenario: Scenario,
    connections: u32,
    ledger: &Ledger,
    signal: Instant,
    standing: u32,
) -> Option<Void> {
    let needed = u64::from(UNDER_LOAD.min(connections.div_ceil(3)));
    let (reused, of) = (ledger.reused, ledger.later);
    // 99 %, each client's very first request apart: that one cannot reuse anything.
    let keeps = matches!(scenario, Scenario::Keepalive | Scenario::Flight | Scenario::Http2);
    if keeps && (of == 0 || reused * 100 < of * 99) {
        return Some(Void::NotKept { reused, of });
    }
    match scenario {
        Scenario::Keepalive | Scenario::Fresh | Scenario::Flight | Scenario::Http2 => {
            let begun = ledger.begun_at(signal) as u64;
            (begun < needed).then_some(Void::NoLoad { begun, needed })
        }
        Scenario::Slow => {
            let in_flight = ledger.in_flight;
            (in_flight < needed).then_some(Void::NotInFlight { in_flight, needed })
        }
        Scenario::Idle => {
            is_few(standing, connections).then_some(Void::NotOpen { open: standing, of: connections })
        }
        Scenario::HalfSent | Scenario::SlowReader | Scenario::Websocket | Scenario::Sse => {
            let of = clients_of(scenario, connections);
            is_few(standing, of).then_some(Void::NotInPlace { in_place: standing, of })
        }
    }
}

fn is_few(standing: u32, of: u32) -> bool {
    u64::from(standing) * 10 < u64::from(of) * 9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Observation;
    use std::time::Duration;

    const MS: Duration = Duration::from_millis(1);

    /// `near` requests within 10 ms of the signal, before it, `anew` of them on a new connection; one
    /// first request long before.
    fn load(near: u32, anew: u32, signal: Instant) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.record(Observation::answered(signal - 100 * MS, signal - 99 * MS, 0), true, Some(signal));
        for number in 0..near {
            let answered_before = u32::from(number >= anew);
            ledger.record(
                Observation::answered(signal - 9 * MS, signal + MS, answered_before),
                false,
                Some(signal),
            );
        }
        ledger
    }

    #[test]
    fn a_round_without_load_is_void() {
        let signal = Instant::now() + 500 * MS;
        let table = [
            (Scenario::Fresh, 64, 19, 0, true),
            (Scenario::Fresh, 64, 20, 20, false),
            (Scenario::Fresh, 9, 3, 3, false),
            (Scenario::Fresh, 9, 2, 0, true),
            (Scenario::Fresh, 1, 1, 1, false),
            (Scenario::Keepalive, 64, 20, 0, false),
            (Scenario::Keepalive, 64, 19, 0, true),
            (Scenario::Keepalive, 64, 100, 1, false),
            (Scenario::Keepalive, 64, 100, 2, true),
            (Scenario::Keepalive, 64, 100, 100, true),
            (Scenario::Flight, 64, 20, 0, false),
            (Scenario::Flight, 64, 100, 2, true),
            (Scenario::Http2, 64, 19, 0, true),
            (Scenario::Http2, 64, 100, 100, true),
            (Scenario::Slow, 64, 19, 0, true),
            (Scenario::Slow, 64, 20, 20, false),
        ];
        for (scenario, connections, near, anew, is_void) in table {
            let void = void(scenario, connections, &load(near, anew, signal), signal, 0);
            assert_eq!(void.is_some(), is_void, "{scenario} {connections} {near} {anew}: {void:?}");
        }
    }

    #[test]
    fn those_who_wait_for_the_signal_have_to_be_there() {
        let (ledger, signal) = (Ledger::default(), Instant::now());
        assert!(void(Scenario::Idle, 1_000, &ledger, signal, 899).is_some());
        assert_eq!(void(Scenario::Idle, 1_000, &ledger, signal, 900), None);
        for (scenario, of) in [
            (Scenario::HalfSent, 100),
            (Scenario::SlowReader, 25),
            (Scenario::Websocket, 100),
            (Scenario::Sse, 100),
        ] {
            let enough = (of * 9_u32).div_ceil(10);
            let few = void(scenario, 100, &ledger, signal, enough - 1);
            assert_eq!(few, Some(Void::NotInPlace { in_place: enough - 1, of }));
            assert_eq!(void(scenario, 100, &ledger, signal, of), None);
        }
    }
}
