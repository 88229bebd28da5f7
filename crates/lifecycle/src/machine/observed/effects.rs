//! What each effect may be answered to, and when.

use super::{Component, Observed, State};
use crate::machine::deadline::{EXIT_WORK, HELD_UP, LATE, PASS};
use crate::machine::{ComponentId, Effect, Ended, GroupId, Late, Notice, Phase, Time, Verdict};

impl Observed {
    pub(super) fn observe_effect(&mut self, effect: Effect, before: &Self, at_once: bool) {
        match effect {
            Effect::Look => panic!("asked for shields twice"),
            Effect::LookForArrivals => panic!("asked for arrivals twice at once"),
            Effect::Enter(phase) => {
                assert_eq!(Some(phase), self.phase.next(), "L1: one phase after the other");
                self.phase = phase;
                if phase == Phase::Closing && !at_once {
                    assert!(self.shields.is_empty(), "L6: a live shield holds Closing off");
                }
                if phase == Phase::LameDuck {
                    self.requested.get_or_insert(self.now);
                }
                if phase == Phase::Draining {
                    assert!(
                        at_once || self.now >= self.lame_duck_until(),
                        "D2: a lame duck that is too short"
                    );
                    self.was_ready = false; // of no interest any more
                }
            }
            Effect::Tell(scope) => {
                let told = self.phase == Phase::Draining || self.is_told_by_group(scope);
                assert!(told, "L12: told in Draining, or by its group");
                assert_eq!(self.busy.insert(scope, Notice::Told), Some(Notice::None), "told once");
            }
            Effect::Cut(scope) => {
                assert_ne!(self.busy.insert(scope, Notice::Cut), Some(Notice::Cut), "cut once");
                if !self.may_be_cut_by_group(scope, before) {
                    assert!(at_once || self.shields.is_empty(), "L6: a live shield holds every cut off");
                    self.check_cut(before, at_once);
                }
            }
            Effect::CancelStart(id, late) => self.start_given_up(id, late, at_once),
            Effect::Close(id, until) => self.close_begun(id, until),
            Effect::AbandonClose(id, late) => {
                let Some(State::Closing(until)) = self.components.get(&id).map(|one| one.state) else {
                    panic!("L4: {id:?} is given up, and was not closing")
                };
                let over = self.deadlines.is_some_and(|(_, hard)| self.now >= hard);
                let exit_work = self.forced.is_some_and(|forced| self.now >= forced.after(EXIT_WORK));
                match late {
                    Late::Timeout => {
                        assert!(
                            self.now >= until || over || exit_work || self.is_out_of_time(id),
                            "L4: given up too soon"
                        );
                        self.failed = true;
                    }
                    Late::Stop => {
                        assert!(at_once, "L4: interrupted");
                        self.work_cut = true;
                    }
                    Late::Group => panic!("L4: a close has its own time"),
                }
                self.set(id, State::Over);
            }
            Effect::Skip(id) => {
                assert!(self.is(id, |state| state == State::Started), "L4: skipped, and not to be closed");
                let over = self.deadlines.is_some_and(|(_, hard)| self.now >= hard);
                assert!(at_once || over || self.is_out_of_time(id), "L4: skipped, and there was time");
                self.work_cut = true;
                self.set(id, State::Over);
            }
            Effect::EndShield(shield, why) => {
                let until = self.shields.remove(&shield).expect("ended, and not live");
                let until = self.requested.map_or(until, |requested| until.min(self.limit(requested)));
                let allowed = if why == Ended::Expired { self.now >= until } else { at_once };
                assert!(allowed, "L6: {why:?} until {until:?} at {:?}", self.now);
            }
            Effect::Extend(until) => {
                assert!(before.deadlines.is_none_or(|(_, hard)| until > hard), "L6: said once");
                assert_eq!(self.machine.hard_deadline(), Some(until), "L6: announced as it is");
            }
            Effect::HeldUp => {
                let long = self.requested.is_some_and(|requested| self.now >= requested.after(HELD_UP));
                assert!(long, "L15: nobody holds a stop up that has just begun");
            }
            Effect::WakeAt(_) => {}
            Effect::Exit(verdict) => self.observe_exit(verdict, at_once),
        }
    }

