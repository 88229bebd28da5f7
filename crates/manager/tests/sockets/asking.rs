//! Clients of HTTP: the loop asks servers, its own and others'.

use crate::support::{LIMIT, Log, Polled, address, name, poll_until};
use exeunt_manager::lifecycle::{Config, Lifecycle};
use exeunt_manager::{Connect, Connection, Event, Limits, Manager};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What came of an exchange, with errors and ends; one line for each.
fn telling(log: &Log) -> impl Fn(&Connection, Event<'_>) + Send + Sync + 'static {
    let told = log.clone();
    move |_: &Connection, event: Event<'_>| match event {
        Event::HttpResponse(response) => {
            told.push(format!("{} {}", response.status(), String::from_utf8_lossy(response.body())));
        }
        Event::Error(_) | Event::Close => told.push(name(&event)),
        _ => {}
    }
}

fn echo_uri(conn: &Connection, event: Event<'_>) {
    if let Event::HttpMessage(request) = event {
        let text = format!("{} {} {}", request.method(), request.target(), request.body().len());
        conn.reply(200, &[("X-Host", request.header("host").unwrap_or_default())], text);
    }
}

#[test]
fn the_events_come_in_their_order() {
    let server = Polled::new(echo_uri);
    let peer = server.listen("http://127.0.0.1:0");
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        told.push(name(&event));
        match event {
            Event::Connect => conn.request("POST", "/a?b", &[], "body").unwrap(),
            Event::HttpResponseHeaders(response) => {
                assert_eq!((response.status(), response.reason()), (200, "OK"));
            }
            Event::HttpResponse(response) => {
                assert_eq!(response.header("x-host"), Some(&*peer.to_string()));
                assert_eq!(response.body(), "POST /a?b 4");
                assert_eq!(conn.received(10_000), response.bytes(), "it is there as it came");
                assert!(response.bytes().starts_with(b"HTTP/1.1 200 OK\r\n"));
            }
            _ => {}
        }
    });
    let conn = manager.connect(&format!("http://{peer}/ignored")).unwrap();
    poll_until(&mut manager, "an answer", || log.has("read"));
    let events = ["open", "resolve", "connect", "write", "response headers", "response", "read"];
    assert_eq!(log.all(), events);
    assert!(conn.is_client() && conn.is_open() && conn.received_len() == 0);
}

#[test]
fn a_connection_is_kept_and_ends_when_it_was_said() {
    const ROUNDS: usize = 50;
    let server = Polled::new(echo_uri);
    let peer = server.listen("http://127.0.0.1:0");
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::HttpResponse(response) => {
            told.push(String::from_utf8_lossy(response.body()));
            let asked = told.all().len();
            let close = [("Connection", "close")];
            let headers = if asked == ROUNDS - 1 { &close[..] } else { &[] };
            if asked < ROUNDS {
                conn.request("GET", &format!("/{asked}"), headers, "").unwrap();
            }
        }
        Event::Error(_) | Event::Close => told.push(name(&event)),
        _ => {}
    });
    let conn = manager.connect(&format!("http://{peer}")).unwrap();
    // Before it is connected, too.
    conn.request("GET", "/0", &[], "").unwrap();
    poll_until(&mut manager, "the end", || log.has("close"));
    let mut expected: Vec<_> = (0..ROUNDS).map(|round| format!("GET /{round} 0")).collect();
    expected.push("close".to_owned());
    assert_eq!(log.all(), expected);
}

#[test]
fn raw_requests_are_understood_in_their_order() {
    let server = Polled::new(echo_uri);
    let peer = server.listen("http://127.0.0.1:0");
    let log = Log::default();
    let mut manager = Manager::new(telling(&log));
    // Also where the scheme does not say that it is HTTP.
    let conn = manager.connect_with(&format!("tcp://{peer}"), Connect::new().http(true)).unwrap();
    for piece in [
        "HEAD /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHo",
        "st: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0",
        "\r\n\r\nHEAD /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ] {
        conn.send(piece).unwrap();
    }
    poll_until(&mut manager, "the end", || log.has("close"));
    assert_eq!(log.all(), ["200 ", "200 POST /2 3", "200 ", "close"]);
}

#[test]
fn a_reset_is_no_end_though_a_write_hears_of_it_first() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.read_exact(&mut [0; 1000]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\npart of it").unwrap();
        // What is unread makes a reset of that.
    });
    let log = Log::default();
    let mut manager = Manager::new(telling(&log));
    let conn = manager.connect(&format!("http://{peer}")).unwrap();
    // More than the kernel takes, so that there is something to be written when the reset comes.
    conn.request("POST", "/", &[], vec![b'x'; 30_000_000]).unwrap();
    poll_until(&mut manager, "the end", || log.has("close"));
    server.join().unwrap();
    let all = log.all();
    assert!(all.len() == 2 && all[0].starts_with("error POST /: the connection"), "{all:?}");
}

