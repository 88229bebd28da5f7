//! What becomes of a child, decided without a clock and without a process: what happened and the time go in, what is to
//! be done comes out.

use std::time::{Duration, Instant};

/// How long a child that was killed at the deadline may take to die before it is no longer waited for. It needs some
/// milliseconds, unless the kernel cannot end it (a disk that does not answer).
const DIES_WITHIN: Duration = Duration::from_millis(100);

/// The same where nobody is in a hurry: much memory, or a busy machine, takes seconds.
const DIES_WITHOUT_HASTE: Duration = Duration::from_secs(10);

/// How long a child may take that was told to stop, and not by the program's own stop, which has a deadline.
pub(super) const STOPS_WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Life {
    stage: Stage,
    /// Its own time to stop, if it was given one.
    stop_timeout: Option<Duration>,
    /// The program's stop has told it, or would have, were it not starting.
    told: bool,
    /// It was killed because the stop could wait no longer.
    cut: bool,
    /// Why it is not ready, while that is not answered.
    failed: Option<NotReady>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Starting {
        until: Option<Instant>,
    },
    Running,
    Stopping {
        until: Option<Instant>,
    },
    Killed {
        until: Instant,
    },
    /// Killed, still there, and nobody waits for it.
    Stuck,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// It says that it is ready.
    Ready,
    /// It asks for that much time from now (`EXTEND_TIMEOUT_USEC`).
    #[cfg_attr(all(windows, not(test)), expect(dead_code, reason = "no child can ask for it there"))]
    Extend(Duration),
    /// The program's stop tells its work.
    Told,
    /// The program's stop cuts its work.
    Cut,
    /// Somebody wants it to stop.
    Stop,
    /// Somebody wants it dead.
    Kill,
    Ended,
    Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Whoever started it gets it.
    Ready,
    /// Send the stop signal. `by_stop`: because of the program's stop.
    Tell { by_stop: bool },
    /// Kill it, and its group.
    Kill,
    /// Whoever started it hears why not.
    NotReady(NotReady),
    /// It is not waited for any more.
    LetGo,
}

/// Why a child did not get ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum NotReady {
    Ended,
    Late,
    Cut,
}

impl Life {
    /// One that was just spawned.
    pub(super) fn new(ready_until: Option<Instant>, stop_timeout: Option<Duration>) -> Self {
        Self {
            stage: Stage::Starting { until: ready_until },
            stop_timeout,
            told: false,
            cut: false,
            failed: None,
        }
    }

