//! Clients that others wrote: curl, and Python's `http.client` and `socket`.

use crate::support::Polled;
use exeunt_manager::{Connection, Event};
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

fn serve(conn: &Connection, event: Event<'_>) {
    let Event::HttpMessage(request) = event else { return };
    let length = request.body().len();
    let sum: u64 = request.body().iter().map(|byte| u64::from(*byte)).sum();
    match request.uri() {
        "/hello" => conn.reply(200, &[("X-Method", request.method())], "hello"),
        "/sum" => conn.reply(200, &[], format!("{length} {sum}")),
        "/echo" => conn.reply(200, &[("Content-Type", "application/octet-stream")], request.body()),
        "/chunks" => {
            conn.reply(200, &[("Transfer-Encoding", "chunked")], "");
            for piece in ["one", "two", "three", ""] {
                conn.chunk(piece).unwrap();
            }
        }
        "/events" => {
            conn.sse("tick", "one").unwrap();
            conn.sse("", "two\nlines").unwrap();
            conn.chunk("").unwrap();
        }
        "/large" => conn.reply(200, &[], vec![b'x'; 5_000_000]),
        "/nothing" => conn.reply(204, &[], ""),
        "/query" => conn.reply(200, &[], request.query_var("q").unwrap_or_default()),
        _ => conn.reply(404, &[], "not here"),
    }
}

pub(crate) fn is_there(program: &str) -> bool {
    let said = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = said.is_ok_and(|status| status.success());
    if !there {
        eprintln!("SKIPPED: there is no {program}; scripts/test-tools installs it");
    }
    there
}

pub(crate) fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}: {text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    text
}

pub(crate) fn curl(address: SocketAddr, path: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "60", "--noproxy", "*"]).args(arguments);
    said(&command.arg(format!("http://{address}{path}")).output().unwrap())
}

#[test]
fn curl_is_served() {
    if !is_there("curl") {
        return;
    }
    let polled = Polled::new(serve);
    let address = polled.listen("http://127.0.0.1:0");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![1; 3_000_000]).unwrap();
    let upload = format!("@{}", file.path().display());
    let upload = upload.as_str();
    let table: &[(&str, &[&str], &str)] = &[
        ("/hello", &[], "hello"),
        ("/hello", &["--http1.0"], "hello"),
        ("/chunks", &[], "onetwothree"),
        ("/chunks", &["--http1.0"], "onetwothree"),
        ("/events", &[], "event: tick\ndata: one\n\ndata: two\ndata: lines\n\n"),
        ("/missing", &[], "not here"),
        ("/query?q=a+b%21", &[], "a b!"),
        ("/nothing", &["-w", "%{http_code}"], "204"),
        ("/sum", &["--data-binary", upload], "3000000 3000000"),
        ("/sum", &["--data-binary", upload, "-H", "Expect: 100-continue"], "3000000 3000000"),
        ("/sum", &["--data-binary", upload, "-H", "Transfer-Encoding: chunked"], "3000000 3000000"),
        ("/sum", &["--data-binary", upload, "-H", "Expect:"], "3000000 3000000"),
        ("/sum", &["-T", file.path().to_str().unwrap()], "3000000 3000000"),
    ];
    for (path, arguments, expected) in table {
        assert_eq!(curl(address, path, arguments), *expected, "{path} {arguments:?}");
    }
    let head = curl(address, "/hello", &["--head"]);
    assert!(head.contains("Content-Length: 5\r\n") && head.contains("X-Method: HEAD\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(curl(address, "/large", &["-o", "/dev/null", "-w", "%{size_download}"]), "5000000");
    // A client that waits for leave is not kept waiting: it would go on by itself after this.
    let waited = curl(
        address,
        "/sum",
        &[
            "--data-binary",
            upload,
            "-H",
            "Expect: 100-continue",
            "--expect100-timeout",
            "50",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
        ],
    );
    assert_eq!(waited, "200");
    let url = format!("http://{address}/hello");
    let kept = curl(address, "/hello", &["-w", "%{num_connects}", &url, "-w", "%{num_connects}"]);
    assert_eq!(kept, "hello1hello0", "the second goes over the first one's connection");
}

#[test]
fn python_is_served() {
    if !is_there("python3") {
        return;
    }
    let polled = Polled::new(serve);
    let address = polled.listen("http://127.0.0.1:0");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign.py");
    let output = Command::new("python3").arg(script).arg(address.port().to_string()).output().unwrap();
    let said = said(&output);
    assert!(said.ends_with("all is well\n"), "{said}");
}
