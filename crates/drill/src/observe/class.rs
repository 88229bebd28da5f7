use super::{Answer, Connect, End, Observation, Subject};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// From this silence on, a request that meets our FIN on the way counts as crossed (`idle_grace`).
pub(crate) const CROSSED_SILENCE: Duration = Duration::from_millis(250);

/// The Close of a server that goes down (RFC 6455 §7.4.1).
const GOING_AWAY: u16 = 1001;

/// What became of a request. Every request ends in exactly one class.
///
/// The first line that fits decides:
///
/// | observed | class |
/// |---|---|
/// | connect refused, or its SYN unanswered to the end | [`Refused`](Self::Refused) |
/// | connect reset: the handshake was done, then undone | [`LostAccept`](Self::LostAccept) |
/// | whole answer, status 200 to 399 | [`Ok`](Self::Ok) |
/// | whole answer, any other status | [`ErrorStatus`](Self::ErrorStatus) |
/// | a WebSocket that was open: Close 1001 | [`Ok`](Self::Ok) |
/// | the same, any other Close | [`ErrorStatus`](Self::ErrorStatus) |
/// | an earlier answer on the connection had said `close` | [`Unprocessed`](Self::Unprocessed) |
/// | a GOAWAY with a lower last stream than this one, or REFUSED_STREAM | [`Unprocessed`](Self::Unprocessed) |
/// | no answer to a WebSocket's message, but a Close within the connection's round trip and 50 ms of it | [`Crossed`](Self::Crossed) |
/// | bytes that are none of the protocol | [`Truncated`](Self::Truncated) |
/// | part of an answer, then FIN, RST or RST_STREAM | [`Truncated`](Self::Truncated) |
/// | part of an answer, connection still open at the end of the watch | [`Hung`](Self::Hung) |
/// | no byte, connection open, never answered before, process gone (nobody ever held it) | [`LostAccept`](Self::LostAccept) |
/// | no byte, connection still open at the end of the watch | [`Hung`](Self::Hung) |
/// | no byte, then FIN, RST or RST_STREAM, connection never answered before | [`LostAccept`](Self::LostAccept) |
/// | the same on a used connection, silent for 250 ms or longer, FIN in our queue at the send | [`Crossed`](Self::Crossed) |
/// | the same on a used connection otherwise | [`LostReuse`](Self::LostReuse) |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Class {
    /// Answered in whole.
    Ok,
    /// The connect was refused, or nobody answered its SYN until the process had gone.
    /// After the signal that is no loss; before it, a fault of its own.
    Refused,
    /// The handshake was done, the request never answered.
    LostAccept,
    /// Sent on a connection that the server had not announced it would close, never answered.
    LostReuse,
    /// The same on a connection silent for 250 ms or longer, with the server's FIN under way when the
    /// request was sent: what HTTP/1 cannot avoid (RFC 9112 §9.5). Or a message that met the Close of its WebSocket on
    /// the way: after a Close nothing may be answered (RFC 6455 §5.5.1). Counted apart.
    Crossed,
    /// Pipelined behind an answer that said `close` (RFC 9112 §9.6), or told not to have been processed by a GOAWAY or by
    /// `REFUSED_STREAM` (RFC 9113 §8.7), so that the client may ask again elsewhere: not a loss.
    Unprocessed,
    /// The answer began and did not arrive whole.
    Truncated,
    /// Neither an answer nor an end of the connection until the watch ended.
    Hung,
    /// Answered in whole with a status outside 200 to 399; a WebSocket, with another Close than 1001.
    ErrorStatus,
}

