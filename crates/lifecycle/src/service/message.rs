//! One message to the manager: lines of `NAME=value` (`sd_notify(3)`).

use crate::report::Plain;
use std::fmt::{self, Write as _};
use std::time::Duration;

/// A service manager reads 4096 bytes of a message (`PIPE_BUF`), and systemd drops one that is longer.
const LONGEST_STATUS: usize = 2_000;

/// What is told at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) ready: bool,
    /// Since when, on the monotonic clock.
    pub(super) reloading: Option<Duration>,
    pub(super) stopping: bool,
    pub(super) main_pid: Option<u32>,
    pub(super) status: Option<String>,
    pub(super) errno: Option<i32>,
    pub(super) exit_status: Option<u8>,
    pub(super) extend: Option<Duration>,
    pub(super) watchdog: bool,
}

impl Message {
    pub(super) fn status(text: impl Into<String>) -> Self {
        Self { status: Some(text.into()), ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether nothing is lost if a later message goes without it.
    pub(super) fn is_passing(&self) -> bool {
        !self.ready
            && self.reloading.is_none()
            && !self.stopping
            && self.errno.is_none()
            && self.extend.is_none()
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Lines { f, begun: false };
        if self.ready {
            lines.add("READY", 1)?;
        }
        if let Some(since) = self.reloading {
            lines.add("RELOADING", 1)?;
            lines.add("MONOTONIC_USEC", since.as_micros())?;
        }
        if self.stopping {
            lines.add("STOPPING", 1)?;
        }
        if let Some(pid) = self.main_pid {
            lines.add("MAINPID", pid)?;
        }
        if let Some(status) = &self.status {
            lines.add("STATUS", short(&Plain(status).to_string()))?;
        }
        if let Some(errno) = self.errno {
            lines.add("ERRNO", errno)?;
        }
        if let Some(exit_status) = self.exit_status {
            lines.add("EXIT_STATUS", exit_status)?;
        }
        if let Some(extend) = self.extend {
            lines.add("EXTEND_TIMEOUT_USEC", extend.as_micros())?;
        }
        if self.watchdog {
            lines.add("WATCHDOG", 1)?;
        }
        Ok(())
    }
}

struct Lines<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    begun: bool,
}

impl Lines<'_, '_> {
    fn add(&mut self, name: &str, value: impl fmt::Display) -> fmt::Result {
        if std::mem::replace(&mut self.begun, true) {
            self.f.write_char('\n')?;
        }
        write!(self.f, "{name}={value}")
    }
}

/// As much of it as surely arrives.
fn short(text: &str) -> String {
    if text.len() <= LONGEST_STATUS {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(LONGEST_STATUS);
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_says_one_thing() {
        let message = Message {
            stopping: true,
            errno: Some(2),
            extend: Some(Duration::from_secs(20)),
            ..Message::status("stopping")
        };
        assert_eq!(message.to_string(), "STOPPING=1\nSTATUS=stopping\nERRNO=2\nEXTEND_TIMEOUT_USEC=20000000");
        let message = Message { reloading: Some(Duration::from_micros(7)), ..Message::default() };
        assert_eq!(message.to_string(), "RELOADING=1\nMONOTONIC_USEC=7");
        assert_eq!(Message::default().to_string(), "");
        assert!(Message::default().is_empty());
    }

    /// Names and errors are anybody's words, and another line would be another message.
    #[test]
    fn a_status_is_one_line() {
        let status = Message::status("no\nMAINPID=1\r\nREADY=1");
        assert_eq!(status.to_string(), r"STATUS=no\nMAINPID=1\r\nREADY=1");
    }

    #[test]
    fn a_long_status_is_cut_between_characters() {
        let text = Message::status("ä".repeat(3_000)).to_string();
        assert!(text.len() <= LONGEST_STATUS + "STATUS=…".len() && text.ends_with("ä…"), "{}", text.len());
    }
}
