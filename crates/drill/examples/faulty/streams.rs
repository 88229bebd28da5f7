use super::{Mode, State};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep};

/// A large answer, of which a server that truncates leaves the second half out in its stop.
pub(super) async fn large(stream: &mut TcpStream, state: &State) -> std::io::Result<()> {
    const BLOCKS: usize = 256;
    let block = vec![b'x'; 64 * 1024];
    let close = if state.stopping() { "Connection: close\r\n" } else { "" };
    let head = format!("HTTP/1.1 200 OK\r\n{close}Content-Length: {}\r\n\r\n", BLOCKS * block.len());
    stream.write_all(head.as_bytes()).await?;
    for number in 0..BLOCKS {
        if state.stopping() && state.mode == Mode::Truncates && number > BLOCKS / 2 {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        stream.write_all(&block).await?;
    }
    Ok(())
}

/// Events, and a goodbye: an event or the end of the chunks alone, by turns.
pub(super) async fn events(stream: &mut TcpStream, state: &State) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    loop {
        tokio::select! {
            () = state.stop() => break,
            () = sleep(Duration::from_millis(20)) => stream.write_all(b"9\r\ndata: 1\n\n\r\n").await?,
        }
    }
    state.requests.set(state.requests.get() + 1);
    if state.mode == Mode::TearsStreams {
        return Ok(());
    }
    if state.requests.get().is_multiple_of(2) {
        return stream.write_all(b"10\r\nevent: goodbye\n\n\r\n").await;
    }
    stream.write_all(b"0\r\n\r\n").await
}

/// Answers every message, which are short, and says Close 1001 in its stop, when it has answered what is here.
pub(super) async fn websocket(stream: &mut TcpStream, state: &State) -> std::io::Result<()> {
    let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut input = Vec::new();
    loop {
        while let Some(frame) = frame(&mut input) {
            if state.stopping() && state.mode == Mode::DropsMessages {
                sleep(Duration::from_millis(100)).await;
            } else {
                stream.write_all(&frame).await?;
            }
        }
        tokio::select! {
            biased;
            read = stream.read_buf(&mut input) => {
                if read? == 0 {
                    return Ok(());
                }
                continue;
            }
            () = state.stop() => {}
        }
        if state.mode == Mode::DropsMessages && input.is_empty() {
            // Long enough for the next message to come.
            tokio::time::timeout(Duration::from_millis(50), stream.readable()).await.ok();
            sleep(Duration::from_millis(100)).await;
        }
        let code: u16 = if state.mode == Mode::SaysWrongly { 1011 } else { 1001 };
        if state.mode != Mode::TearsStreams {
            stream.write_all(&[&[0x88, 2][..], &code.to_be_bytes()].concat()).await?;
        }
        return Ok(());
    }
}

/// Takes a client's frame, which is short and masked, and makes it the server's.
fn frame(input: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = usize::from(input.get(1)? & 0x7f);
    let end = 6 + length;
    if input.len() < end {
        return None;
    }
    let frame: Vec<u8> = input.drain(..end).collect();
    let clear = frame[6..].iter().zip(frame[2..6].iter().cycle()).map(|(byte, mask)| byte ^ mask);
    Some([frame[0], frame[1] & 0x7f].into_iter().chain(clear).collect())
}
