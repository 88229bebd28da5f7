//! Every order of a few inputs, at times that cross each deadline, and what must hold in every state on the way.

use super::observed::{Observed, State};
use super::{ComponentId, GroupId, Input, Limits, Origin, Phase, ScopeId, ShieldId, ShieldKind, Time, Wish};
use std::collections::HashSet;
use std::time::Duration;

const A: ScopeId = ScopeId(0);
const B: ScopeId = ScopeId(1);

fn inputs() -> Vec<Input> {
    let signal = |signal, origin| Input::Signal { signal, origin, at: Time::default() };
    vec![
        signal(2, Origin::Terminal),
        signal(2, Origin::Relative),
        signal(15, Origin::Other),
        Input::Stop(Wish::Call),
        Input::Stop(Wish::Failure),
        Input::Ready,
        Input::BodyEnded { well: false },
        Input::Busy(A),
        Input::Busy(B),
        Input::Idle(A),
        Input::Idle(B),
        Input::WorkCut(A),
        Input::WorkFailed,
        Input::Abandoned,
        Input::Tick,
    ]
}

/// Explores `depth` inputs deep and answers how many states there are.
fn explore(limits: Limits, depth: usize, spans: &[Duration]) -> usize {
    let start = Observed::new(limits);
    let mut seen = HashSet::from([start.clone()]);
    let mut edge = vec![start];
    for _ in 0..depth {
        let mut next = Vec::new();
        for state in edge {
            for input in inputs() {
                for span in spans {
                    let mut after = state.clone();
                    after.step(*span, input);
                    if seen.insert(after.clone()) {
                        after.check_ticks_are_harmless();
                        after.check_liveness();
                        next.push(after);
                    }
                }
            }
        }
        edge = next;
    }
    seen.len()
}

fn limits(lame_duck: u64) -> Limits {
    let (grace, lame_duck) = (Duration::from_secs(10), Duration::from_secs(lame_duck));
    Limits {
        grace,
        lame_duck,
        lame_duck_quiet: Duration::ZERO,
        max_attempts: 3,
        hard_limit: Duration::from_secs(20),
    }
}

/// Spans that, in their sums, fall before, on and long after each of: the relay's window, the lame duck's end (1 s),
/// the drain deadline (8 s), the hard deadline (10 s), and the pass after either.
const SPANS: [u64; 4] = [0, 1_000, 8_000, 10_500];

#[test]
fn every_order_of_four_inputs_across_every_deadline() {
    let states = explore(limits(1), 4, &SPANS.map(Duration::from_millis));
    assert_eq!(states, 99_474, "the exploration has changed: look whether it still reaches what it should");
}

#[test]
fn every_order_of_six_inputs_around_the_drain_deadline() {
    let states = explore(limits(0), 6, &[0, 8_000].map(Duration::from_millis));
    assert_eq!(states, 41_137, "the exploration has changed: look whether it still reaches what it should");
}

/// How often each thing may happen. Time passes from one alarm to the next, to the very moment or, `late` times,
/// to half a second after it: nothing happens in between that does not happen at either end.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Budget {
    components: usize,
    /// How many starts may fail, be dropped, or fail to come to an end in time.
    failures: usize,
    exit_works: usize,
    shields: usize,
    renewals: usize,
    scopes: usize,
    /// How many of the scopes' works are cut by name.
    cuts: usize,
    requests: usize,
    signals: usize,
    abandons: usize,
    readies: usize,
    /// How often something new comes, at an alarm or halfway to it.
    arrivals: usize,
    system_ends: usize,
    /// Closes of groups before the stop; with any, components and scopes are in groups.
    group_closes: usize,
    late: usize,
}

/// A state, and what may still happen to it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Node {
    observed: Observed,
    budget: Budget,
    started: usize,
    shielded: usize,
    scoped: usize,
    grouped: bool,
}