    /// When to tick.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        match self.stage {
            Stage::Starting { until } | Stage::Stopping { until } => until,
            Stage::Killed { until } => Some(until),
            Stage::Running | Stage::Stuck | Stage::Over => None,
        }
    }

    /// Whether it was killed because the stop could wait no longer.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Whether somebody wanted its end, or it never got ready.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.stage, Stage::Stopping { .. } | Stage::Killed { .. } | Stage::Stuck)
            || self.failed.is_some()
    }

    pub(super) fn apply(&mut self, now: Instant, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match (self.stage, input) {
            (Stage::Over, _) => {}
            (_, Input::Ended) => {
                if let Some(why) = self.failed.take() {
                    effects.push(Effect::NotReady(why));
                } else if matches!(self.stage, Stage::Starting { .. }) {
                    effects.push(Effect::NotReady(NotReady::Ended));
                }
                self.stage = Stage::Over;
            }
            (Stage::Starting { .. }, Input::Ready) => {
                effects.push(Effect::Ready);
                self.stage = Stage::Running;
                if self.told {
                    self.tell(now, true, &mut effects);
                }
            }
            (Stage::Starting { .. }, Input::Stop) => {
                self.failed = Some(NotReady::Cut);
                self.tell(now, false, &mut effects);
            }
            (Stage::Starting { until: Some(until) }, Input::Tick) if now >= until => {
                self.failed = Some(NotReady::Late);
                self.tell(now, false, &mut effects);
            }
            (Stage::Starting { until: Some(until) }, Input::Extend(time)) => {
                self.stage = Stage::Starting { until: later(until, now, time) };
            }
            (Stage::Stopping { until: Some(until) }, Input::Extend(time)) => {
                self.stage = Stage::Stopping { until: later(until, now, time) };
            }
            (Stage::Running, Input::Told) => {
                self.told = true;
                self.tell(now, true, &mut effects);
            }
            // A start under way is finished (L3).
            (_, Input::Told) => self.told = true,
            (Stage::Running, Input::Stop) => self.tell(now, false, &mut effects),
            (Stage::Starting { .. }, Input::Cut | Input::Kill) => {
                self.failed = Some(NotReady::Cut);
                self.kill(now, input == Input::Cut, &mut effects);
            }
            (Stage::Running | Stage::Stopping { .. }, Input::Cut | Input::Kill) => {
                self.kill(now, input == Input::Cut, &mut effects);
            }
            (Stage::Stopping { until: Some(until) }, Input::Tick) if now >= until => {
                // One that is late with its start failed, which is told of, and is not cut.
                let cut = self.told && self.failed.is_none();
                self.kill(now, cut, &mut effects);
            }
            (Stage::Killed { until }, Input::Cut) => {
                self.cut = true;
                self.stage = Stage::Killed { until: until.min(now + DIES_WITHIN) };
            }
            (Stage::Killed { until }, Input::Tick) if now >= until => {
                if let Some(why) = self.failed.take() {
                    effects.push(Effect::NotReady(why));
                }
                self.stage = Stage::Stuck;
                effects.push(Effect::LetGo);
            }
            (_, Input::Ready | Input::Extend(_) | Input::Stop | Input::Cut | Input::Kill | Input::Tick) => {}
        }
        effects
    }

    fn tell(&mut self, now: Instant, by_stop: bool, effects: &mut Vec<Effect>) {
        let own = if by_stop { self.stop_timeout } else { self.stop_timeout.or(Some(STOPS_WITHIN)) };
        self.stage = Stage::Stopping { until: own.and_then(|own| now.checked_add(own)) };
        effects.push(Effect::Tell { by_stop });
    }

    fn kill(&mut self, now: Instant, cut: bool, effects: &mut Vec<Effect>) {
        self.cut = cut;
        let within = if cut { DIES_WITHIN } else { DIES_WITHOUT_HASTE };
        self.stage = Stage::Killed { until: now + within };
        effects.push(Effect::Kill);
    }
}

