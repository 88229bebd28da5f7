//! The addresses of one peer, tried one after the other (RFC 8305).

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long an address has for itself before the next is tried beside it (RFC 8305 §8).
const DELAY: Duration = Duration::from_millis(250);

/// Addresses of one name, at most: more do not make it likelier.
const MOST: usize = 16;

#[derive(Default)]
pub(super) struct Attempts {
    left: VecDeque<SocketAddr>,
    under_way: Vec<(SocketAddr, TcpStream)>,
    /// When the next is tried, though the last has not answered.
    next_at: Option<Instant>,
    failures: Vec<String>,
}

/// What the attempts have come to.
pub(super) enum Came {
    Connected(TcpStream, SocketAddr),
    /// Each failed; how.
    Failed(String),
    Waits(Option<Instant>),
}

impl Attempts {
    pub(super) fn new(addresses: Vec<SocketAddr>) -> Self {
        Self { left: alternating(addresses).take(MOST).collect(), ..Self::default() }
    }

    pub(super) fn step(&mut self, now: Instant, registry: &Registry, token: Token) -> Came {
        for (address, mut stream) in std::mem::take(&mut self.under_way) {
            match outcome(&stream) {
                Some(Ok(())) => {
                    _ = registry.deregister(&mut stream);
                    self.under_way.clear();
                    return Came::Connected(stream, address);
                }
                Some(Err(error)) => self.failed(now, address, &error),
                None => self.under_way.push((address, stream)),
            }
        }
        while self.under_way.is_empty() || self.next_at.is_some_and(|at| at <= now) {
            let Some(address) = self.left.pop_front() else { break };
            match begin(address, registry, token) {
                Ok(stream) => {
                    self.under_way.push((address, stream));
                    self.next_at = now.checked_add(DELAY).filter(|_| !self.left.is_empty());
                }
                Err(error) => self.failed(now, address, &error),
            }
        }
        if self.left.is_empty() {
            self.next_at = None;
        }
        match self.under_way.is_empty() {
            true if self.failures.is_empty() => Came::Failed("it has no address".to_owned()),
            true => Came::Failed(self.failures.join("; ")),
            false => Came::Waits(self.next_at),
        }
    }

    /// What has become of them, where some have not answered for so long.
    pub(super) fn silent(&self, limit: Duration) -> String {
        let silent: Vec<_> = self.under_way.iter().map(|(address, _)| address.to_string()).collect();
        let silent = format!("{} did not answer within {limit:?}", silent.join(", "));
        self.failures.iter().map(String::as_str).chain([&*silent]).collect::<Vec<_>>().join("; ")
    }

    fn failed(&mut self, now: Instant, address: SocketAddr, error: &io::Error) {
        self.failures.push(format!("{address}: {error}"));
        self.next_at = Some(now);
    }
}

fn begin(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
}

/// What has become of it, if anything has.
fn outcome(stream: &TcpStream) -> Option<io::Result<()>> {
    if let Some(error) = stream.take_error().transpose() {
        return Some(Err(error.unwrap_or_else(|error| error)));
    }
    match (stream.peer_addr(), stream.local_addr()) {
        // A port of the ephemeral range where nobody listens may be given to the socket that asks for it.
        (Ok(peer), Ok(local)) if peer == local => Some(Err(io::ErrorKind::ConnectionRefused.into())),
        (Ok(_), _) => Some(Ok(())),
        (Err(error), _) if error.kind() == io::ErrorKind::NotConnected => None,
        (Err(error), _) => Some(Err(error)),
    }
}

/// In the order of the system (RFC 6724), but the families in turn, so that one that does not work costs one delay
/// (RFC 8305 §4).
fn alternating(addresses: Vec<SocketAddr>) -> impl Iterator<Item = SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    std::iter::from_fn(move || {
        let next = first.next().or_else(|| second.next());
        std::mem::swap(&mut first, &mut second);
        next
    })
}

