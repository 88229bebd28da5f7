//! TLS on one socket: plaintext on the one side, the kernel on the other.

use super::record::Records;
use super::{Opening, TlsInfo};
use bytes::{Buf as _, BytesMut};
use rustls::Error;
use std::io::{self, Read as _, Write};
use std::time::{Duration, Instant};

/// One end of a TLS connection. Belongs to the thread that polls.
///
/// Plaintext counts as sent when the last byte of its ciphertext is with the kernel, not before: all that is said of
/// bytes that are sent (limits, ends, what is lost) holds with it as without. Until then it is `owed`, and must not be
/// changed any more. At most 64 KiB are.
pub(crate) struct Channel {
    session: rustls::Connection,
    early: BytesMut,
    owed: usize,
    records: Records,
    secured: bool,
    /// Why nothing more will be read.
    end: Option<End>,
    ending: Ending,
}

/// What a read came to.
#[derive(Debug)]
pub(crate) enum Got {
    /// That many bytes, and whether there may be more at once.
    Bytes { length: usize, more: bool },
    /// None that is the program's; the same.
    Nothing { more: bool },
    /// The peer has ended its side.
    End,
    /// The connection is at its end, and the peer has not said that it would be (RFC 8446 §6.1): somebody else may have
    /// ended it.
    Torn,
    /// What the peer sends is no TLS, or it has refused ours.
    Failed(Error),
}

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) bytes: usize,
    /// The kernel takes nothing more at present.
    pub(crate) blocked: bool,
}

enum End {
    Said,
    Torn,
    Failed(Error),
    /// It was told that it failed. What still comes is read, and dropped, so that the close is no reset that eats the alert.
    Deaf {
        left: usize,
    },
}

/// How far our side has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Open,
    /// The kernel is to be told once everything is with it.
    Wanted,
    Done,
}

/// Plaintext in one write, so that no peer who reads fast holds up the others.
const TURN: usize = 1024 * 1024;

/// What a peer that has failed may still say, in bytes, as where others linger.
const DEAF: usize = 64 * 1024;

/// More than one record and its header have (RFC 5246 §6.2.3).
const RECORD: usize = 24 * 1024;

impl Channel {
    pub(crate) fn new(opening: Opening) -> Result<Self, Error> {
        let (session, early) = opening.begin()?;
        Ok(Self {
            session,
            early,
            owed: 0,
            records: Records::default(),
            secured: false,
            end: None,
            ending: Ending::Open,
        })
    }

    /// Reads from the kernel once, into all of `scratch`: plaintext is at its beginning afterwards. Behind our end what
    /// comes is only counted, and not understood any more.
    pub(crate) fn read(
        &mut self,
        mut from: impl io::Read,
        scratch: &mut [u8],
        now: Instant,
    ) -> io::Result<Got> {
        match &mut self.end {
            Some(End::Said) => return Ok(Got::End),
            Some(End::Torn) => return Ok(Got::Torn),
            Some(End::Failed(_)) => return Ok(self.fails()),
            Some(End::Deaf { left }) => {
                let length = from.read(scratch)?;
                *left = left.saturating_sub(length);
                let more = length == scratch.len();
                return Ok(if length == 0 || *left == 0 { Got::End } else { Got::Nothing { more } });
            }
            // Whoever has said his end may not be told of a mistake: rustls holds a second alert for its caller's fault.
            None if self.ending != Ending::Open => {
                let length = from.read(scratch)?;
                let more = length == scratch.len();
                return Ok(if length == 0 { Got::End } else { Got::Bytes { length, more } });
            }
            None => {}
        }
        // What comes of these bytes, with the part of a record that was there before, fits.
        let (plain, cipher) = scratch.split_at_mut(scratch.len() / 2 + RECORD / 2);
        let (length, more) = if self.early.is_empty() {
            let length = from.read(cipher)?;
            (length, length == cipher.len())
        } else {
            let length = self.early.len().min(cipher.len());
            self.early.copy_to_slice(cipher.get_mut(..length).unwrap_or_default());
            // The kernel was not asked.
            (length, true)
        };
        if length == 0 {
            self.end = Some(End::Torn);
            return Ok(Got::Torn);
        }
        let cipher = cipher.get(..length).unwrap_or_default();
        self.records.pass(cipher, now);
        let filled = self.decrypt(cipher, plain);
        Ok(match (filled, &self.end) {
            (0, Some(End::Failed(_))) => self.fails(),
            (0, Some(_)) => Got::End,
            (0, None) => Got::Nothing { more },
            (length, end) => Got::Bytes { length, more: more || end.is_some() },
        })
    }

