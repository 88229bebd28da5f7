//! Bodies as they come (rule M20): to the program, or into a form.

use crate::connection::Connection;
use crate::core::Core;
use crate::event::Event;
use crate::http::Request;
use crate::uploads::{FormError, Intake};

/// Tells of a piece, and of the request if that was the last of it. Whether it is served still.
pub(super) fn tell(core: &Core, connection: &Connection, piece: &[u8], message: Option<Request>) -> bool {
    let intake = connection.lock().intake();
    let message = match intake {
        Some(intake) => match receive(connection, &intake, piece, message) {
            Ok(message) => message,
            Err(error) => {
                connection.lock().refuse(core, error.status());
                connection.tell(core, Event::Error(&error.to_string()));
                None
            }
        },
        None => {
            if !piece.is_empty() {
                connection.tell(core, Event::HttpBody(piece));
            }
            message
        }
    };
    if let Some(request) = message {
        tell_whole(core, connection, request);
    }
    connection.lock().is_serving()
}

fn tell_whole(core: &Core, connection: &Connection, request: Request) {
    if connection.lock().is_owed() {
        connection.tell(core, Event::HttpMessage(&request));
    } else if let Some(form) = request.form() {
        // Somebody answered in the meantime: nobody will hear of what was saved.
        form.remove();
    }
    connection.lock().told(request);
}

/// Writes, without a lock that anybody else waits for; the request with its form, if that is whole.
fn receive(
    connection: &Connection,
    intake: &Intake,
    piece: &[u8],
    message: Option<Request>,
) -> Result<Option<Request>, FormError> {
    intake.take(piece)?;
    let Some(request) = message else { return Ok(None) };
    if !connection.lock().is_owed() {
        return Ok(Some(request));
    }
    Ok(Some(match intake.finish()? {
        Some(form) => request.with_form(form),
        None => request,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Kind;
    use crate::http::HeadParser;
    use crate::session::{Http, Protocol, Session};
    use crate::{Limits, Uploads};
    use bytes::Bytes;
    use std::io;
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    fn files_that_nobody_hears_of_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let mut form = Uploads::to(directory.path()).receiver("multipart/form-data; boundary=x").unwrap();
        form.take(b"--x\r\nContent-Disposition: form-data; name=a; filename=a\r\n\r\n1\r\n--x--").unwrap();
        let form = form.finish().unwrap();
        let path = form.files()[0].path().to_owned();
        assert!(path.exists());

        let text = b"POST / HTTP/1.1\r\nHost: a\r\n\r\n";
        let head = HeadParser::new().parse(text, 1024).unwrap().unwrap();
        let request = Request::new(Bytes::from_static(text), head, Bytes::new()).with_form(form);
        let core = Arc::new(Core::new(None, Limits::default(), Err(io::ErrorKind::Unsupported)));
        let http = Http::new(&core.limits, Instant::now());
        let session = Session::new(Protocol::Http(Box::new(http)), None, None);
        let connection = Connection::new(&core, Kind::Stream, session);
        tell_whole(&core, &connection, request);
        assert!(!path.exists(), "it owes no answer any more");
    }
}
