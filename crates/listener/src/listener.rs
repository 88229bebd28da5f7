//! The listening socket.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use socket2::{Domain, Socket};

use crate::{
    accept::{Accept, Backoff, accept},
    address::Address,
    bind::{Binder, SocketFile},
    bind_error::BindError,
    close::{Closing, options::CloseOptions},
    lifeline::Lifeline,
    system,
};

/// A listening socket, TCP or Unix: non-blocking and close-on-exec.
///
/// [`close`](Self::close) is the end that loses nobody. Dropping it closes the descriptor at once, which resets
/// whoever waits in its queue, and leaves a Unix socket's file behind.
///
/// Not `Clone`: two owners could not both decide when it closes. To pass it on there is [`share`](Self::share).
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: Socket,
    pub(crate) address: Address,
    pub(crate) backlog: u32,
    pub(crate) file: Option<SocketFile>,
    /// None if it came from somebody else, who may still have it.
    pub(crate) lifeline: Option<Lifeline>,
    pub(crate) passed_on: AtomicBool,
    backoff: Backoff,
}

/// Where a listening socket comes from.
pub(crate) enum Origin {
    Made { backlog: u32, file: Option<SocketFile> },
    Sole,
    Unknown,
}

impl Listener {
    /// Binds `address` and listens, with the defaults of [`Binder`]: a backlog of 4096, the port for ourselves alone.
    /// A Unix socket's file that nobody serves any more is replaced; one that is served is an error.
    ///
    /// # Errors
    ///
    /// The address cannot be had; see [`BindError`].
    pub fn bind(address: &Address) -> Result<Self, BindError> {
        Binder::new().bind(address)
    }

    /// Takes over a listening socket of unknown origin: inherited, received, passed by a service manager.
    ///
    /// Others may hold it too, so closing it will only close our descriptor (rule D3). What a previous owner did to turn
    /// clients away is taken back (rule D10). Non-blocking mode belongs to the socket, not to the descriptor: the other
    /// owners will find it switched on.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the descriptor is no listening stream socket; whatever the system says otherwise.
    pub fn adopt(socket: impl Into<OwnedFd>) -> io::Result<Self> {
        Self::new(Socket::from(socket.into()), Origin::Unknown)
    }

    /// As [`adopt`](Self::adopt), for a socket that the caller vouches nobody else holds, such as one that this process
    /// has just bound: it will be closed with all the care of one of our own. If others do hold it, they will get no
    /// clients any more once it is closed here.
    ///
    /// # Errors
    ///
    /// As for [`adopt`](Self::adopt).
    pub fn adopt_sole(socket: impl Into<OwnedFd>) -> io::Result<Self> {
        Self::new(Socket::from(socket.into()), Origin::Sole)
    }

    /// The next client, if one waits. Connections that broke while they waited are stepped over.
    #[must_use]
    pub fn accept(&self) -> Accept {
        accept(|| system::accept(&self.socket), &self.backoff)
    }

    /// A descriptor of the same socket to pass on, close-on-exec like ours. From here on the socket counts as shared:
    /// closing it will close our descriptor and nothing else.
    ///
    /// This is the only way to pass it on. A copy made through `as_fd` is found at the close if it is in this process or
    /// in one that descends from it, but not if it was sent elsewhere.
    ///
    /// # Errors
    ///
    /// No descriptor is left.
    pub fn share(&self) -> io::Result<OwnedFd> {
        // Before the copy exists, so that no close can come between.
        self.passed_on.store(true, Ordering::SeqCst);
        self.socket.try_clone().map(OwnedFd::from)
    }

    /// Where it listens, with the port that the kernel chose.
    #[must_use]
    pub fn local_address(&self) -> &Address {
        &self.address
    }

    /// Begins the close; nothing happens before the first [`Closing::step`].
    #[must_use = "the socket closes as the stepper is stepped"]
    pub fn close(self, options: CloseOptions) -> Closing {
        Closing::new(self, options)
    }

    pub(crate) fn new(socket: Socket, origin: Origin) -> io::Result<Self> {
        if !matches!(origin, Origin::Made { .. }) {
            refuse_unless_listening(&socket)?;
            socket.set_cloexec(true)?;
            system::let_in(&socket)?;
        }
        socket.set_nonblocking(true)?;
        let address = local_address(&socket)?;
        let lifeline = match origin {
            Origin::Unknown => None,
            Origin::Made { .. } | Origin::Sole => Some(Lifeline::new()?),
        };
        let (backlog, file) = match origin {
            Origin::Made { backlog, file } => (backlog, file),
            Origin::Sole | Origin::Unknown => (4096, None),
        };
        Ok(Self {
            socket,
            address,
            backlog,
            file,
            lifeline,
            passed_on: AtomicBool::new(false),
            backoff: Backoff::default(),
        })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn refuse_unless_listening(socket: &Socket) -> io::Result<()> {
    let refuse = |what: &str| {
        let number = socket.as_raw_fd();
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("descriptor {number} is {what}")))
    };
    match socket.is_listener() {
        Ok(true) => {}
        Ok(false) => return refuse("a socket that does not listen; call listen(2) before passing it on"),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOTSOCK.raw_os_error()) => {
            return refuse("not a socket");
        }
        Err(error) => return Err(error),
    }
    let domain = socket.domain()?;
    if [Domain::IPV4, Domain::IPV6, Domain::UNIX].contains(&domain) {
        Ok(())
    } else {
        refuse("a listening socket of neither the TCP nor the Unix family")
    }
}

fn local_address(socket: &Socket) -> io::Result<Address> {
    let address = socket.local_addr()?;
    Ok(match address.as_socket() {
        Some(address) => Address::Socket(address),
        None => Address::Unix(address.as_pathname().map(PathBuf::from).unwrap_or_default()),
    })
}
