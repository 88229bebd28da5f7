//! What the tests share.

use exeunt_manager::{Connection, Event, Handle, Listen, Manager};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Beyond this something hangs, on however busy a machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
pub(crate) const LAST: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// What handlers were told, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn push(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| *line == text).count()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    pub(crate) fn has(&self, text: &str) -> bool {
        self.count(text) > 0
    }
}

/// The event's name, with its text where it has one.
pub(crate) fn name(event: &Event<'_>) -> String {
    match event {
        Event::Open => "open".to_owned(),
        Event::Resolve => "resolve".to_owned(),
        Event::Connect => "connect".to_owned(),
        Event::Accept => "accept".to_owned(),
        Event::Poll => "poll".to_owned(),
        Event::Read(_) => "read".to_owned(),
        Event::Write(_) => "write".to_owned(),
        Event::HttpHeaders(_) => "headers".to_owned(),
        Event::HttpBody(_) => "body".to_owned(),
        Event::HttpMessage(_) => "message".to_owned(),
        Event::HttpResponseHeaders(_) => "response headers".to_owned(),
        Event::HttpResponse(_) => "response".to_owned(),
        Event::Wakeup(payload) => format!("wakeup {}", String::from_utf8_lossy(payload)),
        Event::Error(text) => format!("error {text}"),
        Event::Drain => "drain".to_owned(),
        Event::Close => "close".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Polls until that is so.
pub(crate) fn poll_until(manager: &mut Manager, what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LIMIT, "{what}: not in {LIMIT:?}");
        manager.poll(Duration::from_millis(20)).unwrap();
    }
}

/// Waits until that is so, while another thread polls.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LIMIT, "{what}: not in {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A manager that a thread of its own polls.
pub(crate) struct Polled {
    pub(crate) handle: Handle,
    thread: Option<JoinHandle<()>>,
    over: Sender<()>,
}

impl Polled {
    pub(crate) fn new(handler: impl Fn(&Connection, Event<'_>) + Send + Sync + 'static) -> Self {
        Self::of(Manager::new(handler))
    }

    pub(crate) fn of(mut manager: Manager) -> Self {
        let handle = manager.handle();
        let (over, is_over) = channel();
        let thread = std::thread::spawn(move || {
            while is_over.try_recv().is_err() {
                manager.poll(None).unwrap();
            }
        });
        Self { handle, thread: Some(thread), over }
    }

    pub(crate) fn listen(&self, url: &str) -> SocketAddr {
        address(&self.handle.listen(url).unwrap())
    }

    pub(crate) fn listen_with(&self, url: &str, how: Listen) -> SocketAddr {
        address(&self.handle.listen_with(url, how).unwrap())
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        self.over.send(()).ok();
        self.handle.wake();
        if self.thread.take().unwrap().join().is_err() && !std::thread::panicking() {
            panic!("the polling thread panicked");
        }
    }
}

pub(crate) fn address(listener: &Connection) -> SocketAddr {
    listener.local_address().unwrap().as_socket_addr().unwrap()
}

pub(crate) fn client(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.set_write_timeout(Some(LIMIT)).unwrap();
    client
}

/// A client that has sent this.
pub(crate) fn asking(address: SocketAddr, text: impl AsRef<[u8]>) -> TcpStream {
    let mut client = client(address);
    client.write_all(text.as_ref()).unwrap();
    client
}

pub(crate) fn to_end(client: TcpStream) -> String {
    String::from_utf8_lossy(&to_bytes(client)).into_owned()
}

pub(crate) fn to_bytes(mut client: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Reads until the end of the text that was read is this.
pub(crate) fn read_to(client: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    while !text.ends_with(end.as_bytes()) {
        let length = client.read(&mut piece).unwrap();
        assert!(length > 0, "it ended with {:?}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&piece[..length]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Answers every request with `hello`.
pub(crate) fn hello(conn: &Connection, event: Event<'_>) {
    if let Event::HttpMessage(_) = event {
        conn.reply(200, &[], "hello");
    }
}

/// Sends back what comes.
pub(crate) fn echo(conn: &Connection, event: Event<'_>) {
    if let Event::Read(bytes) = event {
        _ = conn.send(bytes);
        conn.consume(bytes.len());
    }
}
