//! Connections that the program makes.

use crate::support::{LIMIT, Log, Polled, echo, name, poll_until, wait_until};
use exeunt_manager::{Connect, Connection, Event, Limits, Listen, Manager};
use socket2::{Domain, Socket, Type};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(crate) fn logging(log: &Log) -> impl Fn(&Connection, Event<'_>) + Send + Sync + 'static {
    let told = log.clone();
    move |_: &Connection, event: Event<'_>| told.push(name(&event))
}

/// A port where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Somebody who never answers: its queue is full, and SYNs are dropped. It is so as long as both are kept.
pub(crate) fn silent() -> (Socket, Vec<Socket>, SocketAddr) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let queued: Vec<_> = (0..4)
        .map(|_| {
            let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            _ = client.connect(&address);
            client
        })
        .collect();
    (listener, queued, address.as_socket().unwrap())
}

#[test]
fn numeric_addresses_open_and_resolve_at_once() {
    let log = Log::default();
    let mut manager = Manager::new(logging(&log));
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = server.local_addr().unwrap();
    let conn = manager.connect(&format!("tcp://{peer}")).unwrap();
    assert_eq!(log.all(), ["open", "resolve"]);
    assert!(conn.is_client() && conn.is_connecting() && conn.is_open() && !conn.is_listening());
    assert!(conn.id() > 0 && conn.local_address().is_none());
    conn.send("written ").unwrap();
    conn.send("before").unwrap();
    assert_eq!((conn.unsent_len(), conn.unsent(7)), (14, b"written".to_vec()));
    poll_until(&mut manager, "a connection", || log.has("write"));
    assert_eq!(log.all(), ["open", "resolve", "connect", "write"]);
    assert!(!conn.is_connecting() && conn.is_client());
    assert_eq!(conn.remote_address().unwrap().as_socket_addr(), Some(peer));
    let (mut served, from) = server.accept().unwrap();
    assert_eq!(conn.local_address().unwrap().as_socket_addr(), Some(from));
    let mut text = [0; 14];
    served.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"written before");
    served.write_all(b"answer").unwrap();
    poll_until(&mut manager, "an answer", || log.has("read"));
    assert_eq!(conn.received(100), b"answer");
    drop(served);
    poll_until(&mut manager, "the end", || log.has("close"));
    assert!(!conn.is_client() && conn.send("x").is_err());
}

#[test]
fn whoever_says_something_and_goes_is_heard() {
    let log = Log::default();
    let mut manager = Manager::new(logging(&log));
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    for _ in 0..20 {
        let closed = log.count("close");
        let conn = manager.connect(&server.local_addr().unwrap().to_string()).unwrap();
        // Everything is there when the loop looks for the first time.
        let talks = log.clone();
        conn.set_handler(Some(Arc::new(move |_: &Connection, event: Event<'_>| match event {
            Event::Connect => {}
            event => talks.push(name(&event)),
        })));
        manager.poll(Duration::ZERO).unwrap();
        let (mut served, _) = server.accept().unwrap();
        served.write_all(b"bye").unwrap();
        drop(served);
        poll_until(&mut manager, "the end", || log.count("close") > closed);
    }
    assert_eq!(log.count("read"), 20);
}

#[test]
fn a_refusal_is_an_event() {
    let log = Log::default();
    let mut manager = Manager::new(logging(&log));
    let peer = nobody();
    let conn = manager.connect(&format!("tcp://{peer}")).unwrap();
    poll_until(&mut manager, "the end", || log.has("close"));
    let all = log.all();
    assert_eq!(
        (all.len(), &all[..2], &all[3..]),
        (4, &["open".into(), "resolve".into()][..], &["close".into()][..])
    );
    let error = &all[2];
    assert!(error.starts_with(&format!("error Failed to connect to `tcp://{peer}`: {peer}: ")), "{error}");
    assert!(error.contains("refused") && !conn.is_open(), "{error}");
    assert!(manager.connections().is_empty());
}

#[test]
fn whoever_does_not_answer_has_his_time() {
    let log = Log::default();
    let mut manager = Manager::new(logging(&log));
    let (_listener, _queued, peer) = silent();
    let how = Connect::new().timeout(Duration::from_millis(300));
    let began = Instant::now();
    manager.connect_with(&format!("tcp://{peer}"), how).unwrap();
    poll_until(&mut manager, "the end", || log.has("close"));
    assert!(began.elapsed() >= Duration::from_millis(300));
    let error = log.all().remove(2);
    let expected = format!("error Failed to connect to `tcp://{peer}`: {peer} did not answer within 300ms");
    assert_eq!(error, expected);
}

