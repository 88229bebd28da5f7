//! TLS with programs that others wrote: curl, openssl, and Python's `ssl`.

use crate::certificates::{Files, authority, localhost, trusting};
use crate::support::{Log, Polled, hello, name, wait_until};
use exeunt_manager::{Connect, Connection, Event, Listen, Tls};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Output, Stdio};

fn is_there(program: &str, version: &str) -> bool {
    let said = Command::new(program).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = said.is_ok_and(|status| status.success());
    if !there {
        eprintln!("SKIPPED: there is no {program}; scripts/test-tools installs it");
    }
    there
}

fn curl(url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "60", "--noproxy", "*"]).args(arguments);
    command.arg(url).output().unwrap()
}

/// Answers with what was agreed on.
fn serving() -> (Polled, u16) {
    let polled = Polled::new(|conn: &Connection, event: Event<'_>| match event {
        Event::HttpMessage(request) if request.uri() == "/large" => {
            conn.reply(200, &[], vec![b'x'; 5_000_000]);
        }
        Event::HttpMessage(request) if request.uri() == "/echo" => conn.reply(200, &[], request.body()),
        event => hello(conn, event),
    });
    let two = authority().sign(&["two.example"]);
    let tls = localhost().tls().certificate(two.chain, two.key);
    let port = polled.listen_with("https://127.0.0.1:0", Listen::new().tls(tls)).port();
    (polled, port)
}

