//! A client's session (rule M16).

use super::super::Session;
use super::bench::{Bench, End, silent};
use crate::Limits;
use crate::core::Core;
use crate::error::{AnswerError, RequestError, SendError, StreamError};
use crate::http::Ask;

pub(super) const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

pub(super) fn ask(session: &mut Session, core: &Core, method: &str, uri: &str) {
    session.request(core, Ask { method, uri, headers: &[], body: b"" }).unwrap();
}

/// A client that has asked that.
pub(super) fn asking(method: &str) -> Bench {
    let mut bench = Bench::client(Limits::default(), silent);
    bench.does(|session, core| ask(session, core, method, "/a"));
    bench
}

#[test]
fn an_answer_is_told_once_however_it_comes() {
    let table: &[(&str, &str, &[&str])] = &[
        ("GET", ANSWER, &["head 200", "response 200 hi"]),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;x\r\ni\r\n0\r\nT: u\r\n\r\n",
            &["head 200", "response 200 hi"],
        ),
        ("GET", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", &["head 404", "response 404 "]),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", &["head 204", "response 204 "]),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", &["head 304", "response 304 "]),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", &["head 200", "response 200 "]),
        (
            "GET",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\n\
             Content-Length: 2\r\n\r\nhi",
            &["head 201", "response 201 hi"],
        ),
        (
            "GET",
            "\r\nHTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
            &["head 200", "response 200 hi"],
        ),
    ];
    for (method, answer, told) in table {
        for size in 1..=answer.len() {
            let mut bench = asking(method);
            for piece in answer.as_bytes().chunks(size) {
                bench.arrives(piece);
            }
            assert_eq!(bench.told, *told, "{size} {answer}");
            assert_eq!((bench.end, bench.session.received_len()), (None, 0), "{answer}");
            // And the connection goes on.
            bench.does(|session, core| ask(session, core, "GET", "/b")).arrives(ANSWER);
            assert_eq!(bench.told[told.len()..], ["head 200", "response 200 hi"], "{size} {answer}");
        }
    }
}

#[test]
fn requests_are_answered_in_their_order() {
    let mut bench = asking("HEAD");
    // The program's own words are followed.
    bench.does(|session, core| {
        session.send(core, b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Le").unwrap();
        session.send(core, b"ngth: 3\r\n\r\nabcHEAD /c HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        ask(session, core, "GET", "/d");
    });
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    bench.arrives([head, ANSWER, head, ANSWER].concat());
    let told = ["response 200 ", "response 200 hi", "response 200 ", "response 200 hi"];
    bench.told.retain(|line| line.starts_with("response"));
    assert_eq!((&bench.told[..], bench.end), (&told.map(str::to_owned)[..], None));
}

#[test]
fn an_answer_may_last_until_the_connection_ends() {
    for head in ["HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n"] {
        let mut bench = asking("GET");
        bench.arrives(head).arrives("all ").arrives("of it").peer_ends();
        assert_eq!(bench.told, ["head 200", "response 200 all of it", "close"]);
        assert_eq!(bench.end, Some(End::Closed));
        // Nothing at all is an answer, too.
        let mut bench = asking("GET");
        bench.arrives(head).peer_ends();
        assert_eq!(bench.told, ["head 200", "response 200 ", "close"]);
        // But not what breaks off.
        let mut bench = asking("GET");
        bench.arrives(head).arrives("all ").breaks(false);
        assert!(bench.told[1].starts_with("error GET /a: the connection broke: "), "{:?}", bench.told);
        assert_eq!((bench.told.len(), &bench.told[2][..]), (3, "close"));
    }
}

#[test]
fn an_answer_that_ends_early_is_none() {
    for (sent, why) in [
        ("", "without an answer"),
        ("HTTP/1.1 200 OK\r\nContent-", "without an answer"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh", "in the middle"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", "in the middle"),
    ] {
        let mut bench = asking("GET");
        bench.arrives(sent).peer_ends();
        bench.told.retain(|line| !line.starts_with("head"));
        assert!(
            bench.told[0].starts_with("error GET /a: ") && bench.told[0].contains(why),
            "{:?}",
            bench.told
        );
        assert_eq!((&bench.told[1..], bench.end), (&["close".to_owned()][..], Some(End::Closed)));
    }
}

#[test]
fn what_is_no_answer_is_an_error_and_the_end() {
    for (sent, why) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "more than one"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz", "chunk"),
        ("220 ready\r\n\r\n", "neither HTTP"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "unasked"),
        (&"HTTP/1.1 102 Processing\r\n\r\n".repeat(101), "interim"),
        (&format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(70_000)), "longer than it may be"),
    ] {
        let mut bench = asking("GET");
        bench.arrives(sent);
        bench.told.retain(|line| !line.starts_with("head"));
        assert!(
            bench.told[0].starts_with("error GET /a: ") && bench.told[0].contains(why),
            "{:?}",
            bench.told
        );
        assert_eq!(bench.end, Some(End::Closed));
    }
}

