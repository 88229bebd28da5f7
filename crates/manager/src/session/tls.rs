//! TLS, as far as the session knows of it: which of its bytes go in plain, and which have to wait.

use super::{Buffers, Course, Next, Protocol, Session, Step, Tick, Wish};
use crate::error::ConnectionClosed;
use crate::limits::Limits;
use crate::tls::{Opening, Role, StartTlsError, Tls, TlsInfo};
use std::sync::Arc;
use std::time::Instant;

/// How far TLS has come on a connection.
#[derive(Debug, Default)]
pub(crate) enum Secrecy {
    /// It is not spoken.
    #[default]
    Plain,
    /// Nor was it, when a byte came or went.
    Spoken,
    /// It will be, and nobody has said how: nothing flows.
    Owed,
    /// It begins when so many bytes, which were written before, have gone in plain.
    Wanted {
        opening: Box<Opening>,
        plain: usize,
        before: Before,
    },
    /// Bytes wait for its end. A client of whom nothing was `heard` has not begun it.
    Handshake {
        since: Instant,
        heard: bool,
    },
    Done(Arc<TlsInfo>),
    /// Of a listener: how those speak whom it accepts.
    Accepting(Tls),
}

/// What was the case before TLS was asked for, and is again if that is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    Plain,
    Spoken,
    Owed,
}

/// For the program.
impl Session {
    pub(crate) fn is_tls(&self) -> bool {
        self.is_open() && !matches!(self.secrecy, Secrecy::Plain | Secrecy::Spoken)
    }

    pub(crate) fn tls_info(&self) -> Option<Arc<TlsInfo>> {
        match &self.secrecy {
            Secrecy::Done(info) if self.is_open() => Some(Arc::clone(info)),
            _ => None,
        }
    }

    /// Whether HTTP will be spoken behind it, if it may begin at all.
    pub(crate) fn may_start_tls(&self) -> Result<bool, StartTlsError> {
        if self.is_closing() {
            return Err(ConnectionClosed.into());
        }
        match (&self.secrecy, &self.protocol) {
            (_, Protocol::Listener | Protocol::Datagram(_)) => Err(StartTlsError::NotAStream),
            (Secrecy::Plain | Secrecy::Spoken | Secrecy::Owed, Protocol::Raw(_)) => Ok(false),
            (Secrecy::Plain | Secrecy::Owed, _) => Ok(true),
            (Secrecy::Spoken, _) => Err(StartTlsError::Spoken),
            _ => Err(StartTlsError::Begun),
        }
    }

    pub(crate) fn role(&self) -> Role<'_> {
        self.host.as_deref().map_or(Role::Server, Role::Client)
    }

    pub(crate) fn start_tls(&mut self, opening: Box<Opening>) -> Result<(), StartTlsError> {
        self.may_start_tls()?;
        let (plain, before) = match self.secrecy {
            Secrecy::Spoken => (self.buffers.send.len(), Before::Spoken),
            // Of what is TLS from the first byte on nothing goes in plain, whenever it was written.
            Secrecy::Owed => (0, Before::Owed),
            _ => (0, Before::Plain),
        };
        self.secrecy = Secrecy::Wanted { opening, plain, before };
        Ok(())
    }

    /// Takes back what was said of TLS; whether that is possible still.
    pub(crate) fn forget_tls(&mut self) -> bool {
        match &self.secrecy {
            Secrecy::Wanted { before, .. } => {
                self.secrecy = match before {
                    Before::Plain => Secrecy::Plain,
                    Before::Spoken => Secrecy::Spoken,
                    Before::Owed => Secrecy::Owed,
                };
            }
            Secrecy::Accepting(_) => self.secrecy = Secrecy::Plain,
            Secrecy::Plain | Secrecy::Spoken | Secrecy::Owed => {}
            Secrecy::Handshake { .. } | Secrecy::Done(_) => return false,
        }
        true
    }

    /// Of a listener: how those speak from now on whom it accepts. Whether it is one.
    pub(crate) fn accept_tls(&mut self, tls: &Tls) -> bool {
        let listens = matches!(self.protocol, Protocol::Listener) && !self.is_closing();
        if listens {
            self.secrecy = Secrecy::Accepting(tls.clone());
        }
        listens
    }

    pub(crate) fn accepted_tls(&self) -> Option<Tls> {
        match &self.secrecy {
            Secrecy::Accepting(tls) => Some(tls.clone()),
            _ => None,
        }
    }
}

/// For the thread that polls.
impl Session {
    /// It is to be TLS from the first byte on.
    pub(crate) fn expect_tls(&mut self) {
        self.secrecy = Secrecy::Owed;
    }

    /// Whether nobody has said how.
    pub(crate) fn owes_tls(&self) -> bool {
        matches!(self.secrecy, Secrecy::Owed) && !self.is_closing()
    }

    /// Whether what comes is the beginning of the peer's handshake: it was asked for while that was read.
    pub(crate) fn awaits_tls(&self) -> bool {
        matches!(self.secrecy, Secrecy::Wanted { .. })
    }

