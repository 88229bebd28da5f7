//! Why an address cannot be listened on, and what to do about it.

use std::{error::Error, fmt, io};

use crate::{address::Address, inherited::inherited, system};

/// An address that cannot be listened on.
///
/// `Display` is one line with the address and the reason; `source()` is the system's error; [`hint`](Self::hint) says
/// what to do.
#[derive(Debug)]
pub struct BindError {
    address: Address,
    kind: Kind,
    source: io::Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Taken,
    Privileged,
    Denied,
    NotLocal,
    Unresolved,
    NotASocket,
    NoFolder,
    NotPassedOn,
    Other,
}

impl BindError {
    pub(crate) fn new(address: &Address, source: io::Error) -> Self {
        let unix = address.as_path().is_some();
        let passed_on = matches!(address, Address::Inherited(_));
        let kind = match source.kind() {
            _ if passed_on => Kind::NotPassedOn,
            io::ErrorKind::AddrInUse => Kind::Taken,
            io::ErrorKind::PermissionDenied if !unix => Kind::Privileged,
            io::ErrorKind::PermissionDenied => Kind::Denied,
            io::ErrorKind::AddrNotAvailable => Kind::NotLocal,
            io::ErrorKind::AlreadyExists => Kind::NotASocket,
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory if unix => Kind::NoFolder,
            _ => Kind::Other,
        };
        Self { address: address.clone(), kind, source }
    }

    pub(crate) fn unresolved(address: &Address, source: io::Error) -> Self {
        Self { address: address.clone(), kind: Kind::Unresolved, source }
    }

    /// The address that was asked for.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Somebody is listening there already.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.kind == Kind::Taken
    }

    /// The port is one of the low ones, and this process may not have those.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        self.kind == Kind::Privileged
    }

    /// The address belongs to no interface of this machine.
    #[must_use]
    pub fn is_not_local(&self) -> bool {
        self.kind == Kind::NotLocal
    }

    /// The name could not be resolved.
    #[must_use]
    pub fn is_unresolved(&self) -> bool {
        self.kind == Kind::Unresolved
    }

    /// What to do, where something can be said. For a port that is taken this looks through `/proc` for the process
    /// that has it, for at most 50 ms.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let port = self.address.port();
        match self.kind {
            Kind::Taken => Some(self.taken_hint()),
            Kind::Privileged => Some(format!(
                "{}; choose a higher one, or grant CAP_NET_BIND_SERVICE",
                match system::first_free_port() {
                    Some(first) =>
                        format!("ports below {first} are reserved (net.ipv4.ip_unprivileged_port_start)"),
                    None => "ports below 1024 are reserved".to_owned(),
                }
            )),
            Kind::NotLocal => Some(match port {
                Some(port) => {
                    format!("no interface of this machine has that address; `:{port}` listens on all it has")
                }
                None => "no interface of this machine has that address".to_owned(),
            }),
            Kind::Unresolved => Some("write an address, such as 127.0.0.1, in place of the name".to_owned()),
            Kind::NotASocket => Some("remove the file or choose another path".to_owned()),
            Kind::NoFolder => Some("create the folder that the socket is to be in".to_owned()),
            Kind::Denied => Some("the socket's folder must be writable for this user".to_owned()),
            Kind::NotPassedOn => Some(self.passed_on_hint()),
            Kind::Other => None,
        }
    }

    fn passed_on_hint(&self) -> String {
        match inherited() {
            Ok(names) if names.is_empty() => {
                "no service manager has passed a socket on to this process that is left; start it by a .socket unit, \
                 or by systemd-socket-activate(1)"
                    .to_owned()
            }
            Ok(names) => format!("what was passed on and is left: {}", names.join(", ")),
            Err(error) => format!("mend what the service manager says: {error}"),
        }
    }

    fn taken_hint(&self) -> String {
        let Some(port) = self.address.port() else {
            return "the socket is served by a living process; stop that or choose another path".to_owned();
        };
        match system::port_owner(port) {
            Some((pid, name)) => {
                format!("port {port} belongs to {name} (process {pid}); stop that or choose another port")
            }
            None => format!(
                "another process has port {port}; choose another one (`ss -ltnp` may tell whose it is)"
            ),
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: ", self.address)?;
        match self.kind {
            Kind::Taken if self.address.as_path().is_some() => f.write_str("the socket is in use"),
            Kind::Taken => f.write_str("the port is taken"),
            Kind::Privileged => f.write_str("this user may not have that port"),
            Kind::Denied => f.write_str("permission denied"),
            Kind::NotLocal => f.write_str("the address is not one of this machine's"),
            Kind::Unresolved => f.write_str("the name has no address"),
            Kind::NotASocket => f.write_str("the path exists and is not a socket"),
            Kind::NoFolder => f.write_str("the folder does not exist"),
            Kind::NotPassedOn => self.source.fmt(f),
            Kind::Other => f.write_str("the system refuses"),
        }
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
