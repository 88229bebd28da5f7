//! What a request makes its answer depend on (RFC 9110 §13).

use super::meta::Meta;
use super::range::{Part, part};
use crate::http::Request;
use std::time::SystemTime;

/// What follows from the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The file, or that part of it.
    Send(Part),
    /// The client has it: 304.
    Known,
    /// It is not what the client takes it for: 412.
    Other,
}

/// Those of the request's fields that say when to answer, and with how much.
#[derive(Debug, Default)]
struct Conditions<'a> {
    /// Lists, which may be told in several fields.
    matches: Vec<&'a [u8]>,
    matches_none: Vec<&'a [u8]>,
    modified_since: Field<'a>,
    unmodified_since: Field<'a>,
    range: Field<'a>,
    if_range: Field<'a>,
}

/// A field that is there once, or is not understood.
#[derive(Debug, Default)]
enum Field<'a> {
    #[default]
    Never,
    Once(&'a [u8]),
    Often,
}

/// Judges a GET or HEAD, in the order of §13.2.2.
pub(super) fn judge(request: &Request, meta: &Meta) -> Verdict {
    let conditions = Conditions::of(request);
    let matched = |lists: &[&[u8]], strong| lists.iter().any(|list| has_tag(list, &meta.etag, strong));
    if !conditions.matches.is_empty() {
        if !matched(&conditions.matches, true) {
            return Verdict::Other;
        }
    } else if let (Some(date), Some(modified)) = (conditions.unmodified_since.date(), meta.modified)
        && modified > date
    {
        return Verdict::Other;
    }
    if !conditions.matches_none.is_empty() {
        if matched(&conditions.matches_none, false) {
            return Verdict::Known;
        }
    } else if let (Some(date), Some(modified)) = (conditions.modified_since.date(), meta.modified)
        && modified <= date
    {
        return Verdict::Known;
    }
    match conditions.range {
        // Of HEAD no range is defined (§14.2).
        Field::Once(range) if request.method() == "GET" && conditions.if_range.is_this(meta) => {
            Verdict::Send(part(range, meta.length))
        }
        _ => Verdict::Send(Part::Whole),
    }
}

impl<'a> Conditions<'a> {
    fn of(request: &'a Request) -> Self {
        let mut conditions = Self::default();
        for (name, value) in request.headers() {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            match name.len() {
                5 if is("range") => conditions.range.hear(value),
                8 if is("if-match") => conditions.matches.push(value),
                8 if is("if-range") => conditions.if_range.hear(value),
                13 if is("if-none-match") => conditions.matches_none.push(value),
                17 if is("if-modified-since") => conditions.modified_since.hear(value),
                19 if is("if-unmodified-since") => conditions.unmodified_since.hear(value),
                _ => {}
            }
        }
        conditions
    }
}

impl<'a> Field<'a> {
    fn hear(&mut self, value: &'a [u8]) {
        *self = if let Self::Never = self { Self::Once(value) } else { Self::Often };
    }

    fn date(&self) -> Option<SystemTime> {
        let Self::Once(value) = self else { return None };
        httpdate::parse_http_date(str::from_utf8(value).ok()?).ok()
    }

    /// Of `If-Range`: whether the client's part is of this very state (§13.1.5).
    fn is_this(&self, meta: &Meta) -> bool {
        match self {
            Self::Never => true,
            Self::Often => false,
            Self::Once(value) if value.starts_with(b"\"") => *value == meta.etag.as_bytes(),
            // What begins with `W/` is no date either.
            Self::Once(_) => self.date().is_some_and(|date| meta.modified == Some(date)),
        }
    }
}

