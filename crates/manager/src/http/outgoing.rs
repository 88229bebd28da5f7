//! What a program writes by itself on an HTTP connection: followed, to know where its reply begins and ends.

use std::mem;

use bytes::{Buf, BytesMut};

use super::chunked::Chunked;
use super::head::empty_line_end;
use super::{status, token};

/// Follows one raw reply.
///
/// Nothing in it is refused, since it is the program's; what is not understood goes out as it is, up to the end of the
/// connection.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    head_only: bool,
    connect: bool,
    state: State,
    progress: Progress,
}

#[derive(Clone, Debug)]
enum State {
    /// The head so far, held back; no end is before `looked`.
    Head {
        held: BytesMut,
        looked: usize,
    },
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    Done,
}

/// What is known of a raw reply by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// The final reply's head, or what is no reply at all, has gone out.
    pub(crate) begun: bool,
    /// The reply is whole. Never said of one that lasts until the connection closes.
    pub(crate) done: bool,
    /// Another protocol begins behind the head: a 101, or a 2xx to CONNECT.
    pub(crate) switched: bool,
    /// Where the final reply's head begins in what was written to, if the last write let it out.
    pub(crate) head_at: Option<usize>,
    /// The connection closes behind the reply: it says so, or it has no other end.
    pub(crate) closes: bool,
    /// Bytes of the last write that were behind the reply's end, and not written: nobody has asked for them.
    pub(crate) surplus: usize,
}

impl Outgoing {
    /// A head that is longer than this is let through as it is.
    const LONGEST_HEAD: usize = 256 * 1024;

    /// `head_only`: the reply answers HEAD, and ends with its head. `connect`: it answers CONNECT, and a 2xx begins a
    /// tunnel.
    pub(crate) fn new(head_only: bool, connect: bool) -> Self {
        Self {
            head_only,
            connect,
            state: State::Head { held: BytesMut::new(), looked: 0 },
            progress: Progress::default(),
        }
    }

    /// Takes what the program sends, and writes what of it may go out now. When the final reply's head is whole,
    /// `must_close` is asked, once, whether it has to say `Connection: close`; if it does not already, that is added.
    ///
    /// 1xx replies go before the final one, and are none themselves.
    pub(crate) fn write(
        &mut self,
        bytes: &[u8],
        out: &mut BytesMut,
        must_close: impl FnOnce() -> bool,
    ) -> Progress {
        self.progress.surplus = 0;
        self.progress.head_at = None;
        match mem::replace(&mut self.state, State::Done) {
            State::Head { held, looked } if held.is_empty() => {
                if let Some(waits) = self.head(bytes, looked, out, must_close) {
                    let held = BytesMut::from(bytes.get(waits.from..).unwrap_or_default());
                    self.state = State::Head { held, looked: waits.looked };
                }
            }
            State::Head { mut held, looked } => {
                held.extend_from_slice(bytes);
                if let Some(waits) = self.head(&held, looked, out, must_close) {
                    held.advance(waits.from);
                    self.state = State::Head { held, looked: waits.looked };
                }
            }
            state => {
                self.state = state;
                self.body(bytes, out);
            }
        }
        self.progress
    }

    /// Whether the reply's head has said that chunks follow.
    pub(crate) fn is_chunked(&self) -> bool {
        matches!(self.state, State::Chunked(_))
    }

    /// The beginning of a head, which is held back.
    pub(crate) fn held(&self) -> &[u8] {
        match &self.state {
            State::Head { held, .. } => held,
            _ => &[],
        }
    }

    /// Lets out what is held back, as it is: the program will send no more.
    pub(crate) fn release(&mut self, out: &mut BytesMut) -> Progress {
        if let State::Head { held, .. } = &mut self.state {
            let held = mem::take(held);
            self.pass_all(&held, out);
        }
        self.progress
    }

    /// Lets out what may go; answers what has to wait, if the final head is not whole.
    fn head(
        &mut self,
        bytes: &[u8],
        mut looked: usize,
        out: &mut BytesMut,
        must_close: impl FnOnce() -> bool,
    ) -> Option<Waits> {
        let mut rest = bytes;
        loop {
            let Some((head, behind)) =
                empty_line_end(rest, looked).and_then(|end| rest.split_at_checked(end))
            else {
                if begins_as_http(rest) && rest.len() <= Self::LONGEST_HEAD {
                    return Some(Waits { from: bytes.len() - rest.len(), looked: rest.len() });
                }
                self.pass_all(rest, out);
                return None;
            };
            match Says::read(head) {
                Some(Says { status: 100 | 102..200, .. }) => {
                    out.extend_from_slice(head);
                    (rest, looked) = (behind, 0);
                }
                Some(says) if says.status == 101 || self.connect && (200..300).contains(&says.status) => {
                    self.progress.switched = true;
                    self.pass_all(rest, out);
                    return None;
                }
                Some(says) if says.status >= 200 => {
                    self.progress.head_at = Some(out.len());
                    let must_close = must_close();
                    self.begin(&says, must_close);
                    match must_close && !says.close {
                        true => push_closing(out, head),
                        false => out.extend_from_slice(head),
                    }
                    self.body(behind, out);
                    return None;
                }
                _ => {
                    self.pass_all(rest, out);
                    return None;
                }
            }
        }
    }

