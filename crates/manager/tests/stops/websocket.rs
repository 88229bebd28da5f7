//! Stops under WebSocket load (rules D6 and M17).

use crate::frames::{self, Frame};
use crate::probe::Probe;
use crate::support::{client, wait_until};
use rustix::net::{RecvFlags, recv};
use rustix::process::Signal;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};

const PEERS: u64 = 64;

/// Messages that each peer has had back before the stop, on average.
const BEFORE: u64 = 20;

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// What one peer saw, in messages.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    echoed: u64,
    /// Unanswered, and the Close was under way when it was sent.
    crossed: u64,
    /// Unanswered: the server had it, or could have, before it said Close.
    behind: u64,
}

/// A peer in a closed loop, with that many messages on their way at most.
struct Peer<'a> {
    /// Of all peers.
    echoes: &'a AtomicU64,
    stream: TcpStream,
    received: Vec<u8>,
    window: u64,
    sent: u64,
    account: Account,
    closed: Option<Option<u16>>,
}

impl<'a> Peer<'a> {
    fn connect(address: SocketAddr, window: u64, echoes: &'a AtomicU64) -> Self {
        let mut stream = client(address);
        stream.set_nodelay(true).unwrap();
        stream.write_all(UPGRADE.as_bytes()).unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "{:?}", head.escape_ascii());
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        let (received, account) = (Vec::new(), Account::default());
        Self { echoes, stream, received, window, sent: 0, account, closed: None }
    }

    /// Sends and hears until the server says Close, answers that, and sees the end; or says what other end came (1006).
    fn talk(mut self) -> io::Result<Account> {
        loop {
            self.look()?;
            while self.closed.is_none() && self.sent - self.account.echoed < self.window {
                self.stream.write_all(&frames::text(&self.sent.to_string()))?;
                self.sent += 1;
                // On the loopback device what was sent has arrived when the call returns. So a Close that is not here now
                // was said when the message was in the server's queue; one that is here may have been said before.
                self.look()?;
                if self.closed.is_some() && self.sent > self.account.echoed {
                    self.account.crossed = 1;
                }
            }
            if let Some(code) = self.closed {
                return self.leave(code);
            }
            self.hear(RecvFlags::empty())?;
        }
    }

    fn look(&mut self) -> io::Result<()> {
        self.hear(RecvFlags::DONTWAIT)
    }

    /// Reads once.
    fn hear(&mut self, flags: RecvFlags) -> io::Result<()> {
        let mut buffer = [0; 4096];
        match recv(&self.stream, &mut buffer, flags).map_err(io::Error::from) {
            Ok((0, _)) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok((length, _)) => self.received.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock && flags == RecvFlags::DONTWAIT => {}
            Err(error) => return Err(error),
        }
        while let Some(frame) = frames::take(&mut self.received) {
            assert_eq!(self.closed, None, "{frame:?} behind the Close");
            match frame {
                // In order, so that whatever was not sent back is behind what was.
                Frame::Text(text) => {
                    assert_eq!(text, self.account.echoed.to_string(), "lost, or out of order");
                    self.account.echoed += 1;
                    self.echoes.fetch_add(1, Ordering::Relaxed);
                }
                Frame::Close(code) => self.closed = Some(code),
                Frame::Other(first) => panic!("a frame that begins with {first:#x}"),
            }
        }
        Ok(())
    }

    fn leave(mut self, code: Option<u16>) -> io::Result<Account> {
        assert_eq!(code, Some(1001));
        self.stream.write_all(&frames::close(1001))?;
        let mut rest = self.received;
        self.stream.read_to_end(&mut rest)?;
        assert_eq!(rest, b"", "behind the Close");
        let Account { echoed, crossed, .. } = self.account;
        Ok(Account { behind: self.sent - echoed - crossed, ..self.account })
    }
}

/// Ends a server under the load of 64 peers, by that signal; with what each of them saw.
fn end_under_load(signal: Signal) -> (Vec<io::Result<Account>>, Probe) {
    let (probe, address) = crate::loaded(&["websocket"]);
    let echoes = AtomicU64::new(0);
    let accounts = std::thread::scope(|scope| {
        let peers: Vec<_> = (0..PEERS).map(|peer| Peer::connect(address, 1 + peer % 4, &echoes)).collect();
        let peers: Vec<_> = peers.into_iter().map(|peer| scope.spawn(|| peer.talk())).collect();
        wait_until("load", || echoes.load(Ordering::Relaxed) >= PEERS * BEFORE);
        probe.send(signal);
        peers.into_iter().map(|peer| peer.join().unwrap()).collect()
    });
    (accounts, probe)
}

#[test]
fn each_peer_is_told_1001_and_no_message_is_lost() {
    for _ in 0..super::rounds() {
        let (accounts, probe) = end_under_load(Signal::TERM);
        let accounts: Vec<Account> =
            accounts.into_iter().map(|account| account.expect("an end by 1001, and no reset")).collect();
        let sum = |what: fn(&Account) -> u64| accounts.iter().map(what).sum::<u64>();
        let (echoed, crossed, behind) = (sum(|it| it.echoed), sum(|it| it.crossed), sum(|it| it.behind));
        eprintln!("{echoed} sent back, {crossed} crossed, {behind} behind the Close");
        // A message can still arrive between the server's last look and its Close: a few, out of hundreds that it had.
        assert!(
            behind <= PEERS / 4,
            "{behind} messages had arrived before the Close, and were not sent back"
        );
        let (status, said) = probe.end();
        assert_eq!(status.code(), Some(0), "{said}");
        // Both count the same: nothing that the server had was swallowed, and what came behind its Close it was told.
        let counts = format!("echoed {echoed}, late {}", crossed + behind);
        assert!(said.contains(&counts), "{counts}: {said}");
        assert!(!said.contains("cut"), "{said}");
    }
}

#[test]
fn a_server_that_is_killed_says_nothing() {
    let (accounts, _) = end_under_load(Signal::KILL);
    assert!(accounts.iter().all(io::Result::is_err), "{accounts:?}");
}
