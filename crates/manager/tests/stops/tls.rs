//! Stops under HTTP load over TLS (rules D3, D4, D7 and M18), in the classes of `docs/drill.md`.

use crate::probe::Probe;
use crate::support::{LIMIT, wait_until};
use rustix::net::{RecvFlags, recv};
use rustix::process::Signal;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const CLIENTS: usize = 64;

/// Answers before the stop, per client on average.
const BEFORE: u64 = 10;

/// A kept connection that was silent for so long may be closed while a request is on its way (`idle_grace`).
const SILENCE: Duration = Duration::from_millis(250);

const NAME: &str = "stops.test";

/// How a request ended, or the connection that was to carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Ok,
    Refused,
    LostAccept,
    LostReuse,
    Crossed,
    Truncated,
    ErrorStatus,
    /// The end of the stream came without a `close_notify`.
    Unannounced,
}

/// What all clients saw.
#[derive(Default)]
struct Book {
    classes: Mutex<BTreeMap<Class, u64>>,
    answers: AtomicU64,
    stopped: AtomicBool,
}

impl Book {
    fn enter(&self, class: Class) {
        *self.classes.lock().unwrap().entry(class).or_default() += 1;
    }
}

/// As long is a request on its way, for some: a kept connection that the server ends meanwhile has lost it.
const FLIGHT: Duration = Duration::from_millis(50);

/// A client, over all of its connections.
struct Client<'a> {
    address: SocketAddr,
    config: Arc<ClientConfig>,
    book: &'a Book,
    keeps: bool,
    flight: Duration,
}

impl Client<'_> {
    /// Asks until the door is closed.
    fn ask_on(&self) {
        while let Some(stream) = self.connect() {
            self.use_up(stream);
        }
    }

    fn connect(&self) -> Option<TcpStream> {
        match TcpStream::connect(self.address) {
            // Nobody listens, and the kernel gave the client the very port that it wants to reach.
            Ok(stream) if stream.local_addr().is_ok_and(|own| own == self.address) => self.refused(),
            Ok(stream) => Some(stream),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => self.refused(),
            Err(error) => {
                self.book.enter(Class::LostAccept);
                eprintln!("a connect failed: {error}");
                None
            }
        }
    }

    fn refused(&self) -> Option<TcpStream> {
        assert!(self.book.stopped.load(Ordering::SeqCst), "refused before the stop");
        self.book.enter(Class::Refused);
        None
    }

    fn use_up(&self, stream: TcpStream) {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from(NAME).unwrap();
        let tls = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        let mut channel = Channel { stream, tls, answered: false, last: Instant::now() };
        loop {
            std::thread::sleep(self.flight);
            let asked = channel.ask();
            self.book.enter(*asked.as_ref().map_or_else(|class| class, |_| &Class::Ok));
            self.book.answers.fetch_add(1, Ordering::Relaxed);
            match asked {
                Ok(Then::Kept) if self.keeps && channel.is_kept() => {}
                Ok(Then::Kept) if self.keeps => break,
                Ok(Then::Kept) => return channel.leave(),
                Ok(Then::Ends) => break,
                Err(_) => return,
            }
        }
        if let Err(error) = channel.end() {
            eprintln!("no close_notify: {error}");
            self.book.enter(Class::Unannounced);
        }
    }
}

struct Channel {
    stream: TcpStream,
    tls: ClientConnection,
    /// Once at least.
    answered: bool,
    /// When the last byte came, or was sent.
    last: Instant,
}

/// How a connection goes on behind an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Kept,
    /// The answer said so.
    Ends,
}

impl Channel {
    /// Asks, and reads the answer; or says what became of the request.
    fn ask(&mut self) -> Result<Then, Class> {
        let silent = self.last.elapsed();
        let sent = self.both().write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        // On the loopback device a close that was under way has arrived by now.
        let crossing = silent >= SILENCE && self.something_came();
        let mut answer = Vec::new();
        let read = sent.and_then(|()| self.read_answer(&mut answer));
        self.last = Instant::now();
        match read {
            Ok(head) if !head.starts_with("HTTP/1.1 200 ") => Err(Class::ErrorStatus),
            Ok(head) => {
                self.answered = true;
                Ok(if head.contains("\r\nConnection: close\r\n") { Then::Ends } else { Then::Kept })
            }
            Err(_) if !answer.is_empty() => Err(Class::Truncated),
            Err(_) if !self.answered => Err(Class::LostAccept),
            Err(_) if crossing => Err(Class::Crossed),
            Err(_) => Err(Class::LostReuse),
        }
    }

