//! The chunked coding (RFC 9112 §7.1), followed byte by byte.

use std::ops::Range;

use super::{Refusal, token};

/// More content than is allowed.
pub(crate) const TOO_LONG: Refusal = Refusal::new(413, "the body is longer than it may be");

/// Follows a chunked body to its end, however it is cut into reads.
///
/// Strict, since a lenient reader of chunks is half of a smuggled request: sizes are hexadecimal digits and nothing
/// else, every line ends with CRLF, and what stands in extensions and trailers has the bytes that may stand there. Both
/// are read over, and bounded.
#[derive(Clone, Debug)]
pub(crate) struct Chunked {
    state: State,
    /// Bytes of content announced so far.
    content: u64,
    /// Bytes of extensions and trailers so far.
    aside: u32,
    /// Bytes so far that are no content.
    around: u64,
    /// Bytes of content that are allowed.
    most: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size {
        size: u64,
        digits: u8,
    },
    /// Blanks behind the size, before a semicolon.
    Blank {
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// At the beginning of a trailer line.
    Line,
    Name,
    Value,
    ValueLf,
    EndLf,
    Done,
}

impl Chunked {
    /// Extensions and trailers of one body, together: beyond it 431.
    pub(crate) const ASIDE: u32 = 16 * 1024;
    /// What sizes, line ends, extensions and trailers may take at least.
    pub(crate) const AROUND: u64 = 64 * 1024;

    /// `most`: how many bytes of content there may be. Beyond it 413; so too if the chunks are so small that what is around
    /// them is longer than that and [`Self::AROUND`].
    pub(crate) fn new(most: u64) -> Self {
        Self { state: State::Size { size: 0, digits: 0 }, content: 0, aside: 0, around: 0, most }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes of content, of all chunks whose size has come.
    pub(crate) fn content(&self) -> u64 {
        self.content
    }

    /// Takes in what came next, tells where content is in it, and answers how many bytes belong to the body: all, or,
    /// once it [is done](Self::is_done), those up to its end.
    ///
    /// # Errors
    ///
    /// Where the bytes are no chunked body.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        mut data: impl FnMut(Range<usize>),
    ) -> Result<usize, Refusal> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if let State::Data { left } = self.state {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                data(at..at + here);
                at += here;
                let left = left - here as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                continue;
            }
            if self.is_done() {
                break;
            }
            self.state = self.step(*byte)?;
            at += 1;
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<State, Refusal> {
        const SIZE: Refusal = Refusal::bad("a chunk's size is not up to 16 hexadecimal digits");
        const EXTENSION: Refusal = Refusal::bad("a control character in a chunk's extension");
        const END: Refusal = Refusal::bad("a line of the chunked coding does not end with CRLF");
        const TRAILER: Refusal = Refusal::bad("a trailer is not a field");
        self.around += 1;
        if self.around > self.most.saturating_add(Self::AROUND) {
            return Err(Refusal::new(413, "the body is cut into too many chunks"));
        }
        Ok(match (self.state, byte) {
            (State::Size { size, digits: digits @ ..16 }, byte) if byte.is_ascii_hexdigit() => {
                State::Size { size: size << 4 | u64::from(hex(byte)), digits: digits + 1 }
            }
            (State::Size { digits: 0, .. }, _) => return Err(SIZE),
            (State::Size { size, .. } | State::Extension { size }, b'\r') => State::SizeLf { size },
            (State::Size { size, .. } | State::Blank { size }, b';') => {
                self.aside(State::Extension { size })?
            }
            (State::Size { size, .. } | State::Blank { size }, b' ' | b'\t') => {
                self.aside(State::Blank { size })?
            }
            (State::Size { .. } | State::Blank { .. }, _) => return Err(SIZE),
            (State::Extension { size }, byte) if token::is_value_byte(byte) => {
                self.aside(State::Extension { size })?
            }
            (State::Extension { .. }, _) => return Err(EXTENSION),
            (State::SizeLf { size: 0 } | State::ValueLf, b'\n') => State::Line,
            (State::SizeLf { size }, b'\n') => {
                self.content = self.content.saturating_add(size);
                if self.content > self.most {
                    return Err(TOO_LONG);
                }
                State::Data { left: size }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataCr, _) => return Err(Refusal::bad("a chunk is longer than its size")),
            (State::DataLf, b'\n') => State::Size { size: 0, digits: 0 },
            (State::Line, b'\r') => State::EndLf,
            (State::Name, b':') => self.aside(State::Value)?,
            (State::Line | State::Name, byte) if token::is_token_byte(byte) => self.aside(State::Name)?,
            (State::Value, b'\r') => State::ValueLf,
            (State::Value, byte) if token::is_value_byte(byte) => self.aside(State::Value)?,
            (State::Line | State::Name | State::Value, _) => return Err(TRAILER),
            (State::EndLf, b'\n') => State::Done,
            (State::SizeLf { .. } | State::DataLf | State::ValueLf | State::EndLf, _) => return Err(END),
            (State::Data { .. } | State::Done, _) => self.state, // `feed` keeps these
        })
    }