    fn observe_exit(&mut self, verdict: Verdict, at_once: bool) {
        let unfinished = !self.busy.is_empty();
        let in_time = self.deadlines.is_none_or(|(_, hard)| self.now < hard);
        assert!(at_once || !unfinished || !in_time, "L5: it waits for what was cut");
        self.work_cut |= unfinished;
        let over = |component: &Component| component.state == State::Over;
        assert!(self.components.values().all(over), "L4: each closed, failed or skipped");
        self.verdict = Some(verdict);
    }

    fn start_given_up(&mut self, id: ComponentId, late: Late, at_once: bool) {
        let Some(State::Starting(until)) = self.components.get(&id).map(|one| one.state) else {
            panic!("L3: {id:?} is given up, and was not starting")
        };
        match late {
            Late::Timeout => assert!(self.now >= until, "L3: its start has more time"),
            Late::Stop => {
                let drained = self.machine.drain_deadline().is_some_and(|drain| self.now >= drain);
                assert!(at_once || drained, "L3: the stop lets a start finish");
            }
            Late::Group => assert!(self.is_drained_by_group(id), "L3: its group lets a start finish"),
        }
        self.failed = true;
        self.set(id, State::Over);
    }

    fn close_begun(&mut self, id: ComponentId, until: Time) {
        assert!(self.is(id, |state| state == State::Started), "L4: {id:?} was started and is not closed yet");
        if self.phase < Phase::Closing {
            self.check_closed_by_group(id, until);
            return self.set(id, State::Closing(until));
        }
        assert_eq!(self.phase, Phase::Closing, "L5: closed in Closing, or with its group");
        let closing = |component: &Component| matches!(component.state, State::Closing(_));
        assert!(!self.components.values().any(closing), "L4: one after the other");
        let behind = self.components.iter().filter(|(other, component)| {
            component.state == State::Started && **other != id && self.closes_before(**other, id)
        });
        assert_eq!(behind.count(), 0, "L4: something that started later is still open");
        let limit = match self.forced {
            Some(forced) => {
                let exit_work = self.components.get(&id).is_some_and(|component| component.group.is_none());
                assert!(exit_work, "L9: a forced end closes nothing");
                forced.after(EXIT_WORK)
            }
            None => self.machine.hard_deadline().expect("closing without a stop"),
        };
        assert!(until <= limit.max(self.now.after(PASS)), "L4: inside what is left");
        self.set(id, State::Closing(until));
    }

    /// What was written of the order, once more, by other means.
    pub(super) fn closes_before(&self, one: ComponentId, other: ComponentId) -> bool {
        let group = |id| self.components.get(&id).and_then(|component| component.group);
        match (group(one), group(other)) {
            (None, None) => one > other,
            (None, Some(_)) => true,
            (Some(_), None) => false,
            // All groups here are in the root, or each in the one before it.
            (Some(a), Some(b)) if a == b => one > other,
            (Some(a), Some(b)) => b == GroupId::ROOT || (a != GroupId::ROOT && a > b),
        }
    }

    /// L2: nothing is cut before the drain deadline, nor, when that was missed, before one more pass.
    fn check_cut(&self, before: &Self, at_once: bool) {
        // Whoever comes in Closing is cut at once.
        if at_once || before.phase >= Phase::Closing {
            return;
        }
        let (drain, _) = self.machine.drain_deadline().zip(self.machine.hard_deadline()).unwrap();
        assert!(self.now >= drain, "L2: cut before the drain deadline");
        if self.now > drain.after(LATE) {
            let asked = before.machine.wake_at().is_some_and(|at| at > drain && at <= self.now);
            assert!(asked, "L2: cut late, without a pass over ready work");
        }
    }
}
