//! What requests and responses have in common for whoever reads them.

use bytes::Bytes;

use super::head::Fields;

/// A head taken apart, the bytes that it was parsed from, and the decoded body.
pub(super) struct Message<H> {
    pub(super) raw: Bytes,
    pub(super) head: H,
    pub(super) body: Bytes,
}

/// Where things are in `raw`.
pub(super) trait Place {
    /// Behind empty lines that were skipped.
    fn start(&self) -> usize;
    /// Where the body begins.
    fn end(&self) -> usize;
    fn fields(&self) -> Fields;
}

impl<H: Place> Message<H> {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.header_bytes(name).and_then(|value| str::from_utf8(value).ok())
    }

    pub(super) fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.head.fields().of(&self.raw);
        fields.find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    pub(super) fn headers(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.head.fields().of(&self.raw).map(|(name, value)| (text(name), value))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.raw.get(self.head.start()..).unwrap_or_default()
    }

    pub(super) fn head_bytes(&self) -> &[u8] {
        self.raw.get(self.head.start()..self.head.end()).unwrap_or_default()
    }
}

/// The parsers took nothing that is not UTF-8.
pub(super) fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}