    fn aside(&mut self, next: State) -> Result<State, Refusal> {
        self.aside += 1;
        match self.aside > Self::ASIDE {
            true => Err(Refusal::new(431, "the extensions and trailers of a chunked body are too long")),
            false => Ok(next),
        }
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length of the body at the beginning of these bytes, and its content.
    fn read(bytes: &[u8], most: u64) -> Result<Option<(usize, Vec<u8>)>, u16> {
        let mut chunks = Chunked::new(most);
        let mut content = Vec::new();
        let len = chunks.feed(bytes, |piece| content.extend_from_slice(&bytes[piece]));
        let len = len.map_err(|refusal| refusal.status)?;
        assert!(chunks.is_done() || len == bytes.len());
        Ok(chunks.is_done().then_some((len, content)))
    }

    #[test]
    fn bodies_end_where_they_say() {
        let table: &[(&str, &str)] = &[
            ("0\r\n\r\n", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "hello"),
            ("5\r\nhello\r\n1\r\n!\r\n00\r\n\r\n", "hello!"),
            ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
            ("A\r\n0\r\n\r\n6789\n\r\n0\r\n\r\n", "0\r\n\r\n6789\n"),
            ("0000000000000001\r\na\r\n0000000000000000\r\n\r\n", "a"),
            ("1;x\r\na\r\n0;y=z;q=\"a\tb\"\r\n\r\n", "a"),
            ("1 \t;x\r\na\r\n0\r\n\r\n", "a"), // RFC 9112 §7.1.1: BWS
            ("1;\r\na\r\n0\r\n\r\n", "a"),
            ("1\r\na\r\n0\r\nX: y\r\nContent-Length:5\r\nZ:\r\n\r\n", "a"),
        ];
        for (text, content) in table {
            for behind in ["", "GET / HTTP/1.1\r\n", "\r\n"] {
                let bytes = [text, behind].concat();
                let whole = read(bytes.as_bytes(), 64).unwrap();
                assert_eq!(whole, Some((text.len(), content.as_bytes().to_vec())), "{text:?} {behind:?}");
            }
            for end in 0..text.len() {
                assert_eq!(read(&text.as_bytes()[..end], 64), Ok(None), "{text:?} up to {end}");
            }
        }
    }

    #[test]
    fn what_is_not_chunked_is_refused() {
        let table = [
            "\r\n",
            "\n",
            ";\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "\t1\r\n",
            "1 \r\n",
            "1 1\r\n",
            "1\n",
            "1\r\r\n",
            "1\ra",
            "1_0\r\n",
            "1,\r\n",
            "g\r\n",
            "\0",
            "00000000000000001\r\n", // a 17th digit
            "1;\n",
            "1;a\nb\r\n",
            "1;a\rb\r\n",
            "1;\0\r\n",
            "1;\x7f\r\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            "1\r\na\rb",
            "1\r\n\r\n0\r\n",
            "1\r\na0\r\n\r\n",
            "1\r\na\r\n\r\n",
            "0\r\n\n",
            "0\r\n\rX",
            "0\r\nX\r\n",
            "0\r\n: y\r\n",
            "0\r\n X: y\r\n",
            "0\r\nX : y\r\n",
            "0\r\nX: y\n",
            "0\r\nX: \0\r\n",
            "0\r\nX: y\r\n z\r\n",
            "0\n\n",
            "0\r\nGET / HTTP/1.1\r\n",
        ];
        for text in table {
            assert_eq!(read(text.as_bytes(), 64), Err(400), "{text:?}");
        }
    }

    #[test]
    fn everything_is_bounded() {
        assert_eq!(read(b"5\r\nhello\r\n0\r\n\r\n", 5).unwrap().unwrap().1, b"hello");
        assert_eq!(read(b"6\r\n", 5), Err(413));
        assert_eq!(read(b"5\r\nhello\r\n1\r\n", 5), Err(413));
        assert_eq!(read(b"ffffffffffffffff\r\n", u64::MAX - 1), Err(413));
        assert_eq!(read(b"1\r\na\r\nffffffffffffffff\r\n", u64::MAX - 1), Err(413));

        let aside = Chunked::ASIDE as usize;
        let extension = |len: usize| format!("0;{}\r\n\r\n", "x".repeat(len - 1));
        assert!(read(extension(aside).as_bytes(), 5).is_ok_and(|body| body.is_some()));
        assert_eq!(read(extension(aside + 1).as_bytes(), 5), Err(431));
        let trailer = |len: usize| format!("0\r\nX:{}\r\n\r\n", "y".repeat(len - 2));
        assert!(read(trailer(aside).as_bytes(), 5).is_ok_and(|body| body.is_some()));
        assert_eq!(read(trailer(aside + 1).as_bytes(), 5), Err(431));

        // Six bytes for one: the room for what is around them ends before the content does.
        let most = Chunked::AROUND;
        let tiny = "1\r\na\r\n".repeat(most as usize / 2);
        assert_eq!(read(tiny.as_bytes(), most), Err(413));
        // Five bytes around each, five at the end, and a digit for each that is still missing.
        let count = (2 * most as usize - 5) / 5;
        let rest = (2 * most as usize - 5) % 5;
        let zeros = "0".repeat(rest);
        let few = format!("{}{zeros}0\r\n\r\n", "1\r\na\r\n".repeat(count));
        assert!(read(few.as_bytes(), most).is_ok_and(|body| body.is_some()));
        let one_more = format!("0{}{zeros}0\r\n\r\n", "1\r\na\r\n".repeat(count));
        assert_eq!(read(one_more.as_bytes(), most), Err(413));
    }

    #[test]
    fn cutting_it_anywhere_changes_nothing() {
        let bytes = b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\n\r\nGET";
        let whole = read(bytes, 64).unwrap().unwrap();
        for first in 0..bytes.len() {
            let mut chunks = Chunked::new(64);
            let (one, two) = bytes.split_at(first);
            let mut content = Vec::new();
            let mut len = chunks.feed(one, |piece| content.extend_from_slice(&one[piece])).unwrap();
            len += chunks.feed(two, |piece| content.extend_from_slice(&two[piece])).unwrap();
            assert_eq!((len, content), whole, "{first}");
        }
    }
}
