//! A client that is written by hand, frame by frame, so that it can do everything wrong.

use crate::support::asking;
use std::io::Read;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

pub(crate) const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A client whose upgrade was answered; with the answer.
pub(crate) fn opened(address: SocketAddr) -> (TcpStream, String) {
    let mut client = asking(address, UPGRADE);
    let answer = read_head(&mut client);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    (client, answer)
}

/// Reads an answer's head, and nothing behind it.
pub(crate) fn read_head(client: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// A frame of a client's.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length @ 126..65536 => {
            bytes.push(0xfe);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0xff);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.into_iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

pub(crate) fn close_frame(code: u16) -> Vec<u8> {
    frame(0x88, &code.to_be_bytes())
}

/// The next frame of a server's: its first byte, and its payload. None where the connection ends.
pub(crate) fn read_frame(client: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    if client.read(&mut head[..1]).unwrap() == 0 {
        return None;
    }
    client.read_exact(&mut head[1..]).unwrap();
    let length = match head[1] {
        126 => {
            let mut length = [0; 2];
            client.read_exact(&mut length).unwrap();
            u64::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            client.read_exact(&mut length).unwrap();
            u64::from_be_bytes(length)
        }
        length => u64::from(length),
    };
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    client.read_exact(&mut payload).unwrap();
    Some((head[0], payload))
}

/// Reads the server's Close, whose code that is, then answers it, and reads the end.
pub(crate) fn parts(client: &mut TcpStream, code: u16) {
    assert_eq!(read_frame(client), Some((0x88, code.to_be_bytes().to_vec())));
    client.write_all(&close_frame(code)).unwrap();
    assert_eq!(read_frame(client), None);
}
