//! A WebSocket client that costs as little as it can: the same frame each time, masked once.

use crate::closed_loop::{Asks, Circle, connect_from, watched};
use anyhow::{Result, ensure};
use mio::net::TcpStream;
use mio::{Registry, Token};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;

/// What is sent, and comes back.
pub(super) const TEXT: &[u8; 32] = b"thirty-two bytes of plain text..";

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// RFC 6455 §1.3 has the answer to that key.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A final text frame (RFC 6455 §5.2).
const FINAL_TEXT: u8 = 0x81;

const MASKED: u8 = 0x80;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Connections to one server.
pub(super) struct Load(Circle<Talker>);

struct Talker {
    stream: TcpStream,
    sends: Vec<u8>,
    expects: Vec<u8>,
    /// Bytes of the answer that have come.
    got: usize,
}

impl Load {
    pub(super) fn connect(server: SocketAddr, connections: usize) -> Result<Self> {
        let mut circle = Circle::new()?;
        for _ in 0..connections {
            let mut stream = connect_from(0, server)?;
            stream.write_all(UPGRADE)?;
            let answer = head(&mut stream)?;
            ensure!(answer.starts_with("HTTP/1.1 101") && answer.contains(ACCEPT), "no upgrade: {answer}");
            circle.join(|registry, token| {
                let stream = watched(stream, registry, token)?;
                Ok(Talker { stream, sends: masked(TEXT), expects: plain(TEXT), got: 0 })
            })?;
        }
        Ok(Self(circle))
    }

    /// See [`Circle::turn`].
    pub(super) fn turn(&mut self, messages: u32) -> Result<usize> {
        self.0.turn(messages)
    }
}

impl Asks for Talker {
    fn ask(&mut self, _: &Registry, _: Token) -> Result<()> {
        let sent = self.stream.write(&self.sends)?;
        ensure!(sent == self.sends.len(), "a message did not fit into an empty socket");
        Ok(())
    }

    fn hear(&mut self, buffer: &mut [u8]) -> Result<bool> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => anyhow::bail!("the server closed the connection"),
                Ok(length) => {
                    let expected = &self.expects[self.got..];
                    ensure!(expected.starts_with(&buffer[..length]), "another answer than what was sent");
                    self.got += length;
                    if self.got == self.expects.len() {
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

/// Up to its empty line.
fn head(stream: &mut std::net::TcpStream) -> Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(stream.read(&mut byte)? == 1, "the server closed the connection");
        head.extend_from_slice(&byte);
    }
    Ok(String::from_utf8(head)?)
}

fn plain(text: &[u8; 32]) -> Vec<u8> {
    [&[FINAL_TEXT, text.len() as u8], &text[..]].concat()
}

fn masked(text: &[u8; 32]) -> Vec<u8> {
    let text: Vec<u8> = text.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    [&[FINAL_TEXT, MASKED | text.len() as u8], &MASK[..], &text].concat()
}
