use super::{Mode, State, http2, streams};
use socket2::SockRef;
use std::mem::MaybeUninit;
use std::process::exit;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

const IDLE_GRACE: Duration = Duration::from_millis(250);
const LINGER: Duration = Duration::from_secs(2);
const BODY: &str = "all is well\n";

/// Serves keep-alive HTTP/1.1 with rules D4, D5 and D7, but for the fault.
pub(super) async fn serve(mut stream: TcpStream, state: Rc<State>, _open: watch::Receiver<()>) {
    // Pipelined answers leave one by one: Nagle would hold all but the first back.
    stream.set_nodelay(true).unwrap();
    let mut input = Vec::new();
    while let Some(head) = next_head(&mut stream, &mut input, &state).await {
        state.requests.set(state.requests.get() + 1);
        if state.mode == Mode::DiesUnderLoad && state.requests.get() > 300 {
            eprintln!("I cannot bear it any longer");
            exit(7);
        }
        let target = head.split(' ').nth(1).unwrap_or_default();
        let streamed = match target {
            // RFC 9113 §3.4: the preface is a request that nobody means.
            "*" if state.mode != Mode::KeepsNothing => {
                Some(http2::serve(&mut stream, &mut input, &state).await)
            }
            "/events" => Some(streams::events(&mut stream, &state).await),
            "/ws" => Some(streams::websocket(&mut stream, &state).await),
            "/large" => Some(streams::large(&mut stream, &state).await),
            "/slow" => {
                sleep(Duration::from_millis(500)).await;
                None
            }
            "/upload" => read_body(&mut stream, &mut input, &head).await.err().map(Err),
            _ => None,
        };
        match streamed {
            Some(Err(_)) => return,
            Some(Ok(())) if target == "/large" && !state.stopping() => continue,
            Some(Ok(())) => break,
            None => {}
        }
        let last = state.stopping() || state.mode == Mode::KeepsNothing;
        let mut answer = answer(&head, &state, last);
        if state.stopping() && state.mode == Mode::Hangs {
            sleep(Duration::from_secs(600)).await;
        }
        if state.stopping() && state.mode == Mode::Truncates {
            answer.truncate(answer.len() - 4);
        }
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if last {
            break;
        }
    }
    _ = stream.shutdown().await;
    _ = timeout(LINGER, async {
        let mut rest = [0; 1024];
        while matches!(stream.read(&mut rest).await, Ok(1..)) {}
    })
    .await;
}

async fn read_body(stream: &mut TcpStream, input: &mut Vec<u8>, head: &str) -> std::io::Result<()> {
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    while input.len() < length {
        if stream.read_buf(input).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    input.drain(..length);
    Ok(())
}

fn answer(head: &str, state: &State, last: bool) -> String {
    let status = if head.starts_with("GET /missing ") {
        "404 Not Found"
    } else if state.stopping() && state.mode == Mode::Errors {
        "503 Service Unavailable"
    } else {
        "200 OK"
    };
    if state.mode == Mode::Babbles {
        return "well, hello there\r\n\r\n".to_owned();
    }
    let close = if last { "Connection: close\r\n" } else { "" };
    format!("HTTP/1.1 {status}\r\n{close}Content-Length: {}\r\n\r\n{BODY}", BODY.len())
}

/// The next request's head; none when the client has gone, or the server may close an idle connection.
async fn next_head(stream: &mut TcpStream, input: &mut Vec<u8>, state: &State) -> Option<String> {
    loop {
        if let Some(end) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head: Vec<u8> = input.drain(..end + 4).collect();
            return String::from_utf8(head).ok();
        }
        let halfway = !input.is_empty();
        let silent = async {
            state.stop().await;
            if halfway && state.mode != Mode::ClosesHalves {
                // A head that has begun to arrive is awaited.
                std::future::pending::<()>().await;
            }
            if state.mode != Mode::ClosesIdle {
                sleep(IDLE_GRACE).await;
            }
        };
        tokio::select! {
            biased;
            read = stream.read_buf(input) => {
                if !matches!(read, Ok(1..)) {
                    return None;
                }
            }
            () = silent => {
                // The runtime may not know yet what the kernel already holds.
                let mut byte = [MaybeUninit::uninit()];
                let held = state.mode != Mode::ClosesIdle && SockRef::from(&*stream).peek(&mut byte).is_ok();
                if !held || stream.read_buf(input).await.unwrap_or(0) == 0 {
                    return None;
                }
            }
        }
    }
}