#[test]
fn large_bodies_go_both_ways() {
    let server = Polled::new(|conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(request) = event {
            conn.reply(200, &[], request.body());
        }
    });
    let peer = server.listen("http://127.0.0.1:0");
    let log = Log::default();
    let told = log.clone();
    let body: Vec<u8> = (0..6_000_000_u32).map(|index| (index % 251) as u8).collect();
    let expected = body.clone();
    let mut manager = Manager::new(move |_: &Connection, event: Event<'_>| {
        if let Event::HttpResponse(response) = event {
            assert!(response.body() == &expected, "all of it, as it was");
            told.push("all");
        }
    });
    let conn = manager.connect(&format!("http://{peer}")).unwrap();
    conn.request("POST", "/", &[], &body).unwrap();
    poll_until(&mut manager, "an answer", || log.has("all"));
    // In pieces, of which nothing is kept.
    let (told, expected) = (log.clone(), body.clone());
    let got = std::sync::Mutex::new(Vec::new());
    let streaming = Connect::new().handler(move |conn, event| match event {
        Event::HttpResponseHeaders(_) => conn.stream_body(10_000_000).unwrap(),
        Event::HttpBody(piece) => {
            got.lock().unwrap().extend_from_slice(piece);
            assert!(conn.received_len() < 1000, "no more than its head is kept");
        }
        Event::HttpResponse(response) => {
            assert!(response.body().is_empty() && *got.lock().unwrap() == expected);
            told.push("streamed");
        }
        _ => {}
    });
    let conn = manager.connect_with(&format!("http://{peer}"), streaming).unwrap();
    conn.request("POST", "/", &[("Transfer-Encoding", "chunked")], "").unwrap();
    for piece in body.chunks(100_000) {
        conn.chunk(piece).unwrap();
    }
    conn.chunk("").unwrap();
    poll_until(&mut manager, "an answer", || log.has("streamed"));
}

/// A peer that answers each connection so, and closes it as that says.
fn scripted(answers: Vec<(&'static str, bool)>) -> (SocketAddr, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        for (answer, resets) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            let mut first = [0; 16];
            stream.read_exact(&mut first).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            if resets {
                // Only once it has arrived.
                std::thread::sleep(Duration::from_millis(50));
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            } else {
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                _ = stream.read_to_end(&mut Vec::new());
            }
        }
    });
    (address, thread)
}

#[test]
fn what_breaks_off_is_an_error() {
    let answers = vec![
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", false),
        ("HTTP/1.1 200 OK\r\n\r\nuntil a reset", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nearly", false),
        ("", false),
        ("", true),
        ("SSH-2.0-OpenSSH\r\n", false),
    ];
    let expected = [
        "200 until the end",
        "error GET /: the connection broke: Connection reset by peer (os error 104)",
        "error GET /: the server has ended the connection in the middle of its response",
        "error GET /: the server has ended the connection without an answer",
        "error GET /: the connection broke: Connection reset by peer (os error 104)",
        "error GET /: the response is neither HTTP/1.1 nor HTTP/1.0",
    ];
    let (peer, thread) = scripted(answers);
    for expected in expected {
        let log = Log::default();
        let mut manager = Manager::new(telling(&log));
        manager.connect(&format!("http://{peer}")).unwrap().request("GET", "/", &[], "").unwrap();
        poll_until(&mut manager, "the end", || log.has("close"));
        assert_eq!(log.all(), [expected, "close"]);
    }
    thread.join().unwrap();
}

#[test]
fn an_answer_that_comes_early_is_heard() {
    // It does not read the body, so that its kernel resets us when it closes.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
        stream
            .write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
    });
    let log = Log::default();
    let mut manager = Manager::new(telling(&log));
    let conn = manager.connect(&format!("http://{peer}")).unwrap();
    conn.request("POST", "/", &[], vec![b'x'; 100_000_000]).unwrap();
    poll_until(&mut manager, "the end", || log.has("close"));
    assert_eq!(log.all(), ["413 ", "close"]);
    thread.join().unwrap();
}

