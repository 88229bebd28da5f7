//! What comes of bytes, told to the program in its order (rule M3).

use super::{answers, body};
use crate::connection::Connection;
use crate::core::Core;
use crate::event::Event;
use crate::session::{Behind, Next, Step};
use crate::websocket::WsHandshake;
use std::time::Instant;

/// What came, told. What follows at once, if anything does.
pub(super) fn arrived(core: &Core, connection: &Connection, bytes: &[u8], now: Instant) -> Option<Next> {
    let (step, serving) = {
        let mut session = connection.lock();
        if session.is_lingering() {
            return Some(session.discard(core, now, bytes));
        }
        let step = session.arrived(core, now, bytes);
        // With what the peer's handshake begins the program has nothing to do.
        (step, session.is_serving() && !session.awaits_tls())
    };
    let serving = step.map_or(serving, |step| tell_all(core, connection, step));
    // Who has ended the connection meanwhile reads no more of it.
    if serving {
        connection.tell(core, Event::Read(bytes));
    }
    None
}

/// Tells that, and of a WebSocket whatever else has come. Whether it is served still then.
fn tell_all(core: &Core, connection: &Connection, step: Step) -> bool {
    let more = matches!(step, Step::WsOpen(_) | Step::WsMessage(_) | Step::WsControl(_));
    let mut serving = tell(core, connection, step);
    while more
        && serving
        && !core.is_interrupted()
        && let Some(step) = { connection.lock().further(core) }
    {
        serving = tell(core, connection, step);
    }
    serving
}

/// Whether it is served still when that is told.
pub(super) fn tell(core: &Core, connection: &Connection, step: Step) -> bool {
    let request = match step {
        Step::Headers { request, number } => {
            let connection = &connection.of(number);
            connection.tell(core, Event::HttpHeaders(&request));
            let mut session = connection.lock();
            session.told(request);
            let Some(step) = session.streamed(core) else { return session.is_serving() };
            drop(session);
            return tell(core, connection, step);
        }
        Step::Message { request, number, announced } => {
            let connection = &connection.of(number);
            let behind = if announced {
                Behind::Message
            } else {
                connection.tell(core, Event::HttpHeaders(&request));
                connection.lock().announced(core, &request)
            };
            match behind {
                Behind::Message => connection.tell(core, Event::HttpMessage(&request)),
                Behind::Other(step) => return tell(core, connection, *step),
                Behind::Nothing => {}
            }
            request
        }
        Step::Body { piece, message, number } => {
            return body::tell(core, &connection.of(number), &piece, message);
        }
        Step::WsOpen(response) => {
            connection.lock().ws_joins(core, connection.id());
            connection.tell(core, Event::WsOpen(WsHandshake::Answered(&response)));
            let mut session = connection.lock();
            session.ws_opened();
            return session.is_serving();
        }
        Step::WsMessage(message) => {
            connection.tell(core, Event::WsMessage(&message));
            return connection.lock().is_serving();
        }
        Step::WsControl(control) => {
            connection.tell(core, Event::WsControl(&control));
            return connection.lock().is_serving();
        }
        Step::Answer(answer) => return answers::tell(core, connection, answer),
        Step::Failed(why) => {
            connection.tell(core, Event::Error(&why));
            return connection.lock().is_serving();
        }
        Step::Refused(why) => {
            connection.tell(core, Event::Error(why));
            return connection.lock().is_serving();
        }
    };
    let mut session = connection.lock();
    session.told(request);
    session.is_serving()
}
