//! What the fields of a program's reply say of its framing.

use super::{ReplyError, token};

/// What the program's own fields say that concerns the framing.
#[derive(Debug, Default)]
pub(crate) struct Said<'a> {
    /// Any of those below but `date`.
    pub(crate) special: bool,
    pub(crate) date: bool,
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    length: Option<&'a str>,
    /// A second length, if it differs.
    other_length: Option<&'a str>,
    coding: Option<&'a str>,
    second_coding: Option<&'a str>,
}

impl<'a> Said<'a> {
    /// Takes in one field.
    pub(crate) fn hear(&mut self, name: &str, value: &'a str) {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match name.len() {
            4 if is("date") => self.date = true,
            10 if is("connection") => {
                self.special = true;
                for option in token::members(value.as_bytes()) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if is("content-length") => {
                self.special = true;
                let before = self.length.replace(value);
                self.other_length =
                    self.other_length.or(before.filter(|before| before.trim() != value.trim()));
            }
            17 if is("transfer-encoding") => {
                self.special = true;
                match self.coding {
                    None => self.coding = Some(value),
                    Some(_) => self.second_coding = Some(value),
                }
            }
            _ => {}
        }
    }

    /// Whether the body is chunked; `bodiless`: it is not there.
    ///
    /// # Errors
    ///
    /// [`ReplyError::LengthOfChunked`], [`ReplyError::TransferEncoding`], [`ReplyError::TwoTransferEncodings`].
    pub(crate) fn coding(&self, bodiless: bool) -> Result<bool, ReplyError> {
        let Some(said) = self.coding else { return Ok(false) };
        if self.length.is_some() {
            return Err(ReplyError::LengthOfChunked);
        }
        if let Some(said) = self.second_coding {
            return Err(ReplyError::TwoTransferEncodings { said: said.to_owned() });
        }
        let last = token::members(said.as_bytes()).last().unwrap_or_default();
        match last.eq_ignore_ascii_case(b"chunked") {
            true => Ok(!bodiless),
            false => Err(ReplyError::TransferEncoding { said: said.to_owned() }),
        }
    }

    /// The length that the program gave. `free`: no body follows that it could contradict.
    ///
    /// # Errors
    ///
    /// [`ReplyError::ContentLength`].
    pub(crate) fn length(&self, body: usize, free: bool) -> Result<Option<u64>, ReplyError> {
        let Some(said) = self.other_length.or(self.length) else { return Ok(None) };
        let number = token::trim(said.as_bytes());
        let digits = number.iter().all(u8::is_ascii_digit);
        let length = str::from_utf8(number).ok().filter(|_| digits).and_then(|text| text.parse::<u64>().ok());
        match length {
            Some(length) if self.other_length.is_none() && (free || length == body as u64) => {
                Ok(Some(length))
            }
            _ => Err(ReplyError::ContentLength { said: said.to_owned(), body }),
        }
    }
}
