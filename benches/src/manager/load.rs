//! A client that costs as little as it can, so that the server is what is busy: one thread, and a request is sent where
//! the whole answer to the last has come. It never sleeps, since a server would pay for waking it, and a slow one more
//! often.

use crate::client::is_whole;
use anyhow::{Context as _, Result, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n";

/// Connections from one source address (127.0.7.x, where others' ports are not in the way): it has 28,000 ports.
const PER_SOURCE: usize = 5_000;

/// Without any answer. Servers share the machine with others.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connections that are opened before the first of them is answered.
const TOGETHER: usize = 64;

/// Kept connections to one server: some that are used, and others that were, once.
pub(crate) struct Load {
    poll: Poll,
    events: Events,
    active: Vec<Active>,
    idle: Vec<std::net::TcpStream>,
    /// Every answer has this many bytes: the page is the same, and the date has a fixed width.
    pub(crate) answer: usize,
}

struct Active {
    stream: TcpStream,
    /// Bytes of the answer that have come.
    got: usize,
    /// Requests still to be sent.
    left: usize,
}

impl Load {
    /// Opens `open` connections, asks once on each, and goes on with `active` of them, spread evenly.
    pub(crate) fn connect(server: SocketAddr, open: usize, active: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let mut load = Self {
            poll,
            events: Events::with_capacity(1024),
            active: Vec::new(),
            idle: Vec::new(),
            answer: 0,
        };
        let every = (open / active.max(1)).max(1);
        for first in (0..open).step_by(TOGETHER) {
            let mut streams = Vec::new();
            for index in first..open.min(first + TOGETHER) {
                let mut stream = connect_from(index / PER_SOURCE, server)?;
                stream.write_all(REQUEST)?;
                streams.push((index, stream));
            }
            for (index, mut stream) in streams {
                load.answer = first_answer(&mut stream)?;
                if index % every == 0 && load.active.len() < active {
                    stream.set_nonblocking(true)?;
                    let mut stream = TcpStream::from_std(stream);
                    load.poll.registry().register(
                        &mut stream,
                        Token(load.active.len()),
                        Interest::READABLE,
                    )?;
                    load.active.push(Active { stream, got: 0, left: 0 });
                } else {
                    load.idle.push(stream);
                }
            }
        }
        Ok(load)
    }

    /// Sends that many requests in all, or a few more so that each connection has as many, and reads their answers. Says
    /// how many they were.
    pub(crate) fn turn(&mut self, requests: u32) -> Result<usize> {
        let each = (requests as usize).div_ceil(self.active.len());
        for active in &mut self.active {
            active.left = each;
            active.ask()?;
        }
        let all = each * self.active.len();
        let mut done = 0;
        let mut buffer = [0; 4096];
        let mut last = Instant::now();
        while done < all {
            self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            if self.events.is_empty() {
                let waited = last.elapsed();
                ensure!(waited < PATIENCE, "no answer for {waited:?}, {done} of {all} requests into a turn");
                continue;
            }
            last = Instant::now();
            for event in &self.events {
                let Some(active) = self.active.get_mut(event.token().0) else { continue };
                if active.hear(&mut buffer, self.answer)? {
                    done += 1;
                    if active.left > 0 {
                        active.ask()?;
                    }
                }
            }
        }
        Ok(all)
    }
}

impl Active {
    fn ask(&mut self) -> Result<()> {
        self.left -= 1;
        let sent = self.stream.write(REQUEST)?;
        ensure!(sent == REQUEST.len(), "a request did not fit into an empty socket");
        Ok(())
    }

    /// Whether the answer is whole.
    fn hear(&mut self, buffer: &mut [u8], answer: usize) -> Result<bool> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => anyhow::bail!("the server closed the connection"),
                Ok(length) => {
                    ensure!(self.got > 0 || buffer.starts_with(b"HTTP/1.1 200"), "not a 200");
                    self.got += length;
                    ensure!(self.got <= answer, "{} bytes, and an answer has {answer}", self.got);
                    if self.got == answer {
                        self.got = 0;
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn connect_from(source: usize, server: SocketAddr) -> Result<std::net::TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let host = u8::try_from(source + 1).context("too many connections")?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 7, host), 0)).into())?;
    socket.connect(&server.into()).with_context(|| format!("connecting from 127.0.7.{host}"))?;
    socket.set_tcp_nodelay(true)?;
    // Closed with a reset, so that thousands of ports are free again at once (tcp(7): no TIME_WAIT).
    socket.set_linger(Some(Duration::ZERO))?;
    Ok(socket.into())
}

fn first_answer(stream: &mut std::net::TcpStream) -> Result<usize> {
    let mut answer = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer)?;
        ensure!(length > 0, "the server closed the connection");
        answer.extend_from_slice(&buffer[..length]);
        if is_whole(&answer)? {
            return Ok(answer.len());
        }
    }
}
