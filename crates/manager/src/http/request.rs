//! A request, as the program sees it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::message::{Message, text};
use super::{Head, Version, form};
use crate::uploads::Form;

/// A whole HTTP request: its head taken apart, its body decoded, and both as they came.
///
/// Cloning is cheap: the bytes are shared. A request stays valid, and unchanged, for as long as it is kept.
#[derive(Clone)]
pub struct Request {
    /// Shared as a whole, since it is handed on from place to place.
    parts: Arc<Parts>,
}

struct Parts {
    message: Message<Head>,
    form: Option<Form>,
}

impl Request {
    /// `raw`: what `head` was parsed from, up to the request's end. `body`: its decoded content.
    pub(crate) fn new(raw: Bytes, head: Head, body: Bytes) -> Self {
        Self { parts: Arc::new(Parts { message: Message { raw, head, body }, form: None }) }
    }

    /// The same for whoever wants its head alone, and for long: does not hold a large body.
    pub(crate) fn slim(self) -> Self {
        const SMALL: usize = 4096;
        if self.parts.message.raw.len() <= SMALL {
            return self;
        }
        self.without_body()
    }

    /// The same without its body, which somebody has taken, and of which nothing is held.
    pub(crate) fn without_body(&self) -> Self {
        let Message { raw, head, .. } = &self.parts.message;
        let raw = Bytes::copy_from_slice(raw.get(..head.len).unwrap_or_default());
        Self::new(raw, head.clone(), Bytes::new())
    }

    /// The same with the form that its body was.
    pub(crate) fn with_form(&self, form: Form) -> Self {
        let Message { raw, head, body } = &self.parts.message;
        let (raw, head, body) = (raw.clone(), head.clone(), body.clone());
        Self { parts: Arc::new(Parts { message: Message { raw, head, body }, form: Some(form) }) }
    }

    /// The method, as it was sent: methods are case-sensitive (RFC 9110 §9.1).
    #[must_use]
    pub fn method(&self) -> &str {
        text(self.parts.message.head.method.of(&self.parts.message.raw))
    }

    /// The path as it was sent, without the query and not decoded. Of CONNECT its authority, `host:port`; of
    /// `OPTIONS *` the `*`; of `GET http://host/path` the path.
    #[must_use]
    pub fn uri(&self) -> &str {
        match text(self.parts.message.head.uri.of(&self.parts.message.raw)) {
            "" => "/",
            uri => uri,
        }
    }

    /// What stands behind the `?`, not decoded; empty if nothing does.
    #[must_use]
    pub fn query(&self) -> &str {
        self.parts.message.head.query.map_or("", |query| text(query.of(&self.parts.message.raw)))
    }

    /// The request target, as it was sent (RFC 9112 §3.2).
    #[must_use]
    pub fn target(&self) -> &str {
        text(self.parts.message.head.target.of(&self.parts.message.raw))
    }

    /// The first variable of that name in the query, with `+` and percent escapes decoded. Bytes that are not UTF-8 become
    /// U+FFFD. None if there is no such variable.
    #[must_use]
    pub fn query_var(&self, name: &str) -> Option<String> {
        form::variable(self.query().as_bytes(), name)
    }

    /// The same in the body, taken for an urlencoded form whatever its `Content-Type` says.
    #[must_use]
    pub fn form_var(&self, name: &str) -> Option<String> {
        form::variable(&self.parts.message.body, name)
    }

    /// The version in the request line.
    #[must_use]
    pub fn version(&self) -> Version {
        self.parts.message.head.version
    }