#[test]
fn who_does_not_answer_has_his_time() {
    let (listener, log) = (TcpListener::bind("127.0.0.1:0").unwrap(), Log::default());
    let mut limits = Limits::default();
    limits.response = Some(Duration::from_millis(100));
    let mut manager = Manager::with_limits(limits, telling(&log));
    let conn = manager.connect(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    conn.request("GET", "/slow", &[], "").unwrap();
    poll_until(&mut manager, "the end", || log.has("close"));
    assert_eq!(log.all(), ["error GET /slow: no answer came for 100ms", "close"]);
}

#[test]
fn a_loop_asks_itself() {
    const MANY: usize = 100;
    let log = Log::default();
    let (told, asked) = (log.clone(), telling(&log));
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| match event {
        // Each answer of the first kind is made of one of the second.
        Event::HttpMessage(request) if request.uri() == "/outer" => {
            let (asking, own) = (conn.clone(), conn.local_address().unwrap());
            let inner = Connect::new().handler(move |call, event| {
                if let Event::HttpResponse(response) = event {
                    asking.reply(200, &[], [b"outer of ", &response.body()[..]].concat());
                    call.close();
                }
            });
            let call = conn.manager().unwrap().connect_with(&format!("http://{own}"), inner).unwrap();
            call.request("GET", "/inner", &[], "").unwrap();
        }
        Event::HttpMessage(_) => conn.reply(200, &[], "inner"),
        Event::Close if conn.is_client() => told.push("close"),
        event if conn.is_client() => asked(conn, event),
        _ => {}
    });
    let own = address(&manager.listen("http://127.0.0.1:0").unwrap());
    for _ in 0..MANY {
        let call = manager.connect(&format!("http://{own}")).unwrap();
        call.request("GET", "/outer", &[("Connection", "close")], "").unwrap();
    }
    poll_until(&mut manager, "all ends", || log.count("close") == MANY);
    assert_eq!(log.count("200 outer of inner"), MANY, "{:?}", log.all());
    assert!(manager.drain(Instant::now() + LIMIT).unwrap().is_clean());
}

#[test]
fn a_call_is_awaited_in_the_stop() {
    // A front and a back, in one loop: a client of the front is answered by the back, in the middle of the stop.
    let (log, lifecycle) = (Log::default(), Lifecycle::install(Config::default()).unwrap());
    let (told, stop) = (log.clone(), lifecycle.stop());
    let back = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", back.local_addr().unwrap());
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::HttpMessage(_) => {
            let asking = conn.clone();
            let answer = Connect::new().handler(move |_, event| match event {
                Event::HttpResponse(response) => asking.reply(response.status(), &[], response.body()),
                Event::Drain => asking.set_data("the call was told"),
                _ => {}
            });
            let call = conn.manager().unwrap().connect_with(&url, answer).unwrap();
            call.request("GET", "/", &[], "").unwrap();
            stop.request_stop("in the middle of it");
        }
        Event::Close if !conn.is_client() && !conn.is_listening() => {
            told.push(conn.data::<&str>().map_or("the call was not told", |said| *said));
        }
        _ => {}
    });
    let front = address(&manager.listen("http://127.0.0.1:0").unwrap());
    let backend = std::thread::spawn(move || {
        let (mut stream, _) = back.accept().unwrap();
        stream.read_exact(&mut [0; 16]).unwrap();
        std::thread::sleep(Duration::from_millis(400)); // longer than any grace for the silent
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback").unwrap();
        _ = stream.read_to_end(&mut Vec::new());
    });
    let client = std::thread::spawn(move || {
        let asking = crate::support::asking(front, crate::support::GET);
        crate::support::to_end(asking)
    });
    let report = manager.run(&lifecycle).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(lifecycle.close().exit_status(), 0);
    assert!(client.join().unwrap().ends_with("back"));
    assert_eq!(log.all(), ["the call was told"]);
    backend.join().unwrap();
}

#[test]
fn the_deadline_cuts_a_call_and_reports_it() {
    let (listener, log) = (TcpListener::bind("127.0.0.1:0").unwrap(), Log::default());
    let peer = listener.local_addr().unwrap();
    let mut manager = Manager::new(telling(&log));
    let conn = manager.connect(&format!("http://{peer}")).unwrap();
    conn.request("GET", "/never", &[], "").unwrap();
    conn.request("GET", "/nor/this", &[], "").unwrap();
    let report = manager.drain(Instant::now() + Duration::from_millis(500)).unwrap();
    let cut: Vec<_> = report.cut.iter().map(|cut| (cut.kind, &*cut.name, cut.peer.clone())).collect();
    let peer = Some(peer.to_string());
    assert_eq!(cut, [("call", "GET /never", peer.clone()), ("call", "GET /nor/this", peer)]);
    assert_eq!(log.all(), ["close"]);
}

