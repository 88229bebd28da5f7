//! Where the frames of one direction begin and end (RFC 9113 §4.1).

/// The length of a frame's header.
const HEADER: usize = 9;
/// What is kept of a frame: its header, and the first word of what follows (a GOAWAY's last stream).
const KEPT: usize = HEADER + 4;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;
/// On DATA and HEADERS.
pub(super) const END_STREAM: u8 = 1;
/// On PING and SETTINGS.
pub(super) const ACK: u8 = 1;
/// On HEADERS and CONTINUATION.
pub(super) const END_HEADERS: u8 = 4;

/// A frame that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// The first four bytes behind the header, less the reserved bit; 0 where there are none.
    pub(super) word: u32,
}

impl Frame {
    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Reads frames from bytes that come in any pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Frames {
    kept: [u8; KEPT],
    /// How many bytes of the present frame have passed, up to [`KEPT`].
    have: usize,
    /// How many are still to come behind the header.
    left: usize,
}

impl Frames {
    /// The next frame that is whole with these bytes; takes off what has been looked at.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        while self.have < HEADER {
            let (byte, rest) = bytes.split_first()?;
            self.keep(*byte);
            *bytes = rest;
            if self.have == HEADER {
                self.left = word([0, self.kept[0], self.kept[1], self.kept[2]]) as usize;
            }
        }
        while self.left > 0 && self.have < KEPT {
            let (byte, rest) = bytes.split_first()?;
            self.keep(*byte);
            *bytes = rest;
            self.left -= 1;
        }
        let passed = self.left.min(bytes.len());
        *bytes = bytes.get(passed..).unwrap_or_default();
        self.left -= passed;
        (self.left == 0).then(|| self.take())
    }

    /// Whether no frame is begun.
    pub(super) fn is_at_rest(&self) -> bool {
        self.have == 0
    }

    /// Whether the frame that is begun is known to be DATA.
    pub(super) fn is_in_data(&self) -> bool {
        self.have > 3 && self.kept[3] == DATA
    }

    fn keep(&mut self, byte: u8) {
        if let Some(place) = self.kept.get_mut(self.have) {
            *place = byte;
            self.have += 1;
        }
    }

    fn take(&mut self) -> Frame {
        let [_, _, _, kind, flags, a, b, c, d, e, f, g, h] = std::mem::take(self).kept;
        Frame { kind, flags, stream: word([a, b, c, d]), word: word([e, f, g, h]) }
    }
}

fn word(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes) & (u32::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_their_bytes_come() {
        let mut bytes = vec![0, 0, 0, 4, 1, 0, 0, 0, 0]; // SETTINGS, acknowledged
        bytes.extend([0, 0, 5, 0, 1, 0x80, 0, 0, 3, b'h', b'e', b'l', b'l', b'o']); // DATA, a reserved bit set
        bytes.extend([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x80, 0, 0, 9, 0, 0, 0, 0]); // GOAWAY
        let expected = [(4, 1, 0, 0), (0, 1, 3, u32::from_be_bytes(*b"hell")), (7, 0, 0, 9)]
            .map(|(kind, flags, stream, word)| Frame { kind, flags, stream, word });
        for piece in 1..=bytes.len() {
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            for mut bytes in bytes.chunks(piece) {
                while let Some(frame) = frames.next(&mut bytes) {
                    found.push(frame);
                }
                assert!(bytes.is_empty());
            }
            assert_eq!(found, expected, "in pieces of {piece}");
            assert!(frames.is_at_rest());
        }
    }

    #[test]
    fn the_longest_frame_is_passed_over() {
        let (mut frames, mut header) = (Frames::default(), &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1][..]);
        assert_eq!(frames.next(&mut header), None);
        assert!(frames.is_in_data());
        let body = vec![0; (1 << 24) - 1];
        assert_eq!(frames.next(&mut &body[1..]), None);
        assert_eq!(frames.next(&mut &body[..1]).map(|frame| frame.stream), Some(1));
    }
}
