//! Peers that others wrote: Python's `websocket-client` and `websockets`.

use super::serving::{echo, told};
use crate::support::{Log, Polled, wait_until};
use exeunt_manager::{Connect, Connection, Event, WsOp};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/websocket_peers.py");
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/python-peers/bin/python");

fn is_there() -> bool {
    let said = Command::new(PYTHON)
        .args(["-c", "import websocket, websockets.sync.server"])
        .stderr(Stdio::null())
        .status();
    let there = said.is_ok_and(|status| status.success());
    if !there {
        eprintln!(
            "SKIPPED: there is no Python with websocket-client and websockets; scripts/test-tools installs it"
        );
    }
    there
}

fn serve(conn: &Connection, event: Event<'_>) {
    match event {
        Event::HttpMessage(request) => {
            let chat = [("Sec-WebSocket-Protocol", "chat")];
            let headers = if request.header(chat[0].0).is_some() { &chat[..] } else { &[] };
            conn.ws_upgrade(headers).unwrap();
        }
        Event::WsMessage(message) if message.text() == Some("close me") => {
            conn.ws_close(4000, "as you wish").unwrap();
        }
        other => echo(conn, other),
    }
}

#[test]
fn pythons_clients_are_served() {
    if !is_there() {
        return;
    }
    let polled = Polled::new(serve);
    let url = format!("ws://{}/", polled.listen("ws://127.0.0.1:0"));
    let output = Command::new(PYTHON).args([SCRIPT, "client", &url]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.ends_with("all is well\n"), "{said}{wrong}");
}

#[test]
fn pythons_server_serves_us() {
    if !is_there() {
        return;
    }
    let mut server = Command::new(PYTHON)
        .args([SCRIPT, "server"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let log = Log::default();
    let tell = log.clone();
    let large = "grün ".repeat(400_000);
    let sent = large.clone();
    let how = Connect::new().handler(move |conn, event| {
        match &event {
            Event::WsOpen(_) => conn.ws_send(WsOp::Text, "hello").unwrap(),
            Event::WsMessage(message) => match message.text() {
                Some("hello") => conn.ws_send(WsOp::Binary, [0, 255]).unwrap(),
                None => conn.ws_send(WsOp::Text, "pieces").unwrap(),
                Some("in many pieces") => conn.ws_send(WsOp::Text, &sent).unwrap(),
                Some(text) => {
                    assert_eq!(text, sent);
                    return conn.ws_send(WsOp::Text, "close me").unwrap();
                }
            },
            _ => {}
        }
        if matches!(event, Event::WsMessage(_) | Event::WsControl(_) | Event::Close | Event::Error(_)) {
            tell.push(told(&event));
        }
    });
    let polled = Polled::new(|_, _| {});
    polled.handle.ws_connect_with(&format!("ws://127.0.0.1:{}/", port.trim()), &[], how).unwrap();
    wait_until("the end", || log.has("close"));
    let told: Vec<_> = log.all().into_iter().filter(|line| !line.starts_with("Ping")).collect();
    assert_eq!(told, ["ws hello", "ws binary", "ws in many pieces", "ws close 4000 as you wish", "close"]);
    drop(server.stdin.take());
    assert!(server.wait().unwrap().success());
}
