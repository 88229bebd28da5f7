use httparse::{EMPTY_HEADER, Response, Status};

/// Heads beyond these limits are garbage to the drill: no server it judges needs more.
const MAX_HEADERS: usize = 100;
const MAX_HEAD: usize = 64 * 1024;
/// Behind each chunk (RFC 9112 §7.1).
const CRLF: u64 = 2;

/// Finds the end of each answer in a stream of bytes: a parser without I/O.
///
/// Body lengths by RFC 9112 §6.3: none for 204 and 304, chunked, `Content-Length`, else until the
/// close. Interim answers (1xx but 101) are skipped. Every request is a GET.
#[derive(Debug, Default)]
pub(crate) struct AnswerReader {
    buffer: Vec<u8>,
    /// What of `buffer` is used up.
    used: usize,
    state: State,
    status: u16,
    says_close: bool,
    /// Bytes of the current answer that were used up.
    bytes: usize,
    /// The body, where somebody wants it.
    body: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Head,
    Sized(u64),
    ChunkSize,
    /// What is left of the chunk, its CRLF included.
    Chunk(u64),
    Trailer,
    UntilClose,
}

/// How far the current answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    More,
    Whole { status: u16, says_close: bool },
    Garbage(&'static str),
}

impl AnswerReader {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.used == self.buffer.len() {
            self.buffer.clear();
            self.used = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes of the current answer that have arrived.
    pub(crate) fn begun(&self) -> usize {
        self.bytes + self.rest().len()
    }

    /// Whether bytes are waiting that belong to no answer yet.
    pub(crate) fn has_rest(&self) -> bool {
        !self.rest().is_empty()
    }

    /// Whether an answer has its head, and not yet its end.
    pub(crate) fn in_body(&self) -> bool {
        !matches!(self.state, State::Head)
    }

    /// From now on the content of bodies is kept for [`body`](Self::body).
    pub(crate) fn keep_body(&mut self) {
        self.body.get_or_insert_default();
    }

    /// What came of the body since the last call.
    pub(crate) fn body(&mut self) -> Vec<u8> {
        self.body.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What is here and belongs to no answer.
    pub(crate) fn take_rest(&mut self) -> Vec<u8> {
        self.buffer.split_off(self.used.min(self.buffer.len()))
    }

    /// Goes as far as the bytes carry; `eof` tells that none will follow.
    pub(crate) fn step(&mut self, eof: bool) -> Step {
        loop {
            let moved = match self.state {
                State::Head => match self.head() {
                    Ok(moved) => moved,
                    Err(why) => return Step::Garbage(why),
                },
                State::Sized(left) => {
                    let left = self.skip(left, 0);
                    self.state = State::Sized(left);
                    if left == 0 {
                        return self.whole();
                    }
                    false
                }
                State::ChunkSize => match self.chunk_size() {
                    Ok(moved) => moved,
                    Err(why) => return Step::Garbage(why),
                },
                State::Chunk(left) => {
                    let left = self.skip(left, CRLF);
                    self.state = if left == 0 { State::ChunkSize } else { State::Chunk(left) };
                    left == 0
                }
                State::Trailer => match self.line() {
                    Some(0) => return self.whole(),
                    line => line.is_some(),
                },
                State::UntilClose => {
                    self.skip(u64::MAX, 0);
                    if eof {
                        return self.whole();
                    }
                    false
                }
            };
            if !moved {
                return Step::More;
            }
        }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.used..).unwrap_or_default()
    }

    fn advance(&mut self, count: usize) {
        self.used += count;
        self.bytes += count;
    }

    /// Uses up to `count` bytes of a body and answers how many are still missing. The last `framing` of them are none
    /// of its content.
    fn skip(&mut self, count: u64, framing: u64) -> u64 {
        let rest = self.buffer.get(self.used..).unwrap_or_default();
        let here = rest.len().min(usize::try_from(count).unwrap_or(usize::MAX));
        if let Some(body) = &mut self.body {
            let content = usize::try_from(count.saturating_sub(framing)).unwrap_or(usize::MAX);
            body.extend(rest.iter().take(here.min(content)));
        }
        self.advance(here);
        count - here as u64
    }

    /// Uses up one line and answers its length without the line end.
    fn line(&mut self) -> Option<usize> {
        let end = self.rest().iter().position(|byte| *byte == b'\n')?;
        let line = self.rest().get(..end).unwrap_or_default();
        let length = line.strip_suffix(b"\r").unwrap_or(line).len();
        self.advance(end + 1);
        Some(length)
    }

    fn whole(&mut self) -> Step {
        self.state = State::Head;
        self.bytes = 0;
        Step::Whole { status: self.status, says_close: self.says_close }
    }

    fn head(&mut self) -> Result<bool, &'static str> {
        let mut headers = [EMPTY_HEADER; MAX_HEADERS];
        let mut response = Response::new(&mut headers);
        let length = match response.parse(self.buffer.get(self.used..).unwrap_or_default()) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) if self.rest().len() > MAX_HEAD => return Err("a head of more than 64 KiB"),
            Ok(Status::Partial) => return Ok(false),
            Err(_) => return Err("no HTTP/1 response head"),
        };
        let status = response.code.unwrap_or_default();
        let interim = (100..200).contains(&status) && status != 101;
        let framing = if interim { Framing::default() } else { framing(&response)? };
        self.advance(length);
        if !interim {
            self.status = status;
            self.says_close = framing.says_close;
            self.state = framing.body;
        }
        Ok(true)
    }

    fn chunk_size(&mut self) -> Result<bool, &'static str> {
        match httparse::parse_chunk_size(self.rest()) {
            Ok(Status::Complete((used, size))) => {
                self.advance(used);
                self.state = match size {
                    0 => State::Trailer,
                    size => State::Chunk(size.checked_add(CRLF).ok_or("a chunk size beyond all measure")?),
                };
                Ok(true)
            }
            Ok(Status::Partial) => Ok(false),
            Err(_) => Err("a chunk size that is no number"),
        }
    }
}

