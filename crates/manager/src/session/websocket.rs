//! A WebSocket: messages out of bytes and into bytes, and the closing handshake (RFC 6455, rule M17).
//!
//! What we have said and what the peer has said are two dimensions: either may be the first to say Close, and the other
//! may go on sending until he has answered.

use super::{Buffers, Linger, Over, Step};
use crate::core::Core;
use crate::websocket::{Failure, Incoming, Reader, Role, WsControl, WsOp, close_payload, write};
use bytes::Buf;
use exeunt_lifecycle::Work;
use std::time::Instant;

mod ending;
mod opening;
mod pausing;
mod sending;
mod time;

pub(crate) struct WebSocket {
    role: Role,
    reader: Reader,
    ours: Ours,
    theirs: Theirs,
    /// The program is being told that it is open, and of nothing else before that.
    opening: bool,
    /// The program wants to be told of nothing at present.
    paused: bool,
    /// The time of the last thing that happened.
    seen: Instant,
    last_byte: Instant,
    /// He was silent, and was asked then whether he is there.
    pinged: Option<Instant>,
    /// The program has heard of the drain.
    draining: Option<Instant>,
    /// More of the peer's may have arrived, which is to be told before a drain's Close is said.
    more: bool,
    /// Which part of [`Limits::ws_close_spread`](crate::Limits::ws_close_spread) its Close waits, from 0 to 1.
    share: f64,
    /// The deadline of the drain has come: the peer has a moment for the last that he is sent.
    cut: Option<Instant>,
    /// Once it lingers (D7), this decides how long.
    linger: Option<Linger>,
    asked: Asked,
    /// Work that has come to its end, and is to be dropped outside of the lock.
    over: Option<Over>,
}

/// What we say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    Open,
    /// Close was said, and nothing may follow it. Since when all of it has gone, and something of the peer's is awaited.
    Closed {
        gone: Option<Instant>,
    },
}

/// What the peer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Theirs {
    Open,
    /// He said Close, with this code.
    Closed(u16),
    /// He is not listened to any more: nobody knows what his bytes mean, or he has had his time.
    Ignored,
    /// He ended his side without a Close.
    Ended,
}

/// The request that it began with, for the report of a cut.
struct Asked {
    /// Its beginning: more would be kept for as long as the peer likes.
    uri: Box<str>,
    since: Instant,
    work: Option<Work>,
}

/// How much of the URI is kept, in bytes.
const NAME: usize = 256;

impl WebSocket {
    /// `share`: see the field; the work is in flight until it is over.
    fn new(role: Role, uri: &str, since: Instant, work: Option<Work>, share: f64) -> Self {
        let name = uri.get(..uri.floor_char_boundary(NAME)).unwrap_or_default();
        Self {
            role,
            reader: Reader::new(role),
            ours: Ours::Open,
            theirs: Theirs::Open,
            opening: true,
            paused: false,
            seen: since,
            last_byte: since,
            pinged: None,
            draining: None,
            more: false,
            share,
            cut: None,
            linger: None,
            asked: Asked { uri: name.into(), since, work },
            over: None,
        }
    }

    /// These bytes came, and there were none before them; what to tell the program of first.
    pub(crate) fn arrived(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
        now: Instant,
        bytes: &[u8],
    ) -> Option<Step> {
        self.stirs(now);
        if !buffers.recv.is_empty() || !self.may_tell(core, buffers) {
            if self.theirs == Theirs::Open {
                buffers.recv.extend_from_slice(bytes);
            }
            return self.step(core, buffers);
        }
        let mut rest = bytes;
        let step = self.read(core, buffers, &mut rest);
        if self.theirs == Theirs::Open {
            buffers.recv.extend_from_slice(rest);
        }
        step
    }

    /// The next thing to tell of what is in the buffer.
    pub(crate) fn step(&mut self, core: &Core, buffers: &mut Buffers) -> Option<Step> {
        if buffers.recv.is_empty() || !self.may_tell(core, buffers) {
            return None;
        }
        let mut bytes = std::mem::take(&mut buffers.recv);
        let mut rest = &bytes[..];
        let step = self.read(core, buffers, &mut rest);
        if self.theirs == Theirs::Open {
            let taken = bytes.len() - rest.len();
            bytes.advance(taken);
            buffers.recv = bytes;
        }
        buffers.release();
        step
    }

    /// Whether a turn may begin with reading: nothing waits to be told, said or judged.
    pub(crate) fn only_reads(&self) -> bool {
        self.ours == Ours::Open && self.theirs == Theirs::Open && !self.opening && !self.paused
    }

    /// Whether nobody waits for what the program has said or was told.
    fn may_tell(&self, core: &Core, buffers: &Buffers) -> bool {
        let free = self.theirs == Theirs::Open && !self.opening && !self.paused;
        free && buffers.send.len() < core.limits.send_pause.max(1)
    }

    /// Something of the peer's came, if only part of something.
    pub(crate) fn stirs(&mut self, now: Instant) {
        self.seen = now;
        self.last_byte = now;
        self.pinged = None;
    }

    fn read(&mut self, core: &Core, buffers: &mut Buffers, input: &mut &[u8]) -> Option<Step> {
        match self.reader.read(input, core.limits.ws_message_bytes) {
            Ok(None) => None,
            Ok(Some(Incoming::Message(message))) => Some(Step::WsMessage(message)),
            Ok(Some(Incoming::Control(control))) => {
                match &control {
                    WsControl::Ping(payload) if self.ours == Ours::Open => {
                        write(&mut buffers.send, self.role, WsOp::Pong, payload);
                    }
                    WsControl::Close { code, .. } => self.theirs = Theirs::Closed(*code),
                    WsControl::Ping(_) | WsControl::Pong(_) => {}
                }
                Some(Step::WsControl(control))
            }
            Err(failure) => Some(self.fail(buffers, failure)),
        }
    }

    /// The peer is told why, and not listened to any more (RFC 6455 §7.1.7).
    fn fail(&mut self, buffers: &mut Buffers, failure: Failure) -> Step {
        self.say_close(buffers, failure.code, "");
        self.theirs = Theirs::Ignored;
        Step::Refused(failure.why)
    }

    fn say_close(&mut self, buffers: &mut Buffers, code: u16, reason: &str) {
        if self.ours == Ours::Open {
            write(&mut buffers.send, self.role, WsOp::Close, &close_payload(code, reason));
            self.closed();
        }
    }
}
