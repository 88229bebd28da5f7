//! Forms that carry files: `multipart/form-data` (RFC 7578, on RFC 2046 §5.1).
//!
//! [`Multipart`] is given bytes as they come and keeps next to none of them; [`parts`] reads a body that is whole. Both are
//! strict: lines end with CRLF, every part has a name, and nothing stands behind a boundary on its line but blanks.
//!
//! ```
//! use exeunt_manager::http::multipart;
//!
//! let body = "--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--x--\r\n";
//! let mut parts = multipart::parts(body.as_bytes(), "multipart/form-data; boundary=x")?;
//! let note = parts.next().expect("a part")?;
//! assert_eq!((note.part.name(), note.data), ("note", &b"hello"[..]));
//! assert!(parts.next().is_none());
//! # Ok::<(), multipart::MultipartError>(())
//! ```

use delimiter::{Delimiter, Found};

mod boundary;
mod delimiter;
mod error;
mod parameters;
mod part;
mod whole;

pub use error::MultipartError;
pub use part::Part;
pub use whole::{Parts, Scanned, WholePart, parts, scan};

/// Takes a form apart as it comes, however it is cut.
///
/// Of the bytes it is given it keeps the head of the part that is being read, and less than a boundary's length.
///
/// # Examples
///
/// ```
/// use exeunt_manager::http::multipart::{Multipart, Piece};
///
/// let mut form = Multipart::new("multipart/form-data; boundary=x")?;
/// let (mut names, mut bytes) = (Vec::new(), 0);
/// for read in ["--x\r\nContent-Disposition: form-data; name=a\r\n\r\nhel", "lo\r\n--", "x--\r\n"] {
///     let mut read = read.as_bytes();
///     while let Some(piece) = form.next_piece(&mut read)? {
///         match piece {
///             Piece::Part(part) => names.push(part.name().to_owned()),
///             Piece::Data(data) => bytes += data.len(),
///             Piece::End => {}
///         }
///     }
/// }
/// form.finish()?;
/// assert_eq!((names, bytes), (vec!["a".to_owned()], 5));
/// # Ok::<(), exeunt_manager::http::multipart::MultipartError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Multipart {
    delimiter: Delimiter,
    state: State,
    /// The head of the present part, so far.
    head: Vec<u8>,
    /// Bytes that belong to no part.
    aside: usize,
    parts: usize,
    most_parts: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// Behind a boundary, on its line.
    Boundary(Line),
    Head,
    Data,
    /// Behind the last boundary.
    Epilogue,
}

/// What has come behind a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Nothing,
    Dash,
    Blank,
    Cr,
}

/// What a form consists of.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A part begins.
    Part(Part),
    /// These bytes are of the part that began last; never empty. One part's may come in any number of pieces.
    Data(&'a [u8]),
    /// The part that began last has ended.
    End,
}

impl Multipart {
    /// The longest head of a part, in bytes.
    pub const PART_HEAD: usize = 16 * 1024;
    /// How many parts there may be, unless told otherwise.
    pub const PARTS: usize = 1000;
    /// The most bytes that belong to no part: before the first boundary, behind the last, and blanks behind any.
    pub const ASIDE: usize = 16 * 1024;

    /// For a body with this `Content-Type`.
    ///
    /// # Errors
    ///
    /// It is not `multipart/form-data`, or its boundary is none.
    pub fn new(content_type: &str) -> Result<Self, MultipartError> {
        Ok(Self::of(&boundary::boundary(content_type)?))
    }

    /// For a body of any multipart type with this boundary, of which every part has a name all the same.
    ///
    /// # Errors
    ///
    /// A boundary has 1 to 70 visible characters of ASCII, or blanks, of which none is the last (RFC 2046 §5.1.1).
    pub fn with_boundary(boundary: &str) -> Result<Self, MultipartError> {
        boundary::check(boundary.as_bytes())?;
        Ok(Self::of(boundary.as_bytes()))
    }

    /// With that many parts at most, in place of [`Self::PARTS`].
    #[must_use]
    pub fn most_parts(self, most_parts: usize) -> Self {
        Self { most_parts, ..self }
    }

