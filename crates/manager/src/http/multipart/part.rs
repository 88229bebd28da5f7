//! The head of a part.

use std::fmt;

use super::MultipartError;
use super::parameters::{extended, parameters};
use crate::http::token;

/// What a form says of one of its parts.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    head: Vec<u8>,
    name: String,
    filename: Option<String>,
}

impl Part {
    /// The field's name; bytes that are not UTF-8 became U+FFFD.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's name, as the client says it: it may have separators, dots and anything else, and is no path to write to.
    /// None for a part that is no file. `filename*` (RFC 8187), where it is there, comes before `filename`.
    #[must_use]
    pub fn filename(&self) -> Option<&str> {
        self.filename.as_deref()
    }

    /// The content's type, as the client says it; `text/plain` is meant by none (RFC 7578 §4.4).
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.header("content-type")
    }

    /// The first field of that name, in any case, without the blanks around it. None if there is none, or if it is not
    /// UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        str::from_utf8(found.1).ok()
    }

    /// All fields of the head, in order, with their names as they were sent.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        fields(&self.head).flatten()
    }

    /// `head`: up to and with the empty line.
    pub(super) fn parse(head: Vec<u8>) -> Result<Self, MultipartError> {
        const DISPOSITION: MultipartError =
            MultipartError::Head { why: "has no `Content-Disposition: form-data`" };
        let mut disposition = None;
        for field in fields(&head) {
            let (name, value) = field?;
            if name.eq_ignore_ascii_case("content-disposition") && disposition.replace(value).is_some() {
                return Err(MultipartError::Head { why: "has `Content-Disposition` twice" });
            }
        }
        let (kind, parameters) = parameters(disposition.ok_or(DISPOSITION)?).map_err(|_| DISPOSITION)?;
        if !kind.eq_ignore_ascii_case(b"form-data") {
            return Err(DISPOSITION);
        }
        let only = |wanted: &str| {
            let mut values = parameters.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value);
            match (values.next(), values.next()) {
                (value, None) => Ok(value),
                _ => Err(MultipartError::Head { why: "names a part or its file twice" }),
            }
        };
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let name = only("name")?.map(text).ok_or(MultipartError::Head { why: "has no name" })?;
        let plain = only("filename")?.map(text);
        let filename = only("filename*")?.and_then(|value| extended(value)).or(plain);
        Ok(Self { head, name, filename })
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("name", &self.name)
            .field("filename", &self.filename)
            .field("content_type", &self.content_type())
            .finish_non_exhaustive()
    }
}

/// The fields of a head that ends with an empty line.
fn fields(head: &[u8]) -> impl Iterator<Item = Result<(&str, &[u8]), MultipartError>> {
    let lines = head.strip_suffix(b"\r\n\r\n").unwrap_or_default();
    let lines = lines.split_inclusive(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r\n").unwrap_or(line));
    lines.map(|line| {
        const WRONG: MultipartError = MultipartError::Head { why: "has a line that is no field" };
        let at = memchr::memchr(b':', line).ok_or(WRONG)?;
        let (name, value) = line.split_at(at);
        let value = token::trim(value.get(1..).unwrap_or_default());
        if !token::is_token(name) || !value.iter().all(|byte| token::is_value_byte(*byte)) {
            return Err(WRONG);
        }
        Ok((str::from_utf8(name).unwrap_or_default(), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> Result<Part, MultipartError> {
        Part::parse(format!("{head}\r\n\r\n").into_bytes())
    }

    #[test]
    fn names_are_found() {
        let table = [
            ("form-data; name=a", "a", None),
            ("Form-Data; NAME=\"a b\"", "a b", None),
            ("form-data; name=\"\"", "", None),
            ("form-data; name=a; filename=\"\"", "a", Some("")),
            ("form-data; name=\"file\"; filename=\"Jürgen.txt\"", "file", Some("Jürgen.txt")),
            (r#"form-data; name="a"; filename="say \"hi\".txt""#, "a", Some(r#"say "hi".txt"#)),
            (r#"form-data; name="a"; filename="C:\x\y.txt""#, "a", Some(r"C:\x\y.txt")),
            ("form-data; name=a; filename=\"../../etc/passwd\"", "a", Some("../../etc/passwd")),
            ("form-data; name=a; filename=x; filename*=UTF-8''%e2%82%ac.txt", "a", Some("€.txt")),
            ("form-data; filename*=UTF-8''%e2%82%ac; name=a", "a", Some("€")),
            ("form-data; name=a; filename=x; filename*=ISO-8859-1''%e4", "a", Some("x")),
            ("form-data; name=\"a;b\"; filename=\"c;d=e\"", "a;b", Some("c;d=e")),
        ];
        for (disposition, name, filename) in table {
            let part = parse(&format!("Content-Disposition: {disposition}")).unwrap();
            assert_eq!((part.name(), part.filename()), (name, filename), "{disposition}");
        }
        let part = Part::parse(b"Content-Disposition: form-data; name=\"\xff\"\r\n\r\n".to_vec()).unwrap();
        assert_eq!(part.name(), "\u{fffd}");
    }

    #[test]
    fn fields_are_as_they_were_sent() {
        let part =
            parse("content-disposition: form-data; name=a\r\nContent-Type:  text/x \r\nX:\r\nX: y").unwrap();
        assert_eq!(part.content_type(), Some("text/x"));
        let expected = [
            ("content-disposition", &b"form-data; name=a"[..]),
            ("Content-Type", b"text/x"),
            ("X", b""),
            ("X", b"y"),
        ];
        assert!(part.headers().eq(expected));
        assert_eq!((part.header("x"), part.header("y")), (Some(""), None));
        assert_eq!(
            format!("{part:?}"),
            r#"Part { name: "a", filename: None, content_type: Some("text/x"), .. }"#
        );
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let good = "Content-Disposition: form-data; name=a";
        let table = [
            String::new(),
            "X: y".to_owned(),
            "Content-Disposition: form-data".to_owned(),
            "Content-Disposition: form-data; filename=a".to_owned(),
            "Content-Disposition: attachment; name=a".to_owned(),
            "Content-Disposition: form-data; name=\"a".to_owned(),
            "Content-Disposition : form-data; name=a".to_owned(),
            format!("{good}; name=b"),
            format!("{good}; filename=b; filename=c"),
            format!("{good}\r\n{good}"),
            format!("{good}\r\nX"),
            format!("{good}\r\n X: y"),
            format!("{good}\r\n: y"),
            format!("{good}\nX: y"),
            format!("{good}\r\nX: \0"),
            format!("{good}\r\nX: a\rb"),
            format!("\r\n{good}"),
        ];
        for head in table {
            let refused = parse(&head);
            assert!(matches!(refused, Err(MultipartError::Head { .. })), "{head:?}: {refused:?}");
        }
    }
}
