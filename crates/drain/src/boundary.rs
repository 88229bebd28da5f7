//! Where one request ends and the next begins, as far as a drain must know.
//!
//! A connection is silent only if no part of a further request has arrived. An HTTP library reads ahead into a buffer
//! of its own, so its owner cannot see whether the last read held the beginning of another request. This counts along.

/// How the body of a request is delimited (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// No body.
    None,
    /// That many bytes.
    Length(u64),
    /// Chunked: its end is in the bytes.
    Chunked,
}

/// Follows the bytes of one request, and notices what came behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Boundary {
    /// The last bytes, newest last: a head and a chunked body end with an empty line, part of a head never does.
    tail: [u8; 3],
    /// Whether anything but empty lines has come (RFC 9112 §2.2: those are skipped before a request line).
    begun: bool,
    /// Bytes since the head ended, once it has.
    after_head: Option<u64>,
    /// Whether the request's first byte came in a read of its own. Of one that was pipelined, the bytes that came with
    /// its predecessor are counted there.
    exact: bool,
}

impl Boundary {
    /// Takes in what was read; answers whether a request is in progress. `silent`: none was before.
    pub(crate) fn bytes(&mut self, bytes: &[u8], silent: bool) -> bool {
        self.exact |= silent;
        let bytes = if self.begun { bytes } else { bytes.trim_ascii_start() };
        self.begun |= !bytes.is_empty();
        let mut counted = bytes;
        if self.after_head.is_none()
            && let Some(end) = self.head_end(bytes)
        {
            self.after_head = Some(0);
            counted = bytes.get(end..).unwrap_or_default();
        }
        if let Some(count) = &mut self.after_head {
            *count = count.saturating_add(counted.len() as u64);
        }
        self.remember(bytes);
        self.begun
    }

    /// Whether the body of the request so framed has arrived, as far as is known: a pipelined one is taken to have.
    pub(crate) fn is_whole(&self, framing: Framing) -> bool {
        !self.exact
            || match framing {
                Framing::None => true,
                Framing::Length(length) => self.after_head.is_some_and(|count| count >= length),
                // Half a head behind the last chunk looks the same, and waits as long.
                Framing::Chunked => self.ends_with_empty_line(),
            }
    }

    /// The request so framed is over; answers whether part of a further one is already here.
    ///
    /// A *whole* further request needs no care: the HTTP layer has it and will say so.
    pub(crate) fn next(&mut self, framing: Framing) -> bool {
        let surplus = match framing {
            Framing::Length(length) => self.after_head.unwrap_or(0).saturating_sub(length),
            Framing::None => self.after_head.unwrap_or(0),
            // Whole, it ends with an empty line; what is behind that cannot be told.
            Framing::Chunked => 0,
        };
        // Some clients end a body with a line end that its length does not count.
        let stray_line_end = surplus <= 2 && self.tail[2] == b'\n';
        let begun = surplus > 0 && !stray_line_end && !self.ends_with_empty_line();
        let tail = self.tail;
        *self = Self { begun, ..Self::default() };
        if begun {
            self.tail = tail;
        }
        begun
    }

    /// The index just behind the empty line that ends the head, if it is in these bytes.
    fn head_end(&self, bytes: &[u8]) -> Option<usize> {
        let before = |at: usize, back: usize| match at.checked_sub(back) {
            Some(index) => bytes.get(index).copied(),
            None => self.tail.get(self.tail.len() + at - back).copied(),
        };
        memchr::memchr_iter(b'\n', bytes).find_map(|at| {
            let empty = match before(at, 1) {
                Some(b'\n') => true,
                Some(b'\r') => before(at, 2) == Some(b'\n'),
                _ => false,
            };
            empty.then_some(at + 1)
        })
    }

    fn remember(&mut self, bytes: &[u8]) {
        if let Some(tail) = bytes.last_chunk() {
            self.tail = *tail;
            return;
        }
        for byte in bytes {
            self.tail = [self.tail[1], self.tail[2], *byte];
        }
    }

