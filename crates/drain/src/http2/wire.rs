//! What the frames of both directions say of the streams: which are open, and whether something is half said.

use super::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, Frames, GOAWAY, HEADERS, PING, RST_STREAM,
};

/// The length of what a client sends before its first frame (RFC 9113 §3.4).
const PREFACE: usize = 24;

/// Both directions of one connection, as they have passed the socket.
///
/// A stream is open from its HEADERS to the end that we write: `END_STREAM`, or `RST_STREAM` by either side. So a response is
/// not over while a byte of it waits for the peer's window, or for room in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wire {
    /// What is still to come of the preface.
    preface: usize,
    read: Frames,
    written: Frames,
    /// A header block has begun, and its `END_HEADERS` has not come.
    in_block: bool,
    /// The streams that are open, in the order of their numbers.
    open: Vec<u32>,
    /// The highest number that the peer has used.
    highest: u32,
    /// The last stream that our GOAWAY lets begin.
    last: u32,
}

/// What came with a read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// There was a moment, in or behind it, when nothing was half said.
    pub(super) rested: bool,
    /// It was more than answers to PINGs, which say that the peer is there and not that it wants anything.
    pub(super) spoke: bool,
}

impl Wire {
    pub(super) fn new() -> Self {
        Self {
            preface: PREFACE,
            read: Frames::default(),
            written: Frames::default(),
            in_block: false,
            open: Vec::new(),
            highest: 0,
            last: u32::MAX,
        }
    }

    /// These bytes came.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Heard {
        let preface = self.preface.min(bytes.len());
        self.preface -= preface;
        let mut bytes = bytes.get(preface..).unwrap_or_default();
        let mut heard = Heard { rested: false, spoke: preface > 0 };
        while let Some(frame) = self.read.next(&mut bytes) {
            self.came(frame);
            heard.rested |= !self.in_block;
            heard.spoke |= !(frame.kind == PING && frame.has(ACK));
        }
        heard.spoke |= !self.read.is_at_rest();
        heard
    }

    /// The kernel has taken these bytes. Answers whether a stream has ended by them.
    pub(super) fn wrote(&mut self, mut bytes: &[u8]) -> bool {
        let before = self.open.len();
        while let Some(frame) = self.written.next(&mut bytes) {
            match frame.kind {
                HEADERS | DATA if frame.has(END_STREAM) => self.end(frame.stream),
                RST_STREAM => self.end(frame.stream),
                GOAWAY => {
                    self.last = frame.word;
                    // They crossed it, and are not processed.
                    self.open.retain(|stream| *stream <= frame.word);
                }
                _ => {}
            }
        }
        self.open.len() < before
    }

    /// How many streams are open.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Whether a stream was ever begun.
    pub(super) fn is_used(&self) -> bool {
        self.highest > 0
    }

    /// Whether the peer has begun to say something that is no DATA (which may come as slowly as the stream's limits
    /// allow), and has not finished.
    pub(super) fn is_half_said(&self) -> bool {
        self.preface > 0 || self.in_block || !(self.read.is_at_rest() || self.read.is_in_data())
    }

    fn came(&mut self, frame: Frame) {
        match frame.kind {
            HEADERS => {
                self.in_block = !frame.has(END_HEADERS);
                // Streams of a client have odd numbers; a lower one than before is trailers.
                if frame.stream > self.highest && frame.stream % 2 == 1 {
                    self.highest = frame.stream;
                    if frame.stream <= self.last {
                        self.open.push(frame.stream);
                    }
                }
            }
            CONTINUATION => self.in_block &= !frame.has(END_HEADERS),
            RST_STREAM => self.end(frame.stream),
            _ => {}
        }
    }

    fn end(&mut self, stream: u32) {
        if let Ok(place) = self.open.binary_search(&stream) {
            self.open.remove(place);
        }
    }
}
