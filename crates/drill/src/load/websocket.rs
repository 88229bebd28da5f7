use super::client::Next;
use super::{Load, Watch};
use crate::observe::{
    Answer, Connection, End, Message, MessageReader, Observation, Opcode, Sight, Subject, message,
};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::time::sleep_until;

/// Between an answer and the next message.
const PAUSE: Duration = Duration::from_millis(5);
/// Every fourth peer says nothing after its first message.
const SILENT: u32 = 4;
/// How long a message may have been with a server that sends a Close in place of its answer, besides the time on the
/// way: what is read late by a busy machine is no message that was dropped.
const MEETS_WITHIN: Duration = Duration::from_millis(50);
/// The most that is taken for the time on the way.
const LONGEST_WAY: Duration = Duration::from_millis(200);

/// Opens a WebSocket, says something again and again, and looks how it ends; before the signal, opens another then.
pub(super) async fn websocket(load: Rc<Load>, number: u32) {
    let mut watch = load.limits.watch();
    while load.signal.at().is_none() {
        let (mut connection, begun) = match load.connect(&mut watch).await {
            Ok(connected) => connected,
            Err(Next::Retry) => continue,
            Err(Next::Leave) => return,
        };
        // The kernel alone answers a SYN: there and back, as long as nobody keeps this thread.
        let way = begun.elapsed().min(LONGEST_WAY);
        let sent = connection.send(&load.request, true).bytes;
        let (answer, end) = connection.answer(&mut watch).await;
        let seen = Observation { sent, answer, end, ..Observation::new(Subject::Stream, begun) };
        if !matches!(answer, Answer::Whole { status: 101, .. }) {
            load.ledger.borrow_mut().farewell("refusal");
            load.enter(seen, true);
            super::client::back_off().await;
            continue;
        }
        load.stand();
        let mut peer = Peer::new(connection, way, number.is_multiple_of(SILENT));
        let (answer, end, farewell) = peer.talk(&load, &mut watch).await;
        load.fall();
        load.ledger.borrow_mut().farewell(farewell);
        let answered_before = peer.connection.answered() + peer.answered;
        load.enter(Observation { answered_before, answer, end, ..seen }, true);
    }
}

/// One end of a WebSocket.
struct Peer {
    connection: Connection,
    reader: MessageReader,
    /// Bytes that came since the upgrade.
    came: usize,
    way: Duration,
    is_silent: bool,
    answered: u32,
    /// The message that is not answered yet: when it was sent, and how long nothing had come then.
    asked: Option<(Instant, Duration, usize)>,
    next: Instant,
}

impl Peer {
    fn new(mut connection: Connection, way: Duration, is_silent: bool) -> Self {
        let mut reader = MessageReader::default();
        let rest = connection.rest();
        reader.push(&rest);
        Self {
            connection,
            reader,
            came: rest.len(),
            way,
            is_silent,
            answered: 0,
            asked: None,
            next: Instant::now(),
        }
    }

    /// Until the end, which it answers: as an answer, how the connection stood, and in words.
    async fn talk(&mut self, load: &Load, watch: &mut Watch) -> (Answer, End, &'static str) {
        loop {
            match self.reader.next() {
                Ok(Some(Message::Close(code))) => return self.close(load, watch, code).await,
                Ok(Some(heard)) => self.hear(load, heard),
                Ok(None) => {
                    let speaks = self.speaks(load);
                    tokio::select! {
                        biased;
                        bytes = self.connection.bytes(watch) => match bytes {
                            Ok(bytes) => {
                                self.came += bytes.len();
                                self.reader.push(&bytes);
                            }
                            Err(ended) => return self.torn(load, ended.end),
                        },
                        () = sleep_until(self.next.into()), if speaks => self.speak(load),
                    }
                }
                Err(why) => {
                    self.unanswered(load, End::Open, false);
                    return (Answer::Garbage { bytes: self.came, why }, End::Open, "garbage");
                }
            }
        }
    }

    fn speaks(&self, load: &Load) -> bool {
        self.asked.is_none() && !load.closed.get() && (self.answered == 0 || !self.is_silent)
    }

    fn speak(&mut self, load: &Load) {
        if self.reader.has_rest() || self.connection.look() != Sight::Silent {
            // It has something to say, which is read first.
            self.next = Instant::now() + Duration::from_millis(1);
            return;
        }
        let frame = message(Opcode::Text, b"drilled", mask(load));
        let sent = self.connection.send(&frame, true);
        self.asked = Some((sent.at, sent.silence, sent.bytes));
    }

    fn hear(&mut self, load: &Load, heard: Message) {
        match heard {
            Message::Data => {
                // Without a question it is none of our answers: a server may speak by itself.
                if let Some(asked) = self.asked.take() {
                    let answer = Answer::Whole { status: 200, says_close: false };
                    load.enter(Observation { answer, ..self.observed(asked) }, self.answered == 0);
                    self.answered += 1;
                    self.next = Instant::now() + load.random.borrow_mut().up_to(PAUSE);
                }
            }
            Message::Ping(payload) => {
                let pong = message(Opcode::Pong, &payload, mask(load));
                self.connection.send_more(&pong);
            }
            Message::Pong | Message::Close(_) => {}
        }
    }

    /// The Close is answered, and the end of the connection awaited, which is the server's to begin (RFC 6455 §7.1.1).
    async fn close(
        &mut self,
        load: &Load,
        watch: &mut Watch,
        code: Option<u16>,
    ) -> (Answer, End, &'static str) {
        let met = self.asked.is_some_and(|(at, ..)| at.elapsed() <= self.way + MEETS_WITHIN);
        self.unanswered(load, End::Fin, met);
        let payload = code.map(u16::to_be_bytes).unwrap_or_default();
        let payload = if code.is_some() { &payload[..] } else { &[] };
        let reply = message(Opcode::Close, payload, mask(load));
        self.connection.send_more(&reply);
        let end = loop {
            if let Err(ended) = self.connection.bytes(watch).await {
                break ended.end;
            }
        };
        // RFC 6455 §7.4.1: 1005 stands for a Close without a code.
        let status = code.unwrap_or(1005);
        let farewell = match code {
            Some(1000) => "Close 1000",
            Some(1001) => "Close 1001",
            Some(1011) => "Close 1011",
            Some(1012) => "Close 1012",
            Some(_) => "Close of another code",
            None => "Close without a code",
        };
        (Answer::Whole { status, says_close: true }, end, farewell)
    }

    fn torn(&mut self, load: &Load, end: End) -> (Answer, End, &'static str) {
        self.unanswered(load, end, false);
        let farewell = if end == End::Open { "nothing" } else { "torn stream" };
        // The upgrade was answered, so that an end without a Close is one of a part.
        (Answer::Part { bytes: self.came }, end, farewell)
    }

    fn unanswered(&mut self, load: &Load, end: End, met_close: bool) {
        if let Some(asked) = self.asked.take() {
            load.enter(Observation { end, met_close, ..self.observed(asked) }, false);
        }
    }

    fn observed(&self, (at, silence, sent): (Instant, Duration, usize)) -> Observation {
        let answered_before = self.connection.answered() + self.answered;
        Observation { answered_before, silence, sent, ..Observation::new(Subject::Message, at) }
    }
}

fn mask(load: &Load) -> [u8; 4] {
    let [mask @ .., _, _, _, _] = load.random.borrow_mut().number().to_be_bytes();
    mask
}