/// The second component is in a group of its own, so that it closes before the third.
const GROUP: GroupId = GroupId(1);

/// A group in that one.
const NESTED: GroupId = GroupId(2);

const LATE: Duration = Duration::from_millis(500);

impl Node {
    fn moves(&self) -> Vec<(Duration, Input, Budget)> {
        let mut moves = Vec::new();
        let mut can = |left: usize, input: Input, spend: fn(&mut Budget)| {
            if left > 0 {
                let mut budget = self.budget;
                spend(&mut budget);
                moves.push((Duration::ZERO, input, budget));
            }
        };
        let Budget { components, failures, exit_works, shields, renewals, scopes, cuts, .. } = self.budget;
        let seconds = Duration::from_secs;
        let group = self.group_of(self.started);
        let close = (self.started == 0).then_some(seconds(1));
        let next = ComponentId(self.started);
        can(components, Input::Starting { component: next, group, start: seconds(7), close }, |budget| {
            budget.components -= 1;
        });
        can(exit_works, Input::AtExit { component: next, close: None }, |budget| budget.exit_works -= 1);
        for (id, component) in &self.observed.components {
            match component.state {
                State::Starting(_) => {
                    can(1, Input::Started(*id), |_| {});
                    can(failures, Input::StartFailed(*id), |budget| budget.failures -= 1);
                    can(failures, Input::StartDropped(*id), |budget| budget.failures -= 1);
                }
                State::Closing(_) => {
                    can(1, Input::Closed { component: *id, well: true }, |_| {});
                    can(failures, Input::Closed { component: *id, well: false }, |budget| {
                        budget.failures -= 1;
                    });
                }
                State::Started => {}
                // Too late: nothing may come of it.
                State::Over => {
                    can(failures, Input::Started(*id), |budget| budget.failures -= 1);
                    can(failures, Input::Closed { component: *id, well: false }, |budget| {
                        budget.failures -= 1;
                    });
                }
            }
        }
        // The first ends before the drain deadline, the second after the hard one.
        let budget = Time(if self.shielded == 0 { seconds(6) } else { seconds(12) });
        let shield = ShieldId(self.shielded as u64);
        let kinds: &[_] = if self.observed.requested.is_none() {
            &[ShieldKind::Standing]
        } else {
            &[ShieldKind::Standing, ShieldKind::Work]
        };
        for kind in kinds {
            can(shields, Input::ShieldTaken { shield, kind: *kind, until: budget }, |budget| {
                budget.shields -= 1;
            });
        }
        for shield in self.observed.shields.keys() {
            can(1, Input::ShieldEnded(*shield), |_| {});
            let until = Time(seconds(30));
            can(renewals, Input::ShieldRenewed { shield: *shield, until }, |budget| budget.renewals -= 1);
        }
        // Scopes are alike: the next begins, the first ends.
        let scope = ScopeId(self.scoped);
        let busy = if self.grouped {
            Input::BusyIn { scope, group: self.group_of(self.scoped) }
        } else {
            Input::Busy(scope)
        };
        can(scopes, busy, |budget| budget.scopes -= 1);
        for (group, within) in [(GROUP, 5), (NESTED, 3)] {
            let close = Input::CloseGroup { group, within: seconds(within) };
            can(self.budget.group_closes, close, |budget| budget.group_closes -= 1);
        }
        if let Some(scope) = self.observed.busy.keys().next() {
            can(1, Input::Idle(*scope), |_| {});
            can(cuts, Input::WorkCut(*scope), |budget| budget.cuts -= 1);
        }
        let signal = Input::Signal { signal: 15, origin: Origin::Other, at: Time::default() };
        can(self.budget.signals, signal, |budget| budget.signals -= 1);
        can(self.budget.requests, Input::Stop(Wish::Call), |budget| budget.requests -= 1);
        can(self.budget.abandons, Input::Abandoned, |budget| budget.abandons -= 1);
        can(self.budget.readies, Input::Ready, |budget| budget.readies -= 1);
        let ends = Input::SystemEnds { at: Time::default() };
        can(self.budget.system_ends, ends, |budget| budget.system_ends -= 1);
        if let Some(at) = self.observed.machine.wake_at() {
            let span = at.since(self.observed.now);
            moves.push((span, Input::Tick, self.budget));
            if self.budget.arrivals > 0 {
                let budget = Budget { arrivals: self.budget.arrivals - 1, ..self.budget };
                let arrival = Input::LastArrival { at: Time::default() };
                moves.extend([Duration::ZERO, span / 2, span].map(|span| (span, arrival, budget)));
            }
            if self.budget.late > 0 {
                let budget = Budget { late: self.budget.late - 1, ..self.budget };
                moves.push((span + LATE, Input::Tick, budget));
            }
        }
        moves
    }

