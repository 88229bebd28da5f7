use std::io::{self, Read, Write};
use std::time::Duration;

static BLOCK: [u8; 64 * 1024] = [b'x'; 64 * 1024];
const BLOCKS: usize = 1024;

/// The large answer's beginning: all but what any answer of this server is.
pub(super) fn large(writer: &mut impl Write) -> io::Result<()> {
    write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BLOCK.len() * BLOCKS)?;
    (0..BLOCKS).try_for_each(|_| writer.write_all(&BLOCK))
}

pub(super) fn events(writer: &mut impl Write) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    writer.write_all(head.as_bytes())?;
    loop {
        writer.write_all(b"9\r\ndata: 1\n\n\r\n")?;
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every message comes back; those of the drill are short.
pub(super) fn websocket(reader: &mut impl Read, writer: &mut impl Write) -> io::Result<()> {
    let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    writer.write_all(head.as_bytes())?;
    loop {
        let [first, second] = take(reader)?;
        let mask: [u8; 4] = take(reader)?;
        let mut payload = vec![0; usize::from(second & 0x7f)];
        reader.read_exact(&mut payload)?;
        let clear = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        let answer: Vec<u8> = [first, second & 0x7f].into_iter().chain(clear).collect();
        writer.write_all(&answer)?;
    }
}

/// Every HEADERS is a whole request of the drill and is answered at once (RFC 9113 §4.1, §6).
pub(super) fn http2(reader: &mut impl Read, writer: &mut impl Write) -> io::Result<()> {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const ACK: u8 = 1;
    // What of the preface is left behind its first, empty line.
    let _sm: [u8; 6] = take(reader)?;
    writer.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0])?;
    loop {
        let [a, b, c, kind, flags, stream @ ..]: [u8; 9] = take(reader)?;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        reader.read_exact(&mut payload)?;
        let [w, x, y, z] = stream;
        match kind {
            // END_HEADERS, and `:status: 200` from the static table; then END_STREAM.
            HEADERS => writer.write_all(
                &[[0, 0, 1, HEADERS, 4, w, x, y, z, 0x88].as_slice(), &[0, 0, 3, 0, 1, w, x, y, z], b"ok\n"]
                    .concat(),
            )?,
            SETTINGS if flags & ACK == 0 => writer.write_all(&[0, 0, 0, SETTINGS, ACK, 0, 0, 0, 0])?,
            PING if flags & ACK == 0 => {
                writer.write_all(&[&[0, 0, 8, PING, ACK, 0, 0, 0, 0][..], &payload].concat())?;
            }
            _ => {}
        }
    }
}

fn take<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}
