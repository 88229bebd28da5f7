//! Stops under uploads (rules D2, D7 and M20): whoever began one is answered, and has his file; nothing else is left.

use crate::probe::{Probe, example};
use crate::support::{LIMIT, client, wait_until};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;

const CLIENTS: usize = 16;

/// The files' length: some reads each.
const LENGTH: usize = 300_000;

#[test]
fn who_began_to_upload_has_his_file() {
    let mut in_flight = 0;
    for round in 0..super::rounds() {
        let to = tempfile::tempdir().unwrap();
        let mut command = Command::new(example("upload"));
        command.arg(to.path()).arg("127.0.0.1:0");
        let (program, address) = Probe::of(command).with_address();
        let clients: Vec<_> = (0..CLIENTS).map(|number| uploading(address, number)).collect();
        // Not at the same place in each round.
        let answered = round as usize * 7 % 50;
        wait_until("uploads", || named(to.path()).len() > answered && hidden(to.path()) > 0);
        in_flight += hidden(to.path());
        program.send(Signal::TERM);
        let saved: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        let (status, said) = program.end();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(!said.contains("cut") && !said.contains("error"), "{said}");
        assert_eq!(hidden(to.path()), 0, "round {round}");
        assert_eq!(named(to.path()), saved.iter().cloned().collect(), "round {round}");
        for name in saved {
            assert_eq!(fs::read(to.path().join(&name)).unwrap(), content(&name), "{name}, round {round}");
        }
    }
    assert!(in_flight > 0);
}

fn hidden(directory: &Path) -> usize {
    entries(directory).filter(|name| name.starts_with('.')).count()
}

fn named(directory: &Path) -> BTreeSet<String> {
    entries(directory).filter(|name| !name.starts_with('.')).collect()
}

fn entries(directory: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap())
}

/// Each file's own.
fn content(name: &str) -> Vec<u8> {
    name.bytes().cycle().take(LENGTH).collect()
}

/// Uploads one file behind the other, and over one connection as long as the server lets it; the names of all that were
/// answered, and every one that was begun has to be.
fn uploading(address: SocketAddr, number: usize) -> JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut saved = Vec::new();
        let mut stream = client(address);
        for turn in 0.. {
            let name = format!("{number}-{turn}");
            let head = upload(&mut stream, &name);
            assert!(head.starts_with("HTTP/1.1 200 "), "{name}: {head}");
            saved.push(name);
            if head.contains("Connection: close\r\n") {
                break;
            }
            // Some come with a connection of their own, until they are refused.
            if turn % 4 == 3 {
                let Ok(fresh) = TcpStream::connect(address) else { break };
                fresh.set_read_timeout(Some(LIMIT)).unwrap();
                stream = fresh;
            }
        }
        saved
    })
}

/// The answer.
fn upload(stream: &mut TcpStream, name: &str) -> String {
    let before = format!("--x\r\nContent-Disposition: form-data; name=f; filename=\"{name}\"\r\n\r\n");
    let body = [before.as_bytes(), &content(name), b"\r\n--x--\r\n"].concat();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    for piece in body.chunks(20_000) {
        stream.write_all(piece).unwrap();
        std::thread::yield_now();
    }
    let expected = format!("f ({name}): {LENGTH} bytes as {name}\n");
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while !answer.ends_with(expected.as_bytes()) {
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "{name}: it ended with {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..length]);
    }
    String::from_utf8(answer).unwrap()
}
