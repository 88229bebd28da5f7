use super::{Channel, Got, Sent};
use crate::tls::{Role, Tls};
use rustls::ClientConnection;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the kernel has, and takes.
#[derive(Default)]
struct Wire {
    bytes: VecDeque<u8>,
    takes: usize,
    ended: bool,
}

impl Read for &mut Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() && !self.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.bytes.read(buffer)
    }
}

impl Write for &mut Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.takes);
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.takes -= taken;
        self.bytes.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A server's channel, and a client of rustls' own.
struct Pair {
    channel: Channel,
    client: ClientConnection,
    /// From the client, and to it.
    up: Wire,
    down: Wire,
    scratch: Vec<u8>,
}

const SCRATCH: usize = 64 * 1024;

impl Pair {
    fn fresh() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let tls =
            Tls::new().certificate(made.cert.pem(), made.signing_key.serialize_pem()).ca(made.cert.pem());
        let channel = Channel::new(*tls.opening(Role::Server, false).unwrap()).unwrap();
        let config = Arc::clone(&tls.client(false).unwrap());
        let mut client = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
        client.set_buffer_limit(None);
        let wire = || Wire { takes: usize::MAX, ..Wire::default() };
        Self { channel, client, up: wire(), down: wire(), scratch: vec![0; SCRATCH] }
    }

    /// Behind the handshake.
    fn secured() -> Self {
        let mut pair = Self::fresh();
        while pair.channel.is_handshaking() || pair.client.is_handshaking() || pair.client.wants_write() {
            pair.client_writes();
            _ = pair.read();
            pair.channel.flush(&mut pair.down).unwrap();
            pair.client_reads();
        }
        assert!(pair.channel.becomes_secured().is_some() && pair.channel.becomes_secured().is_none());
        pair
    }

    fn client_writes(&mut self) {
        while self.client.wants_write() {
            self.client.write_tls(&mut &mut self.up).unwrap();
        }
    }

    fn client_reads(&mut self) -> Vec<u8> {
        let mut plain = Vec::new();
        while !self.down.bytes.is_empty() {
            self.client.read_tls(&mut self.down.bytes).unwrap();
            self.client.process_new_packets().unwrap();
            _ = self.client.reader().read_to_end(&mut plain);
        }
        plain
    }

    fn read(&mut self) -> io::Result<Got> {
        self.channel.read(&mut self.up, &mut self.scratch, Instant::now())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<Sent> {
        self.channel.write(&mut self.down, bytes)
    }

    /// Reads all that there is, and how it ended.
    fn drained(&mut self) -> (Vec<u8>, io::Result<Got>) {
        let mut all = Vec::new();
        loop {
            match self.read() {
                Ok(Got::Bytes { length, .. }) => all.extend_from_slice(&self.scratch[..length]),
                Ok(Got::Nothing { .. }) => {}
                end => return (all, end),
            }
        }
    }
}