    /// Where components close early: one in each group, and then more in the root and in the first.
    fn group_of(&self, index: usize) -> GroupId {
        match (self.grouped, index) {
            (true, 0) => NESTED,
            (true, 2) | (false, 0 | 2..) => GroupId::ROOT,
            (true, 1 | 3..) | (false, 1) => GROUP,
        }
    }

    fn follow(&self, span: Duration, input: Input, budget: Budget) -> Self {
        let mut after = self.clone();
        after.budget = budget;
        after.observed.step(span, input);
        match input {
            Input::Starting { .. } | Input::AtExit { .. } => after.started += 1,
            Input::ShieldTaken { .. } => after.shielded += 1,
            Input::Busy(_) | Input::BusyIn { .. } => after.scoped += 1,
            _ => {}
        }
        after
    }
}

/// Explores everything that the budget lets happen, in every order, to the very end. Answers how many states there
/// are, and how many of them are ends.
fn exhaust(limits: Limits, budget: Budget) -> (usize, usize) {
    let mut observed = Observed::new(limits);
    observed.step(Duration::ZERO, Input::GroupOpened { group: GROUP, parent: GroupId::ROOT });
    observed.step(Duration::ZERO, Input::GroupOpened { group: NESTED, parent: GROUP });
    let grouped = budget.group_closes > 0;
    let start = Node { observed, budget, started: 0, shielded: 0, scoped: 0, grouped };
    let mut seen = HashSet::from([start.clone()]);
    let mut edge = vec![start];
    let mut ends = 0;
    while let Some(node) = edge.pop() {
        if node.observed.phase == Phase::Stopped {
            ends += 1;
            continue;
        }
        for (span, input, budget) in node.moves() {
            let after = node.follow(span, input, budget);
            if !seen.contains(&after) {
                after.observed.check_ticks_are_harmless();
                after.observed.check_liveness();
                seen.insert(after.clone());
                edge.push(after);
            }
        }
    }
    (seen.len(), ends)
}

const CHANGED: &str = "the exploration has changed: look whether it still reaches what it should";

#[test]
fn three_components_and_every_way_to_start_and_close_them() {
    let budget = Budget { components: 3, failures: 1, requests: 1, late: 1, ..Budget::default() };
    assert_eq!(exhaust(limits(0), budget), (2_706, 1_226), "{CHANGED}");
}

#[test]
fn components_exit_work_and_a_forced_end() {
    let budget = Budget { components: 2, exit_works: 1, signals: 3, late: 1, ..Budget::default() };
    assert_eq!(exhaust(limits(0), budget), (5_741, 3_332), "{CHANGED}");
}

#[test]
fn exit_work_while_what_was_cut_unwinds() {
    let budget = Budget { components: 1, exit_works: 2, signals: 3, scopes: 1, ..Budget::default() };
    assert_eq!(exhaust(limits(0), budget), (7_803, 3_356), "{CHANGED}");
}

