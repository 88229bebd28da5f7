//! Does what its arguments say, one after the other, as a child in the tests: `say TEXT` to its manager, `err TEXT` on
//! stderr, `flood BYTES` on stderr, `close FD…`, `exit STATUS`, `hang`.

#![allow(clippy::expect_used, clippy::panic, reason = "a scenario's panic is its failure")]

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() {
    let mut arguments = std::env::args().skip(1);
    while let Some(verb) = arguments.next() {
        let mut next = || arguments.next().expect("an argument");
        match &*verb {
            "say" => linux::say(&next()),
            "err" => linux::err(next().as_bytes()),
            "flood" => linux::flood(next().parse().expect("a number")),
            "exit" => std::process::exit(next().parse().expect("a number")),
            "hang" => loop {
                std::thread::park();
            },
            other => panic!("no {other:?}"),
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::Write as _;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    pub(super) fn say(text: &str) {
        let name = std::env::var("NOTIFY_SOCKET").expect("a socket");
        let name = name.strip_prefix('@').expect("an abstract one");
        let address = SocketAddr::from_abstract_name(name).expect("a name");
        let text = text.replace("\\n", "\n");
        let socket = UnixDatagram::unbound().expect("a socket");
        socket.send_to_addr(text.as_bytes(), &address).expect("somebody listens");
    }

    pub(super) fn err(text: &[u8]) {
        std::io::stderr().write_all(text).expect("somebody reads");
    }

    pub(super) fn flood(bytes: usize) {
        let line = [b'x'; 8192];
        for _ in 0..bytes / line.len() {
            err(&line);
        }
    }
}
