//! Where in a TLS record the input is (RFC 8446 §5.1): whether somebody silent is in the middle of saying something.

use std::time::Instant;

/// A record's type, version and length.
const HEADER: usize = 5;

#[derive(Debug, Default)]
pub(super) struct Records {
    header: [u8; HEADER],
    /// Of the header, so many bytes are here.
    filled: usize,
    /// Of the body, so many are still to come.
    left: usize,
    /// When the present record began, if it is not whole.
    since: Option<Instant>,
    begun: bool,
}

impl Records {
    /// These bytes came.
    pub(super) fn pass(&mut self, mut bytes: &[u8], now: Instant) {
        self.begun |= !bytes.is_empty();
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let body = self.left.min(bytes.len());
                self.left -= body;
                bytes = bytes.get(body..).unwrap_or_default();
            } else {
                if self.filled == 0 {
                    self.since = Some(now);
                }
                if let Some(place) = self.header.get_mut(self.filled) {
                    *place = *first;
                }
                self.filled += 1;
                bytes = rest;
                if self.filled == HEADER {
                    let [.., high, low] = self.header;
                    self.left = usize::from(u16::from_be_bytes([high, low]));
                    self.filled = 0;
                }
            }
            if self.filled == 0 && self.left == 0 {
                self.since = None;
            }
        }
    }

    /// Since when the present record is not whole.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }
}

#[cfg(test)]
mod tests {
    use super::Records;
    use std::time::{Duration, Instant};

    #[test]
    fn a_record_is_begun_until_its_last_byte() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let record = [&[23, 3, 3, 0, 4], &b"abcd"[..]].concat();
        let mut records = Records::default();
        assert!(!records.has_begun() && records.since().is_none());
        for (byte, ms) in record.iter().zip(0..) {
            records.pass(&[*byte], at(ms));
            let expected = (ms < 8).then_some(at(0));
            assert_eq!(records.since(), expected, "behind byte {ms}");
        }
        assert!(records.has_begun());
        let three = [record.clone(), record.clone(), record].concat();
        for split in 0..three.len() {
            let mut records = Records::default();
            let (one, two) = three.split_at(split);
            records.pass(one, at(1));
            assert_eq!(records.since().is_some(), split % 9 != 0, "{split}");
            records.pass(two, at(2));
            assert_eq!(records.since(), None, "{split}");
        }
        records.pass(&[22, 3, 1, 0, 0], at(50));
        assert_eq!(records.since(), None, "an empty one is whole");
    }
}
