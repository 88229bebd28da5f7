//! Signals by name.

use std::fmt;

/// A signal, signal(7). On Windows a console event, by the number of the signal that it stands for (L16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

impl Signal {
    /// Ctrl-C on the terminal, or the Windows console.
    pub const INTERRUPT: Self = Self(2);
    /// What service managers and kill(1) send. On Windows: the console is closed, a user logs off, the system shuts
    /// down.
    pub const TERMINATE: Self = Self(15);

    /// Ctrl-Break on a Windows console, and how programs there ask each other to stop.
    #[cfg(windows)]
    pub const BREAK: Self = Self(21);

    /// What requests a stop unless told otherwise.
    #[cfg(not(windows))]
    pub(crate) const DEFAULT: &[Self] = &[Self::INTERRUPT, Self::TERMINATE];
    #[cfg(windows)]
    pub(crate) const DEFAULT: &[Self] = &[Self::INTERRUPT, Self::TERMINATE, Self::BREAK];

    /// The signal of this number. Whether it exists and can be handled shows when it is installed.
    #[must_use]
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// Its number on this system.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Its name, where its number is the same on every Unix.
    const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "SIGHUP",
            2 => "SIGINT",
            3 => "SIGQUIT",
            6 => "SIGABRT",
            9 => "SIGKILL",
            13 => "SIGPIPE",
            14 => "SIGALRM",
            15 => "SIGTERM",
            #[cfg(windows)]
            21 => "SIGBREAK",
            #[cfg(target_os = "linux")]
            10 => "SIGUSR1",
            #[cfg(target_os = "linux")]
            12 => "SIGUSR2",
            _ => return None,
        })
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Signal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
