use crate::observe::{Answer, Class, Observation};
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
    match class {
        Class::LostAccept => {
            "the kernel had done the handshake, but the server closed its listener, or ended, \
                              with the connection in the queue or the request unread"
                .to_owned()
        }
        Class::LostReuse if seen.fin_at_send => format!(
            "the server had closed a kept connection that was silent for {} ms, without having announced it \
             (rule D5 asks for 250 ms of silence)",
            seen.silence.as_millis()
        ),
        Class::LostReuse => {
            "the server closed a kept connection as the next request arrived, without having \
                             announced it (`Connection: close` on the answer before)"
                .to_owned()
        }
        Class::Truncated => match seen.answer {
            Answer::Garbage { why, .. } => format!("what came is not an HTTP/1 answer: {why}"),
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
    use crate::observe::{Connect, End};
    use std::time::{Duration, Instant};

    #[test]
    fn a_death_by_the_signal_explains_what_vanished() {
        let seen = Observation {
            connect: Connect::Done,
            answered_before: 1,
            close_announced: false,
            silence: Duration::ZERO,
            fin_at_send: false,
            sent: 60,
            answer: Answer::Whole { status: 503, says_close: true },
            end: End::Reset,
            gone: true,
            begun: Instant::now(),
            ended: Instant::now(),
        };
        let why = |class, exit, before| cause(class, &seen, exit, StopSignal::TERM, before);
        let died = Some((ExitStatus::Signal(15), 0.4));
        assert!(
            why(Class::LostReuse, died, false).contains("SIGTERM itself ended the process, after 0.4 ms")
        );
        assert!(why(Class::LostReuse, Some((ExitStatus::Signal(15), 300.0)), false).contains("announced"));
        assert!(why(Class::LostReuse, Some((ExitStatus::Code(0), 0.4)), false).contains("announced"));
        let fin = Observation { fin_at_send: true, silence: Duration::from_millis(5), ..seen.clone() };
        let early = cause(Class::LostReuse, &fin, None, StopSignal::TERM, false);
        assert!(early.contains("silent for 5 ms"), "{early}");
        let late = Observation { ended: seen.begun + Duration::from_millis(443), ..seen.clone() };
        let hung = cause(Class::Hung, &late, None, StopSignal::TERM, false);
        assert!(hung.contains("443 ms after it began"), "{hung}");
        assert!(why(Class::LostAccept, None, false).contains("queue"));
        assert!(why(Class::ErrorStatus, died, false).contains("503"));
        assert!(why(Class::LostReuse, died, true).contains("before any signal"));
    }
}