    /// The next piece of what has come, taken off the beginning of `input`; none when all of that is taken.
    ///
    /// # Errors
    ///
    /// It is no form, or one beyond the limits. Asked again, it answers the same, or anything.
    pub fn next_piece<'a, 'b: 'a>(
        &'a mut self,
        input: &mut &'b [u8],
    ) -> Result<Option<Piece<'a>>, MultipartError> {
        loop {
            match self.state {
                State::Preamble => match self.delimiter.search(input) {
                    Found::Delimiter => self.state = State::Boundary(Line::Nothing),
                    Found::Before(bytes) => self.set_aside(bytes.len())?,
                    Found::Held(bytes) => self.set_aside(bytes.len())?,
                    Found::Nothing => return Ok(None),
                },
                State::Boundary(line) => {
                    let Some((byte, rest)) = input.split_first() else { return Ok(None) };
                    *input = rest;
                    self.state = self.behind_boundary(line, *byte)?;
                }
                State::Head => return Ok(self.take_head(input)?.map(Piece::Part)),
                State::Data => {
                    return Ok(match self.delimiter.search(input) {
                        Found::Delimiter => {
                            self.state = State::Boundary(Line::Nothing);
                            Some(Piece::End)
                        }
                        Found::Before(bytes) => Some(Piece::Data(bytes)),
                        Found::Held(bytes) if bytes.is_empty() => continue,
                        Found::Held(bytes) => {
                            Some(Piece::Data(self.delimiter.bytes().get(bytes).unwrap_or_default()))
                        }
                        Found::Nothing => None,
                    });
                }
                State::Epilogue => {
                    let bytes = std::mem::take(input);
                    self.set_aside(bytes.len())?;
                    return Ok(None);
                }
            }
        }
    }

    /// Whether the last boundary has come.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.state == State::Epilogue
    }

    /// To be asked when the body is over.
    ///
    /// # Errors
    ///
    /// The last boundary has not come: the form is torn.
    pub fn finish(&self) -> Result<(), MultipartError> {
        if self.is_whole() { Ok(()) } else { Err(MultipartError::Torn) }
    }
}

#[cfg(any(fuzzing, test))]
impl Multipart {
    /// What stands between two parts.
    pub(crate) fn marker(&self) -> &[u8] {
        self.delimiter.bytes()
    }
}

impl Multipart {
    fn of(boundary: &[u8]) -> Self {
        Self {
            delimiter: Delimiter::new(boundary),
            state: State::Preamble,
            head: Vec::new(),
            aside: 0,
            parts: 0,
            most_parts: Self::PARTS,
        }
    }

    fn behind_boundary(&mut self, line: Line, byte: u8) -> Result<State, MultipartError> {
        Ok(match (line, byte) {
            (Line::Nothing, b'-') => State::Boundary(Line::Dash),
            (Line::Dash, b'-') => State::Epilogue,
            (Line::Nothing | Line::Blank, b' ' | b'\t') => {
                self.set_aside(1)?;
                State::Boundary(Line::Blank)
            }
            (Line::Nothing | Line::Blank, b'\r') => State::Boundary(Line::Cr),
            (Line::Cr, b'\n') => {
                self.parts += 1;
                if self.parts > self.most_parts {
                    return Err(MultipartError::TooManyParts { limit: self.most_parts });
                }
                State::Head
            }
            _ => return Err(MultipartError::BehindBoundary),
        })
    }

    fn take_head(&mut self, input: &mut &[u8]) -> Result<Option<Part>, MultipartError> {
        while !input.is_empty() {
            let line = memchr::memchr(b'\n', input).map_or(input.len(), |at| at + 1);
            let (line, rest) = input.split_at(line);
            *input = rest;
            if self.head.len() + line.len() > Self::PART_HEAD {
                return Err(MultipartError::HeadTooLong { limit: Self::PART_HEAD });
            }
            self.head.extend_from_slice(line);
            if self.head.ends_with(b"\r\n\r\n") || self.head == b"\r\n" {
                let part = Part::parse(std::mem::take(&mut self.head))?;
                self.state = State::Data;
                // The empty line may be the one before the boundary: a part's content may be left out, with its line end.
                self.delimiter.follows_line_end();
                return Ok(Some(part));
            }
        }
        Ok(None)
    }

    fn set_aside(&mut self, bytes: usize) -> Result<(), MultipartError> {
        self.aside += bytes;
        match self.aside > Self::ASIDE {
            true => Err(MultipartError::TooMuchAside { limit: Self::ASIDE }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
