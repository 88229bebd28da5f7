//! How a client's session ends (rule M16): in time, in the stop, by the program, by the server.

use super::super::Session;
use super::bench::{Bench, End, silent};
use super::calls::{ANSWER, ask, asking};
use crate::Limits;
use crate::core::Stage;
use crate::http::Ask;
use std::time::Duration;

#[test]
fn what_is_too_slow_is_given_up() {
    let limits = Limits { response: Some(Duration::from_secs(5)), ..Limits::default() };
    let table: &[(&str, u128, &str)] = &[
        ("", 5_000, "no answer came for 5s"),
        ("HTTP/1.1 100 Continue\r\n\r\n", 6_000, "no answer came for 5s"),
        ("HTTP/1.1 200", 31_000, "the head of the response was not whole after 30s"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh",
            31_000,
            "nothing more of the response came for 30s",
        ),
        ("HTTP/1.1 200 OK\r\n\r\nh", 31_000, "nothing more of the response came for 30s"),
    ];
    for (sent, at, why) in table {
        let mut bench = Bench::client(limits.clone(), silent);
        bench.does(|session, core| ask(session, core, "GET", "/a"));
        if !sent.is_empty() {
            bench.at(1_000).arrives(sent);
        }
        assert_eq!(bench.wakes_at(), Some(*at), "{sent}");
        bench.ticks_at(*at as u64 - 1);
        assert_eq!(bench.end, None);
        bench.ticks_at(*at as u64);
        assert_eq!(bench.told[bench.told.len() - 2..], [format!("error GET /a: {why}"), "close".to_owned()]);
    }
    assert_eq!(asking("GET").wakes_at(), None, "none by default");
    // A head that trickles gets no more time.
    let mut bench = asking("GET");
    bench.at(1_000).arrives("HTTP").at(30_000).arrives("/1.1");
    assert_eq!(bench.wakes_at(), Some(31_000));
    // An idle one may be silent.
    assert_eq!(Bench::client(Limits::default(), silent).wakes_at(), None);
}

#[test]
fn a_drain_awaits_what_is_asked_and_closes_what_is_silent() {
    let mut bench = Bench::client(Limits::default(), silent);
    bench.at(1_000).enters(Stage::Draining);
    assert_eq!(bench.wakes_at(), Some(1_250));
    bench.ticks_at(1_250);
    assert_eq!((bench.end, &bench.told[..]), (Some(End::Closed), &["close".to_owned()][..]));

    // One that is being written is no silence.
    let mut bench = Bench::client(Limits::default(), silent);
    bench.does(|session, core| session.send(core, b"GET / HT").unwrap()).enters(Stage::Draining);
    assert_eq!(bench.wakes_at(), None);

    let mut bench = asking("GET");
    bench.at(1_000).enters(Stage::Draining);
    assert_eq!(bench.wakes_at(), None, "an answer may take its time");
    bench.at(9_000).arrives(ANSWER);
    assert_eq!(bench.wakes_at(), Some(9_250));
    // An answer in flight may need another.
    bench.at(9_100).does(|session, core| ask(session, core, "GET", "/b")).at(9_200).arrives(ANSWER);
    bench.ticks_at(9_450);
    assert_eq!((bench.end, bench.told.len()), (Some(End::Closed), 5));
}

#[test]
fn a_last_look_may_find_something() {
    let mut bench = asking("GET");
    bench.at(1_000).arrives(ANSWER).enters(Stage::Draining).ticks_at_and_finds(1_250, b"H");
    assert!(bench.told[2].contains("not asked"), "{:?}", bench.told);
}

