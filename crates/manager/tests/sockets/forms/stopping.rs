//! Uploads in the drain.

use super::{file, head, listed, receiving, upload, with_length};
use crate::support::{LIMIT, Log, address, asking, poll_until, to_end, wait_until};
use exeunt_manager::uploads::SaveAs;
use exeunt_manager::{Manager, Uploads};
use rustix::process::Signal;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;
use tempfile::tempdir;

#[test]
fn an_upload_in_the_drain_arrives_whole() {
    let to = tempdir().unwrap();
    let log = Log::default();
    let mut manager =
        Manager::new(receiving(Uploads::to(to.path()).save_as(SaveAs::ClientName), log.clone()));
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let body = file(&"x".repeat(100_000));
    let mut client =
        asking(address(&listener), head(&format!("Content-Length: {}", body.len())) + &body[..50_000]);
    poll_until(&mut manager, "a hidden file", || !listed(to.path()).is_empty());
    let client = std::thread::spawn(move || {
        // The drain has begun: it is told below, and waits.
        for piece in body.as_bytes()[50_000..].chunks(5_000) {
            client.write_all(piece).unwrap();
            std::thread::yield_now();
        }
        to_end(client)
    });
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(client.join().unwrap().ends_with("f=a:100000:12000000"));
    assert_eq!(listed(to.path()), ["a"]);
}

#[test]
fn an_upload_is_cut_at_the_deadline() {
    let to = tempdir().unwrap();
    let log = Log::default();
    let mut manager = Manager::new(receiving(Uploads::to(to.path()), log.clone()));
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let client = asking(address(&listener), head("Content-Length: 1000") + &file("hello")[..60]);
    poll_until(&mut manager, "a hidden file", || !listed(to.path()).is_empty());
    let report = manager.drain(Instant::now()).unwrap();
    assert!(!report.is_clean() && report.to_string().contains("POST /"), "{report}");
    assert!(to_end(client).starts_with("HTTP/1.1 503 "));
    assert_eq!(listed(to.path()), [""; 0]);
    assert!(!log.has("message"));
}

#[test]
fn a_stop_lets_an_upload_arrive() {
    let to = tempdir().unwrap();
    let (program, address) = upload(&to, "");
    let body = file(&"x".repeat(10_000));
    let mut client: TcpStream = asking(address, with_length(&body).strip_suffix(&body[5_000..]).unwrap());
    wait_until("a hidden file", || !listed(to.path()).is_empty());
    program.send(Signal::TERM);
    // It accepts nobody any more: the stop has begun.
    wait_until("the stop", || TcpStream::connect(address).is_err());
    client.write_all(&body.as_bytes()[5_000..]).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("10000 bytes as a\n"), "{answer}");
    let (status, said) = program.end();
    assert_eq!(status.code(), Some(0), "{said}");
}
