//! Clients that leave before their answer, and answers that end before their time.

use crate::support::{
    GET, LIMIT, Log, Polled, address, asking, client, name, poll_until, read_to, to_end, wait_until,
};
use exeunt_manager::{AnswerError, Connection, Event, Limits, Manager, SendError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn half_closed(limit: Duration) -> Limits {
    let mut limits = Limits::default();
    limits.half_closed = limit;
    limits
}

#[test]
fn who_left_behind_a_request_that_is_never_answered_is_let_go() {
    let log = Log::default();
    let told = log.clone();
    let limits = half_closed(Duration::from_millis(50));
    let polled = Polled::of(Manager::with_limits(limits, move |_: &Connection, event: Event<'_>| {
        told.push(name(&event));
    }));
    let address = polled.listen("http://127.0.0.1:0");
    for _ in 0..20 {
        drop(asking(address, GET));
    }
    wait_until("their ends", || log.count("close") == 20);
    assert_eq!(polled.handle.connections().len(), 1);
    let mut half = asking(address, GET);
    half.shutdown(Shutdown::Write).unwrap();
    assert!(read_to(&mut half, "\r\n\r\n").starts_with("HTTP/1.1 408 "), "he is told, if he is there");
}

#[test]
fn who_left_is_found_out_at_once_by_a_probe_and_who_still_reads_has_his_answer() {
    let log = Log::default();
    let told = log.clone();
    let mut limits = half_closed(LIMIT * 10);
    limits.probe_half_closed = true;
    let polled = Polled::of(Manager::with_limits(limits, move |_: &Connection, event: Event<'_>| {
        told.push(name(&event));
    }));
    let address = polled.listen("http://127.0.0.1:0");
    for _ in 0..20 {
        drop(asking(address, GET));
    }
    wait_until("their ends", || log.count("close") == 20);
    let mut half = asking(address, GET);
    half.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to(&mut half, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    wait_until("his request", || log.count("message") == 21);
    polled.handle.connections().pop().unwrap().reply(200, &[], "late");
    assert!(to_end(half).ends_with("late"));
}

#[test]
fn who_left_does_not_hold_the_drain_to_its_deadline() {
    let limits = half_closed(Duration::from_millis(300));
    let mut manager = Manager::with_limits(limits, |_, _| {});
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    drop(asking(address(&listener), GET));
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean() && report.duration < LIMIT / 2, "{report}");
}

#[test]
fn a_subscriber_who_left_ends_with_what_is_sent_next() {
    let log = Log::default();
    let told = log.clone();
    let limits = half_closed(LIMIT * 10);
    let polled = Polled::of(Manager::with_limits(limits, move |conn: &Connection, event: Event<'_>| {
        told.push(name(&event));
        if let Event::HttpMessage(_) = event {
            conn.sse("", "welcome").unwrap();
        }
    }));
    let address = polled.listen("http://127.0.0.1:0");
    let mut subscriber = asking(address, GET);
    read_to(&mut subscriber, "welcome\n\n\r\n");
    drop(subscriber);
    let conn = polled.handle.connections().pop().unwrap();
    // The kernel takes the first of them, and the peer's kernel says that nobody is there.
    wait_until("its end", || conn.sse("", "news").is_err());
    wait_until("close", || log.has("close"));
}

#[test]
fn who_breaks_off_is_known_to_be_gone_at_once() {
    let log = Log::default();
    let told = log.clone();
    let limits = half_closed(LIMIT * 10);
    let polled = Polled::of(Manager::with_limits(limits, move |_: &Connection, event: Event<'_>| {
        told.push(name(&event));
    }));
    let reset = asking(polled.listen("http://127.0.0.1:0"), GET);
    reset.shutdown(Shutdown::Write).unwrap();
    wait_until("the request", || log.has("message"));
    socket2::SockRef::from(&reset).set_linger(Some(Duration::ZERO)).unwrap();
    drop(reset);
    wait_until("its end", || log.count("close") == 1);

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    polled.handle.listen(&format!("http+unix:{}", path.display())).unwrap();
    let mut local = UnixStream::connect(&path).unwrap();
    local.write_all(GET.as_bytes()).unwrap();
    drop(local);
    wait_until("its end", || log.count("close") == 2);
}

