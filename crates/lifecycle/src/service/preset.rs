//! How long the managers wait that everybody has.

use super::unit;
use crate::report::Span;
use std::fmt;
use std::time::Duration;

/// Who kills the program, and when: a grace that ends before.
///
/// | preset | waits | grace |
/// |---|---|---|
/// | `Systemd` | the unit's `TimeoutStopSec=` | that less the reserve; 85 s of the usual 90 s |
/// | `Docker` | 10 s (`docker stop`, compose's `stop_grace_period`) | 8 s |
/// | `Kubernetes` | 30 s (`terminationGracePeriodSeconds`) | 25 s |
///
/// The reserve is the smaller of 5 s and 20 %: for what comes behind the hard deadline (hooks, the report's file), and
/// for the time from the manager's clock to ours. Kubernetes counts a `preStop` hook, and the others count nothing
/// else; where the time was set to another, say so with [`Config::grace`](crate::Config::grace).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// systemd, which is asked for the unit's `TimeoutStopSec=` (`systemctl show`, 2 s at most). What cannot be found
    /// out is taken for systemd's own default, 90 s, and the log says so.
    Systemd,
    /// Docker, and compose.
    Docker,
    /// Kubernetes.
    Kubernetes,
}

/// How long a manager waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waits {
    pub(crate) preset: Preset,
    /// `None`: for ever.
    pub(crate) time: Option<Duration>,
}

impl Preset {
    pub(crate) fn waits(self) -> Waits {
        let time = match self {
            Self::Systemd => unit::time_to_stop(),
            Self::Docker => Some(Duration::from_secs(10)),
            Self::Kubernetes => Some(Duration::from_secs(30)),
        };
        Waits { preset: self, time }
    }
}

impl Waits {
    /// The grace that ends in time.
    pub(crate) fn grace(self) -> Option<Duration> {
        let time = self.time?;
        Some(time - (time / 5).min(Duration::from_secs(5)))
    }

    /// Whether the manager kills a program that takes so long.
    pub(crate) fn end_before(self, takes: Duration) -> bool {
        self.time.is_some_and(|time| time < takes)
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Systemd => "systemd",
            Self::Docker => "docker",
            Self::Kubernetes => "kubernetes",
        })
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            Some(time) => write!(f, "{} kills after {}", self.preset, Span(time)),
            None => write!(f, "{} waits for ever", self.preset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_grace_ends_before_the_manager_kills() {
        let seconds = Duration::from_secs;
        let of = |time| Waits { preset: Preset::Systemd, time }.grace();
        assert_eq!(Preset::Docker.waits().grace(), Some(seconds(8)));
        assert_eq!(Preset::Kubernetes.waits().grace(), Some(seconds(25)));
        assert_eq!(of(Some(seconds(90))), Some(seconds(85)));
        assert_eq!(of(None), None);
        let docker = Preset::Docker.waits();
        assert!(docker.end_before(seconds(11)) && !docker.end_before(seconds(10)));
        assert!(!Waits { preset: Preset::Systemd, time: None }.end_before(Duration::MAX));
    }
}
