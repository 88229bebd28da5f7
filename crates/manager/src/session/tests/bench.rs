//! A session with no socket: the tests are its peer, its program and its clock.

use super::super::{Answer, Behind, Client, Http, Next, Protocol, Raw, Session, Step, Tick};
use crate::Limits;
use crate::core::{Core, Stage};
use crate::websocket::WsControl;
use std::io;
use std::time::{Duration, Instant};

/// What the program does about what it is told. The text is the one that is written down.
type Program = fn(&mut Session, &Core, &str);

/// How the socket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Reset,
}

/// Of a file, at once.
const PIECE: u64 = 1000;

pub(super) struct Bench {
    pub(super) core: Core,
    pub(super) session: Session,
    program: Program,
    start: Instant,
    now: Instant,
    /// What the program was told, without the pieces in which bytes came and went.
    pub(super) told: Vec<String>,
    /// What the peer got, so far.
    pub(super) wire: Vec<u8>,
    /// What the kernel takes of what is to be sent.
    pub(super) window: usize,
    /// The kernel may have more to read.
    pub(super) more: bool,
    /// The session would read on.
    pub(super) reads: bool,
    pub(super) lingers: bool,
    pub(super) end: Option<End>,
}

impl Bench {
    pub(super) fn http(program: Program) -> Self {
        Self::with_limits(Limits::default(), program)
    }

    pub(super) fn with_limits(limits: Limits, program: Program) -> Self {
        let start = Instant::now();
        Self::new(Protocol::Http(Box::new(Http::new(&limits, start))), limits, program, start)
    }

    pub(super) fn raw(limits: Limits, program: Program) -> Self {
        let start = Instant::now();
        Self::new(Protocol::Raw(Raw::new(start)), limits, program, start)
    }

    /// A client of `example.org`, which is connected.
    pub(super) fn client(limits: Limits, program: Program) -> Self {
        let start = Instant::now();
        let client = Client::new("example.org".to_owned(), start);
        Self::new(Protocol::Client(Box::new(client)), limits, program, start)
    }

    fn new(protocol: Protocol, limits: Limits, program: Program, start: Instant) -> Self {
        let mut bench = Self {
            core: Core::new(None, limits, Err(io::ErrorKind::Unsupported)),
            session: Session::new(protocol, None, None),
            program,
            start,
            now: start,
            told: Vec::new(),
            wire: Vec::new(),
            window: usize::MAX,
            more: false,
            reads: false,
            lingers: false,
            end: None,
        };
        bench.goes_on();
        bench
    }

    pub(super) fn instant(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    pub(super) fn time(&self) -> Instant {
        self.now
    }

    /// That many milliseconds after the beginning.
    pub(super) fn at(&mut self, ms: u64) -> &mut Self {
        self.now = self.start + Duration::from_millis(ms);
        self
    }

    /// These bytes are read, if the session reads at all.
    pub(super) fn arrives(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        if self.reads && self.end.is_none() { self.is_read(bytes) } else { self }
    }

    fn is_read(&mut self, bytes: &[u8]) -> &mut Self {
        if self.session.is_lingering() {
            let next = self.session.discard(&self.core, self.now, bytes);
            return self.carries_out(next);
        }
        if let Some(step) = self.session.arrived(&self.core, self.now, bytes) {
            self.tells(step);
        }
        self.goes_on()
    }

    /// The peer ends its side.
    pub(super) fn peer_ends(&mut self) -> &mut Self {
        let next = self.session.ended();
        self.carries_out(next)
    }

    /// The connection breaks.
    pub(super) fn breaks(&mut self, writing: bool) -> &mut Self {
        let next = self.session.lost(&io::ErrorKind::ConnectionReset.into(), writing);
        self.carries_out(next)
    }

    /// Something is done to the session from outside.
    pub(super) fn does(&mut self, act: impl FnOnce(&mut Session, &Core)) -> &mut Self {
        act(&mut self.session, &self.core);
        self.goes_on()
    }

    /// The same, as a handle does it: on what is open.
    pub(super) fn does_if_open(&mut self, act: impl FnOnce(&mut Session, &Core)) -> &mut Self {
        if self.session.is_open() { self.does(act) } else { self }
    }

    /// The program was told of the drain.
    pub(super) fn hears_of_drain(&mut self) -> &mut Self {
        assert!(self.session.is_to_hear_of_drain());
        self
    }

    pub(super) fn enters(&mut self, stage: Stage) -> &mut Self {
        self.core.enter(stage);
        let next = self.session.enter(&self.core, self.now, stage);
        self.carries_out(next)
    }

    /// When it wants to be woken, in milliseconds after the beginning.
    pub(super) fn wakes_at(&self) -> Option<u128> {
        self.session.wake_at(&self.core.limits).map(|at| at.duration_since(self.start).as_millis())
    }

    /// The clock reaches that time; a last look finds nothing.
    pub(super) fn ticks_at(&mut self, ms: u64) -> &mut Self {
        self.ticks_at_and_finds(ms, b"")
    }

    pub(super) fn ticks_at_and_finds(&mut self, ms: u64, found: &[u8]) -> &mut Self {
        self.at(ms);
        match self.session.tick(&self.core, self.now) {
            Tick::Then(next) => self.carries_out(next),
            Tick::LastLook if found.is_empty() => {
                let next = self.session.nothing_there(self.now);
                self.carries_out(next)
            }
            Tick::LastLook => self.is_read(found),
        }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.wire).into_owned()
    }

    /// The status lines that the peer got.
    pub(super) fn statuses(&self) -> Vec<u16> {
        let text = self.text();
        let lines = text.split("HTTP/1.1 ").skip(1);
        lines.map(|rest| rest.get(..3).and_then(|status| status.parse().ok()).unwrap()).collect()
    }