/// What is asked for never brings a time nearer. Beyond the end of the clock is never.
fn later(until: Instant, now: Instant, time: Duration) -> Option<Instant> {
    now.checked_add(time).map(|asked| asked.max(until))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A child with 60 s to get ready, and what is done in turn: seconds from its birth, what happens, what comes of it.
    fn lives(stop_timeout: Option<Duration>, table: &[(f64, Input, &[Effect])]) -> Life {
        let born = Instant::now();
        let mut life = Life::new(Some(born + 60 * SECOND), stop_timeout);
        for (row, (at, input, effects)) in table.iter().enumerate() {
            let now = born + Duration::from_secs_f64(*at);
            assert_eq!(life.apply(now, *input), *effects, "row {row}: {input:?}");
            assert!(life.wake_at().is_none_or(|wake| wake > now), "row {row}: it would spin");
        }
        life
    }

    const TOLD: &[Effect] = &[Effect::Tell { by_stop: true }];
    const ASKED: &[Effect] = &[Effect::Tell { by_stop: false }];

    #[test]
    fn c3_a_start_that_ends_badly_says_why_once_the_child_is_gone() {
        let ended = [Effect::NotReady(NotReady::Ended)];
        lives(None, &[(1.0, Input::Ended, &ended), (2.0, Input::Ready, &[])]);
        let late = [Effect::NotReady(NotReady::Late)];
        let table: &[(f64, Input, &[Effect])] = &[
            (59.0, Input::Tick, &[]),
            (60.0, Input::Tick, ASKED),
            (61.0, Input::Ready, &[]),
            (70.0, Input::Tick, &[Effect::Kill]),
            (70.01, Input::Ended, &late),
        ];
        assert!(!lives(None, table).is_cut());
        let cut = [Effect::NotReady(NotReady::Cut)];
        lives(None, &[(1.0, Input::Cut, &[Effect::Kill]), (1.01, Input::Ended, &cut)]);
    }

    #[test]
    fn c4_a_start_under_way_is_finished_and_then_told() {
        let ready = [Effect::Ready, Effect::Tell { by_stop: true }];
        lives(None, &[(1.0, Input::Told, &[]), (2.0, Input::Ready, &ready), (3.0, Input::Told, &[])]);
    }

    #[test]
    fn c3_time_is_given_to_who_asks_for_it() {
        let ready = [Effect::Ready];
        let table: &[(f64, Input, &[Effect])] = &[
            (50.0, Input::Extend(20 * SECOND), &[]),
            (51.0, Input::Extend(SECOND), &[]),
            (60.0, Input::Tick, &[]),
            (69.9, Input::Ready, &ready),
        ];
        lives(None, table);
        lives(None, &[(50.0, Input::Extend(20 * SECOND), &[]), (70.0, Input::Tick, ASKED)]);
    }

    #[test]
    fn c5_told_once_killed_at_the_deadline_and_not_waited_for_for_ever() {
        let table: &[(f64, Input, &[Effect])] = &[
            (1.0, Input::Ready, &[Effect::Ready]),
            (2.0, Input::Told, TOLD),
            (3.0, Input::Stop, &[]),
            (900.0, Input::Tick, &[]),
            (900.0, Input::Cut, &[Effect::Kill]),
            (900.0, Input::Cut, &[]),
            (900.2, Input::Tick, &[Effect::LetGo]),
            (901.0, Input::Ended, &[]),
        ];
        assert!(lives(None, table).is_cut());
    }

    #[test]
    fn c5_its_own_time_counts_if_it_is_shorter() {
        let table: &[(f64, Input, &[Effect])] = &[
            (1.0, Input::Ready, &[Effect::Ready]),
            (2.0, Input::Told, TOLD),
            (3.0, Input::Extend(4 * SECOND), &[]),
            (5.0, Input::Tick, &[]),
            (7.0, Input::Tick, &[Effect::Kill]),
        ];
        assert!(lives(Some(2 * SECOND), table).is_cut());
    }

    #[test]
    fn c5_what_its_owner_ends_is_not_cut() {
        let table: &[(f64, Input, &[Effect])] = &[
            (1.0, Input::Ready, &[Effect::Ready]),
            (2.0, Input::Stop, ASKED),
            (11.9, Input::Tick, &[]),
            (12.0, Input::Tick, &[Effect::Kill]),
        ];
        assert!(!lives(None, table).is_cut());
        let table: &[(f64, Input, &[Effect])] =
            &[(1.0, Input::Ready, &[Effect::Ready]), (2.0, Input::Kill, &[Effect::Kill])];
        assert!(!lives(None, table).is_cut());
    }

    #[test]
    fn c5_only_the_deadline_makes_haste_with_one_that_takes_its_time_to_die() {
        let table: &[(f64, Input, &[Effect])] = &[
            (1.0, Input::Ready, &[Effect::Ready]),
            (2.0, Input::Kill, &[Effect::Kill]),
            (3.0, Input::Tick, &[]),
            (4.0, Input::Told, &[]),
            (5.0, Input::Cut, &[]),
            (5.05, Input::Cut, &[]),
            (5.1, Input::Tick, &[Effect::LetGo]),
        ];
        assert!(lives(None, table).is_cut(), "it was there at the deadline");
        let table: &[(f64, Input, &[Effect])] = &[
            (1.0, Input::Ready, &[Effect::Ready]),
            (2.0, Input::Kill, &[Effect::Kill]),
            (12.0, Input::Tick, &[Effect::LetGo]),
        ];
        lives(None, table);
    }
}
