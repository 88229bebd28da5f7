//! Forms that come in pieces, not at all, or not as forms.

use super::{file, head, listed, served, with_length};
use crate::support::{asking, client, read_to, to_end, wait_until};
use exeunt_manager::Uploads;
use std::io::Write as _;
use tempfile::tempdir;

#[test]
fn a_form_in_single_bytes_is_a_form() {
    let to = tempdir().unwrap();
    let (_polled, address, log) = served(Uploads::to(to.path()));
    let mut client = client(address);
    client.set_nodelay(true).unwrap();
    for byte in with_length(&file("\r\n--\r\n--y")).bytes() {
        client.write_all(&[byte]).unwrap();
    }
    assert!(to_end(client).ends_with("\r\n\r\nf=a:9:347"));
    assert_eq!((log.count("headers"), log.count("message"), log.count("body")), (1, 1, 0));
    assert_eq!(listed(to.path()).len(), 1);
}

#[test]
fn what_is_no_form_is_answered_and_leaves_nothing() {
    let to = tempdir().unwrap();
    let (polled, address, log) = served(Uploads::to(to.path()).bytes(1_000).file_bytes(100));
    let good = file("hello");
    let table = [
        (400, with_length(good.strip_suffix("--x--\r\n").unwrap()), "ends before its last boundary"),
        (400, with_length(&good.replace("--x", "--y")), "ends before its last boundary"),
        (400, with_length(&good.replace("--x--", "--xy")), "not followed by `--`"),
        (400, with_length(&good.replace("name=f; ", "")), "has no name"),
        (413, with_length(&file(&"x".repeat(101))), "`f` is larger than 100 bytes"),
        (413, head("Content-Length: 1001"), "the body is longer than it may be"),
        (413, head("Transfer-Encoding: chunked") + "3e9\r\n", "the body is longer than it may be"),
        (400, head("Transfer-Encoding: chunked") + "x\r\n", "a chunk's size is not"),
    ];
    for (status, request, why) in table {
        let before = log.all().len();
        let answer = to_end(asking(address, request));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{why}: {answer}");
        wait_until("the close", || log.all()[before..].iter().any(|line| line == "close"));
        let told = log.all()[before..].join("\n");
        assert!(told.contains("error") && told.contains(why), "{told}");
        assert!(!told.contains("message"), "{told}");
        assert_eq!(listed(to.path()), [""; 0], "{why}");
    }
    drop(polled);
}

#[test]
fn a_client_that_leaves_leaves_nothing() {
    let to = tempdir().unwrap();
    let (_polled, address, log) = served(Uploads::to(to.path()));
    let half = &file("hello")[..60];
    for resets in [false, true] {
        let before = log.count("close");
        let client = asking(address, head("Content-Length: 1000") + half + &"x".repeat(500));
        wait_until("a hidden file", || listed(to.path()).iter().any(|name| name.starts_with(".upload-")));
        if resets {
            socket2::SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        }
        drop(client);
        wait_until("the close", || log.count("close") > before);
        wait_until("nothing is left", || listed(to.path()).is_empty());
    }
    assert!(!log.has("message"));
    assert_eq!(log.count("error the peer has ended its side in the middle of the body"), 1);
}

#[test]
fn an_answer_from_elsewhere_ends_the_form() {
    let to = tempdir().unwrap();
    let (polled, address, _) = served(Uploads::to(to.path()));
    let mut client = asking(address, head("Content-Length: 1000") + &file("hello")[..60]);
    wait_until("a hidden file", || !listed(to.path()).is_empty());
    let conn = polled.handle.connections().into_iter().find(|conn| !conn.is_listening()).unwrap();
    conn.try_reply(409, &[], "no more").unwrap();
    assert!(read_to(&mut client, "no more").starts_with("HTTP/1.1 409 "));
    wait_until("nothing is left", || listed(to.path()).is_empty());
}
