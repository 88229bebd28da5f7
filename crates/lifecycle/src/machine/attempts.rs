//! Which stop signals count (L9).

use super::phase::Time;
use std::time::Duration;

/// How close to a signal from the terminal the same wish may come by another road.
pub(crate) const RELAY: Duration = Duration::from_millis(500);

/// Where a signal came from, as far as that decides whether it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// A key on the terminal.
    Terminal,
    /// A process that may pass the terminal's signal on: our parent, or one in our process group.
    Relative,
    /// Anybody else.
    Other,
}

/// The deliberate stop signals so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Attempts {
    count: u32,
    terminal: Option<Time>,
    /// Signals by relatives that were counted, while they may still turn out to be relays.
    relatives: Vec<Time>,
}

impl Attempts {
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Takes note of a signal that came at `at`, and answers how many count now.
    pub(crate) fn note(&mut self, origin: Origin, at: Time) -> u32 {
        match origin {
            Origin::Terminal => {
                let near = self.relatives.len();
                self.relatives.retain(|relative| !is_near(*relative, at));
                let relays = near - self.relatives.len();
                self.count = self.count.saturating_sub(u32::try_from(relays).unwrap_or(u32::MAX));
                self.terminal = Some(at);
                self.count = self.count.saturating_add(1);
            }
            Origin::Relative if self.terminal.is_some_and(|terminal| is_near(terminal, at)) => {}
            Origin::Relative => {
                self.relatives.retain(|relative| is_near(*relative, at));
                self.relatives.push(at);
                self.count = self.count.saturating_add(1);
            }
            Origin::Other => self.count = self.count.saturating_add(1),
        }
        self.count
    }
}

fn is_near(one: Time, other: Time) -> bool {
    one.0.abs_diff(other.0) <= RELAY
}
