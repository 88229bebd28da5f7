//! Peers in a closed loop: each asks where the whole answer to its last question has come. One thread for all of them,
//! which never sleeps, since a server would pay for waking it, and a slow one more often.

use anyhow::{Context as _, Result, ensure};
use mio::net::TcpStream;
use mio::{Events, Poll, Registry, Token};
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Without any answer. Servers share the machine with others.
const PATIENCE: Duration = Duration::from_secs(30);

/// More than the kernel gives at once where much is to be had.
const BUFFER: usize = 256 * 1024;

/// Who asks.
pub(crate) trait Asks {
    /// Sends the next question. Who has a new socket for it registers that.
    fn ask(&mut self, registry: &Registry, token: Token) -> Result<()>;

    /// Reads what there is. Whether the answer is whole.
    fn hear(&mut self, buffer: &mut [u8]) -> Result<bool>;
}

/// Several that ask the same server.
pub(crate) struct Circle<T> {
    poll: Poll,
    events: Events,
    buffer: Box<[u8]>,
    /// With how many questions each has still to ask.
    all: Vec<(T, usize)>,
}

impl<T: Asks> Circle<T> {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            buffer: vec![0; BUFFER].into(),
            all: Vec::new(),
        })
    }

    /// `one` is made with what it needs to be told of.
    pub(crate) fn join(&mut self, one: impl FnOnce(&Registry, Token) -> Result<T>) -> Result<()> {
        let one = one(self.poll.registry(), Token(self.all.len()))?;
        self.all.push((one, 0));
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Asks that many questions in all, or a few more so that each asks as many, and reads their answers. Says how many
    /// they were.
    pub(crate) fn turn(&mut self, questions: u32) -> Result<usize> {
        let each = (questions as usize).div_ceil(self.all.len());
        for (index, (one, left)) in self.all.iter_mut().enumerate() {
            *left = each - 1;
            one.ask(self.poll.registry(), Token(index))?;
        }
        let all = each * self.all.len();
        let mut done = 0;
        let mut last = Instant::now();
        while done < all {
            self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            if self.events.is_empty() {
                let waited = last.elapsed();
                ensure!(waited < PATIENCE, "no answer for {waited:?}, {done} of {all} questions into a turn");
                continue;
            }
            last = Instant::now();
            for event in &self.events {
                let Some((one, left)) = self.all.get_mut(event.token().0) else { continue };
                if one.hear(&mut self.buffer)? {
                    done += 1;
                    if *left > 0 {
                        *left -= 1;
                        one.ask(self.poll.registry(), event.token())?;
                    }
                }
            }
        }
        Ok(all)
    }
}

/// Connects from 127.0.7.x, where others' ports are not in the way. Each source has 28,000 ports.
pub(crate) fn connect_from(source: usize, server: SocketAddr) -> Result<std::net::TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let host = u8::try_from(source + 1).context("too many connections")?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 7, host), 0)).into())?;
    socket.connect(&server.into()).with_context(|| format!("connecting from 127.0.7.{host}"))?;
    socket.set_tcp_nodelay(true)?;
    // Closed with a reset, so that thousands of ports are free again at once (tcp(7): no TIME_WAIT).
    socket.set_linger(Some(Duration::ZERO))?;
    Ok(socket.into())
}

/// The same, as a circle needs it: it does not block, and whoever has the token is told.
pub(crate) fn watched(stream: std::net::TcpStream, registry: &Registry, token: Token) -> Result<TcpStream> {
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    registry.register(&mut stream, token, mio::Interest::READABLE)?;
    Ok(stream)
}