    fn fails(&mut self) -> Got {
        match self.end.replace(End::Deaf { left: DEAF }) {
            Some(End::Failed(error)) => Got::Failed(error),
            _ => Got::End,
        }
    }

    fn decrypt(&mut self, mut cipher: &[u8], plain: &mut [u8]) -> usize {
        let mut filled = 0;
        while !cipher.is_empty() && self.end.is_none() {
            // It takes 4 KiB at a time.
            if let Err(error) = self.session.read_tls(&mut cipher) {
                self.end = Some(End::Failed(Error::General(error.to_string())));
            }
            match self.session.process_new_packets() {
                Ok(state) if state.peer_has_closed() => self.end = Some(End::Said),
                Ok(_) => {}
                Err(error) => self.end = Some(End::Failed(error)),
            }
            while let Ok(length @ 1..) =
                self.session.reader().read(plain.get_mut(filled..).unwrap_or_default())
            {
                filled += length;
            }
        }
        filled
    }

    /// Sends what the kernel takes of these bytes. If some of them have been sent before, and are owed, they are the first.
    /// That none is sent may be because more of them are on their way; `WouldBlock` says that nothing has moved.
    pub(crate) fn write(&mut self, mut to: impl Write, bytes: &[u8]) -> io::Result<Sent> {
        let (mut gone, mut moved) = (0, false);
        loop {
            match self.push(&mut to, &mut moved) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && moved => {
                    return Ok(Sent { bytes: gone, blocked: true });
                }
                pushed => pushed?,
            }
            gone += std::mem::take(&mut self.owed);
            let rest = bytes.get(gone..).unwrap_or_default();
            if rest.is_empty() || gone >= TURN {
                return Ok(Sent { bytes: gone.min(bytes.len()), blocked: false });
            }
            self.owed = self.session.writer().write(rest)?;
        }
    }

    /// Has the kernel take what is to be sent, ours or the program's, or answers `WouldBlock`.
    pub(crate) fn flush(&mut self, to: impl Write) -> io::Result<()> {
        self.push(to, &mut false)
    }

    fn push(&mut self, mut to: impl Write, moved: &mut bool) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut to) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => *moved = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether something waits to be sent that no write brings along.
    pub(crate) fn wants_flush(&self) -> bool {
        self.session.wants_write() || self.ending == Ending::Wanted
    }

    /// Whether bytes have been taken that are not sent, and cannot be changed any more.
    pub(crate) fn owes(&self) -> bool {
        self.owed > 0
    }

    /// Says that we send nothing more (`close_notify`, RFC 8446 §6.1).
    pub(crate) fn end(&mut self) {
        if self.ending == Ending::Open {
            self.session.send_close_notify();
            self.ending = Ending::Wanted;
        }
    }

    /// Whether the kernel is to be told, everything having gone; once.
    pub(crate) fn takes_end(&mut self) -> bool {
        let now = self.ending == Ending::Wanted && !self.session.wants_write();
        if now {
            self.ending = Ending::Done;
        }
        now
    }

    /// What the handshake came to, if it is done, and nobody has been told.
    pub(crate) fn becomes_secured(&mut self) -> Option<TlsInfo> {
        let now = !self.secured && !self.is_handshaking();
        self.secured |= now;
        now.then(|| TlsInfo::of(&self.session))
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    /// Whether the peer has sent anything.
    pub(crate) fn has_heard(&self) -> bool {
        self.records.has_begun()
    }

    /// Whether part of a record is here, whose rest may still take its time.
    pub(crate) fn is_within_record(&self, now: Instant, limit: Duration) -> bool {
        self.records.since().is_some_and(|since| now.saturating_duration_since(since) < limit)
    }
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
