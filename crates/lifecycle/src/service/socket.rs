//! The manager's end: a datagram socket with a path, or in the abstract namespace (unix(7)).

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, sendmsg_addr, socket_with,
};
use std::env;
use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

/// How many descriptors one message carries at most (`SCM_MAX_FD`, unix(7)).
pub(super) const MOST_DESCRIPTORS: usize = 253;

/// Where messages go.
#[derive(Debug)]
pub(super) struct Socket {
    descriptor: OwnedFd,
    address: SocketAddrUnix,
}

/// What the service manager says in the environment cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// `NOTIFY_SOCKET` is of a kind that there is not.
    #[error(
        "NOTIFY_SOCKET={value:?} cannot be used: {problem}; it takes the path of a Unix socket (/run/…) or the name of \
         an abstract one (@…), or has to be unset"
    )]
    Address {
        /// What it says.
        value: OsString,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// `WATCHDOG_USEC` or `WATCHDOG_PID` is no number.
    #[error(
        "{variable}={value:?} cannot be used: it is no number above 0; unset it, or see sd_watchdog_enabled(3)"
    )]
    Watchdog {
        /// Which one.
        variable: &'static str,
        /// What it says.
        value: OsString,
    },
    /// There is no descriptor left for a socket.
    #[error("no socket for the service manager could be made; raise the limit of open files")]
    Socket(#[source] io::Error),
}

impl Socket {
    /// That of the manager who started us; `None` if none did, or if it does not want to be told.
    pub(super) fn of_manager() -> Result<Option<Self>, ServiceError> {
        match env::var_os("NOTIFY_SOCKET") {
            // `NOTIFY_SOCKET= program` is how a shell takes it away.
            Some(value) if !value.is_empty() => Self::to(value).map(Some),
            _ => Ok(None),
        }
    }

    pub(super) fn to(value: OsString) -> Result<Self, ServiceError> {
        let address =
            address(value.as_bytes()).map_err(|problem| ServiceError::Address { value, problem })?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let descriptor = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
            .map_err(|error| ServiceError::Socket(error.into()))?;
        Ok(Self { descriptor, address })
    }

    /// Never blocks; `WouldBlock` if the manager does not keep up.
    pub(super) fn send(&self, message: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other(format!("more than {MOST_DESCRIPTORS} descriptors at once")));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let message = [IoSlice::new(message.as_bytes())];
        loop {
            match sendmsg_addr(&self.descriptor, &self.address, &message, &mut control, flags) {
                Err(Errno::INTR) => {}
                // The receiver's queue, or the memory for it.
                Err(Errno::AGAIN | Errno::NOBUFS) => return Err(io::ErrorKind::WouldBlock.into()),
                sent => return Ok(sent.map(|_| ())?),
            }
        }
    }
}

/// How often the watchdog wants to be fed at least, if it watches this process (`sd_watchdog_enabled(3)`).
pub(super) fn watchdog() -> Result<Option<Duration>, ServiceError> {
    let number = |variable: &'static str| match env::var_os(variable) {
        Some(value) if !value.is_empty() => match value.to_str().and_then(|text| text.parse::<u64>().ok()) {
            Some(number @ 1..) => Ok(Some(number)),
            _ => Err(ServiceError::Watchdog { variable, value }),
        },
        _ => Ok(None),
    };
    let (Some(usec), pid) = (number("WATCHDOG_USEC")?, number("WATCHDOG_PID")?) else { return Ok(None) };
    // Somebody else's, whose environment we have inherited.
    let is_ours = pid.is_none_or(|pid| pid == u64::from(std::process::id()));
    Ok(is_ours.then(|| Duration::from_micros(usec)))
}

/// The time by which the manager tells whether a reload has begun since it asked (`sd_notify(3)`).
pub(super) fn monotonic() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // Neither is ever negative on a monotonic clock.
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

fn address(value: &[u8]) -> Result<SocketAddrUnix, &'static str> {
    match value {
        [b'@', name @ ..] if !name.is_empty() => {
            SocketAddrUnix::new_abstract_name(name).map_err(|_| "the name is too long (107 bytes)")
        }
        [b'/', ..] => SocketAddrUnix::new(value).map_err(|_| "the path is too long (107 bytes)"),
        [b'v', b's', b'o', b'c', b'k', b':' | b'-', ..] => {
            Err("a vsock is for a virtual machine's manager, not for its services")
        }
        _ => Err("it is neither a path from the root nor an abstract name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_path_or_a_name_and_what_else_there_may_be_is_refused() {
        let socket = |value: &str| Socket::to(value.into());
        assert!(socket("/run/systemd/notify").is_ok() && socket("@name").is_ok());
        for (value, says) in [
            ("vsock:2:1234", "NOTIFY_SOCKET=\"vsock:2:1234\" cannot be used: a vsock is for a virtual"),
            ("vsock-stream:2:1234", "a vsock is for"),
            ("run/notify", "neither a path from the root"),
            ("@", "neither a path"),
            (&format!("/{}", "x".repeat(200)), "the path is too long"),
            (&format!("@{}", "x".repeat(200)), "the name is too long"),
        ] {
            let error = socket(value).unwrap_err().to_string();
            assert!(error.contains(says) && error.ends_with("or has to be unset"), "{error:?}");
        }
    }
}