    /// The handshake is done.
    pub(crate) fn secured(&mut self, now: Instant, info: TlsInfo) {
        self.secrecy = Secrecy::Done(Arc::new(info));
        self.stirs(now);
    }

    /// There will be no TLS. Nothing of what was written may go; but the peer is to see the alert, as he would see an answer
    /// (rule D7).
    pub(crate) fn gives_tls_up(&mut self) -> Next {
        if !self.is_open() || self.is_client() {
            return Next::Close;
        }
        self.wish = self.wish.max(Wish::Drain);
        self.buffers = Buffers::default();
        Next::Wait
    }

    /// The peer is in the middle of saying something.
    pub(crate) fn stirs(&mut self, now: Instant) {
        if let Secrecy::Handshake { heard, .. } = &mut self.secrecy {
            *heard = true;
        }
        match &mut self.protocol {
            Protocol::Raw(raw) => raw.arrived(now),
            Protocol::Http(http) => http.stirs(now),
            Protocol::WebSocket(websocket) => websocket.stirs(now),
            Protocol::Client(client) => client.stirs(now),
            Protocol::Listener | Protocol::Datagram(_) => {}
        }
    }

    /// The peer's end came without `close_notify`. Whether what came before may be less than he sent: HTTP knows where a
    /// request ends, a stream of bytes does not.
    pub(crate) fn is_torn(&self) -> bool {
        self.is_serving() && matches!(self.protocol, Protocol::Raw(_))
    }

    /// Whether whatever is to be sent may go now.
    pub(super) fn flows_freely(&self) -> bool {
        matches!(self.secrecy, Secrecy::Plain | Secrecy::Spoken | Secrecy::Done(_))
    }

    /// How many of the bytes to be sent may.
    pub(super) fn flows(&self) -> usize {
        match &self.secrecy {
            Secrecy::Plain | Secrecy::Spoken | Secrecy::Done(_) | Secrecy::Accepting(_) => {
                self.buffers.send.len()
            }
            Secrecy::Wanted { plain, .. } => *plain,
            Secrecy::Owed | Secrecy::Handshake { .. } => 0,
        }
    }

    /// Some of them are on their way, and cannot be changed any more, though they do not count as sent.
    pub(crate) fn on_their_way(&mut self) {
        self.buffers.head_at = None;
    }

    /// A byte has come, or gone.
    pub(super) fn spoken(&mut self) {
        if let Secrecy::Plain = self.secrecy {
            self.secrecy = Secrecy::Spoken;
        }
    }

    /// So many of them have gone.
    pub(super) fn flowed(&mut self, bytes: usize) {
        self.spoken();
        if let Secrecy::Wanted { plain, .. } = &mut self.secrecy {
            *plain = plain.saturating_sub(bytes);
        }
    }

    /// What comes next, if TLS has a say in it.
    pub(super) fn next_of_tls(&mut self, now: Instant) -> Option<Next> {
        match &self.secrecy {
            Secrecy::Plain | Secrecy::Spoken | Secrecy::Done(_) | Secrecy::Accepting(_) => None,
            Secrecy::Owed | Secrecy::Wanted { plain: 1.., .. } => Some(Next::Wait),
            // Nothing is owed to the peer: that ends as it would without.
            Secrecy::Handshake { .. } if self.wish == Wish::Drain && self.buffers.send.is_empty() => None,
            Secrecy::Handshake { .. } => Some(Next::Read),
            Secrecy::Wanted { .. } => {
                let handshake = Secrecy::Handshake { since: now, heard: self.is_client() };
                let Secrecy::Wanted { mut opening, .. } = std::mem::replace(&mut self.secrecy, handshake)
                else {
                    return None;
                };
                // What came before is not what TLS protects. It may be the beginning of the peer's handshake, or else
                // ends the connection: commands that somebody slipped in ahead of it must not be obeyed.
                opening.early = std::mem::take(&mut self.buffers.recv);
                self.buffers.stalled = None;
                Some(Next::Secure(opening))
            }
        }
    }

    /// Whether the client has said nothing, and a stop waits for him as for others who are silent (rule D5).
    pub(super) fn is_unheard(&self) -> bool {
        matches!(self.secrecy, Secrecy::Handshake { heard: false, .. }) && self.heard_of_drain
    }

    /// When the handshake has had its time, if there is one. The other times begin behind it.
    pub(super) fn handshake_ends(&self, limits: &Limits) -> Option<Option<Instant>> {
        match self.secrecy {
            Secrecy::Handshake { since, .. } if self.course == Course::Open => {
                Some(since.checked_add(limits.handshake))
            }
            _ => None,
        }
    }

    /// It has had its time.
    pub(super) fn handshake_is_late(&mut self) -> Tick {
        self.wish = self.wish.max(Wish::Close);
        Tick::Then(Next::Tell(Step::Refused(
            "the TLS handshake was not done in time; Limits::handshake says how much there is",
        )))
    }
}