    /// The answer's head, once its body is there, too.
    fn read_answer(&mut self, answer: &mut Vec<u8>) -> io::Result<String> {
        let mut buffer = [0; 4096];
        loop {
            let length = self.both().read(&mut buffer)?;
            if length == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            answer.extend_from_slice(&buffer[..length]);
            let text = std::str::from_utf8(answer).unwrap();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let (_, length) = head.split_once("\r\nContent-Length: ").expect("a length");
                let length: usize = length.lines().next().unwrap().parse().unwrap();
                if body.len() == length {
                    return Ok(format!("{head}\r\n"));
                }
            }
        }
    }

    /// Whether the server has not ended it, as far as can be seen before the next request.
    fn is_kept(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        // What comes between answers is about the session (tickets), or its end.
        let read = self.both().read(&mut [0; 1]);
        self.stream.set_nonblocking(false).unwrap();
        matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    fn something_came(&self) -> bool {
        recv(&self.stream, &mut [0; 1], RecvFlags::DONTWAIT | RecvFlags::PEEK).is_ok()
    }

    /// The server ends it: that is said in TLS, before TCP's end.
    fn end(&mut self) -> io::Result<()> {
        match self.both().read(&mut [0; 1])? {
            0 => Ok(()),
            _ => Err(io::Error::other("there is more behind the last answer")),
        }
    }

    /// The client ends it.
    fn leave(mut self) {
        self.tls.send_close_notify();
        // The server may have gone already.
        _ = self.both().flush();
    }

    /// Reading tells a `close_notify` (0) from an end without one (`UnexpectedEof`).
    fn both(&mut self) -> rustls::Stream<'_, ClientConnection, TcpStream> {
        rustls::Stream::new(&mut self.tls, &mut self.stream)
    }
}

/// A certificate, its key, and what trusts them.
struct Identity {
    dir: tempfile::TempDir,
    config: Arc<ClientConfig>,
}

impl Identity {
    fn new() -> Self {
        let signed = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("certificate.pem"), signed.cert.pem()).unwrap();
        std::fs::write(dir.path().join("key.pem"), signed.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(signed.cert)).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { dir, config: Arc::new(config) }
    }
}

/// Ends a server under the load of 64 clients, by that signal; `keeps`: their connections, of which half are far away.
fn end_under_load(keeps: bool, signal: Signal) -> (BTreeMap<Class, u64>, Probe) {
    let identity = Identity::new();
    let (probe, address) = crate::loaded(&["tls", identity.dir.path().to_str().unwrap()]);
    let book = Book::default();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let flight = if keeps && client % 2 == 0 { FLIGHT } else { Duration::ZERO };
            let (config, book) = (Arc::clone(&identity.config), &book);
            let client = Client { address, config, book, keeps, flight };
            scope.spawn(move || client.ask_on());
        }
        wait_until("load", || book.answers.load(Ordering::Relaxed) >= CLIENTS as u64 * BEFORE);
        book.stopped.store(true, Ordering::SeqCst);
        probe.send(signal);
    });
    let classes = book.classes.into_inner().unwrap();
    eprintln!("{} connections, {signal:?}: {classes:?}", if keeps { "kept" } else { "fresh" });
    (classes, probe)
}

fn losses(mut classes: BTreeMap<Class, u64>) -> BTreeMap<Class, u64> {
    classes.retain(|class, _| !matches!(class, Class::Ok | Class::Refused | Class::Crossed));
    classes
}

fn stop_under_load(keeps: bool) {
    for _ in 0..super::rounds() {
        let (classes, probe) = end_under_load(keeps, Signal::TERM);
        let (status, said) = probe.end();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(!said.contains("cut"), "{said}");
        let refused = classes.get(&Class::Refused).copied();
        assert_eq!(refused, Some(CLIENTS as u64), "each client, once, at the closed door");
        assert_eq!(losses(classes), BTreeMap::new());
    }
}

#[test]
fn on_kept_connections_every_request_is_answered_and_every_end_announced() {
    stop_under_load(true);
}

#[test]
fn on_fresh_connections_every_request_is_answered() {
    stop_under_load(false);
}

#[test]
fn a_server_that_is_killed_loses() {
    for keeps in [true, false] {
        let (classes, _) = end_under_load(keeps, Signal::KILL);
        assert_ne!(losses(classes), BTreeMap::new(), "who sees no loss here would see none at all");
    }
}
