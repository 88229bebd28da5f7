//! What the fields of a message say of its framing and of the connection.

use exeunt_drain::Framing;

use super::target::is_authority;
use super::{Refusal, Version, token};

/// What the fields say that concern the connection.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    hosts: u8,
    length: Option<u64>,
    coding: Option<Coding>,
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    names_upgrade: bool,
    expects: bool,
}

impl Facts {
    /// Takes in one field.
    ///
    /// # Errors
    ///
    /// What may not stand in a request, or not beside what came before it.
    pub(crate) fn hear(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        match name.len() {
            4 if is("host") => self.host(value),
            6 if is("expect") => {
                self.expects |= value.eq_ignore_ascii_case(b"100-continue");
                Ok(())
            }
            7 if is("upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            10 if is("connection") => {
                for option in token::members(value) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    self.names_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
                }
                Ok(())
            }
            14 if is("content-length") => self.content_length(value),
            17 if is("transfer-encoding") => {
                token::members(value).try_for_each(|coding| self.transfer_coding(coding))
            }
            _ => Ok(()),
        }
    }

    /// How the body is delimited (RFC 9112 §6.3).
    ///
    /// # Errors
    ///
    /// Where that could be read in two ways, or not at all; and where an HTTP/1.1 request has no Host.
    pub(crate) fn framing(&self, version: Version) -> Result<Framing, Refusal> {
        if self.hosts == 0 && version == Version::Http11 {
            return Err(Refusal::bad("an HTTP/1.1 request without Host"));
        }
        match (self.coding, self.length) {
            (None, None) => Ok(Framing::None),
            (None, Some(length)) => Ok(Framing::Length(length)),
            (Some(_), Some(_)) => Err(Refusal::bad("Content-Length beside Transfer-Encoding")),
            (Some(_), None) if version == Version::Http10 => {
                Err(Refusal::bad("Transfer-Encoding in an HTTP/1.0 request"))
            }
            (Some(Coding::Chunked), None) => Ok(Framing::Chunked),
            (Some(Coding::Unknown), None) => Err(Refusal::bad("the last transfer coding is not chunked")),
            (Some(Coding::UnknownChunked), None) => {
                Err(Refusal::new(501, "a transfer coding other than chunked"))
            }
        }
    }

    /// How the body of a response is delimited, where its status and its request allow one; none: by the end of the
    /// connection (RFC 9112 §6.3).
    ///
    /// # Errors
    ///
    /// Where that could be read in two ways, or not at all.
    pub(crate) fn answer_framing(&self, version: Version) -> Result<Option<Framing>, Refusal> {
        match (self.coding, self.length) {
            (None, length) => Ok(length.map(Framing::Length)),
            (Some(_), Some(_)) => Err(Refusal::bad("Content-Length beside Transfer-Encoding")),
            (Some(_), None) if version == Version::Http10 => {
                Err(Refusal::bad("Transfer-Encoding in an HTTP/1.0 response"))
            }
            (Some(Coding::Chunked), None) => Ok(Some(Framing::Chunked)),
            // Read up to the end of the connection it would be whole, and be nothing that anybody has asked for.
            (Some(_), None) => Err(Refusal::bad("a transfer coding other than chunked")),
        }
    }

    /// Whether the connection ends with this exchange (RFC 9112 §9.3).
    pub(crate) fn closes(&self, version: Version) -> bool {
        self.close || version == Version::Http10 && !self.keep_alive
    }

    /// Whether the client waits for a 100 before it sends a body (RFC 9110 §10.1.1).
    pub(crate) fn expects_continue(&self, version: Version, framing: Framing) -> bool {
        self.expects && version == Version::Http11 && !matches!(framing, Framing::None | Framing::Length(0))
    }

    /// Whether the client asks to speak another protocol: both fields say so (RFC 9110 §7.8).
    pub(crate) fn upgrades(&self, version: Version) -> bool {
        self.upgrade && self.names_upgrade && version == Version::Http11
    }

    /// RFC 9112 §3.2: exactly one. An empty one is that of a target without an authority.
    fn host(&mut self, value: &[u8]) -> Result<(), Refusal> {
        self.hosts += 1;
        match self.hosts {
            1 if is_authority(value, false) => Ok(()),
            1 => Err(Refusal::bad("Host is not a host with an optional port")),
            _ => Err(Refusal::bad("more than one Host")),
        }
    }

    /// RFC 9112 §6.3 would let equal ones pass; nobody honest sends them.
    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        const WRONG: Refusal = Refusal::bad("Content-Length is not a number of bytes");
        let digits = value.iter().all(u8::is_ascii_digit); // `parse` would take a sign
        let length =
            str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok()).ok_or(WRONG)?;
        match self.length.replace(length) {
            None => Ok(()),
            Some(_) => Err(Refusal::bad("more than one Content-Length")),
        }
    }

    /// RFC 9112 §6.1, §7: chunked must be the last, and once.
    fn transfer_coding(&mut self, coding: &[u8]) -> Result<(), Refusal> {
        let chunked = coding.eq_ignore_ascii_case(b"chunked");
        self.coding = Some(match self.coding {
            Some(Coding::Chunked | Coding::UnknownChunked) => {
                return Err(Refusal::bad("Transfer-Encoding has something behind chunked"));
            }
            None if chunked => Coding::Chunked,
            Some(Coding::Unknown) if chunked => Coding::UnknownChunked,
            _ if coding.is_empty() => return Err(Refusal::bad("Transfer-Encoding has an empty member")),
            _ => Coding::Unknown,
        });
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Chunked,
    /// One that we do not know, so far.
    Unknown,
    /// One that we do not know, and chunked behind it.
    UnknownChunked,
}