/// Whether a list has that tag, or is `*`. Weak tags are none where the comparison is `strong` (§8.8.3.2).
fn has_tag(list: &[u8], etag: &str, strong: bool) -> bool {
    let mut rest = list;
    if rest == b"*" {
        return true;
    }
    loop {
        while let [b' ' | b'\t' | b',', behind @ ..] = rest {
            rest = behind;
        }
        let weak = rest.starts_with(b"W/");
        let tag = rest.strip_prefix(b"W/").unwrap_or(rest);
        let [b'"', behind @ ..] = tag else { return false };
        let Some(end) = memchr::memchr(b'"', behind) else { return false };
        if tag.get(..end + 2) == Some(etag.as_bytes()) && !(strong && weak) {
            return true;
        }
        rest = behind.get(end + 1..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HeadParser;
    use bytes::Bytes;
    use std::time::{Duration, UNIX_EPOCH};

    const BEFORE: &str = "Thu, 01 Jan 1970 00:16:39 GMT";
    const AT: &str = "Thu, 01 Jan 1970 00:16:40 GMT";
    const AFTER: &str = "Thu, 01 Jan 1970 00:16:41 GMT";
    const TAG: &str = "\"3e8.7-64\"";

    fn meta() -> Meta {
        Meta::of(100, 1000, 7, UNIX_EPOCH + Duration::from_secs(5000))
    }

    fn judged(method: &str, fields: &[(&str, &str)]) -> Verdict {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let text = format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let head = HeadParser::new().parse(text.as_bytes(), 65536).unwrap().unwrap();
        judge(&Request::new(Bytes::from(text), head, Bytes::new()), &meta())
    }

    fn some(from: u64, length: u64) -> Verdict {
        Verdict::Send(Part::Some { from, length })
    }

    #[test]
    fn conditions_are_judged_in_their_order() {
        const WHOLE: Verdict = Verdict::Send(Part::Whole);
        assert_eq!(meta().etag, TAG);
        let (weak, two) = (format!("W/{TAG}"), format!("\"a,b\", {TAG}"));
        let (other, open) = ("\"other\"", "\"open");
        let table: &[(&[(&str, &str)], Verdict)] = &[
            (&[], WHOLE),
            (&[("If-Match", TAG)], WHOLE),
            (&[("If-Match", "*")], WHOLE),
            (&[("If-Match", &two)], WHOLE),
            (&[("If-Match", &weak)], Verdict::Other),
            (&[("If-Match", other)], Verdict::Other),
            (&[("If-Match", open)], Verdict::Other),
            (&[("If-Match", "")], Verdict::Other),
            (&[("If-Match", other), ("If-Match", TAG)], WHOLE),
            (&[("If-Match", TAG), ("If-Unmodified-Since", BEFORE)], WHOLE),
            (&[("If-Unmodified-Since", BEFORE)], Verdict::Other),
            (&[("If-Unmodified-Since", AT)], WHOLE),
            (&[("If-Unmodified-Since", AFTER)], WHOLE),
            (&[("If-Unmodified-Since", "yesterday")], WHOLE),
            (&[("If-None-Match", TAG)], Verdict::Known),
            (&[("If-None-Match", &weak)], Verdict::Known),
            (&[("If-None-Match", &two)], Verdict::Known),
            (&[("if-none-match", "*")], Verdict::Known),
            (&[("If-None-Match", other)], WHOLE),
            (&[("If-None-Match", "3e8.7-64")], WHOLE),
            (&[("If-None-Match", other), ("If-Modified-Since", AFTER)], WHOLE),
            (&[("If-None-Match", TAG), ("If-Modified-Since", BEFORE)], Verdict::Known),
            (&[("If-Modified-Since", AT)], Verdict::Known),
            (&[("If-Modified-Since", AFTER)], Verdict::Known),
            (&[("If-Modified-Since", BEFORE)], WHOLE),
            (&[("If-Modified-Since", "0")], WHOLE),
            (&[("If-Modified-Since", AT), ("If-Modified-Since", AT)], WHOLE),
            (&[("If-Match", TAG), ("If-None-Match", TAG)], Verdict::Known),
            (&[("If-Match", other), ("If-None-Match", TAG)], Verdict::Other),
            (&[("Range", "bytes=1-2")], some(1, 2)),
            (&[("Range", "bytes=100-")], Verdict::Send(Part::Beyond)),
            (&[("Range", "bytes=1-2"), ("Range", "bytes=1-2")], WHOLE),
            (&[("Range", "bytes=1-2"), ("If-None-Match", TAG)], Verdict::Known),
            (&[("Range", "bytes=1-2"), ("If-Range", TAG)], some(1, 2)),
            (&[("Range", "bytes=1-2"), ("If-Range", AT)], some(1, 2)),
            (&[("Range", "bytes=1-2"), ("If-Range", &weak)], WHOLE),
            (&[("Range", "bytes=1-2"), ("If-Range", other)], WHOLE),
            (&[("Range", "bytes=1-2"), ("If-Range", BEFORE)], WHOLE),
            (&[("Range", "bytes=1-2"), ("If-Range", AFTER)], WHOLE),
            (&[("Range", "bytes=1-2"), ("If-Range", TAG), ("If-Range", TAG)], WHOLE),
            (&[("Range", "bytes=100-"), ("If-Range", other)], WHOLE),
            (&[("If-Range", TAG)], WHOLE),
        ];
        for (fields, expected) in table {
            assert_eq!(judged("GET", fields), *expected, "{fields:?}");
        }
        assert_eq!(judged("HEAD", &[("Range", "bytes=1-2")]), WHOLE);
        assert_eq!(judged("HEAD", &[("If-None-Match", TAG)]), Verdict::Known);
        assert_eq!(judged("HEAD", &[("If-Match", other)]), Verdict::Other);
    }

    #[test]
    fn what_has_no_date_is_judged_by_its_tag_alone() {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: {AFTER}\r\n\r\n");
        let head = HeadParser::new().parse(text.as_bytes(), 65536).unwrap().unwrap();
        let request = Request::new(Bytes::from(text), head, Bytes::new());
        let undated = Meta { modified: None, ..meta() };
        assert_eq!(judge(&request, &undated), Verdict::Send(Part::Whole));
    }
}
