//! What stands between two parts, looked for in what comes.

use std::ops::Range;

use memchr::memmem::Finder;

/// CRLF, two dashes, and the boundary. CR is nowhere in it but at its beginning, so that no part of it can begin another
/// occurrence, and what is held back is always its own beginning.
#[derive(Clone, Debug)]
pub(super) struct Delimiter {
    finder: Finder<'static>,
    /// So many of its bytes were the last that came, or stand for a line's end that was taken before.
    matched: usize,
    /// Of those, so many belong to what is before.
    taken: usize,
}

/// What a search came to.
pub(super) enum Found<'b> {
    /// The delimiter, which is taken.
    Delimiter,
    /// Bytes that are not of it, which are taken.
    Before(&'b [u8]),
    /// Bytes that are not of it, and were held back, since they are the same as these of its own. There may be none.
    Held(Range<usize>),
    /// Nothing, until there is more.
    Nothing,
}

/// What stands before the dashes.
const LINE_END: usize = 2;

impl Delimiter {
    /// The first needs no line's end before it.
    pub(super) fn new(boundary: &[u8]) -> Self {
        let finder = Finder::new(&[b"\r\n--", boundary].concat()).into_owned();
        Self { finder, matched: LINE_END, taken: LINE_END }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.finder.needle()
    }

    /// What was taken before ended with a line's end, which may be the delimiter's.
    pub(super) fn follows_line_end(&mut self) {
        (self.matched, self.taken) = (LINE_END, LINE_END);
    }

    /// Looks in `input`, which begins where the last search has left off, and takes what is known about.
    pub(super) fn search<'b>(&mut self, input: &mut &'b [u8]) -> Found<'b> {
        if self.matched > 0 {
            return self.go_on(input);
        }
        let delimiter = self.finder.needle();
        let (bytes, rest) = match self.finder.find(input) {
            Some(0) => {
                *input = input.get(delimiter.len()..).unwrap_or_default();
                return Found::Delimiter;
            }
            Some(at) => input.split_at(at),
            None => {
                let begun = memchr::memrchr(b'\r', input).unwrap_or(input.len());
                let (bytes, held) = input.split_at(begun);
                let is_begun = delimiter.starts_with(held);
                self.matched = if is_begun { held.len() } else { 0 };
                (if is_begun { bytes } else { *input }, &[][..])
            }
        };
        *input = rest;
        if bytes.is_empty() { Found::Nothing } else { Found::Before(bytes) }
    }

    /// With a part of it that was the last that came.
    fn go_on<'b>(&mut self, input: &mut &'b [u8]) -> Found<'b> {
        let wanted = self.finder.needle().get(self.matched..).unwrap_or_default();
        let same = wanted.iter().zip(*input).take_while(|(wanted, byte)| wanted == byte).count();
        if same == wanted.len() {
            (self.matched, self.taken) = (0, 0);
            *input = input.get(same..).unwrap_or_default();
            Found::Delimiter
        } else if same == input.len() {
            self.matched += same;
            *input = &[];
            Found::Nothing
        } else {
            Found::Held(std::mem::take(&mut self.taken)..std::mem::take(&mut self.matched))
        }
    }
}
