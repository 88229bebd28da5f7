//! The same invariants on long random histories, with more scopes and any times.

use super::observed::Observed;
use super::{ComponentId, GroupId, Input, Limits, Origin, ScopeId, ShieldId, ShieldKind, Time, Wish};
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
        8 => scope.clone().prop_map(busy),
        8 => scope.clone().prop_map(Input::Idle),
        1 => scope.prop_map(Input::WorkCut),
        1 => Just(Input::WorkFailed),
        1 => Just(Input::SystemEnds { at }),
        2 => Just(Input::LastArrival { at }),
        8 => part(),
        8 => shield(),
        6 => Just(Input::Tick),
    ]
}

/// Each third scope is in a group.
fn busy(scope: ScopeId) -> Input {
    let group = GroupId(scope.0 / 3 + 1);
    if scope.0.is_multiple_of(3) { Input::BusyIn { scope, group } } else { Input::Busy(scope) }
}

/// Components, in five groups of which each is in the one before, and exit work.
fn part() -> impl Strategy<Value = Input> {
    let component = (0_usize..20).prop_map(ComponentId);
    // One without any time is over before it begins.
    let close = || proptest::option::of(span().prop_map(|span| span + Duration::from_nanos(1)));
    prop_oneof![
        4 => (component.clone(), 0_usize..5, span(), close()).prop_map(|(component, group, start, close)| {
            let start = start + Duration::from_nanos(1);
            Input::Starting { component, group: GroupId(group), start, close }
        }),
        8 => component.clone().prop_map(Input::Started),
        1 => component.clone().prop_map(Input::StartFailed),
        1 => component.clone().prop_map(Input::StartDropped),
        2 => (component.clone(), close()).prop_map(|(component, close)| Input::AtExit { component, close }),
        2 => (0_usize..5, span()).prop_map(|(group, within)| {
            let within = within + Duration::from_nanos(1);
            Input::CloseGroup { group: GroupId(group), within }
        }),
        6 => (component, any::<bool>()).prop_map(|(component, well)| Input::Closed { component, well }),
    ]
}

fn shield() -> impl Strategy<Value = Input> {
    let shield = (0_u64..12).prop_map(ShieldId);
    let kind = prop_oneof![Just(ShieldKind::Standing), Just(ShieldKind::Work)];
    let until = || span().prop_map(Time);
    prop_oneof![
        3 => (shield.clone(), kind, until()).prop_map(|(shield, kind, until)| {
            Input::ShieldTaken { shield, kind, until }
        }),
        1 => (shield.clone(), until()).prop_map(|(shield, until)| Input::ShieldRenewed { shield, until }),
        3 => shield.prop_map(Input::ShieldEnded),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    (10_u64..100_000, 0_u64..100, 0_u32..5, 1_u32..20, 0_u64..200_000).prop_map(
        |(grace, share, quiet, max_attempts, limit)| {
            let grace = Duration::from_millis(grace);
            let hard_limit = Duration::from_millis(limit);
            let mut limits = Limits {
                grace,
                lame_duck: Duration::ZERO,
                lame_duck_quiet: Duration::ZERO,
                max_attempts,
                hard_limit,
            };
            limits.lame_duck = limits.drain() * u32::try_from(share).unwrap() / 100;
            limits.lame_duck_quiet = limits.lame_duck * quiet / 4;
            limits
        },
    )
}

/// Nanoseconds to minutes, small ones more often.
fn span() -> impl Strategy<Value = Duration> {
    (0_u32..37, any::<u64>()).prop_map(|(bits, random)| Duration::from_nanos(random & ((1 << bits) - 1)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn long_histories(limits in limits(), history in proptest::collection::vec((span(), input()), 0..120)) {
        let mut observed = Observed::new(limits);
        for group in 1..5 {
            let (group, parent) = (GroupId(group), GroupId(group - 1));
            observed.step(Duration::ZERO, Input::GroupOpened { group, parent });
        }
        let (mut components, mut shields) = (0, 0);
        for (span, input) in history {
            observed.step(span, numbered(input, &mut components, &mut shields));
            observed.check_ticks_are_harmless();
        }
        observed.check_liveness();
    }
}

/// New ones have new numbers; the others are among those that there were.
fn numbered(mut input: Input, components: &mut usize, shields: &mut u64) -> Input {
    match &mut input {
        Input::Starting { component, .. } | Input::AtExit { component, .. } => {
            *component = ComponentId(*components);
            *components += 1;
        }
        Input::Started(component)
        | Input::StartFailed(component)
        | Input::StartDropped(component)
        | Input::Closed { component, .. } => component.0 %= (*components).max(1),
        Input::ShieldTaken { shield, .. } => {
            *shield = ShieldId(*shields);
            *shields += 1;
        }
        Input::ShieldRenewed { shield, .. } | Input::ShieldEnded(shield) => shield.0 %= (*shields).max(1),
        _ => {}
    }
    input
}