#[test]
fn nobody_answers_unasked() {
    let mut bench = Bench::client(Limits::default(), silent);
    bench.arrives("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_eq!(bench.told, ["error the server has sent something that it was not asked for", "close"]);
    // A second answer to one request is none.
    let mut bench = asking("GET");
    bench.arrives([ANSWER, ANSWER].concat());
    assert_eq!(bench.told[..2], ["head 200", "response 200 hi"]);
    assert!(bench.told[2].contains("not asked"), "{:?}", bench.told);
    assert_eq!(bench.end, Some(End::Closed));
}

#[test]
fn bodies_have_their_limit() {
    let limits = Limits { body_bytes: 5, ..Limits::default() };
    for (head, body) in
        [("Content-Length: 6", ""), ("Transfer-Encoding: chunked", "6\r\n"), ("Connection: close", "123456")]
    {
        let mut bench = Bench::client(limits.clone(), silent);
        bench.does(|session, core| ask(session, core, "GET", "/a"));
        bench.arrives(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}"));
        assert_eq!(
            bench.told[..2],
            ["head 200", "error GET /a: the body of the response is longer than it may be"]
        );
        assert_eq!(bench.end, Some(End::Closed));
    }
}

#[test]
fn a_body_may_be_told_as_it_comes() {
    let stream = |session: &mut Session, _: &Core, told: &str| {
        if told.starts_with("head") {
            session.stream_body(6, None).unwrap();
            assert_eq!(session.stream_body(6, None), Err(StreamError::TooLate), "once");
        }
    };
    let limits = Limits { body_bytes: 1, ..Limits::default() };
    for (sent, to_end) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\n\r\nabcdef", true),
    ] {
        for size in 1..=sent.len() {
            let mut bench = Bench::client(limits.clone(), stream);
            bench.does(|session, core| ask(session, core, "GET", "/a"));
            for piece in sent.as_bytes().chunks(size) {
                bench.arrives(piece);
            }
            if to_end {
                bench.peer_ends();
            }
            let pieces: String = bench.told.iter().filter_map(|line| line.strip_prefix("body ")).collect();
            assert_eq!(pieces, "abcdef", "{size} {sent}");
            bench.told.retain(|line| !line.starts_with("body"));
            assert_eq!(bench.told[..2], ["head 200", "response 200 "], "{size} {sent}");
        }
        let mut bench = Bench::client(limits.clone(), |session, _, told| {
            if told.starts_with("head") {
                session.stream_body(5, None).unwrap();
            }
        });
        bench.does(|session, core| ask(session, core, "GET", "/a")).arrives(sent);
        let error = bench.told.iter().find(|line| line.starts_with("error")).unwrap();
        assert!(error.contains("longer"), "{error}");
    }
}

#[test]
fn the_connection_ends_where_it_was_said() {
    let close = ANSWER.replace("Content", "Connection: close\r\nContent");
    let old = ANSWER.replace("HTTP/1.1", "HTTP/1.0");
    for answer in [&close, &old] {
        let mut bench = asking("GET");
        bench.arrives(answer);
        assert_eq!(bench.told, ["head 200", "response 200 hi", "close"]);
        assert_eq!(bench.end, Some(End::Closed));
    }
    // Said by the client.
    for request in ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"] {
        let mut bench = Bench::client(Limits::default(), silent);
        bench.does(|session, core| session.send(core, request.as_bytes()).unwrap()).arrives(ANSWER);
        assert_eq!(bench.end, Some(End::Closed));
    }
    // What was pipelined behind it is left without an answer, and somebody is told.
    let mut bench = asking("GET");
    bench.does(|session, core| ask(session, core, "GET", "/b")).arrives(close);
    let left = "error GET /b: the server ends the connection, and leaves this without an answer";
    assert_eq!(bench.told, ["head 200", "response 200 hi", left, "close"]);
}

