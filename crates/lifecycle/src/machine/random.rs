//! The same invariants on long random histories, with more scopes and any times.

use super::explore::Observed;
use super::{Input, Limits, Origin, ScopeId, Time, Wish};
use proptest::prelude::*;
use std::time::Duration;

fn input() -> impl Strategy<Value = Input> {
    let origin = prop_oneof![Just(Origin::Terminal), Just(Origin::Relative), Just(Origin::Other)];
    let scope = (0_usize..12).prop_map(ScopeId);
    let at = Time::default();
    prop_oneof![
        2 => (1_i32..65, origin).prop_map(move |(signal, origin)| Input::Signal { signal, origin, at }),
        1 => prop_oneof![Just(Wish::Call), Just(Wish::Failure)].prop_map(Input::Stop),
        1 => Just(Input::Ready),
        1 => any::<bool>().prop_map(|well| Input::BodyEnded { well }),
        8 => scope.clone().prop_map(Input::Busy),
        8 => scope.clone().prop_map(Input::Idle),
        1 => scope.prop_map(Input::WorkCut),
        6 => Just(Input::Tick),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    (10_u64..100_000, 0_u64..100, 1_u32..20).prop_map(|(grace, share, max_attempts)| {
        let grace = Duration::from_millis(grace);
        let mut limits = Limits { grace, lame_duck: Duration::ZERO, max_attempts };
        limits.lame_duck = limits.drain() * u32::try_from(share).unwrap() / 100;
        limits
    })
}

/// Nanoseconds to minutes, small ones more often.
fn span() -> impl Strategy<Value = Duration> {
    (0_u32..37, any::<u64>()).prop_map(|(bits, random)| Duration::from_nanos(random & ((1 << bits) - 1)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn long_histories(limits in limits(), history in proptest::collection::vec((span(), input()), 0..120)) {
        let mut observed = Observed::new(limits);
        for (span, input) in history {
            observed.step(span, input);
            observed.check_ticks_are_harmless();
        }
        observed.check_liveness();
    }
}