#[test]
fn the_handle_of_a_request_never_answers_another() {
    let kept: Arc<Mutex<Vec<Connection>>> = Arc::default();
    let keeps = Arc::clone(&kept);
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(request) = event {
            if request.uri() == "/1" {
                conn.reply(200, &[], "one");
            }
            keeps.lock().unwrap().push(conn.clone());
        }
    });
    let mut client = asking(polled.listen("http://127.0.0.1:0"), "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    read_to(&mut client, "one");
    client.write_all(b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    wait_until("the second", || kept.lock().unwrap().len() == 2);
    let [first, second] = <[Connection; 2]>::try_from(kept.lock().unwrap().clone()).unwrap();
    assert_eq!(first, second);
    assert!(matches!(first.try_reply(200, &[], "one again"), Err(AnswerError::Answered)));
    assert!(matches!(first.try_reply(503, &[], ""), Err(AnswerError::Answered)));
    assert!(matches!(first.chunk("one again"), Err(AnswerError::Answered)));
    assert!(matches!(first.sse("", "one again"), Err(AnswerError::Answered)));
    assert!(matches!(first.send("one again"), Err(SendError::Answered)));
    second.try_reply(200, &[], "two").unwrap();
    assert!(read_to(&mut client, "two").starts_with("HTTP/1.1 200 "));
    // One that is of no request answers whatever is asked.
    client.write_all(b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    wait_until("the third", || kept.lock().unwrap().len() == 3);
    assert!(matches!(second.try_reply(200, &[], "two again"), Err(AnswerError::Answered)));
    polled.handle.connection(second.id()).unwrap().try_reply(200, &[], "three").unwrap();
    read_to(&mut client, "three");
    second.drain();
    assert_eq!(to_end(client), "");
}

#[test]
fn an_answer_that_is_too_large_is_500() {
    let mut limits = Limits::default();
    limits.send_bytes = 1000;
    let polled = Polled::of(Manager::with_limits(limits, |conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(_) = event {
            conn.reply(200, &[], [0; 2000]);
        }
    }));
    let mut client = asking(polled.listen("http://127.0.0.1:0"), GET);
    assert!(read_to(&mut client, "\r\n\r\n").starts_with("HTTP/1.1 500 "));
}

#[test]
fn what_is_broken_off_is_no_end() {
    let old = "GET /part HTTP/1.0\r\n\r\n";
    let mut manager = Manager::new(|conn: &Connection, event: Event<'_>| match event {
        Event::HttpMessage(request) if request.uri() == "/part" => {
            conn.reply(200, &[("Transfer-Encoding", "chunked")], "first part, ");
        }
        Event::HttpMessage(_) => conn.reply(200, &[], vec![b'x'; 20_000_000]),
        _ => {}
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let place = address(&listener);
    let mut closed = asking(place, old);
    let handle = manager.handle();
    poll_until(&mut manager, "the answer", || {
        let conns = handle.connections();
        conns.len() == 2 && closed.set_nonblocking(true).is_ok() && closed.peek(&mut [0; 4096]).is_ok()
    });
    closed.set_nonblocking(false).unwrap();
    manager.connections().pop().unwrap().close();
    poll_until(&mut manager, "its end", || handle.connections().len() == 1);
    let mut dropped = [asking(place, old), asking(place, GET)];
    for client in &dropped {
        client.set_nonblocking(true).unwrap();
        poll_until(&mut manager, "a beginning", || client.peek(&mut [0; 4096]).is_ok());
        client.set_nonblocking(false).unwrap();
    }
    let kept = client(place);
    poll_until(&mut manager, "him", || handle.connections().len() == 4);
    drop(manager);
    for client in [&mut closed].into_iter().chain(&mut dropped) {
        let error = client.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "a part must not look whole");
    }
    assert_eq!(to_end(kept), "", "who was sent nothing sees an ordinary end");
}

#[test]
fn a_reply_and_a_drain_say_close() {
    let polled = Polled::new(|conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(_) = event {
            conn.reply(200, &[], "bye");
            conn.drain();
        }
    });
    let text = to_end(asking(polled.listen("http://127.0.0.1:0"), GET));
    assert!(text.contains("Connection: close\r\n") && text.ends_with("bye"), "{text}");
}
