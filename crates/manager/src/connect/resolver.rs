//! Names into addresses, off the loop.

use crate::connection::Connection;
use crate::core::lock;
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Asks the system for the addresses of names: getaddrinfo(3), which blocks.
///
/// Threads are there only while there are names, and nobody waits for them: an answer for a connection that is gone is
/// dropped, and so are the questions of a manager that is.
#[derive(Clone)]
pub(crate) struct Resolver {
    shared: Arc<Shared>,
}

type Lookup = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

struct Shared {
    lookup: Box<Lookup>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    questions: VecDeque<Question>,
    threads: usize,
    closed: bool,
}

struct Question {
    connection: Connection,
    host: String,
    port: u16,
    until: Option<Instant>,
}

/// Names at a time. A system's resolver may take its 30 s for one that nobody answers for.
const THREADS: usize = 4;

impl Resolver {
    /// By the system.
    pub(crate) fn new() -> Self {
        Self::by(|host, port| (host, port).to_socket_addrs().map(Iterator::collect))
    }

    fn by(lookup: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self { shared: Arc::new(Shared { lookup: Box::new(lookup), queue: Mutex::default() }) }
    }

    /// Has the connection told, unless that comes behind `until`.
    pub(crate) fn ask(&self, connection: &Connection, host: &str, port: u16, until: Option<Instant>) {
        if matches!(host, "" | "*") {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "the address names no host");
            return connection.resolved(Err(error));
        }
        let question = Question { connection: connection.clone(), host: host.to_owned(), port, until };
        {
            let mut queue = lock(&self.shared.queue);
            if queue.closed {
                return;
            }
            queue.questions.push_back(question);
            if queue.threads >= THREADS {
                return;
            }
            queue.threads += 1;
        }
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("exeunt-resolve".to_owned());
        let Err(error) = thread.spawn(move || shared.answer()) else { return };
        // Those that run will come to it; without any, nobody will.
        let unanswered = {
            let mut queue = lock(&self.shared.queue);
            queue.threads -= 1;
            if queue.threads == 0 { std::mem::take(&mut queue.questions) } else { VecDeque::new() }
        };
        for Question { connection, .. } in unanswered {
            connection.resolved(Err(io::Error::new(error.kind(), format!("no thread for it: {error}"))));
        }
    }

    /// Nobody wants to know any more.
    pub(crate) fn close(&self) {
        let questions = {
            let mut queue = lock(&self.shared.queue);
            queue.closed = true;
            std::mem::take(&mut queue.questions)
        };
        drop(questions);
    }
}

impl Shared {
    fn answer(&self) {
        loop {
            let question = {
                let mut queue = lock(&self.queue);
                let next = queue.questions.pop_front();
                if next.is_none() {
                    queue.threads -= 1;
                }
                next
            };
            let Some(Question { connection, host, port, until }) = question else { return };
            let late = until.is_some_and(|until| until <= Instant::now());
            if !late && connection.is_open() {
                connection.resolved((self.lookup)(&host, port));
            }
        }
    }
}
