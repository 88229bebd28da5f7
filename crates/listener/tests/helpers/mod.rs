//! Clients, servers and processes for the tests against the real kernel.
#![allow(dead_code, reason = "each test binary takes what it needs")]

use std::{
    env,
    io::{Read, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::Command,
    time::Duration,
};

use exeunt_listener::{Accept, CloseOptions, CloseReport, Connection, Listener};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Longer than anything may take that does not hang.
pub(crate) const FOREVER: Duration = Duration::from_secs(20);
pub(crate) const GREETING: &[u8] = b"welcome\n";

pub(crate) fn listener() -> (Listener, SocketAddr) {
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_address().as_socket_addr().unwrap();
    (listener, address)
}

/// Closes, and greets whoever is accepted meanwhile.
pub(crate) fn close(listener: Listener) -> CloseReport {
    listener.close(CloseOptions::default()).block(greet)
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, FOREVER).unwrap();
    stream.set_read_timeout(Some(FOREVER)).unwrap();
    stream
}

pub(crate) fn is_refused(address: SocketAddr) -> bool {
    let outcome = TcpStream::connect_timeout(&address, FOREVER);
    outcome.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

pub(crate) fn greet(connection: Connection) {
    match connection {
        Connection::Tcp { mut stream, .. } => stream.write_all(GREETING).unwrap(),
        Connection::Unix { mut stream } => stream.write_all(GREETING).unwrap(),
    }
}

pub(crate) fn is_greeted(mut stream: impl Read) -> bool {
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).is_ok() && heard == GREETING
}

/// Accepts one client of `listener` and greets it.
pub(crate) fn serve_one(listener: &Listener) {
    let mut ends = [PollFd::new(listener, PollFlags::IN)];
    assert_eq!(poll(&mut ends, Some(&Timespec::try_from(FOREVER).unwrap())), Ok(1), "no client came");
    match listener.accept() {
        Accept::Connection(connection) => greet(connection),
        other => panic!("{other:?}"),
    }
}

/// Whether a new client of `address` is served through this descriptor, which a filter would prevent.
pub(crate) fn serves(descriptor: OwnedFd, address: SocketAddr) -> bool {
    let listener = TcpListener::from(descriptor);
    listener.set_nonblocking(false).unwrap();
    let client = connect(address);
    listener.accept().unwrap().0.write_all(GREETING).unwrap();
    is_greeted(client)
}

/// Runs `body` in a process of its own, where it may fork and change limits, and where nobody else holds a copy of its
/// listener: a child that another test is just giving birth to does. `test` is the test's full name.
pub(crate) fn in_own_process(test: &str, body: impl FnOnce()) {
    const ALONE: &str = "EXEUNT_TEST_ALONE";
    if env::var(ALONE).is_ok_and(|name| name == test) {
        return body();
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ALONE, test)
        .output()
        .unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{test} in a process of its own:\n{said}\n{complained}");
    assert!(said.contains("1 passed"), "{test} is not the test's name:\n{said}");
}

pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
