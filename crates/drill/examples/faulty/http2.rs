use super::{Mode, State};
use std::io::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const ALL: u32 = 0x7fff_ffff;

/// Answers every request at once, and in its stop says GOAWAY in two steps (RFC 9113 §6.8): so that what is under way
/// when the first is said is answered, too.
pub(super) async fn serve(stream: &mut TcpStream, input: &mut Vec<u8>, state: &State) -> Result<()> {
    write(stream, SETTINGS, 0, 0, &[]).await?;
    let (mut last, mut told) = (0, false);
    // The rest of the preface.
    while input.len() < 6 {
        if stream.read_buf(input).await? == 0 {
            return Ok(());
        }
    }
    input.drain(..6);
    loop {
        while let Some((kind, flags, id, payload)) = frame(input) {
            match kind {
                HEADERS => {
                    last = id;
                    write(stream, HEADERS, 4, id, &[0x88]).await?;
                    write(stream, 0, 1, id, b"ok\n").await?;
                }
                SETTINGS if flags & ACK == 0 => write(stream, SETTINGS, ACK, 0, &[]).await?,
                PING if flags & ACK != 0 => return go_away(stream, last).await,
                PING => write(stream, PING, ACK, 0, &payload).await?,
                _ => {}
            }
        }
        tokio::select! {
            biased;
            read = stream.read_buf(input) => {
                if read? == 0 {
                    return Ok(());
                }
            }
            () = state.stop(), if !told => match state.mode {
                // The connection ends under whatever is under way.
                Mode::TearsStreams => return Ok(()),
                // It says that it will answer all, and ends.
                Mode::SaysWrongly => return go_away(stream, ALL).await,
                // In one step: what is under way was not processed, and is told so.
                Mode::GoesAwayAtOnce => return go_away(stream, last).await,
                _ => {
                    told = true;
                    go_away(stream, ALL).await?;
                    write(stream, PING, 0, 0, b"two step").await?;
                }
            },
        }
    }
}

async fn go_away(stream: &mut TcpStream, last: u32) -> Result<()> {
    write(stream, GOAWAY, 0, 0, &[&last.to_be_bytes()[..], &[0; 4]].concat()).await
}

async fn write(stream: &mut TcpStream, kind: u8, flags: u8, id: u32, payload: &[u8]) -> Result<()> {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &id.to_be_bytes()].concat();
    stream.write_all(&[&head, payload].concat()).await
}

/// Takes a whole frame: its kind, flags, stream and payload.
fn frame(input: &mut Vec<u8>) -> Option<(u8, u8, u32, Vec<u8>)> {
    let head: [u8; 9] = *input.first_chunk()?;
    let end = 9 + u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    if input.len() < end {
        return None;
    }
    let payload = input.drain(..end).skip(9).collect();
    Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
}
