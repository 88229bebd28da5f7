//! What a program writes by itself to an HTTP server: followed, to know what is asked, and in which order.

use std::mem;

use super::chunked::Chunked;
use super::head::empty_line_end;
use super::token;

/// Follows requests that are written one behind the other.
///
/// Nothing in them is refused or changed, since they are the program's. From what is not understood on, nobody knows
/// where a request ends: then there is one for each time that something is written while nothing is asked.
#[derive(Debug)]
pub(crate) struct Asking {
    state: State,
}

#[derive(Debug)]
enum State {
    /// The head so far; no end is before `looked`.
    Head {
        held: Vec<u8>,
        looked: usize,
    },
    Length(u64),
    Chunked(Box<Chunked>),
    /// What comes behind it depends on the answer; whether anything came.
    Handed(bool),
    Lost,
}

/// One request, as far as its answer depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The method and the target.
    pub(crate) name: Box<str>,
    /// The answer has no body: HEAD.
    pub(crate) head_only: bool,
    /// A 2xx begins a tunnel: CONNECT.
    pub(crate) connect: bool,
    /// A 101 may be the answer.
    pub(crate) upgrade: bool,
    /// The connection ends behind the answer.
    pub(crate) close: bool,
}

impl Asking {
    /// A head that is longer than this is not followed.
    const LONGEST_HEAD: usize = 256 * 1024;

    pub(crate) fn new() -> Self {
        Self { state: State::HEAD }
    }

    /// Takes in what is written, and tells of each request whose head is whole by now. `waits`: whether an answer is
    /// awaited.
    pub(crate) fn write(&mut self, mut bytes: &[u8], mut waits: bool, mut asked: impl FnMut(Asked)) {
        while !bytes.is_empty() {
            bytes = match mem::replace(&mut self.state, State::Lost) {
                State::Head { mut held, looked } => {
                    let before = held.len();
                    held.extend_from_slice(bytes);
                    match head_end(&held, looked) {
                        Some(end) => {
                            let request = held.get(..end).and_then(Request::read);
                            self.state = request.as_ref().map_or(State::Lost, Request::state);
                            asked(request.map_or_else(Asked::unknown, |request| request.asked));
                            waits = true;
                            bytes.get(end.saturating_sub(before)..).unwrap_or_default()
                        }
                        None if held.len() <= Self::LONGEST_HEAD => {
                            self.state = State::Head { looked: held.len(), held };
                            &[]
                        }
                        None => bytes,
                    }
                }
                State::Length(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let left = left - taken as u64;
                    self.state = if left == 0 { State::HEAD } else { State::Length(left) };
                    bytes.get(taken..).unwrap_or_default()
                }
                State::Chunked(mut chunks) => match chunks.feed(bytes, |_| {}) {
                    Ok(taken) => {
                        let done = chunks.is_done();
                        self.state = if done { State::HEAD } else { State::Chunked(chunks) };
                        bytes.get(taken..).unwrap_or_default()
                    }
                    Err(_) => bytes,
                },
                State::Handed(_) => {
                    self.state = State::Handed(true);
                    &[]
                }
                State::Lost => {
                    if !mem::replace(&mut waits, true) {
                        asked(Asked::unknown());
                    }
                    &[]
                }
            };
        }
    }

    /// Whether a request is begun and not whole.
    pub(crate) fn is_amid(&self) -> bool {
        match &self.state {
            // Some end a body with a line end that its length does not count.
            State::Head { held, .. } => !held.trim_ascii_start().is_empty(),
            State::Length(_) | State::Chunked(_) => true,
            State::Handed(_) | State::Lost => false,
        }
    }

    /// Whether the body of a request is being written in chunks.
    pub(crate) fn is_chunking(&self) -> bool {
        matches!(self.state, State::Chunked(_))
    }

    /// Whether the last request has to be answered before another may follow, or nobody knows.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Handed(_))
    }

    /// A request begins here, whatever was written before; nothing is asked.
    pub(crate) fn begins(&mut self) {
        if let State::Lost = self.state {
            self.state = State::HEAD;
        }
    }

    /// The server goes on with HTTP.
    pub(crate) fn stays(&mut self) {
        if let State::Handed(wrote) = self.state {
            self.state = if wrote { State::Lost } else { State::HEAD };
        }
    }
}

impl State {
    const HEAD: Self = Self::Head { held: Vec::new(), looked: 0 };
}

impl Asked {
    /// What is not understood is taken for a GET.
    fn unknown() -> Self {
        let name = "a request in the program's own words".into();
        Self { name, head_only: false, connect: false, upgrade: false, close: false }
    }
}

struct Request {
    asked: Asked,
    length: u64,
    chunked: bool,
}

