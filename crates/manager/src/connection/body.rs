//! Bodies that are too large, or too soon of use, to be collected.

use super::Connection;
use crate::error::StreamError;

/// Bodies that are told as they come.
impl Connection {
    /// Has the body of the request that is being told with [`Event::HttpHeaders`](crate::Event::HttpHeaders) told as it
    /// comes ([`Event::HttpBody`](crate::Event::HttpBody)), in place of being collected; [`Event::HttpMessage`] follows when
    /// it is whole, with a request whose body is empty. To be called in that event, before its handler returns.
    ///
    /// `most`: how many bytes of content there may be, in place of [`Limits::body_bytes`]. What is longer is answered with
    /// 413, before the first piece if its `Content-Length` says so. Nothing but the last read is kept.
    ///
    /// Once the request is answered no more of its body is told, and no message. `Close` without `HttpMessage` says that
    /// the body was not whole.
    ///
    /// [`Event::HttpMessage`]: crate::Event::HttpMessage
    /// [`Limits::body_bytes`]: crate::Limits::body_bytes
    ///
    /// # Errors
    ///
    /// No head is being told, or it was asked for already; see [`StreamError`].
    pub fn stream_body(&self, most: u64) -> Result<(), StreamError> {
        self.try_change(|session, _| match session.has_answered(self.request) {
            true => Err(StreamError::TooLate),
            false => session.stream_body(most),
        })?
    }
}
