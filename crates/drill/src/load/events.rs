use super::Load;
use super::client::Next;
use crate::observe::{Answer, End, EventReader, Observation, Subject};
use std::rc::Rc;

/// Listens to a stream of server-sent events until it ends; then, before the signal, to another.
pub(super) async fn events(load: Rc<Load>) {
    let mut watch = load.limits.watch();
    while load.signal.at().is_none() {
        let (mut connection, begun) = match load.connect(&mut watch).await {
            Ok(connected) => connected,
            Err(Next::Retry) => continue,
            Err(Next::Leave) => return,
        };
        let mut reader = EventReader::new(&load.goodbye);
        connection.keep_body();
        let sent = connection.send(&load.request, true).bytes;
        let mut standing = false;
        let ((answer, end), said) = loop {
            let done = connection.answer_step(&mut watch).await;
            let said = reader.push(&connection.body());
            if let Some(done) = done {
                break (done, said);
            }
            if !standing && connection.in_body() {
                standing = true;
                load.stand();
            }
        };
        if standing {
            load.fall();
        }
        let (answer, farewell) = match (answer, end) {
            // Who has heard a goodbye leaves by himself: what became of the rest is nobody's concern.
            (Answer::Part { .. }, _) if said => (Answer::Whole { status: 200, says_close: true }, "goodbye"),
            (Answer::Whole { .. }, _) if said => (answer, "goodbye"),
            (Answer::Whole { status: 200..=399, .. }, _) => (answer, "end of the stream"),
            (Answer::Whole { .. }, _) => (answer, "refusal"),
            (_, End::Open) => (answer, "nothing"),
            (_, _) => (answer, "torn stream"),
        };
        load.ledger.borrow_mut().farewell(farewell);
        let seen = Observation { sent, answer, end, ..Observation::new(Subject::Stream, begun) };
        load.enter(seen, true);
    }
}
