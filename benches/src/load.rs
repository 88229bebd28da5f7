//! A client that costs as little as it can, so that the server is what is busy: GET on kept connections.

use crate::client::is_whole;
use crate::closed_loop::{Asks, Circle, connect_from, watched};
use anyhow::{Result, ensure};
use mio::net::TcpStream;
use mio::{Registry, Token};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;

/// Connections from one source address.
const PER_SOURCE: usize = 5_000;

/// Connections that are opened before the first of them is answered.
const TOGETHER: usize = 64;

/// Kept connections to one server: some that are used, and others that were, once.
pub(crate) struct Load {
    circle: Circle<Active>,
    idle: Vec<std::net::TcpStream>,
    /// Every answer has this many bytes: the page is the same, and the date has a fixed width.
    pub(crate) answer: usize,
}

struct Active {
    stream: TcpStream,
    request: &'static [u8],
    answer: usize,
    /// Bytes of the answer that have come.
    got: usize,
}

impl Load {
    /// Opens `open` connections, asks once on each for `/`, and goes on with `active` of them, spread evenly.
    pub(crate) fn connect(server: SocketAddr, open: usize, active: usize) -> Result<Self> {
        Self::asking(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n", server, open, active)
    }

    /// The same with another request.
    pub(crate) fn asking(
        request: &'static [u8],
        server: SocketAddr,
        open: usize,
        active: usize,
    ) -> Result<Self> {
        let mut load = Self { circle: Circle::new()?, idle: Vec::new(), answer: 0 };
        let every = (open / active.max(1)).max(1);
        for first in (0..open).step_by(TOGETHER) {
            let mut streams = Vec::new();
            for index in first..open.min(first + TOGETHER) {
                let mut stream = connect_from(index / PER_SOURCE, server)?;
                stream.write_all(request)?;
                streams.push((index, stream));
            }
            for (index, mut stream) in streams {
                let answer = first_answer(&mut stream)?;
                load.answer = answer;
                if index % every == 0 && load.circle.len() < active {
                    load.circle.join(|registry, token| {
                        let stream = watched(stream, registry, token)?;
                        Ok(Active { stream, request, answer, got: 0 })
                    })?;
                } else {
                    load.idle.push(stream);
                }
            }
        }
        Ok(load)
    }

    /// See [`Circle::turn`].
    pub(crate) fn turn(&mut self, requests: u32) -> Result<usize> {
        self.circle.turn(requests)
    }
}

impl Asks for Active {
    fn ask(&mut self, _: &Registry, _: Token) -> Result<()> {
        let sent = self.stream.write(self.request)?;
        ensure!(sent == self.request.len(), "a request did not fit into an empty socket");
        Ok(())
    }

    fn hear(&mut self, buffer: &mut [u8]) -> Result<bool> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => anyhow::bail!("the server closed the connection"),
                Ok(length) => {
                    ensure!(self.got > 0 || buffer.starts_with(b"HTTP/1.1 200"), "not a 200");
                    self.got += length;
                    ensure!(self.got <= self.answer, "{} bytes, and an answer has {}", self.got, self.answer);
                    if self.got == self.answer {
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

fn first_answer(stream: &mut std::net::TcpStream) -> Result<usize> {
    let mut answer = Vec::new();
    loop {
        let mut buffer = [0; 16 * 1024];
        let length = stream.read(&mut buffer)?;
        ensure!(length > 0, "the server closed the connection");
        answer.extend_from_slice(&buffer[..length]);
        if is_whole(&answer)? {
            return Ok(answer.len());
        }
    }
}
