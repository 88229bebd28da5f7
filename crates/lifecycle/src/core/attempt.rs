//! What the log says of stop signals (L9).

use crate::cause::Received;
use tracing::field::display;

/// A stop signal and what it came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(super) received: Received,
    /// How many count now.
    pub(super) attempt: u32,
    pub(super) max_attempts: u32,
    /// It does: it is no relay.
    pub(super) counts: bool,
    /// It requested the stop.
    pub(super) first: bool,
}

impl Attempt {
    pub(crate) fn trace(self) {
        let Self { received, attempt, max_attempts, counts, first } = self;
        let signal = display(received);
        if !counts {
            tracing::info!(target: "exeunt::lifecycle", signal, attempt, max_attempts, "stop signal, by another road");
        } else if attempt >= max_attempts {
            tracing::warn!(target: "exeunt::lifecycle", signal, attempt, max_attempts, "stop signal: the end is forced");
        } else if first {
            tracing::info!(target: "exeunt::lifecycle", signal, attempt, max_attempts, "stop signal");
        } else {
            tracing::warn!(target: "exeunt::lifecycle", signal, attempt, max_attempts, "stop signal: a further attempt");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cause::{Received, Sender};
    use crate::clock::Clock;
    use crate::config::Config;
    use crate::core::{Alarm, Core};
    use crate::hooks::{HookSet, Hooks};
    use crate::machine::GroupId;
    use crate::signal::Signal;
    use std::time::{Duration, Instant};

    /// How many attempts two signals are that come so far apart.
    fn attempts(signals: [(Signal, Sender); 2], apart: Duration) -> u32 {
        let config = Config::default();
        let core = Core::new(
            config.limits,
            config.exit_statuses,
            Clock::system(),
            Alarm::Hub,
            Hooks::new(HookSet::default()),
        );
        let _busy = core.add_scope("busy".to_owned(), GroupId::ROOT);
        let first = Instant::now();
        for ((signal, sender), at) in signals.into_iter().zip([first, first + apart]) {
            core.signal(Received { signal, sender }, at);
        }
        core.state().unwrap().machine.attempts()
    }

    #[test]
    fn l16_a_terminal_hangs_up_once_though_it_may_say_so_twice() {
        let (soon, later) = (Duration::from_millis(500), Duration::from_millis(501));
        let (terminal, relative) = (Sender::Terminal, Sender::Relative(4711));
        let (hup, int) = (Signal::HANGUP, Signal::INTERRUPT);
        assert_eq!(attempts([(hup, terminal); 2], soon), 1);
        assert_eq!(attempts([(hup, terminal); 2], later), 2);
        assert_eq!(attempts([(hup, terminal), (hup, relative)], soon), 1);
        assert_eq!(attempts([(hup, relative), (hup, terminal)], soon), 1);
        assert_eq!(attempts([(hup, terminal), (int, terminal)], soon), 2, "a key is a wish of its own");
        assert_eq!(attempts([(int, terminal); 2], soon), 2, "and so is each");
        assert_eq!(attempts([(hup, Sender::Process(4711)); 2], soon), 2);
    }
}
