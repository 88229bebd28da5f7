//! Responses, told to the program that asked.

use super::telling;
use crate::connection::Connection;
use crate::core::Core;
use crate::event::Event;
use crate::session::Answer;

/// Whether the connection is served still when that is told.
pub(super) fn tell(core: &Core, connection: &Connection, answer: Answer) -> bool {
    match answer {
        Answer::Head(response) => {
            connection.tell(core, Event::HttpResponseHeaders(&response));
            let step = connection.lock().answer_announced(core);
            if let Some(step) = step {
                return telling::tell(core, connection, step);
            }
        }
        Answer::Whole(response) => {
            connection.tell(core, Event::HttpResponse(&response));
            connection.lock().has_told_answer();
        }
        Answer::Piece(piece, response) => {
            if !piece.is_empty() {
                connection.tell(core, Event::HttpBody(&piece));
            }
            if let Some(response) = response {
                if connection.lock().is_serving() {
                    connection.tell(core, Event::HttpResponse(&response));
                }
                connection.lock().has_told_answer();
            }
        }
    }
    connection.lock().is_serving()
}
