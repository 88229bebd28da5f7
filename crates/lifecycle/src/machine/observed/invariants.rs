//! What holds in every state, whatever came before.

use super::{Component, Observed, State};
use crate::machine::deadline::{EXIT_WORK, LEFT_BY_SYSTEM, PASS};
use crate::machine::{Input, Notice, Phase, Time, Verdict};
use std::time::Duration;

impl Observed {
    pub(super) fn check(&mut self, before: &Self, input: Input) {
        let machine = &self.machine;
        assert_eq!(machine.log().iter().last().map(|(phase, _)| phase), Some(self.phase), "L1: recorded");
        assert!(machine.log().iter().map(|(_, time)| time).is_sorted(), "L1: in order");
        assert_eq!(machine.requested(), self.requested, "L2: the first request starts the clock");
        assert_eq!(self.requested.is_some(), self.phase >= Phase::LameDuck, "L2: and shows in the phase");
        self.check_deadlines(before);
        if self.phase >= Phase::Closing {
            assert!(self.busy.values().all(|notice| *notice == Notice::Cut), "L5: finished or cut");
            assert!(self.shields.is_empty(), "L6: no shield outlives Draining");
            let starting = |component: &Component| matches!(component.state, State::Starting(_));
            assert!(!self.components.values().any(starting), "L3: no start outlives Draining");
        }
        if self.phase == Phase::LameDuck {
            assert!(self.now < self.lame_duck_until(), "D2: a lame duck that is too long");
        }
        if self.phase == Phase::Draining {
            let starting = |component: &Component| matches!(component.state, State::Starting(_));
            let starts = self.components.values().any(starting);
            assert!(
                self.busy.iter().all(|(scope, notice)| {
                    *notice == Notice::Told || (*notice == Notice::Cut && self.is_told_by_group(*scope))
                }),
                "L12: everybody is told"
            );
            assert!(
                !self.busy.is_empty() || starts || !self.shields.is_empty(),
                "L5: nothing holds Draining up"
            );
        }
        if self.requested.is_some() {
            for shield in self.shields.keys() {
                assert!(self.machine.is_shielded_by(*shield), "L6: live, and forgotten");
            }
        }
        self.check_groups();
        self.check_end(before, input);
    }

    /// From here, ticks alone bring the end: in time if they come in time, a pass for each deadline later otherwise.
    pub(in crate::machine) fn check_liveness(&self) {
        let Some(requested) = self.requested else { return self.check_groups_end() };
        // A shield that ends late leaves the close reserve, but no more than the limit.
        let limit = self.limit(requested);
        let hard = self.machine.hard_deadline().filter(|_| self.shields.is_empty()).unwrap_or(limit);
        let forced = self.forced.map(|forced| forced.after(EXIT_WORK)).unwrap_or_default();
        // Each component may close until a deadline that came late, and each of them is given a pass.
        let latest = hard.max(self.now).max(forced).after(PASS * 3);
        let mut end = self.clone();
        while let Some(at) = end.machine.wake_at() {
            end.step(at.since(end.now), Input::Tick);
        }
        assert_eq!(end.phase, Phase::Stopped, "nothing more to wait for, and not stopped");
        assert!(end.now <= latest, "the hard deadline has passed");
    }

    /// A further tick at the same time changes nothing.
    pub(in crate::machine) fn check_ticks_are_harmless(&self) {
        let mut again = self.machine.clone();
        assert_eq!(again.apply(self.now, Input::Tick), []);
        assert_eq!(again, self.machine);
    }

    fn check_deadlines(&mut self, before: &Self) {
        let machine = &self.machine;
        let deadlines = machine.drain_deadline().zip(machine.hard_deadline());
        if let Some(requested) = self.requested {
            let (drain, hard) = deadlines.unwrap();
            let reserve = (self.limits.grace / 5).min(Duration::from_secs(5));
            // L2: the last of the system's time, and what is kept of it for closing.
            let last = self.doomed.map_or(Time(Duration::MAX), |doomed| doomed.after(LEFT_BY_SYSTEM));
            let kept = reserve.min(LEFT_BY_SYSTEM / 5);
            let drained = Time(last.0 - kept);
            let limit = self.limit(requested);
            let own_drain = requested.after(self.limits.grace - reserve).min(drained);
            let own_hard = requested.after(self.limits.grace).min(last);
            let shields = self.shields.values().copied().max().unwrap_or_default().min(limit);
            assert!(drain >= own_drain && drain >= shields, "L6: behind every shield");
            let moved =
                !before.shields.is_empty() || !self.shields.is_empty() || self.doomed != before.doomed;
            assert_eq!(hard, own_hard.max(drain.after(reserve).min(limit)), "L6: both move");
            assert!(hard <= limit, "L6: never beyond the hard limit");
            match before.deadlines {
                Some(before) => assert!(moved || Some(before) == deadlines, "L2: nothing restarts it"),
                None => assert!(moved || drain == own_drain, "L2: the deadlines of the grace"),
            }
        }
        self.deadlines = deadlines;
    }

    fn check_end(&self, before: &Self, input: Input) {
        let machine = &self.machine;
        assert!(machine.attempts() <= self.signals, "L9: no more attempts than signals");
        assert_eq!(self.verdict.is_some(), self.phase == Phase::Stopped, "L14: an exit, when it is over");
        let expected = match (self.failed, self.work_cut) {
            (true, _) => Verdict::Failed,
            (false, true) => Verdict::Cut,
            (false, false) => Verdict::Clean,
        };
        match self.verdict {
            Some(Verdict::Forced { signal }) => {
                assert!(self.forced.is_some(), "L9: forced too soon");
                if before.forced.is_none() {
                    assert!(
                        matches!(input, Input::Signal { signal: by, .. } if by == signal),
                        "L14: by whom"
                    );
                }
            }
            Some(verdict) => {
                assert_eq!(verdict, expected, "L14: precedence");
                assert_eq!(self.forced, None, "L14: forced goes before all");
            }
            None => {
                let exit_work =
                    |component: &Component| component.group.is_none() && component.state != State::Over;
                let works = self.components.values().any(exit_work);
                assert!(self.forced.is_none() || works, "L9: a forced end waits for exit work alone");
            }
        }
        let waits = matches!(self.phase, Phase::LameDuck | Phase::Draining | Phase::Closing);
        let starting = |component: &Component| matches!(component.state, State::Starting(_));
        let starts = self.components.values().any(starting);
        let closes = self.phase < Phase::Stopped && self.groups.is_closing();
        assert_eq!(machine.wake_at().is_some(), waits || starts || closes, "somebody must look at the clock");
        assert!(machine.wake_at().is_none_or(|at| at > self.now), "what is due has been done");
    }
}