#[test]
fn the_limit_holds_where_nothing_else_is_said() {
    let log = Log::default();
    let mut limits = Limits::default();
    limits.connect = Duration::from_millis(200);
    let mut manager = Manager::with_limits(limits, logging(&log));
    let (_listener, _queued, peer) = silent();
    manager.connect(&format!("tcp://{peer}")).unwrap();
    poll_until(&mut manager, "the end", || log.has("close"));
    assert!(log.all()[2].ends_with("did not answer within 200ms"), "{:?}", log.all());
}

#[test]
fn a_name_is_resolved_elsewhere() {
    let log = Log::default();
    let mut manager = Manager::new(logging(&log));
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let conn = manager.connect(&format!("tcp://localhost:{port}")).unwrap();
    assert_eq!(log.all(), ["open"]);
    conn.send("hello").unwrap();
    poll_until(&mut manager, "a connection", || log.has("write"));
    // It may be tried at ::1 first, where nobody listens.
    assert_eq!(log.all(), ["open", "resolve", "connect", "write"]);
    assert_eq!(conn.remote_address().unwrap().as_socket_addr(), server.local_addr().ok());
}

#[test]
fn a_bad_name_is_an_event() {
    let log = Log::default();
    let mut manager = Manager::new(logging(&log));
    for url in ["tcp://nosuch.invalid:80", "udp://nosuch.invalid:80", "tcp://:80", "udp://*:80"] {
        let before = log.all().len();
        manager.connect(url).unwrap();
        poll_until(&mut manager, "the end", || log.all()[before..].contains(&"close".to_owned()));
        let told = log.all()[before..].to_vec();
        assert_eq!((told.len(), &told[0][..], &told[2][..]), (3, "open", "close"), "{told:?}");
        assert!(told[1].starts_with(&format!("error Failed to connect to `{url}`: ")), "{told:?}");
    }
}

#[test]
fn what_is_no_place_is_an_error() {
    let manager = Manager::without_handler();
    for (url, why) in
        [("", "empty"), ("tcp://a", "no port"), ("nonsense://a:1", "scheme"), ("tcp://a:99999", "port")]
    {
        let error = manager.connect(url).unwrap_err().to_string();
        assert!(error.starts_with("Failed to connect: ") && error.contains(why), "{error}");
    }
    let handle = manager.handle();
    drop(manager);
    assert!(handle.connect("tcp://127.0.0.1:1").unwrap_err().to_string().contains("closed"));
}

#[test]
fn unix_sockets_are_connected_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("echo");
    let log = Log::default();
    let mut manager = Manager::new(logging(&log));
    let url = format!("unix:{}", path.display());
    manager.connect(&url).unwrap();
    poll_until(&mut manager, "the end", || log.has("close"));
    assert!(log.all()[2].contains(&url), "{:?}", log.all());
    let _listener = manager.listen_with(&url, Listen::new().handler(echo)).unwrap();
    let conn = manager.connect(&url).unwrap();
    conn.send("round").unwrap();
    poll_until(&mut manager, "an echo", || conn.received_len() == 5);
    assert!(conn.is_client() && conn.remote_address().is_none());
}

#[test]
fn a_unix_socket_whose_queue_is_full_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("full");
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    listener.listen(0).unwrap();
    let _first = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let log = Log::default();
    let mut manager = Manager::new(logging(&log));
    manager.connect(&format!("unix:{}", path.display())).unwrap();
    for _ in 0..5 {
        manager.poll(Duration::from_millis(5)).unwrap();
    }
    assert_eq!(log.all(), ["open", "resolve"]);
    let _served = listener.accept().unwrap();
    poll_until(&mut manager, "a connection", || log.has("connect"));
}

