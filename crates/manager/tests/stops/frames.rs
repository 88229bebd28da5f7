//! Just enough of WebSocket for a judge (RFC 6455 §5.2): frames that are not longer than 125 bytes, and whole.

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

/// A frame that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(String),
    /// With its code, if it has one.
    Close(Option<u16>),
    Other(u8),
}

/// Takes the first frame off what has come, if it is whole.
pub(crate) fn take(bytes: &mut Vec<u8>) -> Option<Frame> {
    let [first, length, ..] = **bytes else { return None };
    assert!(length < 126, "masked, or longer than anything that was sent: {length}");
    let end = 2 + usize::from(length);
    if bytes.len() < end {
        return None;
    }
    let frame: Vec<u8> = bytes.drain(..end).skip(2).collect();
    Some(match first {
        TEXT => Frame::Text(String::from_utf8(frame).unwrap()),
        CLOSE => Frame::Close(frame.first_chunk().map(|code| u16::from_be_bytes(*code))),
        other => Frame::Other(other),
    })
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    masked(TEXT, text.as_bytes())
}

pub(crate) fn close(code: u16) -> Vec<u8> {
    masked(CLOSE, &code.to_be_bytes())
}

fn masked(first: u8, content: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let length = u8::try_from(content.len()).unwrap();
    let content = content.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [0x80 | length].into_iter().chain(MASK).chain(content).fold(vec![first], |mut frame, byte| {
        frame.push(byte);
        frame
    })
}

#[test]
fn what_rfc_6455_shows_is_read_and_written() {
    // Its §5.7: "Hello", unmasked and masked.
    let mut bytes = vec![0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x88, 0x02, 0x03];
    assert_eq!(take(&mut bytes), Some(Frame::Text("Hello".to_owned())));
    assert_eq!(take(&mut bytes), None);
    bytes.push(0xe9);
    assert_eq!(take(&mut bytes), Some(Frame::Close(Some(1001))));
    assert_eq!(text("Hello"), [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
}