#[cfg(test)]
mod tests {
    use super::{Attempts, Came, DELAY, alternating};
    use mio::{Events, Poll, Token};
    use socket2::{Domain, Socket, Type};
    use std::net::{SocketAddr, TcpListener};
    use std::time::{Duration, Instant};

    /// Somebody who never answers: its queue is full, and SYNs are dropped.
    fn silent() -> (Socket, Vec<Socket>, SocketAddr) {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let queued = (0..4).map(|_| socket()).collect::<Vec<_>>();
        for client in &queued {
            client.set_nonblocking(true).unwrap();
            _ = client.connect(&address);
        }
        (listener, queued, address.as_socket().unwrap())
    }

    fn nobody() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    /// Steps at that time, whenever something happens, until it comes to something.
    fn come(attempts: &mut Attempts, poll: &mut Poll, at: Instant) -> Came {
        let mut events = Events::with_capacity(8);
        for _ in 0..600 {
            match attempts.step(at, poll.registry(), Token(0)) {
                Came::Waits(_) => poll.poll(&mut events, Some(Duration::from_millis(100))).unwrap(),
                came => return came,
            }
        }
        panic!("it came to nothing");
    }

    #[test]
    fn a_silent_address_does_not_hold_up_the_next() {
        let (_listener, _queued, silent) = silent();
        let good = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = good.local_addr().map(|address| (good, address)).unwrap();
        let mut poll = Poll::new().unwrap();
        let mut attempts = Attempts::new(vec![silent, nobody(), good.1]);
        let now = Instant::now();
        // The first has its time for itself.
        for at in [now, now + DELAY - Duration::from_millis(1)] {
            match attempts.step(at, poll.registry(), Token(0)) {
                Came::Waits(again) => assert_eq!(again, Some(now + DELAY)),
                _ => panic!("the first neither answers nor fails"),
            }
            assert_eq!(attempts.silent(DELAY), format!("{silent} did not answer within 250ms"));
        }
        match come(&mut attempts, &mut poll, now + DELAY) {
            Came::Connected(_, address) => assert_eq!(address, good.1),
            _ => panic!("the second fails at once, and the third answers"),
        }
    }

    #[test]
    fn one_that_fails_is_followed_by_the_next_at_once_and_all_are_told() {
        let (first, second) = (nobody(), nobody());
        let mut poll = Poll::new().unwrap();
        let mut attempts = Attempts::new(vec![first, second]);
        let Came::Failed(why) = come(&mut attempts, &mut poll, Instant::now()) else {
            panic!("nobody is there");
        };
        let failures: Vec<_> = why.split("; ").collect();
        assert_eq!(failures.len(), 2, "{why}");
        assert!(failures[0].starts_with(&format!("{first}: ")), "{why}");
        assert!(failures[1].starts_with(&format!("{second}: ")), "{why}");
        let Came::Failed(why) = come(&mut Attempts::new(Vec::new()), &mut poll, Instant::now()) else {
            panic!("there is nobody to try");
        };
        assert!(why.contains("no address"), "{why}");
    }

    #[test]
    fn families_take_turns() {
        let addresses = |text: &str| -> Vec<SocketAddr> {
            text.split_whitespace().map(|address| address.parse().unwrap()).collect()
        };
        for (given, tried) in [
            ("", ""),
            ("1.1.1.1:1", "1.1.1.1:1"),
            ("[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1", "[::1]:1 1.1.1.1:1 [::2]:1 [::3]:1"),
            ("1.1.1.1:1 [::1]:1 1.1.1.2:1 [::2]:1", "1.1.1.1:1 [::1]:1 1.1.1.2:1 [::2]:1"),
            ("1.1.1.1:1 1.1.1.2:1", "1.1.1.1:1 1.1.1.2:1"),
        ] {
            assert_eq!(alternating(addresses(given)).collect::<Vec<_>>(), addresses(tried), "{given}");
        }
    }
}