#[test]
fn datagrams_have_one_peer() {
    for host in ["127.0.0.1", "localhost"] {
        let log = Log::default();
        let mut manager = Manager::new(logging(&log));
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(LIMIT)).unwrap();
        let conn = manager.connect(&format!("udp://{host}:{}", peer.local_addr().unwrap().port())).unwrap();
        conn.send("at once").unwrap();
        let mut bytes = [0; 100];
        if host == "127.0.0.1" {
            // Nobody polls.
            assert_eq!(peer.recv_from(&mut bytes).unwrap().0, 7);
        } else {
            assert_eq!(conn.unsent_len(), 7);
        }
        poll_until(&mut manager, "a connection", || log.has("connect"));
        assert_eq!(log.all(), ["open", "resolve", "connect"]);
        conn.send("later").unwrap();
        let first = if host == "127.0.0.1" { 5 } else { 7 };
        let (length, from) = peer.recv_from(&mut bytes).unwrap();
        assert_eq!(length, first, "{host}");
        peer.send_to(b"back", from).unwrap();
        poll_until(&mut manager, "an answer", || log.has("read"));
        assert_eq!(conn.received(100), b"back");
        assert!(conn.is_udp() && conn.is_client());
    }
}

#[test]
fn an_icmp_error_is_an_event() {
    let log = Log::default();
    let mut manager = Manager::new(logging(&log));
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let conn = manager.connect(&format!("udp://{gone}")).unwrap();
    conn.send("into the void").unwrap();
    poll_until(&mut manager, "an error", || log.all().iter().any(|line| line.starts_with("error ")));
    assert!(conn.is_open(), "it is as good as before");
}

#[test]
fn handlers_connect_and_panics_stay_theirs() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", server.local_addr().unwrap());
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| match event {
        // Each connection makes the next.
        Event::Connect if told.count("connect") < 10 => {
            told.push("connect");
            conn.manager().unwrap().connect(&url).unwrap();
            if told.count("connect") % 2 == 0 {
                panic!("on purpose");
            }
        }
        Event::Close => told.push("close"),
        _ => {}
    });
    manager.connect(&format!("tcp://{}", server.local_addr().unwrap())).unwrap();
    poll_until(&mut manager, "all", || log.count("connect") == 10 && log.count("close") == 5);
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_thousand_at_once() {
    const MANY: usize = 1000;
    let server = Polled::new(echo);
    let peer = server.listen("tcp://127.0.0.1:0");
    let connected = Arc::new(AtomicUsize::new(0));
    let answered = Arc::new(AtomicUsize::new(0));
    let (counts, answers) = (Arc::clone(&connected), Arc::clone(&answered));
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::Connect => {
            counts.fetch_add(1, Ordering::SeqCst);
            conn.send("x").unwrap();
        }
        Event::Read(_) => {
            answers.fetch_add(1, Ordering::SeqCst);
        }
        Event::Error(text) => panic!("{text}"),
        _ => {}
    });
    let handle = manager.handle();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let handle = handle.clone();
            std::thread::spawn(move || {
                for _ in 0..MANY / 4 {
                    handle.connect(&format!("tcp://{peer}")).unwrap();
                }
            })
        })
        .collect();
    poll_until(&mut manager, "all answers", || answered.load(Ordering::SeqCst) == MANY);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(connected.load(Ordering::SeqCst), MANY);
    assert!(descriptors() > MANY);
    for conn in manager.connections() {
        conn.close();
    }
    poll_until(&mut manager, "the end", || manager_is_empty(&handle));
    wait_until("the server's end", || server.handle.connections().len() == 1);
}

fn manager_is_empty(handle: &exeunt_manager::Handle) -> bool {
    handle.connections().is_empty()
}

#[test]
fn attempts_give_their_descriptors_back() {
    let (_listener, _queued, peer) = silent();
    let (gone, log) = (nobody(), Log::default());
    let inodes = || {
        let mine = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_link(entry.ok()?.path()).ok();
        std::fs::read_dir("/proc/self/fd").unwrap().filter_map(mine).collect::<Vec<_>>()
    };
    let mut manager = Manager::new(logging(&log));
    let before = inodes();
    for _ in 0..50 {
        manager.connect(&format!("tcp://{gone}")).unwrap();
        let how = Connect::new().timeout(Duration::from_millis(20));
        manager.connect_with(&format!("tcp://{peer}"), how).unwrap();
    }
    poll_until(&mut manager, "all ends", || log.count("close") == 100);
    assert_eq!(log.count("connect"), 0);
    drop(manager);
    // Other tests run beside this one, and give theirs back when they end; ours would stay.
    let new = || inodes().into_iter().filter(|inode| !before.contains(inode)).count();
    wait_until("descriptors come back", || new() < 50);
}