#[derive(Default)]
struct Framing {
    body: State,
    says_close: bool,
}

fn framing(response: &Response<'_, '_>) -> Result<Framing, &'static str> {
    let mut length = None;
    let mut chunked = None;
    let (mut close, mut keep) = (false, false);
    for header in response.headers.iter() {
        let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
        if header.name.eq_ignore_ascii_case("content-length") {
            let value = value.parse().map_err(|_| "a Content-Length that is no number")?;
            if length.is_some_and(|length| length != value) {
                return Err("two Content-Lengths that differ");
            }
            length = Some(value);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            let last = value.rsplit(',').next().unwrap_or_default().trim();
            chunked = Some(last.eq_ignore_ascii_case("chunked"));
        } else if header.name.eq_ignore_ascii_case("connection") {
            for token in value.split(',').map(str::trim) {
                close |= token.eq_ignore_ascii_case("close");
                keep |= token.eq_ignore_ascii_case("keep-alive");
            }
        }
    }
    let body = match (response.code.unwrap_or_default(), chunked, length) {
        (101 | 204 | 304, _, _) => State::Sized(0),
        (_, Some(true), _) => State::ChunkSize,
        (_, Some(false), _) | (_, None, None) => State::UntilClose,
        (_, None, Some(length)) => State::Sized(length),
    };
    let old = response.version == Some(0) && !keep;
    Ok(Framing { says_close: close || old || matches!(body, State::UntilClose), body })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Step = Step::Whole { status: 200, says_close: false };
    const LAST: Step = Step::Whole { status: 200, says_close: true };

    /// What the reader says of `text` when it comes byte by byte, then the end.
    fn read(text: &str) -> Step {
        let mut reader = AnswerReader::default();
        for byte in text.as_bytes() {
            reader.push(&[*byte]);
            match reader.step(false) {
                Step::More => {}
                done => return done,
            }
        }
        reader.step(true)
    }

    #[test]
    fn answers_end_where_their_framing_says() {
        let table = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", KEPT),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", KEPT),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", Step::More),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Close\r\n\r\nhi", LAST),
            ("HTTP/1.1 200 OK\r\nConnection: upgrade, close\r\nContent-Length: 0\r\n\r\n", LAST),
            ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", LAST),
            ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi", KEPT),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", KEPT),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\nA: b\r\n\r\n", KEPT),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", Step::More),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", Step::More),
            ("HTTP/1.1 200 OK\r\n\r\nall of it", LAST),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nall", LAST),
            ("HTTP/1.1 204 No Content\r\n\r\n", Step::Whole { status: 204, says_close: false }),
            (
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
                Step::Whole { status: 304, says_close: false },
            ),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", KEPT),
            (
                "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
                Step::Whole { status: 503, says_close: false },
            ),
            ("", Step::More),
            ("HTTP/1.1 200 OK\r\nContent-Le", Step::More),
        ];
        for (text, step) in table {
            assert_eq!(read(text), step, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_http_is_garbage() {
        for text in [
            "GET / HTTP/1.1\r\n\r\n",
            "\u{16}\u{3}\u{1}",
            "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        ] {
            assert!(matches!(read(text), Step::Garbage(_)), "{text:?}: {:?}", read(text));
        }
    }

    #[test]
    fn answers_in_one_read_are_told_apart() {
        let mut reader = AnswerReader::default();
        reader.push(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
        reader.push(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nbrest");
        assert_eq!(reader.step(false), KEPT);
        assert_eq!(reader.step(false), LAST);
        assert!(reader.has_rest());
        assert_eq!(reader.begun(), 4);
    }

    #[test]
    fn a_body_is_kept_without_its_framing() {
        for text in [
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3\r\n\n\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nhi\n\r\n",
        ] {
            let mut reader = AnswerReader::default();
            reader.keep_body();
            let mut body = Vec::new();
            for byte in text.as_bytes() {
                reader.push(&[*byte]);
                reader.step(false);
                body.extend(reader.body());
            }
            assert_eq!(body, b"hi\n\r\n", "{text:?}");
        }
    }

    #[test]
    fn what_follows_an_upgrade_is_handed_over() {
        let mut reader = AnswerReader::default();
        reader.push(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\x88\x00");
        assert_eq!(reader.step(false), Step::Whole { status: 101, says_close: false });
        assert_eq!((reader.take_rest(), reader.has_rest()), (b"\x88\x00".to_vec(), false));
    }

    #[test]
    fn an_endless_head_is_garbage() {
        let mut reader = AnswerReader::default();
        reader.push(b"HTTP/1.1 200 OK\r\nA: ");
        reader.push(&[b'a'; 2 * MAX_HEAD]);
        assert!(matches!(reader.step(false), Step::Garbage(_)));
    }
}