#[test]
fn curl_verifies_and_is_served() {
    if !is_there("curl", "--version") {
        return;
    }
    let (_polled, port) = serving();
    let files = Files::new();
    files.add("body", &"b".repeat(1_000_000));
    let (ca, body) = (files.path("ca.pem"), format!("@{}", files.path("body")));
    let url = format!("https://localhost:{port}");
    let served = |path: &str, arguments: &[&str]| {
        let output = curl(&format!("{url}{path}"), &[&["--cacert", &ca][..], arguments].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{path} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        text
    };
    for arguments in [
        &[][..],
        &["--tlsv1.3"],
        &["--tls-max", "1.2"],
        &["--http1.1"],
        &["--no-alpn"],
        &["--http1.0"],
        &["-H", "Connection: close"],
    ] {
        assert_eq!(served("/hello", arguments), "hello", "{arguments:?}");
        assert_eq!(served("/large", arguments).len(), 5_000_000, "{arguments:?}");
        assert_eq!(served("/echo", &[arguments, &["--data-binary", &body]].concat()).len(), 1_000_000);
    }
    let again = format!("{url}/hello");
    let kept = served("/hello", &["-w", "%{num_connects}", &again, "-w", "%{num_connects}"]);
    assert_eq!(kept, "hello1hello0", "the second goes over the first one's connection");
    // A name that no certificate is for, and nobody's authority.
    let wrong = format!("https://wrong.example:{port}/");
    let resolve = format!("wrong.example:{port}:127.0.0.1");
    let refused = curl(&wrong, &["--cacert", &ca, "--resolve", &resolve]);
    assert_eq!(refused.status.code(), Some(60), "{}", String::from_utf8_lossy(&refused.stderr));
    assert_eq!(curl(&format!("{url}/"), &[]).status.code(), Some(60));
    // In plain it is no HTTP.
    assert!(!curl(&format!("http://localhost:{port}/"), &[]).status.success());
    assert_eq!(served("/hello", &[]), "hello");
}

#[test]
fn python_speaks_every_version_and_sees_the_end_announced() {
    if !is_there("python3", "--version") {
        return;
    }
    let (polled, port) = serving();
    let echo = Listen::new().tls(localhost().tls()).handler(crate::support::echo);
    let raw = polled.listen_with("tls://127.0.0.1:0", echo).port();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign_tls.py");
    let ca = Files::new();
    let output = Command::new("python3")
        .args([script, &port.to_string(), &raw.to_string(), &ca.path("ca.pem")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.ends_with("all is well\n"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn openssl_as_a_client_updates_keys_and_may_not_renegotiate() {
    if !is_there("openssl", "version") {
        return;
    }
    let polled = Polled::new(crate::support::echo);
    let port = polled.listen_with("tls://127.0.0.1:0", Listen::new().tls(localhost().tls())).port();
    let files = Files::new();
    for (version, command, survives) in
        [("-tls1_3", "K\n", true), ("-tls1_3", "k\n", true), ("-tls1_2", "R\n", false)]
    {
        let mut child = Command::new("openssl")
            .args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-CAfile", &files.path("ca.pem")])
            .args(["-verify_return_error", "-verify_hostname", "localhost", version])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        input.write_all(b"before\n").unwrap();
        until(&mut output, "before\n", &mut said);
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        input.write_all(command.as_bytes()).unwrap();
        // What comes right behind the command would be read along with it.
        until_one_of(&mut errors, &["KEYUPDATE\n", "RENEGOTIATING\n"], &mut said);
        _ = input.write_all(b"behind\n");
        if survives {
            until(&mut output, "behind\n", &mut said);
            drop(input);
            child.wait().unwrap();
        } else {
            output.read_to_string(&mut said).unwrap();
            assert!(!child.wait().unwrap().success() && !said.contains("behind\n"), "{said}");
        }
    }
    // That it was refused harmed nobody.
    assert!(polled.handle.connections().iter().any(Connection::is_listening));
}

fn until(output: &mut impl std::io::BufRead, line: &str, said: &mut String) {
    until_one_of(output, &[line], said);
}

fn until_one_of(output: &mut impl std::io::BufRead, lines: &[&str], said: &mut String) {
    loop {
        let mut line = String::new();
        assert!(output.read_line(&mut line).unwrap() > 0, "it ended with {said}");
        said.push_str(&line);
        if lines.contains(&line.as_str()) {
            return;
        }
    }
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A server of openssl's, and its port.
fn s_server(files: &Files, arguments: &[&str]) -> (Server, String) {
    let mut child = Command::new("openssl")
        .args([
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-cert",
            &files.path("chain.pem"),
            "-key",
            &files.path("key.pem"),
        ])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let server = Server(child);
    let mut line = String::new();
    while !line.starts_with("ACCEPT ") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "it does not listen");
    }
    let port = line.trim().rsplit(':').next().unwrap().to_owned();
    // Its output has to be read, or it stops.
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    (server, port)
}

#[test]
fn openssl_as_a_server_is_verified_and_spoken_to() {
    if !is_there("openssl", "version") {
        return;
    }
    let files = Files::new();
    let stranger = crate::certificates::Authority::new("a stranger");
    for version in ["-tls1_2", "-tls1_3"] {
        let (_server, port) = s_server(&files, &["-www", version]);
        let polled = Polled::new(|_: &Connection, _: Event<'_>| {});
        for (tls, expected) in [
            (trusting(), "HTTP/1.0 200 ok"),
            (Tls::new().skip_verification(), "HTTP/1.0 200 ok"),
            (Tls::new().ca(stranger.pem()), "error the TLS handshake failed: invalid peer certificate: "),
            (trusting().name("wrong.example"), "error the TLS handshake failed: invalid peer certificate: "),
        ] {
            let log = Log::default();
            let told = log.clone();
            let connect =
                Connect::new().tls(tls).handler(move |conn: &Connection, event: Event<'_>| match event {
                    Event::TlsHandshake => conn.send("GET / HTTP/1.0\r\n\r\n").unwrap(),
                    Event::Read(bytes) => told.push(String::from_utf8_lossy(bytes)),
                    event => told.push(name(&event)),
                });
            polled.handle.connect_with(&format!("tls://localhost:{port}"), connect).unwrap();
            wait_until("the end", || log.has("close"));
            let all = log.all();
            assert!(all.iter().any(|line| line.starts_with(expected)), "{version}: {all:?}");
            assert!(!all.iter().any(|line| line.contains("truncated")), "{version}: {all:?}");
        }
    }
}
