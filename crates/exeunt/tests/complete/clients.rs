//! Clients that order one thing after the other on kept connections, and account for every order.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longer than any answer takes that comes at all.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Clients {
    threads: Vec<JoinHandle<Heard>>,
    acknowledged: Arc<AtomicUsize>,
}

/// What clients have heard, by the orders' keys.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) acknowledged: Vec<String>,
    /// Answered, but not by 201.
    pub(crate) refused: Vec<String>,
    /// Sent on a connection of which no end was announced, and never answered.
    pub(crate) lost: Vec<String>,
}

impl Clients {
    /// Keys begin with `round`, so that no two rounds have the same.
    pub(crate) fn start(server: SocketAddr, round: u32, count: usize) -> Self {
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let threads = (0..count)
            .map(|client| {
                let acknowledged = Arc::clone(&acknowledged);
                thread::spawn(move || {
                    order_until_refused(server, &format!("{round}-{client}"), &acknowledged)
                })
            })
            .collect();
        Self { threads, acknowledged }
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits until all of them may have ordered.
    pub(crate) fn until_busy(&self) {
        let begun = Instant::now();
        while self.acknowledged() < 4 * self.threads.len() {
            assert!(begun.elapsed() < PATIENCE, "{} orders in {PATIENCE:?}", self.acknowledged());
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// When nobody listens any more.
    pub(crate) fn end(self) -> Heard {
        let mut all = Heard::default();
        for thread in self.threads {
            let heard = thread.join().unwrap();
            all.acknowledged.extend(heard.acknowledged);
            all.refused.extend(heard.refused);
            all.lost.extend(heard.lost);
        }
        all
    }
}

fn order_until_refused(server: SocketAddr, prefix: &str, acknowledged: &AtomicUsize) -> Heard {
    let (mut heard, mut number) = (Heard::default(), 0_u32);
    while let Ok(mut stream) = TcpStream::connect_timeout(&server, PATIENCE) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        loop {
            let key = format!("{prefix}-{number}");
            number += 1;
            let Some(head) = put(&mut stream, &key) else {
                heard.lost.push(key);
                break;
            };
            if head.starts_with("http/1.1 201 ") {
                acknowledged.fetch_add(1, Ordering::SeqCst);
                heard.acknowledged.push(key);
            } else {
                heard.refused.push(format!("{key}: {head}"));
            }
            if head.contains("\r\nconnection: close\r\n") {
                break;
            }
        }
    }
    heard
}

/// The head of the answer, in lower case; none if there was no answer.
fn put(stream: &mut TcpStream, key: &str) -> Option<String> {
    let request = format!("PUT /orders/{key} HTTP/1.1\r\nhost: shop\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return None,
            Ok(length) => read.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return None,
        }
        let text = String::from_utf8_lossy(&read).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next());
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(format!("{head}\r\n"));
            }
        }
    }
}
