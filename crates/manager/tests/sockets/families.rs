//! IPv6 and Unix sockets.

use crate::support::{LAST, LIMIT, Polled, address, echo, hello, to_end, wait_until};
use exeunt_listener::Address;
use exeunt_manager::{Event, Listen, Manager};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

#[test]
fn ipv6_is_spoken() {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED: this machine has no IPv6 loopback");
        return;
    }
    let polled = Polled::new(hello);
    let address = polled.listen("http://[::1]:0");
    assert!(address.is_ipv6());
    assert!(to_end(crate::support::asking(address, LAST)).ends_with("hello"));
    let datagrams = Manager::new(echo);
    assert!(self::address(&datagrams.listen("udp://[::1]:0").unwrap()).is_ipv6());
}

#[test]
fn a_name_and_everywhere_are_listened_on() {
    let polled = Polled::new(hello);
    for url in ["http://localhost:0", "http://0.0.0.0:0", "http://*:0"] {
        let port = polled.listen(url).port();
        let client = TcpStream::connect(("localhost", port)).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        (&client).write_all(LAST.as_bytes()).unwrap();
        assert!(to_end(client).ends_with("hello"), "{url}");
    }
}

#[test]
fn an_ipv4_client_is_one_on_a_socket_for_both_families() {
    let polled = Polled::new(|conn, event| {
        if let Event::HttpMessage(_) = event {
            let addresses = [conn.local_address(), conn.remote_address()];
            let addresses = addresses.map(|address| address.unwrap().as_socket_addr().unwrap().is_ipv4());
            conn.reply(200, &[], format!("{addresses:?}"));
        }
    });
    let port = polled.listen("http://*:0").port();
    let text = to_end(crate::support::asking(([127, 0, 0, 1], port).into(), LAST));
    assert!(text.ends_with("[true, true]"), "{text}");
}

#[test]
fn unix_sockets_carry_bytes_and_requests() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    for (url, sent, got) in [
        (format!("unix:{}", path.display()), "bytes", "bytes"),
        (format!("http+unix:{}", path.display()), LAST, "hello"),
    ] {
        let web = url.starts_with("http");
        let polled = Polled::new(move |conn, event| if web { hello(conn, event) } else { echo(conn, event) });
        let listener = polled.handle.listen(&url).unwrap();
        assert_eq!(listener.local_address(), Some(Address::Unix(path.clone())));
        let mut client = UnixStream::connect(&path).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client.write_all(sent.as_bytes()).unwrap();
        if !web {
            wait_until("the client", || polled.handle.connections().len() == 2);
            let conn = polled.handle.connections().pop().unwrap();
            assert_eq!(conn.remote_address(), None);
            client.shutdown(std::net::Shutdown::Write).unwrap();
        }
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert!(text.ends_with(got), "{text}");
        listener.drain();
        wait_until("the listener's end", || !listener.is_open());
        assert!(!path.exists(), "it takes its name along");
    }
}

#[test]
fn a_unix_listener_that_is_closed_at_once_takes_its_name_along() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let takes_its_name_along = || {
        let manager = Manager::new(hello);
        manager.listen(&format!("unix:{}", path.display())).unwrap();
        assert!(path.exists());
        drop(manager);
        !path.exists()
    };
    // A child of another test, between its fork and its exec, holds the socket for a moment, as one that serves would.
    wait_until("it is ours alone", takes_its_name_along);
}

#[test]
fn what_is_spoken_can_be_chosen() {
    let polled = Polled::new(hello);
    let web = polled.listen_with("tcp://127.0.0.1:0", Listen::new().http(true));
    assert!(to_end(crate::support::asking(web, LAST)).ends_with("hello"));
    let raw = Polled::new(echo);
    let bytes = raw.listen_with("http://127.0.0.1:0", Listen::new().http(false));
    let client = crate::support::asking(bytes, LAST);
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(to_end(client), LAST);
}
