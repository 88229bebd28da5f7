//! Making a listening socket.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::{
    address::Address,
    bind_error::BindError,
    inherited,
    listener::{Listener, Origin},
};

/// How to bind, where the defaults of [`Listener::bind`] will not do.
///
/// `SO_REUSEADDR` is always set for TCP: without it a restart fails while connections of the last run are in
/// `TIME_WAIT`.
///
/// ```
/// use exeunt_listener::Binder;
/// let listener = Binder::new().backlog(128).bind(&"127.0.0.1:0".parse()?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Binder {
    backlog: u32,
    reuse_port: bool,
}

impl Binder {
    /// A backlog of 4096, and the port for ourselves.
    #[must_use]
    pub fn new() -> Self {
        Self { backlog: 4096, reuse_port: false }
    }

    /// How many clients may wait to be accepted. The system lowers it to its own limit (`net.core.somaxconn`, 4096 on
    /// Linux since 5.4); beyond it, a client's handshake goes unanswered and is repeated after a second.
    #[must_use]
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections.max(1);
        self
    }

    /// Whether to share the port with other sockets (`SO_REUSEPORT`), each with a queue of its own. No effect on Unix
    /// sockets.
    ///
    /// Closing such a socket may lose clients whose handshake is under way: the kernel has given them to this socket,
    /// and would go on to give it new ones if these were turned away. `net.ipv4.tcp_migrate_req=1` (Linux 5.14) moves
    /// them to another socket of the group.
    #[must_use]
    pub fn reuse_port(mut self, yes: bool) -> Self {
        self.reuse_port = yes;
        self
    }

    /// Binds and listens. A name is resolved first, which blocks. A socket that was passed on to us is bound already, and
    /// is [adopted](Listener::adopt) as it is.
    ///
    /// # Errors
    ///
    /// The address cannot be had; see [`BindError`].
    pub fn bind(&self, address: &Address) -> Result<Listener, BindError> {
        if let Address::Unix(path) = address {
            return self.bind_path(path).map_err(|error| BindError::new(address, error));
        }
        if let Address::Inherited(name) = address {
            let listener = inherited::take(name).and_then(Listener::adopt);
            return listener.map_err(|error| BindError::new(address, error));
        }
        let candidates = address.candidates().map_err(|error| BindError::unresolved(address, error))?;
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for candidate in candidates {
            match self.bind_socket_addr(candidate) {
                Ok(listener) => return Ok(listener),
                Err(error) => failure = error,
            }
        }
        Err(BindError::new(address, failure))
    }

    fn bind_socket_addr(&self, address: SocketAddr) -> io::Result<Listener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if self.reuse_port {
            socket.set_reuse_port(true)?;
        }
        // Whether `[::]` includes IPv4 must not depend on net.ipv6.bindv6only.
        if address.is_ipv6() && address.ip().is_unspecified() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&address.into())?;
        self.listen(socket, None)
    }

    fn bind_path(&self, path: &Path) -> io::Result<Listener> {
        let address = SockAddr::unix(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        if let Err(error) = socket.bind(&address) {
            if error.kind() != io::ErrorKind::AddrInUse {
                return Err(error);
            }
            remove_stale(path, &address)?;
            socket.bind(&address)?;
        }
        let file = SocketFile::look(path)?;
        self.listen(socket, Some(file))
    }

    fn listen(&self, socket: Socket, file: Option<SocketFile>) -> io::Result<Listener> {
        socket.listen(i32::try_from(self.backlog).unwrap_or(i32::MAX))?;
        Listener::new(socket, Origin::Made { backlog: self.backlog, file })
    }
}

impl Default for Binder {
    fn default() -> Self {
        Self::new()
    }
}

/// The file that stands for a Unix socket.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn look(path: &Path) -> io::Result<Self> {
        let seen = fs::symlink_metadata(path)?;
        // The process may have changed its folder by the time of the unlink.
        Ok(Self { path: std::path::absolute(path)?, device: seen.dev(), inode: seen.ino() })
    }

    /// Removes the file unless somebody has put another in its place, and tells whether it did.
    pub(crate) fn remove(&self) -> bool {
        let ours =
            Self::look(&self.path).is_ok_and(|now| (now.device, now.inode) == (self.device, self.inode));
        ours && fs::remove_file(&self.path).is_ok()
    }
}

/// Removes a socket file that nobody serves; `AddrInUse` if somebody does.
///
/// Connecting tells, and with a socket of another type it does so without a client turning up in the server's queue:
/// `EPROTOTYPE` if the file has a socket behind it, listening already or not yet, `ECONNREFUSED` if it has none
/// (unix(7)).
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path exists and is not a socket"));
    }
    match Socket::new(Domain::UNIX, Type::DGRAM, None)?.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}