    fn goes_on(&mut self) -> &mut Self {
        self.carries_out(Next::Read)
    }

    /// As the thread that polls does it.
    fn carries_out(&mut self, first: Next) -> &mut Self {
        let mut pending = Some(first);
        for _ in 0..1000 {
            if self.end.is_some() {
                return self;
            }
            let next = match pending.take() {
                Some(next) if !matches!(next, Next::Read | Next::Wait) => next,
                _ => {
                    self.session.says_last(&self.core, self.now, self.more);
                    self.sends();
                    self.session.next(&self.core, self.now)
                }
            };
            match next {
                Next::Tell(step) => self.tells(step),
                Next::Close => self.ends(End::Closed),
                Next::Abort => self.ends(End::Reset),
                Next::Secure(_) => self.told.push("secure".to_owned()),
                Next::Linger => {
                    self.lingers = true;
                    self.told.push("close".to_owned());
                    drop(self.session.lingers());
                }
                Next::Read | Next::Wait => {
                    self.reads = matches!(next, Next::Read);
                    // What was written in going on is sent before the turn ends.
                    if !self.session.has_to_send() || self.window == 0 {
                        return self;
                    }
                }
            }
        }
        panic!("it turns in a circle: {:?}", self.told);
    }

    fn sends(&mut self) {
        let bytes = self.session.to_send();
        let taken = bytes.len().min(self.window);
        self.window -= taken;
        self.wire.extend_from_slice(&bytes[..taken]);
        let stalls = taken < bytes.len();
        if taken > 0 {
            self.session.sent(self.now, taken);
        }
        if stalls {
            self.session.stalls(self.now);
        } else {
            self.sends_file();
        }
    }

    /// As sendfile(2) does it: of what the file has, nothing is known in here.
    fn sends_file(&mut self) {
        while let Some(source) = self.session.source().cloned() {
            let taken = source.left().min(self.window as u64).min(PIECE);
            self.window -= taken as usize;
            self.wire.resize(self.wire.len() + taken as usize, b'f');
            match taken {
                0 => return self.session.stalls(self.now),
                _ => self.session.went(self.now, taken),
            }
        }
    }

    fn ends(&mut self, end: End) {
        self.end = Some(end);
        if self.session.is_open() {
            self.told.push("close".to_owned());
        }
        drop(self.session.gone());
    }

    fn tells(&mut self, step: Step) {
        match step {
            Step::Headers { request, .. } => {
                self.tell(format!("headers {} {}", request.method(), request.target()));
                self.session.told(request);
                if let Some(step) = self.session.streamed(&self.core) {
                    self.tells(step);
                }
            }
            Step::Message { request, announced, .. } => {
                let line = format!("{} {}", request.method(), request.target());
                let behind = if announced {
                    Behind::Message
                } else {
                    self.tell(format!("headers {line}"));
                    self.session.announced(&self.core, &request)
                };
                match behind {
                    Behind::Message => {
                        self.tell(format!("message {line} {}", String::from_utf8_lossy(request.body())));
                    }
                    Behind::Other(step) => return self.tells(*step),
                    Behind::Nothing => {}
                }
                self.session.told(request);
            }
            Step::Body { piece, message, .. } => {
                if !piece.is_empty() {
                    self.tell(format!("body {}", String::from_utf8_lossy(&piece)));
                }
                if let Some(request) = message {
                    if self.session.is_owed() {
                        self.tell(format!("message {} {} ", request.method(), request.target()));
                    }
                    self.session.told(request);
                }
            }
            Step::WsOpen(response) => {
                self.session.ws_joins(&self.core, 1);
                self.tell(format!("opened {}", response.status()));
                self.session.ws_opened();
            }
            Step::WsMessage(message) => self.tell(match message.text() {
                Some(text) => format!("text {text}"),
                None => format!("binary {}", message.data().len()),
            }),
            Step::WsControl(control) => self.tell(match control {
                WsControl::Ping(payload) => format!("ping {}", payload.escape_ascii()),
                WsControl::Pong(payload) => format!("pong {}", payload.escape_ascii()),
                WsControl::Close { code, reason } => format!("end {code} {reason}"),
            }),
            Step::Answer(answer) => self.tells_answer(answer),
            Step::Failed(why) => self.tell(format!("error {why}")),
            Step::Refused(why) => self.tell(format!("error {why}")),
        }
    }

    fn tells_answer(&mut self, answer: Answer) {
        let whole = match answer {
            Answer::Head(response) => {
                self.tell(format!("head {}", response.status()));
                if let Some(step) = self.session.answer_announced(&self.core) {
                    self.tells(step);
                }
                return;
            }
            Answer::Whole(response) => Some(response),
            Answer::Piece(piece, response) => {
                if !piece.is_empty() {
                    self.tell(format!("body {}", String::from_utf8_lossy(&piece)));
                }
                response
            }
        };
        if let Some(response) = whole {
            let received = self.session.received(usize::MAX);
            assert!(received.trim_ascii_start().starts_with(response.bytes()), "it is there as it came");
            self.tell(format!("response {} {}", response.status(), String::from_utf8_lossy(response.body())));
            self.session.has_told_answer();
        }
    }

    fn tell(&mut self, text: String) {
        (self.program)(&mut self.session, &self.core, &text);
        self.told.push(text);
    }
}

/// Answers nothing.
pub(super) fn silent(_: &mut Session, _: &Core, _: &str) {}

/// Answers each message with its own text.
pub(super) fn echo(session: &mut Session, core: &Core, told: &str) {
    if told.starts_with("message") {
        session.reply(core, 200, &[], told.as_bytes()).unwrap();
    }
}
