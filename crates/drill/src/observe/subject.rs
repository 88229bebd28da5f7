use super::{Class, Observation};
use serde::Serialize;

/// What was observed: what a class is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Subject {
    /// A request with one answer, over HTTP/1 or as a stream of HTTP/2.
    Request,
    /// A request of which half was sent before the signal and the rest after it.
    HalfRequest,
    /// A message on a WebSocket, which is to be answered by one.
    Message,
    /// A WebSocket or a stream of server-sent events from its connect to its end, which is to be said.
    Stream,
}

impl Subject {
    /// The rule that a loss of this class breaks (design §4), and what it says; `None` for what is no loss.
    #[must_use]
    pub fn rule(self, class: Class) -> Option<(&'static str, &'static str)> {
        match (self, class) {
            (Self::HalfRequest, Class::LostAccept | Class::LostReuse) => Some((
                "D5",
                "a request that has begun to arrive is no idle connection, and is answered when it is whole",
            )),
            (Self::Message, Class::LostReuse) => {
                Some(("D6", "a WebSocket's message that was accepted is answered before its Close"))
            }
            (Self::Stream, Class::Truncated) => {
                Some(("D6", "a long stream is told in time: its peer sees a goodbye, and no torn end"))
            }
            _ => class.rule(),
        }
    }
}

impl Observation {
    pub(crate) fn rule(&self, class: Class) -> Option<(&'static str, &'static str)> {
        // A stream that was opened and closed with another word than it should was served all the same.
        match (self.subject, class) {
            (Subject::Stream, Class::ErrorStatus) if self.answered_before > 0 => {
                Some(("D6", "a WebSocket that the stop ends gets Close 1001"))
            }
            (subject, class) => subject.rule(class),
        }
    }
}