#[test]
fn in_the_handler_of_the_last_answer_nothing_more_can_be_asked() {
    let mut bench = Bench::client(Limits::default(), |session, core, told| {
        if told.starts_with("response") {
            let error = session.request(core, Ask { method: "GET", uri: "/", headers: &[], body: b"" });
            assert!(matches!(error, Err(RequestError::Send(SendError::Closed(_)))), "{error:?}");
        }
    });
    bench.does(|session, core| ask(session, core, "GET", "/a"));
    bench.arrives(ANSWER.replace("Content", "Connection: close\r\nContent"));
    assert_eq!(bench.told, ["head 200", "response 200 hi", "close"]);
}

#[test]
fn a_tunnel_and_another_protocol_are_the_programs() {
    let upgrade = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n";
    for (request, answer) in [
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        (upgrade, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
    ] {
        let mut bench = Bench::client(Limits::default(), silent);
        bench.does(|session, core| session.send(core, request.as_bytes()).unwrap());
        bench.does(|session, core| {
            let asked = session.request(core, Ask { method: "GET", uri: "/", headers: &[], body: b"" });
            assert!(matches!(asked, Err(RequestError::Unfinished)), "{asked:?}");
        });
        bench.arrives(answer.to_owned() + "raw");
        assert!(bench.told[1].starts_with("response "), "{:?}", bench.told);
        assert_eq!(bench.session.received(100), b"raw");
        bench.arrives(" bytes").does(|session, core| {
            assert_eq!(session.consume(9), 9);
            session.send(core, b"back").unwrap();
        });
        assert!(bench.text().ends_with("back") && bench.end.is_none());
        assert_eq!(bench.told.len(), 2);
    }
    // Refused, HTTP goes on.
    let mut bench = Bench::client(Limits::default(), silent);
    bench.does(|session, core| session.send(core, upgrade.as_bytes()).unwrap()).arrives(ANSWER);
    bench.does(|session, core| ask(session, core, "HEAD", "/")).arrives("HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!((bench.told.len(), bench.end), (4, None));
}

#[test]
fn requests_are_chunked_on_demand() {
    let mut bench = Bench::client(Limits::default(), silent);
    bench.does(|session, core| {
        assert!(matches!(session.chunk(core, b"x"), Err(AnswerError::NotChunked)));
        let headers = &[("Transfer-Encoding", "chunked")];
        session.request(core, Ask { method: "POST", uri: "/", headers, body: b"one" }).unwrap();
        session.chunk(core, b"two").unwrap();
        let amid = session.request(core, Ask { method: "GET", uri: "/", headers: &[], body: b"" });
        assert!(matches!(amid, Err(RequestError::Unfinished)));
        session.chunk(core, b"").unwrap();
        ask(session, core, "GET", "/");
    });
    assert!(bench.text().contains("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\nGET / "), "{}", bench.text());
}

#[test]
fn others_cannot_ask_and_clients_cannot_answer() {
    let mut bench = Bench::http(silent);
    bench.does(|session, core| {
        let error = session.request(core, Ask { method: "GET", uri: "/", headers: &[], body: b"" });
        assert!(matches!(error, Err(RequestError::NotClient)));
    });
    let mut bench = asking("GET");
    bench.does(|session, core| {
        assert!(matches!(session.reply(core, 200, &[], b""), Err(AnswerError::NotHttp)));
        assert!(matches!(session.sse(core, "", "x"), Err(AnswerError::NotHttp)));
    });
    let limits = Limits { send_bytes: 100, ..Limits::default() };
    let mut bench = Bench::client(limits, silent);
    bench.does(|session, core| {
        let asked = session.request(core, Ask { method: "POST", uri: "/", headers: &[], body: &[b'x'; 90] });
        assert!(matches!(asked, Err(RequestError::Send(SendError::Full { .. }))), "{asked:?}");
    });
    assert_eq!(bench.text(), "");
}
