//! Requests, written.

use bytes::BytesMut;

use super::reply_error::check;
use super::said::Said;
use super::{chunk, token};
use crate::error::RequestError;

/// A request, as the program gives it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

/// Writes a request behind what is in `out`, or nothing if it is an error.
///
/// Added to what the program says: `Host`, which is `authority`, and `Content-Length`, if there is a body or the method
/// means one (RFC 9110 §8.6). With `Transfer-Encoding: chunked` it begins a chunked request, whose first chunk is `body`, unless
/// that is empty.
pub(crate) fn ask(out: &mut BytesMut, ask: Ask<'_>, authority: &str) -> Result<(), RequestError> {
    let Ask { method, uri, headers, body } = ask;
    if !token::is_token(method.as_bytes()) {
        return Err(RequestError::Method { method: method.to_owned() });
    }
    if uri.is_empty() || !uri.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(RequestError::Uri { uri: uri.to_owned() });
    }
    let mut said = Said::default();
    let mut host = false;
    for (name, value) in headers {
        check(name, value)?;
        said.hear(name, value);
        host |= name.eq_ignore_ascii_case("host");
    }
    let chunked = said.coding(false)?;
    // What is said of the length is right, or an error.
    let length = said.length(body.len(), false)?;

    let mut push = |parts: &[&str]| parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    push(&[method, " ", uri, " HTTP/1.1\r\n"]);
    if !host {
        push(&["Host: ", authority, "\r\n"]);
    }
    for (name, value) in headers {
        push(&[name, ": ", value, "\r\n"]);
    }
    let means_one = !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH");
    if !chunked && length.is_none() && means_one {
        push(&["Content-Length: ", &body.len().to_string(), "\r\n"]);
    }
    push(&["\r\n"]);
    match (chunked, body.is_empty()) {
        (_, true) => {}
        (true, false) => chunk(out, body),
        (false, false) => out.extend_from_slice(body),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HeadParser;

    fn written(
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<String, RequestError> {
        let mut out = BytesMut::from("before");
        let result = ask(&mut out, Ask { method, uri, headers, body }, "example.org:81");
        let text = String::from_utf8_lossy(&out[6..]).into_owned();
        if result.is_err() {
            assert_eq!(text, "", "nothing is written");
        }
        result.map(|()| text)
    }

    #[test]
    fn a_request_says_what_it_must() {
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);
        let table: &[Case<'_>] = &[
            ("GET", &[], "", "GET /a?b HTTP/1.1\r\nHost: example.org:81\r\n\r\n"),
            ("GET", &[("host", "b")], "", "GET /a?b HTTP/1.1\r\nhost: b\r\n\r\n"),
            ("GET", &[], "x", "GET /a?b HTTP/1.1\r\nHost: example.org:81\r\nContent-Length: 1\r\n\r\nx"),
            ("POST", &[], "", "POST /a?b HTTP/1.1\r\nHost: example.org:81\r\nContent-Length: 0\r\n\r\n"),
            (
                "PUT",
                &[("Content-Length", "2"), ("X", "y")],
                "hi",
                "PUT /a?b HTTP/1.1\r\nHost: example.org:81\r\nContent-Length: 2\r\nX: y\r\n\r\nhi",
            ),
            (
                "POST",
                &[("Transfer-Encoding", "chunked")],
                "hi",
                "POST /a?b HTTP/1.1\r\nHost: example.org:81\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
            ),
        ];
        for (method, headers, body, text) in table {
            let written = written(method, "/a?b", headers, body.as_bytes()).unwrap();
            assert_eq!(written, *text);
            let head = HeadParser::new().parse(written.as_bytes(), 1000).unwrap();
            assert!(head.is_some(), "a server takes it: {text}");
        }
    }

    #[test]
    fn what_would_be_something_else_is_refused() {
        for (method, uri, headers, body, why) in [
            ("GE T", "/", &[][..], "", "method"),
            ("", "/", &[], "", "method"),
            ("GET", "", &[], "", "URI"),
            ("GET", "/ HTTP/1.1\r\nX: y", &[], "", "URI"),
            ("GET", "/a#b", &[], "", "URI"),
            ("GET", "/ü", &[], "", "URI"),
            ("GET", "/", &[("X", "a\r\nY: b")], "", "Header value"),
            ("GET", "/", &[("X:", "a")], "", "Header name"),
            ("POST", "/", &[("Content-Length", "3")], "hi", "Content-Length"),
            ("GET", "/", &[("Content-Length", "3")], "", "Content-Length"),
            ("POST", "/", &[("Content-Length", "2"), ("Transfer-Encoding", "chunked")], "hi", "beside"),
            ("POST", "/", &[("Transfer-Encoding", "gzip")], "hi", "chunked"),
        ] {
            let error = written(method, uri, headers, body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
