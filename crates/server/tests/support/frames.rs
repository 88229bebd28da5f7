//! A peer of HTTP/2 that writes and sees every frame (RFC 9113 §4.1).

use super::soon;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// On SETTINGS and PING.
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// `GET / HTTP/2`, to `test` (RFC 7541 appendix A).
pub(crate) const GET: &[u8] = b"\x82\x84\x86\x41\x04test";
/// `POST / HTTP/2`, to `test`.
pub(crate) const POST: &[u8] = b"\x83\x84\x86\x41\x04test";

/// The first stream number that GOAWAY may have, and says nothing.
pub(crate) const ANY_STREAM: u32 = u32::MAX >> 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A request without a body.
pub(crate) fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, GET)
}

/// The head of a request whose body is to come.
pub(crate) fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, POST)
}

impl Frame {
    /// The words of four bytes in the payload.
    pub(crate) fn word(&self, place: usize) -> u32 {
        u32::from_be_bytes(self.payload[place * 4..place * 4 + 4].try_into().unwrap())
    }
}

/// A client on a raw socket, which answers nothing by itself.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Raw {
    /// Connects, and says what a client says first.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let mut raw = Self::over(address).await;
        raw.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await;
        raw
    }

    /// Connects, and says nothing.
    pub(crate) async fn over(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next frame; `None` at the end of the connection, however it comes.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        soon(async {
            loop {
                if let Some((length, rest)) = self.read.split_first_chunk::<3>() {
                    let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
                    if rest.len() >= 6 + length {
                        let stream = u32::from_be_bytes(rest[2..6].try_into().unwrap());
                        let frame = Frame {
                            kind: rest[0],
                            flags: rest[1],
                            stream,
                            payload: rest[6..6 + length].to_owned(),
                        };
                        self.read.drain(..9 + length);
                        return Some(frame);
                    }
                }
                match self.stream.read_buf(&mut self.read).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        })
        .await
    }

    /// The next frame of one of these kinds.
    pub(crate) async fn next_of(&mut self, kinds: &[u8]) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if kinds.contains(&frame.kind) {
                return Some(frame);
            }
        }
    }

    /// Answers a PING.
    pub(crate) async fn pong(&mut self, ping: &Frame) {
        assert_eq!((ping.kind, ping.flags), (PING, 0), "{ping:?}");
        self.send(&frame(PING, ACK, 0, &ping.payload)).await;
    }

    /// The first GOAWAY of the two, and the PING behind it.
    pub(crate) async fn told_to_leave(&mut self) -> Frame {
        let first = self.next_of(&[GOAWAY]).await.expect("a GOAWAY");
        assert_eq!((first.word(0), first.word(1)), (ANY_STREAM, 0), "{first:?}");
        self.next_of(&[PING]).await.expect("a PING")
    }

    /// All that is left to read.
    pub(crate) async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }
}
