//! Forms that are here as a whole.

use super::{Multipart, MultipartError, Part, Piece};

/// The parts of a form, in order; see [`parts`].
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    form: Multipart,
    body: &'a [u8],
    rest: &'a [u8],
    over: bool,
}

/// A part, and its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholePart<'a> {
    /// What its head says.
    pub part: Part,
    /// Its content, as it was sent.
    pub data: &'a [u8],
}

/// The parts of a body with this `Content-Type`. What is wrong with the body comes as the last item.
///
/// # Errors
///
/// The type is not `multipart/form-data`, or has no boundary.
pub fn parts<'a>(body: &'a [u8], content_type: &str) -> Result<Parts<'a>, MultipartError> {
    Ok(Parts { form: Multipart::new(content_type)?, body, rest: body, over: false })
}

impl<'a> Parts<'a> {
    fn next_part(&mut self) -> Result<Option<WholePart<'a>>, MultipartError> {
        let mut begun = None;
        let mut data: &'a [u8] = &[];
        loop {
            let at = self.body.len() - self.rest.len();
            match self.form.next_piece(&mut self.rest)? {
                Some(Piece::Part(part)) => begun = Some(part),
                // Nothing is held back of what is here as a whole, so that this is all of it, and where it came from.
                Some(Piece::Data(piece)) => data = self.body.get(at..at + piece.len()).unwrap_or_default(),
                Some(Piece::End) => return Ok(begun.map(|part| WholePart { part, data })),
                None => return self.form.finish().map(|()| None),
            }
        }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<WholePart<'a>, MultipartError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.next_part().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

/// A part of a body of which nothing else is known; see [`scan`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned<'a> {
    /// Empty if it has none.
    pub name: String,
    /// Empty if it has none.
    pub filename: String,
    /// Its content, as it was sent.
    pub data: &'a [u8],
    /// Where to go on: at the boundary behind it.
    pub next: usize,
}

/// The part whose boundary is the line at `offset`, 0 for the first; none at the end, and where there is no part. For whoever
/// has a body without its `Content-Type`; it is lenient, and takes the line that it finds for the boundary.
///
/// # Examples
///
/// ```
/// use exeunt_manager::http::multipart::scan;
///
/// let body = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x\r\n\
///     Content-Disposition: form-data; name=b; filename=c\r\n\r\n2\r\n--x--\r\n";
/// let first = scan(body, 0).expect("a part");
/// assert_eq!((first.name.as_str(), first.filename.as_str(), first.data), ("a", "", &b"1"[..]));
/// let second = scan(body, first.next).expect("another");
/// assert_eq!((second.name.as_str(), second.filename.as_str(), second.data), ("b", "c", &b"2"[..]));
/// assert_eq!(scan(body, second.next), None);
/// ```
#[must_use]
pub fn scan(body: &[u8], offset: usize) -> Option<Scanned<'_>> {
    let rest = body.get(offset..)?;
    let (boundary, behind) = rest.split_at(memchr::memmem::find(rest, b"\r\n")?);
    let boundary = boundary.trim_ascii_end();
    if !boundary.starts_with(b"--") {
        return None;
    }
    // A part may have no head, which leaves the two line ends side by side.
    let head = memchr::memmem::find(behind, b"\r\n\r\n")? + 4;
    let delimiter = [b"\r\n", boundary].concat();
    let (head_bytes, content) = behind.split_at(head);
    // The empty line may be the one before the boundary.
    let length = match content.starts_with(boundary) {
        true => 0,
        false => memchr::memmem::find(content, &delimiter)?,
    };
    let data = content.get(..length)?;
    let start = body.len() - content.len();
    let next = if content.starts_with(boundary) { start } else { start + length + 2 };
    let part = Part::parse(head_bytes.get(2..).unwrap_or_default().to_vec()).ok();
    let name = part.as_ref().map(|part| part.name().to_owned()).unwrap_or_default();
    let filename = part.as_ref().and_then(|part| part.filename().map(str::to_owned)).unwrap_or_default();
    Some(Scanned { name, filename, data, next })
}
