//! A reverse proxy in one event loop: a server in front, and clients of the server behind.
//!
//! `proxy ADDRESS URL` listens on ADDRESS, and forwards what it is asked to URL. Each client has a connection of its own to
//! the server behind, as long as both keep theirs. What is large, or has no end, is passed on as it comes.
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use exeunt::manager::{Connect, Connection, Event, Manager, Request, Response, Schedule, Timer};
use std::env;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What is larger is passed on as it comes, in bytes.
const LARGE: u64 = 64 * 1024;
/// So much may wait for a client before the server behind has to wait for him, in bytes.
const PAUSE: usize = 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);

fn main() -> exeunt::Exit {
    exeunt::main_blocking(|app| {
        let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
        let url = env::args().nth(2).unwrap_or_else(|| "http://127.0.0.1:8000".to_owned());
        let mut manager = Manager::new(move |conn, event| in_front(conn, event, &url));
        let listener = manager.listen(&format!("http://{address}"))?;
        println!("entered manager");
        if let Some(address) = listener.local_address() {
            println!("serving {address}");
        }
        app.ready();
        let drained = manager.run(app)?;
        println!("{drained}");
        println!("left manager");
        Ok(())
    })
}

/// A client's connection to the server behind, kept with his own.
struct Behind(Connection);

fn in_front(conn: &Connection, event: Event<'_>, url: &str) {
    match event {
        Event::HttpMessage(request) => {
            let kept = conn.data::<Behind>().map(|behind| behind.0.clone());
            let (client, request, url) = (conn.clone(), request.clone(), url.to_owned());
            forward(client, request, url, kept.filter(Connection::is_open));
        }
        // He has read some of what waits for him.
        Event::Write(_) if conn.unsent_len() < PAUSE => {
            if let Some(behind) = conn.data::<Behind>() {
                behind.0.pause_body(false);
            }
        }
        Event::Close => {
            if let Some(behind) = conn.data::<Behind>() {
                behind.0.close();
                // The two know each other, and would keep each other.
                conn.set_data(());
            }
        }
        _ => {}
    }
}

/// One request on its way, kept with the connection to the server behind.
struct Exchange {
    /// Of this one request: an answer that comes twice, or late, is refused.
    client: Connection,
    request: Request,
    url: String,
    /// The connection had been used before: the server may have closed it just when we asked.
    reused: bool,
    answer: Mutex<Answer>,
}

enum Answer {
    Awaited(Option<Timer>),
    Streams,
    Done,
}

fn forward(client: Connection, request: Request, url: String, kept: Option<Connection>) {
    let reused = kept.is_some();
    let Some(manager) = client.manager() else { return };
    let connect = || manager.connect_with(&url, Connect::new().handler(behind));
    let behind = match kept.map_or_else(connect, Ok) {
        Ok(behind) => behind,
        Err(error) => return client.reply(502, &[], format!("{error}\n")),
    };
    let asked = behind.clone();
    let timer = manager.timer(Schedule::once(TIMEOUT), move |_| {
        if let Some(exchange) = asked.data::<Exchange>() {
            exchange.instead(504, "the server behind has taken too long\n");
        }
        asked.close();
    });
    client.set_data(Behind(behind.clone()));
    let answer = Mutex::new(Answer::Awaited(timer.ok()));
    behind.set_data(Exchange { client, request, url, reused, answer });
    if let Some(exchange) = behind.data::<Exchange>() {
        exchange.ask(&behind);
    }
}

fn behind(conn: &Connection, event: Event<'_>) {
    let Some(exchange) = conn.data::<Exchange>() else { return };
    match event {
        Event::HttpResponseHeaders(response) => exchange.begin(conn, response),
        Event::HttpBody(piece) => exchange.go_on(conn, piece),
        Event::HttpResponse(response) => exchange.end(response),
        Event::Close => exchange.give_up(),
        _ => {}
    }
}

impl Exchange {
    fn ask(&self, conn: &Connection) {
        let from = self.client.remote_address().map(|address| address.to_string()).unwrap_or_default();
        let mut headers = end_to_end(self.request.headers(), false);
        headers.push(("X-Forwarded-For", &from));
        // If the connection has closed just now, that is told by itself.
        _ = conn.request(self.request.method(), self.request.target(), &headers, self.request.body());
    }

    fn begin(&self, conn: &Connection, response: &Response) {
        let length = response.header("content-length").and_then(|length| length.parse::<u64>().ok());
        if self.has_no_body(response) || length.is_some_and(|length| length <= LARGE) {
            return; // it will be here as a whole
        }
        let mut headers = end_to_end(response.headers(), false);
        headers.push(("Transfer-Encoding", "chunked"));
        self.becomes(Answer::Streams);
        self.client.reply(response.status(), &headers, "");
        if conn.stream_body(u64::MAX).is_err() {
            conn.close();
        }
    }

    fn go_on(&self, conn: &Connection, piece: &[u8]) {
        if self.client.chunk(piece).is_err() {
            conn.close(); // nobody wants it any more
        }
        conn.pause_body(self.client.unsent_len() >= PAUSE);
    }

    fn end(&self, response: &Response) {
        if let Answer::Streams = self.becomes(Answer::Done) {
            _ = self.client.chunk("");
            return;
        }
        let headers = end_to_end(response.headers(), self.has_no_body(response));
        self.client.reply(response.status(), &headers, response.body());
    }

    /// The connection is over: whoever waits for an answer gets one.
    fn give_up(&self) {
        let repeatable = matches!(self.request.method(), "GET" | "HEAD" | "OPTIONS");
        match self.becomes(Answer::Done) {
            Answer::Done => {}
            Answer::Awaited(_) if self.reused && repeatable => {
                forward(self.client.clone(), self.request.clone(), self.url.clone(), None);
            }
            Answer::Awaited(_) => self.client.reply(502, &[], "the server behind gives no answer\n"),
            // Nobody shall take the part for the whole.
            Answer::Streams => self.client.close(),
        }
    }

    fn instead(&self, status: u16, text: &str) {
        if let Answer::Awaited(_) = self.becomes(Answer::Done) {
            self.client.reply(status, &[], text);
        }
    }

    /// What it was before.
    fn becomes(&self, next: Answer) -> Answer {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Answer::Awaited(Some(timer)) = &*answer {
            timer.cancel();
        }
        std::mem::replace(&mut answer, next)
    }

    fn has_no_body(&self, response: &Response) -> bool {
        self.request.method() == "HEAD" || matches!(response.status(), 204 | 304)
    }
}

/// The fields that are not about one connection alone (RFC 9110 §7.6.1), nor about what is written anew.
fn end_to_end<'a>(
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    with_length: bool,
) -> Vec<(&'a str, &'a str)> {
    const HOP: [&str; 8] =
        ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "host"];
    headers
        .filter(|(name, _)| {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            !HOP.iter().any(|hop| is(hop)) && (with_length || !is("content-length"))
        })
        .filter_map(|(name, value)| Some((name, str::from_utf8(value).ok()?)))
        .collect()
}
