use super::client::Next;
use super::{Load, STREAMS, Watch};
use crate::observe::{
    Answer, Connection, End, Frame, FrameReader, Observation, Subject, acknowledge, hello, pong,
    request_frame, window_update,
};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The window is given back when so much was used of it.
const GIVE_BACK: u32 = 1 << 24;
/// The stream was not processed (RFC 9113 §8.7).
const REFUSED_STREAM: u32 = 7;
/// The last of a client's streams (RFC 9113 §5.1.1).
const LAST_STREAM: u32 = 0x7fff_ffff;

/// Asks on several streams of a connection at a time, as long as the server lets it, then on another connection.
pub(super) async fn http2(load: Rc<Load>, number: u32) {
    let mut watch = load.limits.watch();
    // The last client has what is left of the connections.
    let width = (load.connections - number * STREAMS).min(STREAMS);
    let mut opening = true;
    loop {
        let (connection, begun) = match load.connect(&mut watch).await {
            Ok(connected) => connected,
            Err(Next::Retry) => continue,
            Err(Next::Leave) => return,
        };
        let answered = Session::new(&load, connection, width, begun, opening).run(&mut watch).await;
        opening = false;
        if answered <= width {
            load.hold_back().await;
        }
    }
}

/// One connection.
struct Session<'a> {
    load: &'a Load,
    connection: Connection,
    reader: FrameReader,
    streams: BTreeMap<u32, Stream>,
    next: u32,
    most: u32,
    answered: u32,
    /// The server has said GOAWAY: nothing new is asked.
    going: bool,
    used: u32,
    out: Vec<u8>,
    begun: Instant,
    opening: bool,
}

/// A request that is not over.
struct Stream {
    seen: Observation,
    status: Option<u16>,
    bytes: usize,
    opening: bool,
}

impl<'a> Session<'a> {
    fn new(load: &'a Load, connection: Connection, width: u32, begun: Instant, opening: bool) -> Self {
        Self {
            load,
            connection,
            reader: FrameReader::default(),
            streams: BTreeMap::new(),
            next: 1,
            most: width,
            answered: 0,
            going: false,
            used: 0,
            out: hello(),
            begun,
            opening,
        }
    }

    /// To the connection's end, or to the last answer behind a GOAWAY; answers how many there were.
    async fn run(mut self, watch: &mut Watch) -> u32 {
        loop {
            self.ask().await;
            if self.streams.is_empty() && (self.going || self.load.closed.get()) {
                return self.answered;
            }
            match self.connection.bytes(watch).await {
                Ok(bytes) => {
                    self.reader.push(&bytes);
                    if let Err(why) = self.hear() {
                        self.give_up(End::Open, Some(why));
                        return self.answered;
                    }
                }
                Err(ended) => {
                    self.give_up(ended.end, None);
                    return self.answered;
                }
            }
        }
    }

    /// As many requests as there may be at a time. What the server has said was read just now.
    async fn ask(&mut self) {
        let mut streams = Vec::new();
        while !self.going
            && !self.load.closed.get()
            && self.next <= LAST_STREAM
            && self.streams.len() + streams.len() < self.most as usize
        {
            streams.push(self.next);
            self.next += 2;
        }
        if !streams.is_empty() && self.answered > 0 && !self.load.flight.is_zero() {
            self.connection.send_more(&std::mem::take(&mut self.out));
            sleep(self.load.flight).await;
        }
        let authority = self.load.address.to_string();
        for stream in &streams {
            self.out.extend(request_frame(*stream, &authority, &self.load.path));
        }
        if self.out.is_empty() {
            return;
        }
        let sent = self.connection.send(&std::mem::take(&mut self.out), true);
        for stream in streams {
            let first = self.answered == 0;
            let seen = Observation {
                answered_before: self.answered,
                silence: sent.silence,
                sent: sent.bytes,
                ..Observation::new(Subject::Request, if first { self.begun } else { sent.at })
            };
            let opening = first && self.opening;
            self.streams.insert(stream, Stream { seen, status: None, bytes: 0, opening });
        }
    }

    fn hear(&mut self) -> Result<(), &'static str> {
        while let Some(frame) = self.reader.next()? {
            match frame {
                Frame::Headers { stream, status, end } => {
                    if let Some(of) = self.streams.get_mut(&stream) {
                        // An interim answer is none, and trailers have no status.
                        of.status = of.status.or(status.filter(|status| *status >= 200));
                        of.bytes += 1;
                    }
                    self.ends(stream, end);
                }
                Frame::Data { stream, length, end } => {
                    self.used = self.used.saturating_add(length);
                    if let Some(of) = self.streams.get_mut(&stream) {
                        of.bytes += length as usize;
                    }
                    self.ends(stream, end);
                }
                Frame::Reset { stream, code } => {
                    if let Some(of) = self.streams.remove(&stream) {
                        self.lost(&of, End::StreamReset, code == REFUSED_STREAM);
                    }
                }
                Frame::Settings { most_streams } => {
                    self.most = self.most.min(most_streams.unwrap_or(u32::MAX));
                    self.out.extend(acknowledge());
                }
                Frame::Ping(payload) => self.out.extend(pong(payload)),
                Frame::GoAway { last, .. } => {
                    self.going = true;
                    for (_, of) in self.streams.split_off(&last.saturating_add(1)) {
                        self.lost(&of, End::StreamReset, true);
                    }
                }
                Frame::Other => {}
            }
        }
        if self.used >= GIVE_BACK {
            self.out.extend(window_update(std::mem::take(&mut self.used)));
        }
        Ok(())
    }

    fn ends(&mut self, stream: u32, end: bool) {
        if !end {
            return;
        }
        let Some(of) = self.streams.remove(&stream) else { return };
        let Some(status) = of.status else { return self.lost(&of, End::StreamReset, false) };
        self.answered += 1;
        let answer = Answer::Whole { status, says_close: false };
        self.load.enter(Observation { answer, ..of.seen }, of.opening);
    }

    /// A stream without a whole answer; `unprocessed` tells that the server never looked at it.
    fn lost(&self, of: &Stream, end: End, unprocessed: bool) {
        let answer = if of.bytes == 0 { Answer::Nothing } else { Answer::Part { bytes: of.bytes } };
        let seen = Observation { answer, end, close_announced: unprocessed && of.bytes == 0, ..of.seen };
        self.load.enter(seen, of.opening);
    }

    fn give_up(&mut self, end: End, garbage: Option<&'static str>) {
        for (_, mut of) in std::mem::take(&mut self.streams) {
            match garbage {
                Some(why) => {
                    let answer = Answer::Garbage { bytes: of.bytes, why };
                    of.seen = Observation { answer, end, ..of.seen };
                    self.load.enter(of.seen, of.opening);
                }
                None => self.lost(&of, end, false),
            }
        }
    }
}

/// Long enough for a server that knows HTTP/2 to say so.
const HELLO_WITHIN: Duration = Duration::from_secs(2);

/// Whether the server answers the preface by its own settings (RFC 9113 §3.4).
pub(crate) async fn speaks_http2(mut connection: Connection, watch: &mut Watch) -> bool {
    let asked = async {
        let mut reader = FrameReader::default();
        connection.send(&hello(), true);
        loop {
            match reader.next() {
                Ok(None) => {}
                Ok(Some(frame)) => return matches!(frame, Frame::Settings { .. }),
                Err(_) => return false,
            }
            match connection.bytes(watch).await {
                Ok(bytes) => reader.push(&bytes),
                Err(_) => return false,
            }
        }
    };
    tokio::time::timeout(HELLO_WITHIN, asked).await.unwrap_or(false)
}
