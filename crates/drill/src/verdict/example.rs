use crate::observe::{Answer, Class, Connect, End, Observation, Subject, classify};
use serde::Serialize;
use std::fmt;
use std::time::{Duration, Instant};

/// One request as the client saw it, times relative to the signal.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Example {
    /// In which round, from 1.
    pub round: u32,
    /// What the request was judged.
    pub class: Class,
    /// What it is: a request, one half sent at the signal, a message, a stream.
    pub subject: Subject,
    /// The first act of the request, in milliseconds after the signal (negative: before).
    pub begun_ms: Option<f64>,
    /// When its outcome was known, likewise.
    pub ended_ms: Option<f64>,
    /// `done`, `refused`, `reset`, `unanswered`.
    pub connect: &'static str,
    /// Whole answers that the connection had given before.
    pub answered_before: u32,
    /// How long the connection had been silent at the send, in milliseconds.
    pub silence_ms: f64,
    /// Whether the server's FIN was in the client's queue at the send.
    pub fin_at_send: bool,
    /// Bytes of the request that were sent (of all pipelined requests together).
    pub sent_bytes: usize,
    /// What came back, in words.
    pub answer: String,
    /// `open`, `fin`, `reset`, and in HTTP/2 `stream_reset` for the end of the stream alone: how the connection stood when the watch of this request ended.
    pub end: &'static str,
}

impl Example {
    pub(crate) fn new(round: u32, seen: &Observation, signal: Option<Instant>) -> Self {
        let relative = |at: Instant| {
            let signal = signal?;
            let after = millis(at.saturating_duration_since(signal));
            Some(if at < signal { -millis(signal.duration_since(at)) } else { after })
        };
        Self {
            round,
            class: classify(seen),
            subject: seen.subject,
            begun_ms: relative(seen.begun),
            ended_ms: relative(seen.ended),
            connect: match seen.connect {
                Connect::Done => "done",
                Connect::Refused => "refused",
                Connect::Reset => "reset",
                Connect::Unanswered => "unanswered",
            },
            answered_before: seen.answered_before,
            silence_ms: millis(seen.silence),
            fin_at_send: seen.fin_at_send,
            sent_bytes: seen.sent,
            answer: match seen.answer {
                Answer::Nothing => "no byte of an answer".to_owned(),
                Answer::Part { bytes } => format!("{bytes} bytes of an unfinished answer"),
                Answer::Garbage { bytes, why } => {
                    format!("{bytes} bytes that are none of the protocol: {why}")
                }
                Answer::Whole { status: status @ 1000.., .. } => format!("a Close with code {status}"),
                Answer::Whole { status, .. } => format!("a whole answer with status {status}"),
            },
            end: match seen.end {
                End::Open => "open",
                End::Fin => "fin",
                End::Reset => "reset",
                End::StreamReset => "stream_reset",
            },
        }
    }
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {}: ", self.round)?;
        match self.answered_before {
            0 => write!(f, "connect begun {}", When(self.begun_ms))?,
            _ if self.subject == Subject::Stream => write!(f, "opened {}", When(self.begun_ms))?,
            1 => write!(f, "sent {} on a connection that had answered once", When(self.begun_ms))?,
            times => {
                write!(f, "sent {} on a connection that had answered {times} times", When(self.begun_ms))?;
            }
        }
        if self.connect == "reset" {
            return write!(f, ", done, and reset {}", When(self.ended_ms));
        }
        let fin = if self.fin_at_send { ", the server's FIN already there" } else { "" };
        write!(f, ", {} bytes sent after {:.1} ms of silence{fin}; ", self.sent_bytes, self.silence_ms)?;
        let end = match self.end {
            "fin" => "connection ended by FIN",
            "reset" => "connection ended by RST",
            "stream_reset" => "stream ended by RST_STREAM or GOAWAY",
            _ => "connection still open",
        };
        write!(f, "{}, {end} {}", self.answer, When(self.ended_ms))
    }
}

struct When(Option<f64>);

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(ms) if ms < 0.0 => write!(f, "{:.1} ms before the signal", -ms),
            Some(ms) => write!(f, "{ms:.1} ms after the signal"),
            None => f.write_str("with no signal sent"),
        }
    }
}

/// Milliseconds with three decimals: more would be noise.
pub(crate) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
