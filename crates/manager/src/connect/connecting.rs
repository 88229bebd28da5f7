//! A connection on its way.

use super::attempts::{Attempts, Came};
use crate::entry::{Secured, Socket};
use crate::wire::Stream;
use mio::net::{UdpSocket, UnixStream};
use mio::{Registry, Token};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a Unix socket whose queue is full is tried again: connect(2) says no more than EAGAIN of it.
const AGAIN: Duration = Duration::from_millis(10);

pub(crate) struct Connecting {
    /// As the program wrote it, but for its password.
    url: String,
    udp: bool,
    secured: Secured,
    road: Road,
    limit: Duration,
    until: Option<Instant>,
}

enum Road {
    /// The name's addresses are awaited.
    Name,
    Tcp(Attempts),
    Unix {
        path: PathBuf,
        again: Option<Instant>,
    },
    Ready(Socket, SocketAddr),
    Failed(String),
}

/// How far it is.
pub(crate) enum Progress {
    /// It is connected. The socket is not registered.
    Connected { socket: Socket, remote: Option<SocketAddr> },
    /// It failed; what to say of it.
    Failed(String),
    /// It goes on when something happens, or then.
    Waits(Option<Instant>),
}

impl Connecting {
    pub(crate) fn new(url: &str, now: Instant, limit: Duration, secured: Secured) -> Self {
        let until = now.checked_add(limit);
        Self { url: url.to_owned(), udp: false, secured, road: Road::Name, limit, until }
    }

    /// Whether TLS is to be spoken, and how.
    pub(crate) fn secured(self) -> Secured {
        self.secured
    }

    pub(super) fn is_udp(&mut self) {
        self.udp = true;
    }

    pub(super) fn unix(&mut self, path: PathBuf) {
        self.road = Road::Unix { path, again: None };
    }

    /// A socket for datagrams is connected at once.
    pub(super) fn datagram(&mut self, address: SocketAddr) -> Option<Arc<UdpSocket>> {
        self.udp = true;
        self.resolved(Ok(vec![address]));
        match &self.road {
            Road::Ready(Socket::Datagram(socket), _) => Some(Arc::clone(socket)),
            _ => None,
        }
    }

    /// The name has these addresses.
    pub(crate) fn resolved(&mut self, answer: io::Result<Vec<SocketAddr>>) {
        self.road = match answer {
            Err(error) => Road::Failed(error.to_string()),
            Ok(addresses) if !self.udp => Road::Tcp(Attempts::new(addresses)),
            Ok(addresses) => datagram(&addresses),
        };
    }

    pub(crate) fn step(&mut self, now: Instant, registry: &Registry, token: Token) -> Progress {
        let progress = match &mut self.road {
            Road::Name => Progress::Waits(None),
            Road::Failed(why) => Progress::Failed(std::mem::take(why)),
            Road::Tcp(attempts) => match attempts.step(now, registry, token) {
                Came::Connected(stream, remote) => Progress::Connected {
                    socket: Socket::Stream(Stream::Tcp(stream).into()),
                    remote: Some(remote),
                },
                Came::Failed(why) => Progress::Failed(why),
                Came::Waits(at) => Progress::Waits(at),
            },
            Road::Unix { again: Some(at), .. } if *at > now => Progress::Waits(Some(*at)),
            Road::Unix { path, again } => match UnixStream::connect(&*path) {
                Ok(stream) => {
                    Progress::Connected { socket: Socket::Stream(Stream::Unix(stream).into()), remote: None }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    *again = now.checked_add(AGAIN);
                    Progress::Waits(*again)
                }
                Err(error) => Progress::Failed(error.to_string()),
            },
            Road::Ready(socket, remote) => Progress::Connected {
                socket: std::mem::replace(socket, Socket::Between),
                remote: Some(*remote),
            },
        };
        match progress {
            Progress::Waits(_) if self.until.is_some_and(|until| until <= now) => {
                Progress::Failed(self.too_long())
            }
            Progress::Waits(at) => Progress::Waits([at, self.until].into_iter().flatten().min()),
            Progress::Failed(why) => Progress::Failed(self.failure(&why)),
            connected @ Progress::Connected { .. } => connected,
        }
    }

    /// What to tell the program of such a failure.
    pub(crate) fn failure(&self, why: &str) -> String {
        format!("Failed to connect to `{}`: {why}", self.url)
    }

    fn too_long(&self) -> String {
        let limit = self.limit;
        self.failure(&match &self.road {
            Road::Name => format!("the name was not resolved within {limit:?}"),
            Road::Tcp(attempts) => attempts.silent(limit),
            Road::Unix { .. } => format!("its queue was full for {limit:?}"),
            Road::Ready(..) | Road::Failed(_) => format!("not done within {limit:?}"),
        })
    }
}

/// The first address that can be had.
fn datagram(addresses: &[SocketAddr]) -> Road {
    let mut failures = Vec::new();
    for address in addresses {
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        match UdpSocket::bind(any).and_then(|socket| socket.connect(*address).map(|()| socket)) {
            Ok(socket) => return Road::Ready(Socket::Datagram(Arc::new(socket)), *address),
            Err(error) => failures.push(format!("{address}: {error}")),
        }
    }
    Road::Failed(failures.join("; "))
}
