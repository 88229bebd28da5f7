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
        if connection.lock().is_owed() {
            connection.tell(core, Event::HttpMessage(&request));
        } else if let Some(form) = request.form() {
            // Somebody answered in the meantime: nobody will hear of what was saved.
            form.remove();
        }
        connection.lock().told(request);
    }
    connection.lock().is_serving()
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
