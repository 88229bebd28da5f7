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

/// A queue that is longer is looked through for what nobody waits for any more, now and then.
const LONG: usize = 1024;

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
        let (needed, late) = lock(&self.shared.queue).push(question);
        drop(late);
        if !needed {
            return;
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

impl Queue {
    /// Whether another thread is needed, which is counted already; and what is too late by now, to be dropped outside of the
    /// lock.
    fn push(&mut self, question: Question) -> (bool, VecDeque<Question>) {
        if self.closed {
            return (false, VecDeque::from([question]));
        }
        self.questions.push_back(question);
        let needed = self.threads < THREADS;
        self.threads += usize::from(needed);
        if !self.questions.len().is_multiple_of(LONG) {
            return (needed, VecDeque::new());
        }
        let now = Instant::now();
        let (late, waiting) = self.questions.drain(..).partition(|question| question.is_late(now));
        self.questions = waiting;
        (needed, late)
    }
}

impl Question {
    fn is_late(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
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
            let Some(question) = question else { return };
            let late = question.is_late(Instant::now());
            let Question { connection, host, port, .. } = question;
            if !late && connection.is_open() {
                connection.resolved((self.lookup)(&host, port));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Kind;
    use crate::core::Core;
    use crate::limits::Limits;
    use crate::session::{Protocol, Raw, Session};
    use std::net::Ipv4Addr;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    const LIMIT: Duration = Duration::from_secs(60);

    /// A resolver whose answers the test gives: it says what was asked, and waits.
    fn slow() -> (Resolver, Receiver<String>, Sender<()>) {
        let ((asked, hears), (go, waits)) = (channel(), channel::<()>());
        let both = Mutex::new((asked, waits));
        let resolver = Resolver::by(move |host, port| {
            _ = lock(&both).0.send(host.to_owned());
            // Whoever holds the lock waits for the others, too: one at a time is let go.
            _ = lock(&both).1.recv_timeout(LIMIT);
            Ok(vec![(Ipv4Addr::LOCALHOST, port).into()])
        });
        (resolver, hears, go)
    }

    fn connection(core: &Arc<Core>) -> Connection {
        let session = Session::new(Protocol::Raw(Raw::new(Instant::now())), None, None);
        Connection::new(core, Kind::Stream, session.connecting("a"))
    }

    fn core() -> Arc<Core> {
        Arc::new(Core::new(None, Limits::default(), Err(io::ErrorKind::Unsupported)))
    }

    fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < LIMIT, "{what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn answer(connection: &Connection) -> Option<io::Result<Vec<SocketAddr>>> {
        let mut answer = None;
        wait_for("no answer", || {
            answer = connection.lock().take_resolved();
            answer.is_some()
        });
        answer
    }

    #[test]
    fn so_many_names_at_a_time_and_the_others_wait() {
        let (core, (resolver, hears, go)) = (core(), slow());
        let all: Vec<_> = (0..THREADS + 2).map(|_| connection(&core)).collect();
        for (index, connection) in all.iter().enumerate() {
            resolver.ask(connection, &format!("host{index}"), 80, None);
        }
        let first = hears.recv_timeout(LIMIT).unwrap();
        assert!(first.starts_with("host"), "{first}");
        assert_eq!(lock(&resolver.shared.queue).threads, THREADS);
        for _ in &all {
            go.send(()).unwrap();
        }
        for connection in &all {
            let addresses = answer(connection).unwrap().unwrap();
            assert_eq!(addresses, [SocketAddr::from((Ipv4Addr::LOCALHOST, 80))]);
        }
        // The threads go when there is nothing to do.
        wait_for("threads stay", || lock(&resolver.shared.queue).threads == 0);
    }

    #[test]
    fn whoever_is_gone_or_too_late_is_not_asked_for() {
        let (core, (resolver, hears, go)) = (core(), slow());
        let busy: Vec<_> = (0..THREADS).map(|_| connection(&core)).collect();
        busy.iter().for_each(|connection| resolver.ask(connection, "busy", 80, None));
        let (gone, late, last) = (connection(&core), connection(&core), connection(&core));
        resolver.ask(&gone, "gone", 80, None);
        resolver.ask(&late, "late", 80, Some(Instant::now()));
        resolver.ask(&last, "last", 80, Some(Instant::now() + LIMIT));
        gone.tell_end(&core, Session::gone);
        for _ in 0..THREADS + 1 {
            go.send(()).unwrap();
        }
        assert!(answer(&last).unwrap().is_ok());
        let asked: Vec<_> = hears.try_iter().collect();
        assert!(!asked.iter().any(|host| host == "gone" || host == "late"), "{asked:?}");
        assert!(gone.lock().take_resolved().is_none());
    }

    #[test]
    fn what_nobody_waits_for_is_not_piled_up() {
        let (core, (resolver, _hears, _go)) = (core(), slow());
        let one = connection(&core);
        for _ in 0..10 * LONG {
            resolver.ask(&one, "a", 80, Some(Instant::now()));
        }
        assert!(lock(&resolver.shared.queue).questions.len() < LONG);
    }

    #[test]
    fn nobody_waits_for_a_name_at_the_end() {
        let (core, (resolver, hears, _go)) = (core(), slow());
        let all: Vec<_> = (0..20).map(|_| connection(&core)).collect();
        all.iter().for_each(|connection| resolver.ask(connection, "a", 80, None));
        hears.recv_timeout(LIMIT).unwrap();
        resolver.close();
        assert!(lock(&resolver.shared.queue).questions.is_empty());
        resolver.ask(&all[0], "a", 80, None);
        assert!(lock(&resolver.shared.queue).questions.is_empty(), "nothing is asked behind the end");
    }

    #[test]
    fn an_empty_name_is_none() {
        let (core, (resolver, ..)) = (core(), slow());
        for host in ["", "*"] {
            let connection = connection(&core);
            resolver.ask(&connection, host, 80, None);
            assert!(answer(&connection).unwrap().unwrap_err().to_string().contains("no host"));
        }
    }
}