impl Request {
    fn read(head: &[u8]) -> Option<Self> {
        let text = head.trim_ascii_start();
        let (line, fields) = text.split_at_checked(memchr::memchr(b'\n', text)?)?;
        let line = str::from_utf8(line).ok()?.trim_ascii_end();
        let mut words = line.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if !token::is_token(method.as_bytes()) || words.next().is_some() || !version.starts_with("HTTP/1.") {
            return None;
        }
        let asked = Asked {
            name: format!("{method} {target}").into(),
            head_only: method == "HEAD",
            connect: method == "CONNECT",
            upgrade: false,
            close: version == "HTTP/1.0",
        };
        let mut request = Self { asked, length: 0, chunked: false };
        for (name, value) in fields.split(|byte| *byte == b'\n').filter_map(super::outgoing::field) {
            if name.eq_ignore_ascii_case(b"content-length") {
                request.length = str::from_utf8(value).ok()?.parse().ok()?;
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                let last = token::members(value).last()?;
                request.chunked = last.eq_ignore_ascii_case(b"chunked");
            } else if name.eq_ignore_ascii_case(b"upgrade") {
                request.asked.upgrade = true;
            } else if name.eq_ignore_ascii_case(b"connection") {
                for option in token::members(value) {
                    request.asked.close |= option.eq_ignore_ascii_case(b"close");
                    request.asked.close &= !option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
        }
        Some(request)
    }

    fn state(&self) -> State {
        match self {
            _ if self.asked.connect => State::Handed(false),
            Self { chunked: true, .. } => State::Chunked(Box::new(Chunked::new(u64::MAX))),
            Self { length: 0, .. } if self.asked.upgrade => State::Handed(false),
            Self { length: 0, .. } => State::HEAD,
            Self { length, .. } => State::Length(*length),
        }
    }
}

/// Where the head ends, empty lines before it included (RFC 9112 §2.2).
fn head_end(bytes: &[u8], looked: usize) -> Option<usize> {
    let start = bytes.len() - bytes.trim_ascii_start().len();
    empty_line_end(bytes.get(start..)?, looked.saturating_sub(start)).map(|end| start + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked by these writes, and whether the last request is whole.
    fn follow(writes: &[&[u8]]) -> (Vec<Asked>, bool) {
        let (mut asking, mut all) = (Asking::new(), Vec::new());
        for bytes in writes {
            let waits = !all.is_empty();
            asking.write(bytes, waits, |asked| all.push(asked));
        }
        (all, !asking.is_amid())
    }

    const PIPELINE: &[u8] = b"\r\nHEAD /a HTTP/1.1\r\nHost: a\r\n\r\n\
        POST /b?c HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello\
        PUT /d HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\nConnection: close\r\n\r\n3\r\nGET\r\n0\r\n\r\n\
        GET / HTTP/1.0\n\nGET /e HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";

    #[test]
    fn requests_are_told_apart_however_they_are_cut() {
        for size in 1..PIPELINE.len() {
            let (all, whole) = follow(&PIPELINE.chunks(size).collect::<Vec<_>>());
            let names: Vec<_> = all.iter().map(|asked| &*asked.name).collect();
            assert_eq!(names, ["HEAD /a", "POST /b?c", "PUT /d", "GET /", "GET /e"], "{size}");
            assert!(whole);
            let heads: Vec<_> = all.iter().map(|asked| asked.head_only).collect();
            assert_eq!(heads, [true, false, false, false, false]);
            let closes: Vec<_> = all.iter().map(|asked| asked.close).collect();
            assert_eq!(closes, [false, false, true, true, false]);
        }
    }

    #[test]
    fn what_is_begun_is_known() {
        for (text, count) in [
            (&b"GET / HTTP/1.1\r\n"[..], 0),
            (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\na", 1),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", 1),
        ] {
            let (all, whole) = follow(&[text]);
            assert_eq!((all.len(), whole), (count, false));
        }
        let (all, whole) = follow(&[b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\na\r\n"]);
        assert_eq!((all.len(), whole), (1, true), "a stray line end begins nothing");
    }

    #[test]
    fn what_is_not_understood_is_one_request() {
        for text in [
            &b"hello\r\n\r\n"[..],
            b"GET /\r\n\r\n",
            b"GET / / HTTP/1.1\r\n\r\n",
            b"G@T / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/2.0\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"\xff / HTTP/1.1\r\n\r\n",
        ] {
            let (all, whole) = follow(&[text, b"GET / HTTP/1.1\r\n\r\n"]);
            assert_eq!((all, whole), (vec![Asked::unknown()], true), "{}", String::from_utf8_lossy(text));
        }
        // Once that has its answer, what is written next is another.
        let (mut asking, mut count) = (Asking::new(), 0);
        for waits in [false, true, false] {
            asking.write(b"hello\r\n\r\n", waits, |_| count += 1);
        }
        assert_eq!(count, 2);
        // And a request that is known to be one is followed again.
        asking.begins();
        asking.write(b"HEAD / HTTP/1.1\r\n\r\n", false, |asked| assert!(asked.head_only));
        // A head without an end is given up.
        let (mut asking, mut count) = (Asking::new(), 0);
        asking.write(&vec![b'x'; Asking::LONGEST_HEAD + 1], false, |_| count += 1);
        assert_eq!(count, 1);
    }

    #[test]
    fn chunks_that_are_none_lose_the_thread() {
        let text = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense";
        let (all, whole) = follow(&[text]);
        assert_eq!((all.len(), whole), (1, true));
    }

    #[test]
    fn behind_connect_and_upgrade_nothing_is_followed_until_they_are_answered() {
        for text in [
            &b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        ] {
            let (mut asking, mut all) = (Asking::new(), Vec::new());
            asking.write(text, false, |asked| all.push(asked));
            assert!(asking.is_closed() && !asking.is_amid());
            assert!(all[0].connect || all[0].upgrade);
            asking.stays();
            asking.write(b"HEAD / HTTP/1.1\r\n\r\n", false, |asked| all.push(asked));
            assert!(all[1].head_only, "a refusal, and HTTP goes on");

            let mut asking = Asking::new();
            asking.write(text, false, |_| {});
            asking.write(b"anything", true, |_| panic!("nothing is asked"));
            asking.stays();
            asking
                .write(b"HEAD / HTTP/1.1\r\n\r\n", false, |asked| assert!(!asked.head_only, "nobody knows"));
        }
    }
}