#[test]
fn the_lifecycle_counts_calls_and_hears_of_those_that_are_cut() {
    let lifecycle = Lifecycle::install(Config::default().grace(Duration::from_millis(1500))).unwrap();
    let log = Log::default();
    let told = log.clone();
    lifecycle.on_progress(move |progress| {
        if let exeunt_manager::lifecycle::Progress::Cut { work, .. } = progress {
            told.push(format!("{} {}", work.kind, work.name));
        }
    });
    // One is connected and gets no answer, the other is not even that.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_listener, _queued, silent) = crate::connecting::silent();
    let calls = [(listener.local_addr().unwrap(), "/connected"), (silent, "/connecting")];
    let stop = lifecycle.stop();
    let mut manager = Manager::without_handler();
    let ask = move |manager: &exeunt_manager::Handle| {
        for (peer, uri) in calls {
            manager.connect(&format!("http://{peer}")).unwrap().request("GET", uri, &[], "").unwrap();
        }
        stop.request_stop("in the middle of it");
    };
    let mut ask = Some(ask);
    let once = exeunt_manager::Schedule::once(Duration::ZERO);
    manager.timer(once, move |manager| ask.take().into_iter().for_each(|ask| ask(manager))).unwrap();
    let report = manager.run(&lifecycle).unwrap();
    assert_eq!(report.cut_count, 2, "{report}");
    assert_eq!(lifecycle.close().exit_status(), 3);
    // Followers are told by a thread of their own.
    crate::support::wait_until("both", || log.all().len() == 2);
    let mut cut = log.all();
    cut.sort();
    assert_eq!(cut, ["call GET /connected", "call GET /connecting"]);
}

/// A server, and its port.
struct Foreign(Child, u16);

impl Foreign {
    fn new(arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new("python3");
        let Ok(mut child) = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
        else {
            eprintln!("SKIPPED: there is no python3; scripts/test-tools installs it");
            return None;
        };
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        // `http.server` says it in a sentence.
        let port = line.split_whitespace().find_map(|word| word.parse().ok());
        Some(Self(child, port.unwrap_or_else(|| panic!("no port in {line:?}"))))
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn pythons_server_is_understood() {
    for version in ["1.0", "1.1"] {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign_server.py");
        let Some(server) = Foreign::new(&[script, version]) else { return };
        let chunks = match version {
            // Nobody may say so in HTTP/1.0, and this server does.
            "1.0" => "error GET /chunks: Transfer-Encoding in an HTTP/1.0 response",
            _ => "200 hello",
        };
        let truncated =
            "error GET /truncated: the server has ended the connection in the middle of its response";
        for (method, path, expected) in [
            ("GET", "/length", "200 hello"),
            ("HEAD", "/length", "200 "),
            ("GET", "/chunks", chunks),
            ("GET", "/until-close", "200 hello"),
            ("GET", "/nothing", "204 "),
            ("GET", "/truncated", truncated),
            ("POST", "/sum", "200 300000 3600000"),
        ] {
            let log = Log::default();
            let mut manager = Manager::new(telling(&log));
            let conn = manager.connect(&format!("http://localhost:{}", server.1)).unwrap();
            let body = if method == "POST" { vec![12; 300_000] } else { Vec::new() };
            conn.request(method, path, &[("Connection", "close")], &body).unwrap();
            poll_until(&mut manager, "the end", || log.has("close"));
            assert_eq!(log.all(), [expected, "close"], "{version} {method} {path}");
        }
        // And one after the other on one connection, where it is kept.
        let log = Log::default();
        let mut manager = Manager::new(telling(&log));
        let conn = manager.connect(&format!("http://127.0.0.1:{}", server.1)).unwrap();
        for _ in 0..3 {
            conn.request("GET", "/length", &[], "").unwrap();
        }
        let kept = if version == "1.1" { 3 } else { 1 };
        poll_until(&mut manager, "all", || log.count("200 hello") == kept);
        if version == "1.0" {
            poll_until(&mut manager, "the end", || log.has("close"));
            let left = "error GET /length: the server ends the connection, and leaves this without an answer";
            assert_eq!(log.all(), ["200 hello", left, "close"]);
        }
    }
}

#[test]
fn pythons_file_server_is_understood() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file.txt"), vec![b'x'; 1_000_000]).unwrap();
    let folder = directory.path().to_str().unwrap();
    let serving = ["-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", folder, "0"];
    let Some(server) = Foreign::new(&serving) else { return };
    let log = Log::default();
    let mut manager = Manager::new(telling(&log));
    let conn = manager.connect(&format!("http://127.0.0.1:{}", server.1)).unwrap();
    // In the program's own words, of an older time.
    conn.send("GET /file.txt HTTP/1.0\r\n\r\n").unwrap();
    poll_until(&mut manager, "the end", || log.has("close"));
    let all = log.all();
    assert_eq!((all.len(), all[0].len(), &all[0][..5]), (2, 1_000_004, "200 x"));
}
