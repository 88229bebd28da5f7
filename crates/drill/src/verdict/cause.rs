use crate::observe::{Answer, Class, End, Observation, Subject};
use crate::process::ExitStatus;
use crate::signal::StopSignal;

/// A process that ends of the signal itself within this time has no handler for it.
const AT_ONCE_MS: f64 = 50.0;

/// What the server did to lose a request of this class, as far as the client can tell.
pub(super) fn cause(
    class: Class,
    seen: &Observation,
    exit: Option<(ExitStatus, f64)>,
    signal: StopSignal,
    before_signal: bool,
) -> String {
    if before_signal {
        return "lost under load alone, before any signal".to_owned();
    }
    if let Some((ExitStatus::Signal(number), after_ms)) = exit
        && number == signal.raw().as_raw()
        && after_ms < AT_ONCE_MS
        && matches!(class, Class::LostAccept | Class::LostReuse | Class::Truncated)
    {
        return format!(
            "{signal} itself ended the process, after {after_ms:.1} ms: it has no handler for the signal (or \
             one that ends at once), so whatever was begun vanished with it"
        );
    }
    match (seen.subject, class) {
        (Subject::Message, Class::LostReuse) => {
            return format!(
                "the WebSocket ended {} ms after the message was sent, without an answer to it",
                seen.ended.saturating_duration_since(seen.begun).as_millis()
            );
        }
        (Subject::HalfRequest, Class::LostAccept | Class::LostReuse) => {
            return "the connection ended although half of a request had come, before the other half or without an \
                    answer to the whole"
                .to_owned();
        }
        (Subject::Stream, Class::Truncated) if !matches!(seen.answer, Answer::Garbage { .. }) => {
            return "the connection ended under an open stream, whose peer was told nothing: no Close, no last \
                    event, no end of the chunks"
                .to_owned();
        }
        (Subject::Stream, Class::ErrorStatus) if seen.answered_before > 0 => {
            return match seen.answer {
                Answer::Whole { status, .. } => {
                    format!("it said Close {status}, which is not \"going away\"")
                }
                _ => String::new(),
            };
        }
        _ => {}
    }
    match class {
        Class::LostAccept => {
            "the kernel had done the handshake, but the server closed its listener, or ended, \
                              with the connection in the queue or the request unread"
                .to_owned()
        }
        Class::LostReuse if seen.end == End::StreamReset => {
            "it reset a stream that it had not answered, and did not say that it had not processed it \
             (REFUSED_STREAM, or a GOAWAY with a lower last stream)"
                .to_owned()
        }
        Class::LostReuse if seen.fin_at_send => format!(
            "the server had closed a kept connection that was silent for {} ms, without having announced it \
             (rule D5 asks for 250 ms of silence)",
            seen.silence.as_millis()
        ),
        Class::LostReuse => {
            "the server closed a kept connection as the next request arrived, without having \
                             announced it (`Connection: close` on the answer before; in HTTP/2, a GOAWAY)"
                .to_owned()
        }
        Class::Truncated => match seen.answer {
            Answer::Garbage { why, .. } => format!("what came is no answer of the protocol: {why}"),
            _ if seen.end == End::StreamReset => "it reset a stream whose answer it had begun".to_owned(),
            _ => "the connection ended before the whole answer was out".to_owned(),
        },
        Class::Hung => format!(
            "neither an answer nor the end of the connection had come {} ms after it began, when the drill \
             closed its books",
            seen.ended.saturating_duration_since(seen.begun).as_millis()
        ),
        Class::ErrorStatus => match seen.answer {
            Answer::Whole { status, .. } => format!("it answered {status} to a request it had accepted"),
            _ => "it answered with an error".to_owned(),
        },
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_death_by_the_signal_explains_what_vanished() {
        let seen = Observation {
            answered_before: 1,
            sent: 60,
            answer: Answer::Whole { status: 503, says_close: true },
            end: End::Reset,
            gone: true,
            ..Observation::new(Subject::Request, Instant::now())
        };
        let why = |class, exit, before| cause(class, &seen, exit, StopSignal::TERM, before);
        let died = Some((ExitStatus::Signal(15), 0.4));
        assert!(
            why(Class::LostReuse, died, false).contains("SIGTERM itself ended the process, after 0.4 ms")
        );
        assert!(why(Class::LostReuse, Some((ExitStatus::Signal(15), 300.0)), false).contains("announced"));
        assert!(why(Class::LostReuse, Some((ExitStatus::Code(0), 0.4)), false).contains("announced"));
        let fin = Observation { fin_at_send: true, silence: Duration::from_millis(5), ..seen };
        let early = cause(Class::LostReuse, &fin, None, StopSignal::TERM, false);
        assert!(early.contains("silent for 5 ms"), "{early}");
        let late = Observation { ended: seen.begun + Duration::from_millis(443), ..seen };
        let hung = cause(Class::Hung, &late, None, StopSignal::TERM, false);
        assert!(hung.contains("443 ms after it began"), "{hung}");
        assert!(why(Class::LostAccept, None, false).contains("queue"));
        let of = |subject, class, answer| {
            let seen = Observation { subject, answer, ended: seen.begun + Duration::from_millis(77), ..seen };
            cause(class, &seen, None, StopSignal::TERM, false)
        };
        let message = of(Subject::Message, Class::LostReuse, Answer::Nothing);
        assert!(message.contains("77 ms after the message"), "{message}");
        let half = of(Subject::HalfRequest, Class::LostAccept, Answer::Nothing);
        assert!(half.contains("half of a request"), "{half}");
        let torn = of(Subject::Stream, Class::Truncated, Answer::Part { bytes: 9 });
        assert!(torn.contains("told nothing"), "{torn}");
        let close = Answer::Whole { status: 1011, says_close: true };
        assert!(of(Subject::Stream, Class::ErrorStatus, close).contains("Close 1011"));
        let reset = Observation { end: End::StreamReset, ..seen };
        assert!(cause(Class::LostReuse, &reset, None, StopSignal::TERM, false).contains("REFUSED_STREAM"));
        let reset = Observation { answer: Answer::Part { bytes: 9 }, ..reset };
        assert!(cause(Class::Truncated, &reset, None, StopSignal::TERM, false).contains("begun"));
        assert!(why(Class::ErrorStatus, died, false).contains("503"));
        assert!(why(Class::LostReuse, died, true).contains("before any signal"));
    }
}
