use rustix::process::Signal;
use std::fmt;
use std::str::FromStr;

/// The signal that asks the server to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StopSignal(Signal);

const NAMES: [(&str, Signal); 10] = [
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("TERM", Signal::TERM),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("WINCH", Signal::WINCH),
    ("ALRM", Signal::ALARM),
    ("PWR", Signal::POWER),
    ("ABRT", Signal::ABORT),
];

impl StopSignal {
    /// SIGTERM, what service managers and orchestrators send.
    pub const TERM: Self = Self(Signal::TERM);

    pub(crate) fn raw(self) -> Signal {
        self.0
    }
}

/// The conventional name of a signal number, `signal 34` where it has none.
pub(crate) fn signal_name(number: i32) -> String {
    let more = [("KILL", Signal::KILL), ("SEGV", Signal::SEGV), ("BUS", Signal::BUS), ("ILL", Signal::ILL)];
    let more = more.into_iter().chain([("FPE", Signal::FPE), ("PIPE", Signal::PIPE), ("SYS", Signal::SYS)]);
    NAMES
        .into_iter()
        .chain(more)
        .find(|(_, signal)| signal.as_raw() == number)
        .map_or_else(|| format!("signal {number}"), |(name, _)| format!("SIG{name}"))
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&signal_name(self.0.as_raw()))
    }
}

impl fmt::Debug for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StopSignal {
    type Err = String;

    /// Takes `TERM`, `SIGTERM` (in any case) and `15`.
    fn from_str(text: &str) -> Result<Self, String> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let known = NAMES.into_iter().find(|(known, signal)| {
            *known == name || name.parse::<i32>().is_ok_and(|number| number == signal.as_raw())
        });
        match known {
            Some((_, signal)) => Ok(Self(signal)),
            None if matches!(name, "KILL" | "9" | "STOP" | "19") => {
                Err(format!("no program can answer {text}: a drill needs a signal that can be handled"))
            }
            None => Err(format!(
                "{text:?} is no signal that asks a program to stop: choose from {}",
                NAMES.map(|(name, _)| name).join(", ")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_understood() {
        for text in ["TERM", "SIGTERM", "term", "15"] {
            assert_eq!(text.parse(), Ok(StopSignal::TERM), "{text}");
        }
        assert_eq!("QUIT".parse::<StopSignal>().unwrap().to_string(), "SIGQUIT");
        assert!("KILL".parse::<StopSignal>().unwrap_err().contains("can be handled"));
        assert!("0".parse::<StopSignal>().unwrap_err().contains("choose from"));
        assert!("TERMINATE".parse::<StopSignal>().unwrap_err().contains("choose from"));
        assert_eq!(signal_name(11), "SIGSEGV");
        assert_eq!(signal_name(40), "signal 40");
    }
}
