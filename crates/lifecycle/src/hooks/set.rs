//! The hooks that a configuration asks for.

use crate::cause::Received;
use crate::report::Report;
use crate::signal::Signal;
use crate::stop::Stop;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// What a hook may return: nothing, or a `Result` whose error is reported.
///
/// ```
/// # use exeunt_lifecycle::{Config, Lifecycle, Report};
/// let quiet = |_: &Report| {};
/// let careful = |report: &Report| std::fs::write("/nowhere/report", report.to_string());
/// let lifecycle = Lifecycle::install(Config::default().before_termination(quiet).before_termination(careful))?;
/// let report = lifecycle.close();
/// assert_eq!((report.hook_failures.len(), report.exit_status()), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub trait HookOutcome: sealed::Check {}

impl<T: sealed::Check> HookOutcome for T {}

pub(crate) type Checked = Result<(), Box<dyn Error + Send + Sync>>;
pub(crate) type SignalHook = Arc<dyn Fn(Received, &Stop) -> Checked + Send + Sync>;
pub(crate) type EndHook = Arc<dyn Fn(&Report) -> Checked + Send + Sync>;

/// Hooks, each kind in the order in which it was asked for.
#[derive(Clone, Default)]
pub(crate) struct HookSet {
    pub(crate) on_signal: Vec<(Signal, SignalHook)>,
    pub(crate) before_hup: Vec<SignalHook>,
    pub(crate) before_termination: Vec<EndHook>,
    /// Whether the program is to end by the signal that ended it.
    pub(crate) re_raise: bool,
}

impl HookSet {
    pub(crate) fn needs_signals(&self) -> bool {
        !self.on_signal.is_empty() || !self.before_hup.is_empty()
    }

    pub(crate) fn needs_ending(&self) -> bool {
        !self.before_termination.is_empty()
    }

    /// The signals that have hooks.
    pub(crate) fn signals(&self) -> impl Iterator<Item = Signal> {
        let hangup = (!self.before_hup.is_empty()).then_some(Signal::HANGUP);
        self.on_signal.iter().map(|(signal, _)| *signal).chain(hangup)
    }
}

pub(crate) fn signal_hook<O: HookOutcome>(
    hook: impl Fn(Received, &Stop) -> O + Send + Sync + 'static,
) -> SignalHook {
    Arc::new(move |received, stop| hook(received, stop).check())
}

pub(crate) fn end_hook<O: HookOutcome>(hook: impl Fn(&Report) -> O + Send + Sync + 'static) -> EndHook {
    Arc::new(move |report| hook(report).check())
}

/// Closures cannot be compared; the same one is equal to itself.
impl PartialEq for HookSet {
    fn eq(&self, other: &Self) -> bool {
        let same = |one: &(Signal, SignalHook), other: &(Signal, SignalHook)| {
            one.0 == other.0 && Arc::ptr_eq(&one.1, &other.1)
        };
        self.re_raise == other.re_raise
            && self.on_signal.len() == other.on_signal.len()
            && self.on_signal.iter().zip(&other.on_signal).all(|(one, other)| same(one, other))
            && all_same(&self.before_hup, &other.before_hup)
            && all_same(&self.before_termination, &other.before_termination)
    }
}

impl Eq for HookSet {}

impl fmt::Debug for HookSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signals: Vec<Signal> = self.on_signal.iter().map(|(signal, _)| *signal).collect();
        f.debug_struct("HookSet")
            .field("on_signal", &signals)
            .field("before_hup", &self.before_hup.len())
            .field("before_termination", &self.before_termination.len())
            .field("re_raise", &self.re_raise)
            .finish()
    }
}

fn all_same<T: ?Sized>(one: &[Arc<T>], other: &[Arc<T>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other))
}

mod sealed {
    use super::Checked;
    use std::error::Error;

    pub trait Check {
        fn check(self) -> Checked;
    }

    impl Check for () {
        fn check(self) -> Checked {
            Ok(())
        }
    }

    impl<E: Into<Box<dyn Error + Send + Sync>>> Check for Result<(), E> {
        fn check(self) -> Checked {
            self.map_err(Into::into)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_signals() -> SignalHook {
        signal_hook(|_, _| {})
    }

    fn at_the_end() -> EndHook {
        end_hook(|_| {})
    }

    #[test]
    fn a_set_is_equal_to_its_clone_and_to_no_set_that_differs_in_anything() {
        let set = HookSet {
            on_signal: vec![(Signal::INTERRUPT, at_signals())],
            before_hup: vec![at_signals()],
            before_termination: vec![at_the_end()],
            re_raise: false,
        };
        assert_eq!(set, set.clone());
        let different: [fn(&mut HookSet); 9] = [
            |set| set.re_raise = true,
            |set| set.on_signal.clear(),
            |set| set.on_signal[0].0 = Signal::QUIT,
            |set| set.on_signal[0].1 = at_signals(),
            |set| set.on_signal.push((Signal::QUIT, at_signals())),
            |set| set.before_hup[0] = at_signals(),
            |set| set.before_hup.clear(),
            |set| set.before_termination[0] = at_the_end(),
            |set| set.before_termination.push(at_the_end()),
        ];
        for (index, change) in different.into_iter().enumerate() {
            let mut other = set.clone();
            change(&mut other);
            assert_ne!(set, other, "change {index}");
            assert_ne!(other, set, "change {index}");
        }
    }

    #[test]
    fn what_a_set_needs() {
        let none = HookSet::default();
        let at_signal = HookSet { on_signal: vec![(Signal::QUIT, at_signals())], ..HookSet::default() };
        let at_hang_up = HookSet { before_hup: vec![at_signals()], ..HookSet::default() };
        let at_end = HookSet { before_termination: vec![at_the_end()], ..HookSet::default() };
        let needs = |set: &HookSet| (set.needs_signals(), set.needs_ending(), set.signals().collect());
        assert_eq!(needs(&none), (false, false, vec![]));
        assert_eq!(needs(&at_signal), (true, false, vec![Signal::QUIT]));
        assert_eq!(needs(&at_hang_up), (true, false, vec![Signal::HANGUP]));
        assert_eq!(needs(&at_end), (false, true, vec![]));
        let said =
            "HookSet { on_signal: [Signal(3)], before_hup: 0, before_termination: 0, re_raise: false }";
        assert_eq!(format!("{at_signal:?}"), said);
    }
}