    /// The first field of that name, in any case, without the blanks around it. None if there is none, or if it is not
    /// UTF-8: see [`Request::header_bytes`].
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts.message.header(name)
    }

    /// The first field of that name, in any case, without the blanks around it.
    #[must_use]
    pub fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        self.parts.message.header_bytes(name)
    }

    /// All fields, in order, with their names as they were sent.
    #[must_use]
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.parts.message.headers()
    }

    /// The content, without chunks.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.parts.message.body
    }

    /// The form that came in its body, if the program had it received
    /// ([`Connection::receive_form`](crate::Connection::receive_form)).
    #[must_use]
    pub fn form(&self) -> Option<&Form> {
        self.parts.form.as_ref()
    }

    /// The whole request as it was sent; without the body if that was taken as it came.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.parts.message.bytes()
    }

    /// As it came, with empty lines before it.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.parts.message.raw
    }

    /// The request line and the fields as they were sent, with the empty line.
    #[must_use]
    pub fn head_bytes(&self) -> &[u8] {
        self.parts.message.head_bytes()
    }

    #[cfg(any(fuzzing, test))]
    pub(crate) fn head(&self) -> &Head {
        &self.parts.message.head
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method())
            .field("target", &self.target())
            .field("version", &self.version())
            .field("body", &self.parts.message.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{BodyReader, HeadParser};

    fn request(text: &[u8]) -> Request {
        let head = HeadParser::new().parse(text, 64 * 1024).unwrap().unwrap();
        let mut reader = BodyReader::new(head.framing, 1024);
        let body = reader.read(&text[head.len..]).unwrap().unwrap();
        let raw = Bytes::copy_from_slice(&text[..head.len + body]);
        let body = reader.body(&raw, head.len);
        Request::new(raw, head, body)
    }

    #[test]
    fn a_head_does_not_hold_its_body() {
        let whole = request(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        let head = whole.without_body();
        assert_eq!((head.uri(), head.body().len(), head.bytes().ends_with(b"\r\n\r\n")), ("/a", 0, true));
        let body = whole.body().clone();
        drop(whole);
        assert!(body.is_unique(), "whoever was given the body is the last who has it");
    }

    #[test]
    fn everything_is_there_as_it_was_sent() {
        let text = b"\r\nPOST /a%20b?x=1+2&y HTTP/1.1\r\nHost: a\r\nX-Thing:  one \r\nx-thing: two\r\n\
            X-Raw: \xff\r\nX-Empty:\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nf=a\r\n3\r\n%62\r\n0\r\n\r\n";
        let request = request(text);
        assert_eq!((request.method(), request.uri()), ("POST", "/a%20b"));
        assert_eq!((request.query(), request.target()), ("x=1+2&y", "/a%20b?x=1+2&y"));
        assert_eq!(request.query_var("x").as_deref(), Some("1 2"));
        assert_eq!(request.query_var("y").as_deref(), Some(""));
        assert_eq!(request.query_var("z"), None);
        assert_eq!(request.version(), Version::Http11);
        assert_eq!(request.header("x-thing"), Some("one"));
        assert_eq!(request.header("X-RAW"), None);
        assert_eq!(request.header_bytes("X-RAW"), Some(&b"\xff"[..]));
        assert_eq!(request.header("x-empty"), Some(""));
        assert_eq!(request.header("x-absent"), None);
        let names: Vec<_> = request.headers().map(|(name, _)| name).collect();
        assert_eq!(names, ["Host", "X-Thing", "x-thing", "X-Raw", "X-Empty", "Transfer-Encoding"]);
        assert_eq!(request.body(), "f=a%62");
        assert_eq!(request.form_var("f").as_deref(), Some("ab"));
        assert_eq!(request.bytes(), &text[2..]);
        assert!(
            request.head_bytes().starts_with(b"POST /") && request.head_bytes().ends_with(b"chunked\r\n\r\n")
        );
        assert_eq!(
            format!("{request:?}"),
            r#"Request { method: "POST", target: "/a%20b?x=1+2&y", version: Http11, body: 6, .. }"#
        );
    }

    #[test]
    fn a_clone_shares_the_bytes_and_may_go_anywhere() {
        fn assert_anywhere<T: Send + Sync + 'static>(_: &T) {}
        let request = request(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        let clone = request.clone();
        assert_anywhere(&clone);
        assert_eq!(clone.bytes().as_ptr(), request.bytes().as_ptr());
        assert_eq!(clone.body().as_ptr(), request.body().as_ptr());
    }
}
