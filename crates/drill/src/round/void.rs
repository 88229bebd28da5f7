use crate::load::Ledger;
use crate::scenario::Scenario;
use std::time::Instant;

/// So many requests have to begin within 10 ms of the signal, or a third of the connections where
/// that is fewer.
const UNDER_LOAD: u32 = 20;

/// Why a round proves nothing, if it does not: a server that is not under load when stopped.
pub(super) fn void(
    scenario: Scenario,
    connections: u32,
    ledger: &Ledger,
    signal: Instant,
    silent: u32,
) -> Option<String> {
    let needed = u64::from(UNDER_LOAD.min(connections.div_ceil(3)));
    match scenario {
        Scenario::Keepalive | Scenario::Fresh => {
            let (reused, later) = (ledger.reused, ledger.later);
            // 99 %, each client's very first request apart: that one cannot reuse anything.
            let kept = later > 0 && reused * 100 >= later * 99;
            if scenario == Scenario::Keepalive && !kept {
                return Some(format!(
                    "only {reused} of {later} requests before the signal reused a connection, 99 % needed"
                ));
            }
            let begun = ledger.begun_at(signal) as u64;
            (begun < needed)
                .then(|| format!("only {begun} requests began within 10 ms of the signal, {needed} needed"))
        }
        Scenario::Slow => {
            let flying = ledger.in_flight;
            (flying < needed)
                .then(|| format!("only {flying} slow requests were in flight at the signal, {needed} needed"))
        }
        Scenario::Idle => (u64::from(silent) * 10 < u64::from(connections) * 9).then(|| {
            format!("only {silent} of {connections} idle connections were open at the signal, 90 % needed")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Answer, Connect, End, Observation};
    use std::time::Duration;

    const MS: Duration = Duration::from_millis(1);

    fn request(begun: Instant, ended: Instant, answered_before: u32) -> Observation {
        Observation {
            connect: Connect::Done,
            answered_before,
            close_announced: false,
            silence: Duration::ZERO,
            fin_at_send: false,
            sent: 60,
            answer: Answer::Whole { status: 200, says_close: false },
            end: End::Open,
            gone: false,
            begun,
            ended,
        }
    }

    /// `near` requests within 10 ms of the signal, before it, `anew` of them on a new connection; one
    /// first request long before.
    fn load(near: u32, anew: u32, signal: Instant) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.record(request(signal - 100 * MS, signal - 99 * MS, 0), true, Some(signal));
        for number in 0..near {
            let answered_before = u32::from(number >= anew);
            ledger.record(request(signal - 9 * MS, signal + MS, answered_before), false, Some(signal));
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
            (Scenario::Slow, 64, 19, 0, true),
            (Scenario::Slow, 64, 20, 20, false),
        ];
        for (scenario, connections, near, anew, is_void) in table {
            let void = void(scenario, connections, &load(near, anew, signal), signal, 0);
            assert_eq!(void.is_some(), is_void, "{scenario} {connections} {near} {anew}: {void:?}");
        }
    }

    #[test]
    fn idle_needs_its_connections() {
        let (ledger, signal) = (Ledger::default(), Instant::now());
        assert!(void(Scenario::Idle, 1_000, &ledger, signal, 899).is_some());
        assert_eq!(void(Scenario::Idle, 1_000, &ledger, signal, 900), None);
    }
}
