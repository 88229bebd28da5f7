//! Signals by name.

use std::fmt;
use std::io;

/// A signal, signal(7). On Windows a console event, by the number of the signal that it stands for (L16).
///
/// ```
/// # use exeunt_lifecycle::Signal;
/// assert_eq!(Signal::TERMINATE.to_string(), "SIGTERM");
/// assert_eq!(Signal::new(2), Signal::INTERRUPT);
/// assert_eq!(Signal::HANGUP.number(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

impl Signal {
    /// The terminal is gone. By custom it tells daemons to read their configuration again. Not on Windows.
    pub const HANGUP: Self = Self(1);
    /// Ctrl-C on the terminal, or the Windows console.
    pub const INTERRUPT: Self = Self(2);
    /// Ctrl-\ on the terminal. Not on Windows.
    pub const QUIT: Self = Self(3);
    /// The program's own; handled only where it is asked for.
    #[cfg(unix)]
    pub const USER1: Self = Self(USER.0);
    /// The program's own; handled only where it is asked for.
    #[cfg(unix)]
    pub const USER2: Self = Self(USER.1);
    /// What service managers and kill(1) send. On Windows: the console is closed, a user logs off, the system shuts
    /// down.
    pub const TERMINATE: Self = Self(15);

    /// Ctrl-Break on a Windows console, and how programs there ask each other to stop.
    #[cfg(windows)]
    pub const BREAK: Self = Self(21);

    /// What requests a stop unless told otherwise.
    #[cfg(not(windows))]
    pub(crate) const DEFAULT: &[Self] = &[Self::HANGUP, Self::INTERRUPT, Self::QUIT, Self::TERMINATE];
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

    /// Ends the process by this signal itself, by its default action, so that its parent sees that (`WIFSIGNALED`,
    /// wait(2)).
    ///
    /// For the very end of `main`: no destructor runs and nothing is flushed. Where the default is to dump core
    /// (SIGQUIT), that is done too. Returns only if the process is still there, and says why: no such signal, or one
    /// whose default is not to end the process.
    ///
    /// ```no_run
    /// # use exeunt_lifecycle::Signal;
    /// use std::process::ExitCode;
    ///
    /// fn main() -> ExitCode {
    ///     // … a stop that was caused by SIGTERM …
    ///     let still_here = Signal::TERMINATE.end_process();
    ///     eprintln!("{still_here}");
    ///     ExitCode::FAILURE
    /// }
    /// ```
    #[must_use = "it returns only if it has failed"]
    pub fn end_process(self) -> io::Error {
        exeunt_sys::signal::end_by(self.0)
    }

    /// Whether a lifecycle of this process handles it now. Whoever puts a handler of its own there meanwhile takes it away
    /// from that lifecycle (L11). False in a forked child.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Signal};
    /// let lifecycle = Lifecycle::install(Config::default().signals([Signal::TERMINATE]))?;
    /// assert!(Signal::TERMINATE.is_handled() && !Signal::INTERRUPT.is_handled());
    /// drop(lifecycle);
    /// assert!(!Signal::TERMINATE.is_handled());
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn is_handled(self) -> bool {
        crate::hub::handles(self)
    }

    /// Has the main thread call the handler that this signal had before ours, without a delivery that would count: see
    /// [`Config::chain_on_main_thread`](crate::Config::chain_on_main_thread), without which this does nothing. False if
    /// that is not possible: our handler is not in force, this is another system than Linux, or a forked child.
    #[must_use = "it may not be possible"]
    pub fn nudge(self) -> bool {
        exeunt_sys::signal::nudge(self.0)
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
            #[cfg(unix)]
            number if number == USER.0 => "SIGUSR1",
            #[cfg(unix)]
            number if number == USER.1 => "SIGUSR2",
            _ => return None,
        })
    }
}

/// SIGUSR1 and SIGUSR2: as on Linux everywhere but on MIPS and SPARC (signal(7)), as on the BSDs elsewhere.
#[cfg(any(target_os = "linux", target_os = "android"))]
const USER: (i32, i32) = (10, 12);
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const USER: (i32, i32) = (30, 31);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_where_the_number_is_the_same_everywhere_and_numbers_elsewhere() {
        let names = [1, 2, 3, 6, 9, 13, 14, 15, 63].map(|number| Signal::new(number).to_string());
        let expected =
            ["HUP", "INT", "QUIT", "ABRT", "KILL", "PIPE", "ALRM", "TERM"].map(|name| format!("SIG{name}"));
        assert_eq!(names[..8], expected);
        assert_eq!(names[8], "signal 63");
        assert_eq!(format!("{:>8}|", Signal::TERMINATE), " SIGTERM|");
    }

    #[cfg(unix)]
    #[test]
    fn the_programs_own_signals_have_names() {
        assert_eq!([Signal::USER1, Signal::USER2].map(|signal| signal.to_string()), ["SIGUSR1", "SIGUSR2"]);
        assert_ne!(Signal::USER1.number(), Signal::USER2.number());
    }

    #[cfg(windows)]
    #[test]
    fn ctrl_break_has_a_name() {
        assert_eq!(Signal::BREAK.to_string(), "SIGBREAK");
    }
}
