//! The manager's descriptor store: what is kept there comes back at the next start (`sd_pid_notify_with_fds(3)`).

use std::io;
use std::os::fd::BorrowedFd;

/// Has the service manager keep `sockets` under `name` when this process ends, and give them back to the next one
/// among its inherited descriptors (`systemd:NAME` of `exeunt-listener`). Clients that connect in between wait in the
/// listening socket's queue. False if no manager started us.
///
/// The unit needs `FileDescriptorStoreMax=`, and `FileDescriptorStorePreserve=yes` if the store is to outlast a stop
/// and not a restart alone (systemd.service(5)). What is sent beyond the maximum is closed by the manager in silence.
/// The manager does not watch them (`FDPOLL=0`): a socket with an error may be what the next start wants to know of.
///
/// A listener is passed on by its own `share`, so that it is not closed like one that nobody else has:
///
/// ```
/// # use std::net::TcpListener;
/// # use std::os::fd::AsFd as _;
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let kept = exeunt_lifecycle::service::store("http", &[listener.as_fd()])?;
/// # assert!(!kept || std::env::var_os("NOTIFY_SOCKET").is_some());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// `InvalidInput` for a name that the manager would refuse (1 to 255 printable ASCII characters without `:`), for no
/// descriptor and for more than 253; a `NOTIFY_SOCKET` that cannot be used; whatever the system says otherwise,
/// `WouldBlock` if the manager does not keep up.
pub fn store(name: &str, sockets: &[BorrowedFd<'_>]) -> io::Result<bool> {
    if sockets.is_empty() || sockets.len() > 253 {
        let error = format!("{} descriptors cannot be stored at once; store 1 to 253", sockets.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
    }
    send(name, |name| format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0"), sockets)
}

/// Has the service manager close what it keeps under `name`. False if no manager started us.
///
/// # Errors
///
/// As for [`store`].
pub fn forget(name: &str) -> io::Result<bool> {
    send(name, |name| format!("FDSTOREREMOVE=1\nFDNAME={name}"), &[])
}

fn send(name: &str, message: impl Fn(&str) -> String, sockets: &[BorrowedFd<'_>]) -> io::Result<bool> {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b':';
    if name.is_empty() || name.len() > 255 || !name.bytes().all(is_plain) {
        let error = format!(
            "{name:?} cannot name a descriptor; take 1 to 255 printable ASCII characters without `:`"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
    }
    let Some(socket) = super::socket::Socket::of_manager().map_err(io::Error::other)? else {
        return Ok(false);
    };
    socket.send(&message(name), sockets)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::{forget, store};

    #[test]
    fn names_that_the_manager_would_refuse_are_refused_here() {
        for name in ["", "a:b", "a\nREADY=1", "ä", &"x".repeat(256)] {
            let error = forget(name).unwrap_err();
            assert!(error.to_string().contains("cannot name a descriptor"), "{name:?}: {error}");
        }
        assert!(store("http", &[]).unwrap_err().to_string().contains("0 descriptors cannot be stored"));
    }
}
