//! However bytes are cut into reads, nothing changes.

use super::super::Session;
use super::bench::{Bench, echo};
use crate::core::Core;
use proptest::prelude::*;

/// Answers in another way each time, and not all at once.
fn varied(session: &mut Session, core: &Core, told: &str) {
    if told.starts_with("headers") && told.ends_with('3') {
        return session.reply(core, 403, &[], b"early").unwrap();
    }
    if !told.starts_with("message") {
        return;
    }
    match told.len() % 4 {
        0 => session.send(core, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nraw").unwrap(),
        1 => {
            session.reply(core, 200, &[("Transfer-Encoding", "chunked")], told.as_bytes()).unwrap();
            session.chunk(core, b"more").unwrap();
            session.chunk(core, b"").unwrap();
        }
        2 => {
            session.sse(core, "told", told).unwrap();
            session.chunk(core, b"").unwrap();
        }
        _ => echo(session, core, told),
    }
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let path = "[a-z]{0,5}[0-9]";
    let body = prop::collection::vec(any::<u8>(), 0..40);
    (path, 0..6_u8, body).prop_map(|(path, kind, body)| {
        let head = |method: &str, more: &str| {
            format!("{method} /{path} HTTP/1.1\r\nHost: a\r\n{more}\r\n").into_bytes()
        };
        match kind {
            0 => head("GET", ""),
            1 => head("HEAD", "X: y\r\n"),
            2 => [&b"\r\n"[..], &head("GET", "")].concat(),
            3 => [head("POST", &format!("Content-Length: {}\r\n", body.len())), body].concat(),
            _ => {
                let mut bytes = head("PUT", "Transfer-Encoding: chunked\r\n");
                for piece in body.chunks(7) {
                    bytes.extend_from_slice(format!("{:x};e=1\r\n", piece.len()).as_bytes());
                    bytes.extend_from_slice(piece);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\nT: u\r\n\r\n");
                bytes
            }
        }
    })
}

fn last() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just(""),
        Just("GET /half HT"),
        Just("GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /behind HTTP/1.1\r\n"),
        Just("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf"),
        Just("no request\r\n\r\n"),
        Just("GET /end HTTP/1.0\r\n\r\n"),
    ]
}

/// Without the date, which may move on meanwhile.
fn undated(bench: &Bench) -> String {
    let text = bench.text();
    text.split("\r\n").filter(|line| !line.starts_with("Date: ")).collect::<Vec<_>>().join("\r\n")
}

proptest! {
    #[test]
    fn any_split_of_any_requests_is_the_same(
        requests in prop::collection::vec(request(), 1..6),
        last in last(),
        cuts in prop::collection::vec(1_usize..60, 0..40),
        window in prop_oneof![Just(usize::MAX), 1_usize..50],
    ) {
        let bytes = [requests.concat(), last.as_bytes().to_vec()].concat();
        let mut whole = Bench::http(varied);
        whole.arrives(&bytes);

        let mut split = Bench::http(varied);
        let mut rest = &bytes[..];
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            rest = later;
            if !now.is_empty() {
                // The peer reads slowly, too.
                split.window = window;
                split.arrives(now);
            }
        }
        split.window = usize::MAX;
        split.does(|_, _| {});
        if !rest.is_empty() {
            split.arrives(rest);
        }
        prop_assert_eq!(&split.told, &whole.told);
        prop_assert_eq!(undated(&split), undated(&whole));
        prop_assert_eq!((split.lingers, split.end), (whole.lingers, whole.end));
        prop_assert_eq!(split.session.received(1000), whole.session.received(1000));
    }
}