impl Class {
    /// Every class, in the order of the design.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Refused,
        Self::LostAccept,
        Self::LostReuse,
        Self::Crossed,
        Self::Unprocessed,
        Self::Truncated,
        Self::Hung,
        Self::ErrorStatus,
    ];

    /// Whether a request of this class was lost.
    #[must_use]
    pub fn is_loss(self) -> bool {
        match self {
            Self::LostAccept | Self::LostReuse | Self::Truncated | Self::Hung | Self::ErrorStatus => true,
            Self::Ok | Self::Refused | Self::Crossed | Self::Unprocessed => false,
        }
    }

    /// The name as it stands in the JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::LostAccept => "lost_accept",
            Self::LostReuse => "lost_reuse",
            Self::Crossed => "crossed",
            Self::Unprocessed => "unprocessed",
            Self::Truncated => "truncated",
            Self::Hung => "hung",
            Self::ErrorStatus => "error_status",
        }
    }

    /// The rule that a loss of this class breaks (design §4), and what it says; `None` for what is no loss.
    #[must_use]
    pub fn rule(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::LostAccept => Some(("D3", "closing a listener loses nobody who believes to be connected")),
            Self::LostReuse => Some((
                "D4",
                "a request that reaches an open connection before the close was announced is answered",
            )),
            Self::Truncated => Some(("D7", "the last response arrives whole")),
            Self::Hung => Some(("D8", "what is not answered at the deadline is cut, never left hanging")),
            Self::ErrorStatus => Some(("D4", "a request that was accepted is answered, not turned away")),
            Self::Ok | Self::Refused | Self::Crossed | Self::Unprocessed => None,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Judges one request; [`Class`] has the table.
pub(crate) fn classify(seen: &Observation) -> Class {
    match seen.connect {
        Connect::Refused | Connect::Unanswered => return Class::Refused,
        Connect::Reset => return Class::LostAccept,
        Connect::Done => {}
    }
    match (seen.answer, seen.end) {
        (Answer::Whole { status, .. }, _) if is_good(seen, status) => Class::Ok,
        (Answer::Whole { .. }, _) => Class::ErrorStatus,
        _ if seen.close_announced => Class::Unprocessed,
        _ if seen.met_close => Class::Crossed,
        (Answer::Garbage { .. }, _) | (Answer::Part { .. }, End::Fin | End::Reset | End::StreamReset) => {
            Class::Truncated
        }
        (Answer::Nothing, End::Open) if seen.gone && seen.answered_before == 0 => Class::LostAccept,
        (Answer::Part { .. } | Answer::Nothing, End::Open) => Class::Hung,
        (Answer::Nothing, End::Fin | End::Reset | End::StreamReset) if seen.answered_before == 0 => {
            Class::LostAccept
        }
        (Answer::Nothing, End::Fin | End::Reset) if seen.fin_at_send && seen.silence >= CROSSED_SILENCE => {
            Class::Crossed
        }
        (Answer::Nothing, End::Fin | End::Reset | End::StreamReset) => Class::LostReuse,
    }
}

/// Whether this is how an answer should end. The codes of WebSockets begin above the statuses of HTTP.
fn is_good(seen: &Observation, status: u16) -> bool {
    matches!((seen.subject, status), (_, 200..=399) | (Subject::Stream, GOING_AWAY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const WHOLE: Answer = Answer::Whole { status: 200, says_close: false };
    const LAST: Answer = Answer::Whole { status: 200, says_close: true };

    /// A request on a kept connection, as the loop of `keepalive` sends it.
    fn kept(answer: Answer, end: End) -> Observation {
        let now = Instant::now();
        Observation {
            answered_before: 7,
            silence: Duration::from_micros(20),
            sent: 60,
            answer,
            end,
            ..Observation::new(Subject::Request, now)
        }
    }

    fn new(answer: Answer, end: End) -> Observation {
        Observation { answered_before: 0, ..kept(answer, end) }
    }

    fn silent(millis: u64, fin_at_send: bool, end: End) -> Observation {
        Observation { silence: Duration::from_millis(millis), fin_at_send, ..kept(Answer::Nothing, end) }
    }

    fn connect(connect: Connect) -> Observation {
        Observation { connect, sent: 0, ..new(Answer::Nothing, End::Open) }
    }

    #[test]
    fn every_observation_has_its_class() {
        let part = Answer::Part { bytes: 30 };
        let garbage = Answer::Garbage { bytes: 30, why: "no status line" };
        let status = |status| Answer::Whole { status, says_close: false };
        let behind_close = |answer, end| Observation { close_announced: true, ..kept(answer, end) };
        let gone = |seen| Observation { gone: true, ..seen };
        let of = |subject, seen| Observation { subject, ..seen };
        let stream = |answer, end| of(Subject::Stream, kept(answer, end));
        let message = |answer, end| of(Subject::Message, kept(answer, end));
        let table = [
            ("whole", kept(WHOLE, End::Open), Class::Ok),
            ("whole and last", kept(LAST, End::Fin), Class::Ok),
            ("whole on a new connection", new(WHOLE, End::Open), Class::Ok),
            ("redirect", kept(status(302), End::Open), Class::Ok),
            ("whole, then reset", kept(WHOLE, End::Reset), Class::Ok),
            ("answered although behind close", behind_close(WHOLE, End::Open), Class::Ok),
            ("refused", connect(Connect::Refused), Class::Refused),
            ("SYN unanswered", connect(Connect::Unanswered), Class::Refused),
            ("SYN unanswered, process gone", gone(connect(Connect::Unanswered)), Class::Refused),
            ("reset out of the connect", connect(Connect::Reset), Class::LostAccept),
            ("new, reset", new(Answer::Nothing, End::Reset), Class::LostAccept),
            ("new, FIN", new(Answer::Nothing, End::Fin), Class::LostAccept),
            ("new, nobody there", gone(new(Answer::Nothing, End::Open)), Class::LostAccept),
            (
                "new, long silent, FIN first",
                Observation { answered_before: 0, ..silent(300, true, End::Reset) },
                Class::LostAccept,
            ),
            ("kept, reset", kept(Answer::Nothing, End::Reset), Class::LostReuse),
            ("kept, FIN", kept(Answer::Nothing, End::Fin), Class::LostReuse),
            ("silent, no FIN at the send", silent(300, false, End::Reset), Class::LostReuse),
            ("silent too short", silent(249, true, End::Reset), Class::LostReuse),
            ("silent, FIN at the send", silent(250, true, End::Reset), Class::Crossed),
            ("the same, ended by the FIN", silent(300, true, End::Fin), Class::Crossed),
            ("behind close", behind_close(Answer::Nothing, End::Fin), Class::Unprocessed),
            ("behind close, open", behind_close(Answer::Nothing, End::Open), Class::Unprocessed),
            ("behind close, reset", behind_close(Answer::Nothing, End::Reset), Class::Unprocessed),
            ("part, FIN", kept(part, End::Fin), Class::Truncated),
            ("part, reset", new(part, End::Reset), Class::Truncated),
            ("garbage", kept(garbage, End::Open), Class::Truncated),
            ("part, open", kept(part, End::Open), Class::Hung),
            ("part, open, gone", gone(new(part, End::Open)), Class::Hung),
            ("nothing, open", kept(Answer::Nothing, End::Open), Class::Hung),
            ("nothing, open, somebody holds it", gone(kept(Answer::Nothing, End::Open)), Class::Hung),
            ("new, nothing, open", new(Answer::Nothing, End::Open), Class::Hung),
            ("404", kept(status(404), End::Open), Class::ErrorStatus),
            ("500", new(status(500), End::Fin), Class::ErrorStatus),
            ("503", kept(status(503), End::Open), Class::ErrorStatus),
            ("101 unasked", kept(status(101), End::Open), Class::ErrorStatus),
            ("stream of HTTP/2 reset in its body", kept(part, End::StreamReset), Class::Truncated),
            ("stream of HTTP/2 reset, no head", kept(Answer::Nothing, End::StreamReset), Class::LostReuse),
            ("the same, the first", new(Answer::Nothing, End::StreamReset), Class::LostAccept),
            ("above the last stream", behind_close(Answer::Nothing, End::StreamReset), Class::Unprocessed),
            ("answered message", message(WHOLE, End::Open), Class::Ok),
            ("message, then FIN", message(Answer::Nothing, End::Fin), Class::LostReuse),
            (
                "message that met the Close",
                Observation { met_close: true, ..message(Answer::Nothing, End::Open) },
                Class::Crossed,
            ),
            ("message, nothing", message(Answer::Nothing, End::Open), Class::Hung),
            ("Close 1001", stream(status(1001), End::Fin), Class::Ok),
            ("Close 1000", stream(status(1000), End::Fin), Class::ErrorStatus),
            ("Close 1011", stream(status(1011), End::Fin), Class::ErrorStatus),
            ("Close without a code", stream(status(1005), End::Fin), Class::ErrorStatus),
            ("1001 is no status", kept(status(1001), End::Fin), Class::ErrorStatus),
            ("upgrade refused", of(Subject::Stream, new(status(503), End::Fin)), Class::ErrorStatus),
            ("stream torn", stream(part, End::Fin), Class::Truncated),
            ("stream reset", stream(part, End::Reset), Class::Truncated),
            ("stream open at the end", stream(part, End::Open), Class::Hung),
            ("events ended whole", stream(WHOLE, End::Open), Class::Ok),
        ];
        for (name, seen, class) in &table {
            assert_eq!(classify(seen), *class, "{name}");
        }
        for class in Class::ALL {
            assert!(table.iter().any(|(_, _, covered)| *covered == class), "no line for {class}");
        }
    }

    #[test]
    fn a_loss_names_its_rule_and_nothing_else_does() {
        for class in Class::ALL {
            for subject in [Subject::Request, Subject::HalfRequest, Subject::Message, Subject::Stream] {
                assert_eq!(class.is_loss(), subject.rule(class).is_some(), "{class} of {subject:?}");
            }
        }
        let rule = |seen: Observation| seen.rule(classify(&seen)).unwrap().0;
        let close = Answer::Whole { status: 1000, says_close: true };
        let closed = Observation { subject: Subject::Stream, ..kept(close, End::Fin) };
        assert_eq!(rule(closed), "D6");
        // Never opened: a request like any other.
        assert_eq!(rule(Observation { answered_before: 0, ..closed }), "D4");
        let part = Answer::Part { bytes: 9 };
        assert_eq!(rule(Observation { subject: Subject::Stream, ..kept(part, End::Fin) }), "D6");
        assert_eq!(rule(kept(part, End::Fin)), "D7");
    }
}