#[test]
fn two_shields_and_three_scopes() {
    let budget = Budget { shields: 2, renewals: 1, scopes: 3, requests: 1, late: 1, ..Budget::default() };
    assert_eq!(exhaust(limits(0), budget), (4_902, 1_008), "{CHANGED}");
}

#[test]
fn shields_in_a_lame_duck_and_a_forced_end() {
    let budget = Budget { shields: 2, scopes: 1, signals: 3, readies: 1, late: 1, ..Budget::default() };
    assert_eq!(exhaust(limits(1), budget), (2_814, 1_134), "{CHANGED}");
}

#[test]
fn a_lame_duck_that_ends_when_it_is_quiet() {
    let budget = Budget {
        arrivals: 3,
        scopes: 1,
        readies: 1,
        requests: 1,
        system_ends: 1,
        late: 1,
        ..Budget::default()
    };
    let limits = Limits { lame_duck_quiet: Duration::from_secs(2), ..limits(5) };
    assert_eq!(exhaust(limits, budget), (27_667, 17_252), "{CHANGED}");
}

#[test]
fn a_system_that_ends_the_program() {
    let budget = Budget {
        components: 2,
        shields: 1,
        scopes: 1,
        requests: 1,
        system_ends: 1,
        late: 1,
        ..Budget::default()
    };
    assert_eq!(exhaust(limits(0), budget), (35_226, 15_101), "{CHANGED}");
}

#[test]
fn three_components_two_shields_and_three_scopes() {
    let budget = Budget { components: 3, shields: 2, scopes: 3, requests: 1, ..Budget::default() };
    assert_eq!(exhaust(limits(0), budget), (42_969, 9_087), "{CHANGED}");
}

#[test]
fn a_lifecycle_that_is_dropped_at_any_moment() {
    let budget = Budget {
        components: 2,
        exit_works: 1,
        shields: 1,
        scopes: 1,
        cuts: 1,
        requests: 1,
        abandons: 1,
        ..Budget::default()
    };
    assert_eq!(exhaust(limits(0), budget), (23_683, 11_986), "{CHANGED}");
}

#[test]
fn groups_that_close_before_the_stop() {
    let budget = Budget { components: 3, failures: 1, group_closes: 2, late: 1, ..Budget::default() };
    assert_eq!(exhaust(limits(0), budget), (14_553, 4_909), "{CHANGED}");
}

#[test]
fn groups_that_close_while_a_stop_is_requested() {
    let budget = Budget { components: 3, group_closes: 2, requests: 1, ..Budget::default() };
    assert_eq!(exhaust(limits(0), budget), (3_802, 1_623), "{CHANGED}");
}

#[test]
fn groups_whose_work_is_cut_late_while_a_stop_is_requested() {
    let budget = Budget {
        components: 2,
        scopes: 1,
        cuts: 1,
        group_closes: 1,
        requests: 1,
        late: 1,
        ..Budget::default()
    };
    assert_eq!(exhaust(limits(0), budget), (39_876, 16_755), "{CHANGED}");
}

#[test]
fn two_groups_with_work_while_a_stop_is_requested() {
    let budget = Budget { components: 1, scopes: 2, group_closes: 2, requests: 1, ..Budget::default() };
    assert_eq!(exhaust(limits(0), budget), (5_675, 2_024), "{CHANGED}");
}

#[test]
fn groups_that_close_beside_exit_work_and_a_forced_end() {
    let budget = Budget { components: 2, exit_works: 1, group_closes: 2, signals: 3, ..Budget::default() };
    assert_eq!(exhaust(limits(0), budget), (16_791, 9_409), "{CHANGED}");
}

#[test]
fn groups_that_close_beside_shields_and_a_lifecycle_that_is_dropped() {
    let budget = Budget {
        components: 2,
        shields: 1,
        scopes: 1,
        group_closes: 1,
        requests: 1,
        abandons: 1,
        ..Budget::default()
    };
    assert_eq!(exhaust(limits(0), budget), (18_746, 8_028), "{CHANGED}");
}
