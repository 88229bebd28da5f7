//! What has arrived when a stop begins, and is more than one read takes (rule D6).

use super::peer::{UPGRADE, close_frame, frame, read_frame, read_head};
use crate::certificates::{localhost, tls_client};
use crate::support::{LIMIT, address, poll_until};
use exeunt_manager::{Connection, Event, Listen, Manager, WsOp};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

/// Answers each message with its length.
fn measures(conn: &Connection, event: Event<'_>) {
    match event {
        Event::HttpMessage(_) => conn.ws_upgrade(&[]).unwrap(),
        Event::WsMessage(message) => {
            conn.ws_send(WsOp::Text, message.data().len().to_string()).unwrap();
        }
        _ => {}
    }
}

/// Sends many messages at once, and tells of it; how many answers come before the Close.
fn answers(mut client: impl Read + Write, messages: usize, length: usize, sent: &Sender<()>) -> usize {
    client.write_all(UPGRADE.as_bytes()).unwrap();
    read_head(&mut client);
    client.write_all(&frame(0x82, &vec![b'x'; length]).repeat(messages)).unwrap();
    sent.send(()).unwrap();
    let mut answers = 0;
    while let Some((first, payload)) = read_frame(&mut client) {
        match first {
            0x88 => client.write_all(&close_frame(1001)).unwrap(),
            _ => answers += usize::from(payload == length.to_string().as_bytes()),
        }
    }
    answers
}

fn drains(mut manager: Manager, ask: impl FnOnce(Sender<()>) -> usize + Send + 'static) -> usize {
    let (sends, sent) = channel();
    let thread = std::thread::spawn(move || ask(sends));
    let handle = manager.handle();
    poll_until(&mut manager, "the upgrade", || handle.connections().iter().any(Connection::is_websocket));
    // The loop has seen nothing of them when the drain begins.
    sent.recv_timeout(LIMIT).unwrap();
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean(), "{report}");
    thread.join().unwrap()
}

#[test]
fn d6_all_that_had_arrived_is_answered_before_the_close() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ws.sock");
    let manager = Manager::new(measures);
    manager.listen(&format!("http+unix:{}", path.display())).unwrap();
    assert_eq!(
        drains(manager, move |sent| answers(UnixStream::connect(path).unwrap(), 100, 900, &sent)),
        100
    );
}

#[test]
fn d6_all_that_had_arrived_on_tls_is_answered_before_the_close() {
    let manager = Manager::new(measures);
    let listener = manager.listen_with("https://127.0.0.1:0", Listen::new().tls(localhost().tls())).unwrap();
    let address = address(&listener);
    assert_eq!(drains(manager, move |sent| answers(tls_client(address), 100, 400, &sent)), 100);
}