fn is_blocked<T: std::fmt::Debug>(result: &io::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

#[test]
fn bytes_are_sent_when_the_last_of_their_ciphertext_is() {
    let mut pair = Pair::secured();
    let bytes: Vec<u8> = (0..100_000_u32).map(|at| at as u8).collect();
    pair.down.takes = 0;
    assert!(is_blocked(&pair.write(&bytes)));
    assert!(pair.channel.owes() && pair.channel.wants_flush());
    assert!(is_blocked(&pair.write(&bytes)), "nothing has moved");
    pair.down.takes = 1000;
    assert_eq!(
        pair.write(&bytes).unwrap(),
        Sent { bytes: 0, blocked: true },
        "it moves, and nothing is sent"
    );
    let mut gone = 0;
    let mut back = Vec::new();
    while gone < bytes.len() {
        pair.down.takes = 7000;
        let sent = pair.write(&bytes[gone..]).unwrap();
        gone += sent.bytes;
        back.extend(pair.client_reads());
        // What counts as sent has arrived.
        assert!(back.len() >= gone, "{} of {gone}", back.len());
    }
    assert_eq!(back, bytes);
    assert!(!pair.channel.owes() && !pair.channel.wants_flush());
}

#[test]
fn a_write_has_its_share_and_no_more() {
    let mut pair = Pair::secured();
    let bytes = vec![b'x'; 5_000_000];
    let sent = pair.write(&bytes).unwrap();
    assert!(!sent.blocked && (1_048_576..1_200_000).contains(&sent.bytes), "{sent:?}");
}

#[test]
fn whatever_comes_at_once_is_read_whole() {
    let mut pair = Pair::secured();
    for record in [1, 100, 16_384] {
        let bytes: Vec<u8> =
            (0..1_000_000 / (1 + 16_384 / record) + record).map(|at| (at % 251) as u8).collect();
        for piece in bytes.chunks(record) {
            pair.client.writer().write_all(piece).unwrap();
        }
        pair.client_writes();
        let (all, end) = pair.drained();
        assert!(is_blocked(&end) && all == bytes, "{record}: {} of {}", all.len(), bytes.len());
    }
}

#[test]
fn an_end_comes_behind_what_was_said_before_it() {
    let mut pair = Pair::secured();
    pair.client.writer().write_all(b"goodbye").unwrap();
    pair.client.send_close_notify();
    pair.client_writes();
    assert!(matches!(pair.read(), Ok(Got::Bytes { length: 7, more: true })));
    assert!(matches!(pair.read(), Ok(Got::End)));
    // Ours may still say something.
    assert_eq!(pair.write(b"so long").unwrap(), Sent { bytes: 7, blocked: false });
    assert_eq!(pair.client_reads(), b"so long");

    let mut pair = Pair::secured();
    pair.client.writer().write_all(b"good").unwrap();
    pair.client_writes();
    pair.up.ended = true;
    let (all, end) = pair.drained();
    assert_eq!((all.as_slice(), matches!(end, Ok(Got::Torn))), (&b"good"[..], true));
    assert!(matches!(pair.read(), Ok(Got::Torn)), "it stays so");
}

#[test]
fn what_is_no_tls_fails_behind_what_was() {
    let mut pair = Pair::secured();
    pair.client.writer().write_all(b"good").unwrap();
    pair.client_writes();
    pair.up.bytes.extend(b"GET / HTTP/1.1\r\n\r\n");
    let (all, end) = pair.drained();
    assert_eq!((all.as_slice(), matches!(end, Ok(Got::Failed(_)))), (&b"good"[..], true));
    assert!(pair.channel.wants_flush(), "an alert says why");
    // Nothing more is heard of it, and not for ever.
    assert!(is_blocked(&pair.read()));
    for _ in 0..3 {
        pair.up.bytes.extend([b'x'; 20_000]);
        assert!(matches!(pair.read(), Ok(Got::Nothing { more: false })));
    }
    pair.up.bytes.extend([b'x'; 20_000]);
    assert!(matches!(pair.read(), Ok(Got::End)));
}

#[test]
fn our_end_is_announced_once_and_then_the_kernels_turn() {
    let mut pair = Pair::secured();
    assert!(!pair.channel.takes_end());
    pair.down.takes = 0;
    pair.channel.end();
    assert!(is_blocked(&pair.channel.flush(&mut pair.down)));
    assert!(!pair.channel.takes_end() && pair.channel.wants_flush(), "not before it has gone");
    pair.down.takes = usize::MAX;
    pair.channel.flush(&mut pair.down).unwrap();
    assert!(pair.channel.takes_end() && !pair.channel.takes_end() && !pair.channel.wants_flush());
    pair.channel.end();
    assert!(!pair.channel.wants_flush(), "it was said");
    let mut rest = [0; 8];
    pair.client_reads();
    assert_eq!(pair.client.reader().read(&mut rest).unwrap(), 0, "close_notify");
}

#[test]
fn behind_our_end_nothing_can_be_wrong_any_more() {
    let mut pair = Pair::secured();
    pair.channel.end();
    pair.up.bytes.extend(b"GET / HTTP/1.1\r\n\r\n");
    assert!(matches!(pair.read(), Ok(Got::Bytes { length: 18, more: false })));
    pair.up.ended = true;
    assert!(matches!(pair.read(), Ok(Got::End)));

    // The end of whoever leaves within the handshake is a mistake there.
    let mut pair = Pair::fresh();
    pair.client_writes();
    _ = pair.read();
    pair.channel.end();
    pair.client.send_close_notify();
    pair.client_writes();
    assert!(matches!(pair.read(), Ok(Got::Bytes { .. })) && pair.channel.is_handshaking());
}

#[test]
fn what_was_there_before_is_the_beginning_of_the_handshake() {
    let mut pair = Pair::fresh();
    pair.client_writes();
    let early: Vec<u8> = pair.up.bytes.drain(..).collect();
    let (first, rest) = early.split_at(early.len() / 2);
    pair.channel.early.extend_from_slice(first);
    pair.up.bytes.extend(rest);
    // Whether the kernel has more, it was not asked: it may have told already.
    assert!(matches!(pair.read(), Ok(Got::Nothing { more: true })));
    assert!(pair.channel.is_within_record(Instant::now(), Duration::from_secs(60)));
    assert!(
        !pair.channel.is_within_record(Instant::now() + Duration::from_secs(61), Duration::from_secs(60))
    );
    assert!(matches!(pair.read(), Ok(Got::Nothing { more: false })));
    assert!(!pair.channel.is_within_record(Instant::now(), Duration::from_secs(60)));
    assert!(pair.channel.wants_flush() && pair.channel.has_heard());
    // More of it than one read takes.
    let mut pair = Pair::fresh();
    pair.channel.early.extend_from_slice(&[22; 100_000]);
    assert!(matches!(pair.read(), Ok(Got::Failed(_))));
}