    fn begin(&mut self, says: &Says, must_close: bool) {
        self.state = match says.framing {
            _ if self.head_only || status::has_no_body(says.status) => State::Length(0),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunked::new(u64::MAX)),
            Framing::UntilClose => State::UntilClose,
        };
        self.progress.begun = true;
        self.progress.closes = must_close
            || says.close
            || says.http10 && !says.keep_alive
            || matches!(self.state, State::UntilClose);
    }

    fn body(&mut self, bytes: &[u8], out: &mut BytesMut) {
        let taken = match &mut self.state {
            State::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                taken
            }
            State::Chunked(chunks) => match chunks.feed(bytes, |_| {}) {
                Ok(taken) => taken,
                Err(_) => return self.pass_all(bytes, out),
            },
            State::UntilClose => bytes.len(),
            State::Head { .. } | State::Done => 0,
        };
        out.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        self.progress.surplus = bytes.len() - taken;
        if matches!(&self.state, State::Length(0))
            || matches!(&self.state, State::Chunked(chunks) if chunks.is_done())
        {
            self.state = State::Done;
            self.progress.done = true;
        }
    }

    fn pass_all(&mut self, bytes: &[u8], out: &mut BytesMut) {
        if bytes.is_empty() {
            self.state = State::Head { held: BytesMut::new(), looked: 0 };
            return;
        }
        out.extend_from_slice(bytes);
        self.state = State::UntilClose;
        self.progress.begun = true;
        self.progress.closes = true;
    }
}

/// The beginning of a head.
struct Waits {
    from: usize,
    /// No end is before this, counted from there.
    looked: usize,
}

fn begins_as_http(bytes: &[u8]) -> bool {
    const START: &[u8] = b"HTTP/1.";
    let comparable = bytes.len().min(START.len());
    bytes.get(..comparable) == START.get(..comparable)
}

/// What a head says of itself and of what is behind it.
struct Says {
    status: u16,
    http10: bool,
    framing: Framing,
    close: bool,
    keep_alive: bool,
}

/// RFC 9112 §6.3.
enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

impl Says {
    fn read(head: &[u8]) -> Option<Self> {
        let mut lines = head.split(|byte| *byte == b'\n');
        let line = lines.next()?.strip_prefix(b"HTTP/1.")?;
        let [minor, b' ', line @ ..] = line else { return None };
        let (digits, [] | [b' ' | b'\r', ..]) = line.split_at_checked(3)? else { return None };
        let digits = Some(digits).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        let status = str::from_utf8(digits).ok()?.parse().ok()?;
        let http10 = *minor == b'0';
        let mut says = Self { status, http10, framing: Framing::UntilClose, close: false, keep_alive: false };
        let mut lengths = 0;
        for (name, value) in lines.filter_map(field) {
            if name.eq_ignore_ascii_case(b"connection") {
                for option in token::members(value) {
                    says.close |= option.eq_ignore_ascii_case(b"close");
                    says.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                let chunked =
                    token::members(value).last().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
                says.framing = if chunked { Framing::Chunked } else { Framing::UntilClose };
                lengths = 2; // outweighed
            } else if name.eq_ignore_ascii_case(b"content-length") {
                lengths += 1;
                let length = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                match (lengths, length) {
                    (1, Some(length)) => says.framing = Framing::Length(length),
                    _ if matches!(says.framing, Framing::Length(_)) => says.framing = Framing::UntilClose,
                    _ => {}
                }
            }
        }
        Some(says)
    }
}

pub(super) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
    Some((token::trim(name), token::trim(value.get(1..)?)))
}

/// Has the reply whose head begins there say that the connection ends behind it.
pub(crate) fn announce_end(out: &mut BytesMut, head_at: usize) {
    if head_at >= out.len() {
        return;
    }
    let reply = out.split_off(head_at);
    let end = empty_line_end(&reply, 0).unwrap_or(0);
    let (head, body) = reply.split_at_checked(end).unwrap_or((&[], &reply));
    out.reserve(reply.len() + 19);
    push_closing(out, head);
    out.extend_from_slice(body);
}

/// The head, with `Connection: close` in place of any `Connection: keep-alive`.
fn push_closing(out: &mut BytesMut, head: &[u8]) {
    out.reserve(head.len() + 19);
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        match field(line.strip_suffix(b"\n").unwrap_or(line)) {
            Some((name, value))
                if name.eq_ignore_ascii_case(b"connection") && value.eq_ignore_ascii_case(b"keep-alive") => {}
            _ if matches!(line, b"\n" | b"\r\n") => {
                out.extend_from_slice(b"Connection: close\r\n");
                out.extend_from_slice(line);
            }
            _ => out.extend_from_slice(line),
        }
    }
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