#[test]
fn the_deadline_cuts_what_is_asked_and_says_so() {
    let mut bench = asking("GET");
    bench.does(|session, core| ask(session, core, "POST", "/b"));
    bench.at(2_000).enters(Stage::Draining).enters(Stage::Cut);
    assert_eq!((bench.end, &bench.told[..]), (Some(End::Closed), &["close".to_owned()][..]));
    let report = bench.core.account().report(Duration::ZERO);
    let cut: Vec<_> = report.cut.iter().map(|cut| (cut.kind, &*cut.name)).collect();
    assert_eq!(cut, [("call", "GET /a"), ("call", "POST /b")]);
    // One that is being read, too, and one that is being written; but none that is silent.
    let mut bench = asking("GET");
    bench.arrives(&ANSWER[..30]).enters(Stage::Cut);
    assert_eq!(bench.core.account().report(Duration::ZERO).cut_count, 1);
    let mut bench = Bench::client(Limits::default(), silent);
    bench.does(|session, core| session.send(core, b"GET / HT").unwrap()).enters(Stage::Cut);
    assert_eq!(bench.core.account().report(Duration::ZERO).cut_count, 1);
    let mut bench = Bench::client(Limits::default(), silent);
    bench.enters(Stage::Cut);
    assert_eq!((bench.core.account().report(Duration::ZERO).cut_count, bench.end), (0, Some(End::Closed)));
    // And none that the program has given up, though its end is awaited still.
    let mut bench = asking("GET");
    bench.does(Session::drain).enters(Stage::Cut);
    assert!(bench.lingers);
    assert_eq!((bench.core.account().report(Duration::ZERO).cut_count, bench.end), (0, Some(End::Closed)));
}

#[test]
fn the_program_may_end_it_at_any_time() {
    // What is written goes, and is not awaited.
    let mut bench = asking("GET");
    bench.does(Session::drain);
    assert!(bench.lingers && bench.text().starts_with("GET /a"));
    bench.arrives(ANSWER);
    assert_eq!(bench.told, ["close"]);
    let mut bench = asking("GET");
    bench.does(|session, _| session.close());
    assert_eq!((bench.end, &bench.told[..]), (Some(End::Closed), &["close".to_owned()][..]));
    // What was not sent is a reset.
    let mut bench = Bench::client(Limits::default(), silent);
    bench.window = 5;
    bench.does(|session, core| ask(session, core, "GET", "/a")).does(|session, _| session.close());
    assert_eq!(bench.end, Some(End::Reset));
    // In the middle of what is told.
    let mut bench = Bench::client(Limits::default(), |session, core, told| {
        if told.starts_with("head") {
            session.drain(core);
        }
    });
    bench.does(|session, core| ask(session, core, "GET", "/a")).arrives(ANSWER);
    assert_eq!(bench.told, ["head 200", "close"]);
}

#[test]
fn an_answer_that_comes_before_the_request_is_whole_is_heard() {
    // A server that does not want a body says so, and takes no more.
    let mut bench = Bench::client(Limits::default(), silent);
    bench.window = 100;
    let large = vec![b'x'; 5_000_000];
    bench.does(|session, core| {
        session.request(core, Ask { method: "POST", uri: "/", headers: &[], body: &large }).unwrap();
    });
    assert!(bench.reads, "though it does not read us");
    bench.breaks(true);
    assert_eq!((bench.end, bench.session.unsent_len()), (None, 0));
    bench.arrives("HTTP/1.1 413 Too large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_eq!(bench.told, ["head 413", "response 413 ", "close"]);
    // If it has said nothing, that is told.
    let mut bench = asking("GET");
    bench.breaks(true).breaks(false);
    assert!(bench.told[0].starts_with("error GET /a: the connection broke"), "{:?}", bench.told);
    // And to whom nothing is owed, nothing.
    let mut bench = Bench::client(Limits::default(), silent);
    bench.breaks(false);
    assert_eq!(bench.told, ["close"]);
}

#[test]
fn a_server_that_takes_nothing_is_given_up() {
    let mut bench = Bench::client(Limits::default(), silent);
    bench.window = 10;
    bench.does(|session, core| ask(session, core, "GET", "/a"));
    assert_eq!(bench.wakes_at(), Some(60_000));
    bench.ticks_at(60_000);
    assert_eq!(bench.told, ["error GET /a: the server has taken nothing for 60s", "close"]);
    assert_eq!(bench.end, Some(End::Reset));
    // One that the program has drained ends without a further word.
    let mut bench = Bench::client(Limits::default(), silent);
    bench.window = 0;
    bench.does(|session, core| ask(session, core, "GET", "/a")).does(Session::drain).ticks_at(60_000);
    assert_eq!((bench.end, &bench.told[..]), (Some(End::Reset), &["close".to_owned()][..]));
}

#[test]
fn a_handler_that_panics_ends_it() {
    let mut bench = asking("GET");
    bench.does(Session::panicked);
    assert_eq!(bench.end, Some(End::Reset));
}
