//! The example programs, struck by real signals at many points of their life.

use crate::program::{Ended, Program, To};
use crate::sweep::sweep;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Stopped by the sweep, wherever that was, and nothing lost.
#[track_caller]
fn clean(ended: &Ended) {
    ended.status_is(0);
    ended.closed_in_reverse_order();
    ended.all_finished();
    assert_eq!(ended.stderr, "", "{}", ended.story());
}

#[test]
fn drilled() {
    sweep(|| Program::example("drilled").argument("127.0.0.1:0"), clean);
}

#[test]
fn web_service() {
    let program = Program::example("web_service").argument("127.0.0.1:0");
    sweep(|| program.clone(), clean);
}

#[test]
fn a_request_under_way_is_answered_before_the_database_closes() {
    let program = Program::example("web_service").argument("127.0.0.1:0");
    for signal in [Signal::TERM, Signal::INT] {
        let mut running = program.start();
        let address = running.wait_for("serving ");
        let mut client = TcpStream::connect(&address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        client.write_all(b"GET /orders/7 HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        running.send(signal, To::Group);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        assert!(answer.ends_with("order 7\n"), "{answer}");
        clean(&running.end());
        assert!(TcpStream::connect(&address).is_err(), "the port is free again");
    }
}

#[test]
fn complete() {
    sweep(|| Program::example("complete").argument("127.0.0.1:0").argument("sqlite::memory:"), clean);
}

#[test]
fn event_loop() {
    sweep(|| Program::example("event_loop").argument("127.0.0.1:0"), clean);
}

#[test]
fn a_loop_answers_what_is_in_flight_and_says_goodbye_to_streams() {
    let mut running = Program::example("event_loop").argument("127.0.0.1:0").start();
    let address = running.wait_for("serving ");
    let ask = |target: &str| ask(&address, target);
    let (mut slow, mut large, mut stream) = (ask("/slow?ms=300"), ask("/large"), ask("/events"));
    let mut chat =
        ask("/chat HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nx:");
    // Each is under way when its first byte is here; of the slow one there is none yet.
    for client in [&mut large, &mut stream, &mut chat] {
        client.read_exact(&mut [0; 9]).unwrap();
    }
    running.send(Signal::TERM, To::Group);
    let rest = |client: &mut TcpStream| {
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).unwrap();
        bytes
    };
    let slow = String::from_utf8(rest(&mut slow)).unwrap();
    assert!(slow.contains("Connection: close\r\n") && slow.ends_with("slow\n"), "{slow}");
    assert_eq!(rest(&mut large).iter().rev().take_while(|byte| **byte == b'x').count(), 20_000_000);
    let stream = String::from_utf8(rest(&mut stream)).unwrap();
    assert!(stream.contains("event: goodbye\n") && stream.ends_with("0\r\n\r\n"), "{stream}");
    // Its goodbye, and Close 1001 (RFC 6455 §5.5.1), which we answer, masked.
    let mut frames = Vec::new();
    while !frames.ends_with(b"\x81\x10the server stops\x88\x02\x03\xe9") {
        let mut byte = [0];
        chat.read_exact(&mut byte).unwrap();
        frames.push(byte[0]);
    }
    chat.write_all(b"\x88\x82\0\0\0\0\x03\xe9").unwrap();
    assert_eq!(rest(&mut chat), b"");
    clean(&running.end());
    assert!(TcpStream::connect(&address).is_err(), "the port is free again");
}

#[test]
fn websocket() {
    sweep(|| Program::example("websocket").argument("127.0.0.1:0"), clean);
}

#[test]
fn what_was_said_in_a_chat_is_passed_on_and_everybody_gets_a_proper_close() {
    let mut running = Program::example("websocket").argument("127.0.0.1:0").start();
    let address = running.wait_for("serving ");
    let until = |client: &mut TcpStream, end: &[u8]| {
        let (mut read, mut byte) = (Vec::new(), [0]);
        while !read.ends_with(end) {
            assert_eq!(client.read(&mut byte).unwrap(), 1, "{}", read.escape_ascii());
            read.extend(byte);
        }
    };
    let enter = || {
        let mut client = ask(
            &address,
            "/chat HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nx:",
        );
        until(&mut client, b"\r\n\r\n");
        // A text of one letter, masked by nothing: everybody hears it, whoever said it first.
        client.write_all(b"\x81\x81\0\0\0\0a").unwrap();
        until(&mut client, b"\x81\x01a");
        client
    };
    let mut clients = [enter(), enter(), enter()];
    clients[2].write_all(b"\x81\x81\0\0\0\0z").unwrap();
    for client in &mut clients {
        until(client, b"\x81\x01z");
    }
    running.send(Signal::TERM, To::Group);
    for client in &mut clients {
        // Close 1001 and its reason (RFC 6455 §5.5.1), which we answer, masked.
        until(client, b"\x88\x12\x03\xe9the server stops");
        client.write_all(b"\x88\x82\0\0\0\0\x03\xe9").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
    clean(&running.end());
}

#[test]
fn events() {
    sweep(|| Program::example("events").argument("127.0.0.1:0"), clean);
}

#[test]
fn a_stream_of_events_says_goodbye_and_a_long_poll_is_answered() {
    let mut running = Program::example("events").argument("127.0.0.1:0").start();
    let address = running.wait_for("serving ");
    let (mut events, mut answers) = (ask(&address, "/events"), ask(&address, "/next"));
    for client in [&mut events, &mut answers] {
        client.read_exact(&mut [0; 9]).unwrap();
    }
    running.send(Signal::TERM, To::Group);
    let mut text = String::new();
    events.read_to_string(&mut text).unwrap();
    assert!(text.contains("event: goodbye\n") && text.contains("retry: 1000\n"), "{text}");
    assert!(text.ends_with("\r\n0\r\n\r\n"), "{text}");
    clean(&running.end());
}

/// A client that has sent a request.
fn ask(address: &str, target: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    client.write_all(format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).unwrap();
    client
}

#[test]
fn proxy() {
    sweep(|| Program::example("proxy").argument("127.0.0.1:0").argument("http://127.0.0.1:1"), clean);
}

#[test]
fn a_proxy_answers_what_is_with_the_server_behind() {
    let behind = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", behind.local_addr().unwrap());
    let mut running = Program::example("proxy").argument("127.0.0.1:0").argument(&url).start();
    let address = running.wait_for("serving ");
    let ask = |target: &str| ask(&address, target);
    let serve = || {
        let (mut server, _) = behind.accept().unwrap();
        server.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let (mut asked, mut byte) = (Vec::new(), [0]);
        while !asked.ends_with(b"\r\n\r\n") {
            server.read_exact(&mut byte).unwrap();
            asked.extend(byte);
        }
        (server, String::from_utf8(asked).unwrap())
    };
    let rest = |mut client: TcpStream| {
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    // Who leaves takes his question with him.
    let client = ask("/leaves");
    let (mut server, _) = serve();
    drop(client);
    server.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let mut ended = false;
    while !ended {
        ended = server.write_all(&[b'x'; 10_000]).is_err();
    }
    // Three that are under way when the signal comes.
    let (small, large, lost) = (ask("/small"), ask("/large"), ask("/lost"));
    let mut servers: Vec<_> = (0..3).map(|_| serve()).collect();
    for (_, asked) in &servers {
        assert!(asked.contains(&format!("Host: {}\r\n", behind.local_addr().unwrap())), "{asked}");
        assert!(asked.contains("X-Forwarded-For: 127.0.0.1:"), "{asked}");
    }
    let mut find = |target: &str| {
        let at = servers.iter().position(|(_, asked)| asked.contains(target)).unwrap();
        servers.swap_remove(at).0
    };
    let (mut first, mut second, third) = (find("/small"), find("/large"), find("/lost"));
    second.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n").unwrap();
    running.send(Signal::TERM, To::Group);
    drop(third);
    let lost = rest(lost);
    assert!(lost.starts_with("HTTP/1.1 502 "), "{lost}");
    let feeder = std::thread::spawn(move || second.write_all(&vec![b'x'; 5_000_000]).unwrap());
    let large = rest(large);
    assert_eq!(large.bytes().filter(|byte| *byte == b'x').count(), 5_000_000);
    assert!(large.ends_with("\r\n0\r\n\r\n"));
    feeder.join().unwrap();
    first.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall").unwrap();
    let small = rest(small);
    assert!(small.contains("Connection: close\r\n") && small.ends_with("small"), "{small}");
    clean(&running.end());
    assert!(TcpStream::connect(&address).is_err(), "the port is free again");
}

#[test]
fn echo_server() {
    sweep(|| Program::example("echo_server").argument("127.0.0.1:0"), clean);
}

#[test]
fn connections_are_told_goodbye_and_those_in_the_queue_too() {
    let mut running = Program::example("echo_server").argument("127.0.0.1:0").start();
    let address = running.wait_for("serving ");
    let connect = || {
        let client = TcpStream::connect(&address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        client
    };
    let mut spoken = connect();
    spoken.write_all(b"hello\n").unwrap();
    spoken.read_exact(&mut [0; 6]).unwrap();
    // Nobody has accepted those yet, or perhaps they have.
    running.send(Signal::STOP, To::Process);
    spoken.write_all(b"are you there?\n").unwrap();
    let clients: Vec<_> = (0..20).map(|_| connect()).collect();
    running.send(Signal::TERM, To::Process);
    running.send(Signal::CONT, To::Process);
    let answer = |mut client: TcpStream| {
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    };
    assert_eq!(answer(spoken), "are you there?\ngoodbye\n");
    for client in clients {
        assert_eq!(answer(client), "goodbye\n");
    }
    clean(&running.end());
}

#[test]
fn queue_consumer() {
    sweep(
        || Program::example("queue_consumer"),
        |ended| {
            clean(ended);
            if !ended.those("opened ").is_empty() {
                assert_eq!(ended.says("unacknowledged "), "0", "{}", ended.story());
            }
        },
    );
}

#[test]
fn batch() {
    // 10 transfers of 20 ms: the job is over before the last of the signals.
    sweep(
        || Program::example("batch"),
        |ended| {
            clean(ended);
            let finished = ended.those("finished ").len();
            assert_eq!(
                ended.lines.contains(&"transferred all".to_owned()),
                finished == 10,
                "{}",
                ended.story()
            );
        },
    );
}

#[test]
fn tasks() {
    sweep(|| Program::example("tasks"), clean);
}

#[test]
fn threads() {
    sweep(
        || Program::example("threads"),
        |ended| {
            ended.status_is(0);
            ended.all_finished();
            assert_eq!(ended.those("entered "), ended.those("left "), "{}", ended.story());
        },
    );
}

#[test]
fn worker_pool_that_finishes_its_queue() {
    sweep(
        || Program::example("worker_pool").argument("finish"),
        |ended| {
            clean(ended);
            let mut accounted = ended.those("finished ");
            let kept = ended.those("kept ");
            assert!(kept.len() <= 1, "only the one that the pool no longer took: {}", ended.story());
            accounted.extend(kept);
            assert_eq!(ended.those("took "), accounted, "{}", ended.story());
        },
    );
}

#[test]
fn worker_processes() {
    sweep(|| Program::example("worker_processes"), clean);
}

#[test]
fn a_worker_process_that_dies_is_replaced() {
    let mut running = Program::example("worker_processes").start();
    let pids = running.wait_for("workers ");
    let first: i32 = pids.trim_matches(['[', ']']).split(", ").next().unwrap().parse().unwrap();
    running.wait_for("finished 0.3");
    kill_process(Pid::from_raw(first).unwrap(), Signal::KILL).unwrap();
    // It counts from 1 again.
    running.wait_for("began 0.1");
    running.wait_for("finished 0.1");
    running.send(Signal::TERM, To::Group);
    let ended = running.end();
    ended.status_is(0);
    assert_eq!(ended.stderr, "", "{}", ended.story());
}

#[test]
fn worker_pool_that_hands_back_its_queue() {
    let handed_back = AtomicU32::new(0);
    sweep(
        || Program::example("worker_pool").argument("hand-back"),
        |ended| {
            clean(ended);
            let (finished, kept) = (ended.those("finished "), ended.those("kept "));
            assert!(finished.is_disjoint(&kept), "{}", ended.story());
            handed_back.fetch_add(u32::from(kept.len() > 1), Ordering::SeqCst);
            assert_eq!(ended.those("took "), &finished | &kept, "{}", ended.story());
        },
    );
    assert!(handed_back.into_inner() > 0, "no queue was ever handed back");
}

#[test]
fn shielded_application() {
    sweep(
        || Program::example("shielded_application"),
        |ended| {
            clean(ended);
            let stopped: Vec<_> = ended.those("began stopping ").into_iter().collect();
            let started: Vec<_> = ended.those("finished starting ").into_iter().collect();
            assert_eq!(stopped, started, "{}", ended.story());
        },
    );
}

#[test]
fn tick_loop() {
    let (folder, number) = (tempfile::tempdir().unwrap(), AtomicU32::new(0));
    let program = || {
        let file = folder.path().join(number.fetch_add(1, Ordering::SeqCst).to_string());
        std::fs::write(&file, "1000\n").unwrap();
        Program::example("tick_loop").argument(file.to_str().unwrap())
    };
    sweep(program, |ended| {
        ended.status_is(0);
        let file = std::fs::read_to_string(&ended.program.arguments[0]).unwrap();
        let last = ended.lines.iter().filter_map(|line| line.strip_prefix("tick ")).next_back();
        assert_eq!(file.trim_end(), last.unwrap_or("1000"), "{}", ended.story());
        // Saved once, and last of all.
        let saved = ended.those("saved state at ").len();
        assert_eq!(saved, ended.those("opened state at ").len(), "{}", ended.story());
        assert_eq!(saved == 1, ended.lines.last().is_some_and(|line| line.starts_with("saved ")));
    });
}

#[test]
fn tick_loop_says_what_is_wrong_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    std::fs::write(&file, "many\n").unwrap();
    let ended = Program::example("tick_loop").argument(file.to_str().unwrap()).start().end();
    ended.status_is(1);
    ended.complains(&["state", "invalid digit found in string"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "many\n", "and does not write over it");
}

#[test]
fn cron() {
    sweep(|| Program::example("cron"), clean);
}

#[test]
fn reload() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("greeting");
    std::fs::write(&file, "hello\n").unwrap();
    let program = Program::example("reload").argument(file.to_str().unwrap());
    sweep(
        || program.clone(),
        |ended| {
            ended.status_is(0);
            assert_eq!(ended.stderr, "", "{}", ended.story());
        },
    );
}

#[test]
fn reload_takes_what_it_can_read_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("greeting");
    std::fs::write(&file, "hello\n").unwrap();
    let mut running = Program::example("reload").argument(file.to_str().unwrap()).start();
    running.wait_for("greets hello");
    std::fs::write(&file, "good evening\n").unwrap();
    running.send(Signal::HUP, To::Process);
    running.wait_for("greets good evening");
    std::fs::write(&file, "").unwrap();
    running.send(Signal::HUP, To::Group);
    running.wait_for("kept good evening: there is no greeting in it");
    running.wait_for("greets good evening");
    running.send(Signal::TERM, To::Process);
    running.end().status_is(0);
}
