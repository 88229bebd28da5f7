//! Bodies that are too large, or too soon of use, to be collected.

use super::Connection;
use crate::error::StreamError;
use crate::http::Request;
use crate::uploads::{FormError, Intake, Uploads};
use std::time::Instant;

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
    /// The same of a response, in [`Event::HttpResponseHeaders`](crate::Event::HttpResponseHeaders): `HttpBody`, then
    /// `HttpResponse`. One that is longer than `most` is an error, and ends the connection.
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
            false => session.stream_body(most, None),
        })?
    }

    /// Whether no more of a body that is [streamed](Self::stream_body) is wanted at present: the peer is not read, and held
    /// back by TCP's flow control, and its time ([`Limits::body_stall`](crate::Limits::body_stall)) does not run. For whoever
    /// passes the pieces on to somebody slower. Ends with the body, or the answer; without either, with the program's wish, or
    /// the drain's deadline.
    pub fn pause_body(&self, paused: bool) {
        let now = Instant::now();
        self.change(|session, _| {
            if !session.has_answered(self.request) {
                session.pause_body(paused, now);
            }
        });
    }

    /// Has the body of the request that is being told with [`Event::HttpHeaders`](crate::Event::HttpHeaders) received as a
    /// form: files are written as they come, and [`Event::HttpMessage`] comes when all of it is there, with
    /// [`Request::form`]. Forms are `multipart/form-data` and `application/x-www-form-urlencoded`.
    ///
    /// What is no form, too much or cannot be written is answered in the program's place ([`FormError::status`]), after
    /// which [`Event::Error`](crate::Event::Error) says why. What came of a form that does not become whole is removed,
    /// however it ends. A program that answers early has no form.
    ///
    /// [`Event::HttpMessage`]: crate::Event::HttpMessage
    ///
    /// # Errors
    ///
    /// It is no form by its `Content-Type`, or this is not asked in time; nothing is changed then. Answer with
    /// [`FormError::status`].
    ///
    /// # Examples
    ///
    /// ```
    /// use exeunt_manager::{Event, Manager, Uploads};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let uploads = Uploads::to(directory.path()).bytes(100 * 1024 * 1024);
    /// let manager = Manager::new(move |conn, event| match event {
    ///     Event::HttpHeaders(request) if request.method() == "POST" => {
    ///         if let Err(error) = conn.receive_form(request, &uploads) {
    ///             conn.reply(error.status(), &[], error.to_string());
    ///         }
    ///     }
    ///     Event::HttpMessage(request) => match request.form().and_then(|form| form.file("photo")) {
    ///         Some(photo) => conn.reply(200, &[], format!("{} bytes", photo.length())),
    ///         None => conn.reply(400, &[], "a photo, please"),
    ///     },
    ///     _ => {}
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn receive_form(&self, request: &Request, uploads: &Uploads) -> Result<(), FormError> {
        let receiver = uploads.receiver(request.header("content-type").unwrap_or_default())?;
        let streamed = self.try_change(|session, _| match session.has_answered(self.request) {
            true => Err(StreamError::TooLate),
            false => session.stream_body(uploads.most(), Some(Intake::new(receiver))),
        });
        Ok(streamed.map_err(StreamError::from)??)
    }
}
