//! Machines polled by hand: times in milliseconds, inputs in, effects out.

use super::observed::drive;
use super::{Effect, Input, Limits, Machine, Time};
use std::time::Duration;

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn at(time: u64) -> Time {
    Time(ms(time))
}

/// Just made: the grace, the lame duck and the limit for shields in milliseconds, and how many signals force the end.
pub(super) fn machine(grace: u64, lame_duck: u64, max_attempts: u32, hard_limit: u64) -> Machine {
    Machine::new(limits(grace, lame_duck, max_attempts, hard_limit), at(0))
}

/// The same, in numbers.
pub(super) fn limits(grace: u64, lame_duck: u64, max_attempts: u32, hard_limit: u64) -> Limits {
    Limits {
        grace: ms(grace),
        lame_duck: ms(lame_duck),
        lame_duck_quiet: Duration::ZERO,
        max_attempts,
        hard_limit: ms(hard_limit),
    }
}

/// Applies the inputs at their times, checking the effects of each.
#[track_caller]
pub(super) fn check(machine: &mut Machine, steps: &[(u64, Input, &[Effect])]) {
    for (index, (time, input, expected)) in steps.iter().enumerate() {
        let effects = drive(machine, at(*time), *input, &[]);
        assert_eq!(&effects, expected, "step {index}: {input:?} at {time} ms");
    }
}

/// Applies the inputs and answers the last one's effects.
pub(super) fn last(machine: &mut Machine, inputs: impl IntoIterator<Item = (u64, Input)>) -> Vec<Effect> {
    inputs.into_iter().fold(Vec::new(), |_, (time, input)| drive(machine, at(time), input, &[]))
}