    /// RFC 9112 §2.2: a bare LF may be taken for a line's end.
    fn ends_with_empty_line(&self) -> bool {
        self.tail == *b"\n\r\n" || self.tail[1..] == *b"\n\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    const POST: &[u8] = b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nabcde";
    const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";

    #[test]
    fn what_came_behind_a_request_is_noticed() {
        type Case = (&'static str, &'static [u8], Framing, &'static [u8], bool);
        let table: &[Case] = &[
            ("nothing behind a GET", GET, Framing::None, b"", false),
            ("one byte behind a GET", GET, Framing::None, b"G", true),
            ("a whole GET behind a GET", GET, Framing::None, GET, false),
            ("nothing behind a body", POST, Framing::Length(5), b"", false),
            ("half a head behind a body", POST, Framing::Length(5), b"GET / HTTP/1.1\r\n", true),
            ("a stray line end behind a body", POST, Framing::Length(5), b"\r\n", false),
            ("a whole GET behind a body", POST, Framing::Length(5), GET, false),
            ("nothing behind chunks", CHUNKED, Framing::Chunked, b"", false),
            ("a whole GET behind chunks", CHUNKED, Framing::Chunked, GET, false),
            ("a bare LF ends a head too", b"GET / HTTP/1.1\nhost: a\n\n", Framing::None, b"", false),
            ("one byte behind a bare LF", b"GET / HTTP/1.1\nhost: a\n\n", Framing::None, b"G", true),
        ];
        for (name, request, framing, behind, begun) in table {
            let mut boundary = Boundary::default();
            assert!(boundary.bytes(&[request, *behind].concat(), true), "{name}");
            assert!(boundary.is_whole(*framing), "{name}");
            assert_eq!(boundary.next(*framing), *begun, "{name}");
        }
    }

    #[test]
    fn empty_lines_before_a_request_are_not_a_request() {
        let mut boundary = Boundary::default();
        assert!(!boundary.bytes(b"\r\n", true));
        assert!(!boundary.bytes(b"\r\n", true));
        assert!(boundary.bytes(b"G", true));
    }

    #[test]
    fn a_body_is_whole_with_its_last_byte() {
        let table: &[(&[u8], Framing, usize)] =
            &[(GET, Framing::None, 0), (POST, Framing::Length(5), 5), (CHUNKED, Framing::Chunked, 11)];
        for (request, framing, body) in table {
            for missing in 0..=*body {
                let mut boundary = Boundary::default();
                boundary.bytes(&request[..request.len() - missing], true);
                // A chunked body without any chunk yet looks like one that is over.
                let whole = missing == 0 || (missing == *body && *framing == Framing::Chunked);
                assert_eq!(
                    boundary.is_whole(*framing),
                    whole,
                    "{framing:?} without its last {missing} bytes"
                );
            }
        }
    }

    #[test]
    fn a_pipelined_body_is_taken_for_whole() {
        let mut boundary = Boundary::default();
        boundary.bytes(&[GET, CHUNKED].concat(), true);
        assert!(!boundary.next(Framing::None));
        assert!(boundary.is_whole(Framing::Chunked), "its bytes came with the GET");
        assert!(!boundary.next(Framing::Chunked), "nothing is behind it");
    }

    #[test]
    fn a_head_begun_behind_the_last_request_is_followed_to_its_end() {
        // The last cut leaves an empty line alone, which is not one before a request.
        for cut in [1, 20, GET.len() - 2] {
            let mut boundary = Boundary::default();
            boundary.bytes(&[GET, &GET[..cut]].concat(), true);
            assert!(boundary.next(Framing::None));
            assert!(boundary.bytes(&GET[cut..], false));
            assert!(!boundary.next(Framing::None));
        }
    }

    proptest! {
        /// However the bytes are split into reads, the answer is the same.
        #[test]
        fn splits_do_not_matter(which in 0_usize..2, behind in "(GET / H)?", cuts in prop::collection::vec(1_usize..20, 0..40)) {
            let (request, framing) = [(GET, Framing::None), (POST, Framing::Length(5))][which];
            let bytes = [request, behind.as_bytes()].concat();
            let mut split = Boundary::default();
            let mut rest = &bytes[..];
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                split.bytes(now, true);
                rest = later;
            }
            split.bytes(rest, false);
            prop_assert_eq!(split.next(framing), !behind.is_empty());
        }
    }
}
