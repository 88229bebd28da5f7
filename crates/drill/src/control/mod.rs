//! The control server: it loses, so that a drill which sees no loss can be told from a blind one.

mod streams;

use crate::scenario::Scenario;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

/// The path that the control server answers after 500 ms.
pub const SLOW_PATH: &str = "/slow";
/// The path that takes a body by POST.
pub const UPLOAD_PATH: &str = "/upload";
/// The path whose answer has 64 MiB.
pub const LARGE_PATH: &str = "/large";
/// The path of WebSockets, which answer every message.
pub const WS_PATH: &str = "/ws";
/// The path of server-sent events, one every 50 ms.
pub const SSE_PATH: &str = "/events";

const SLOW: Duration = Duration::from_millis(500);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

/// Serves keep-alive HTTP/1.1, and HTTP/2 by prior knowledge, on 127.0.0.1, a thread for each connection, and handles no
/// signal: SIGTERM ends it on the spot, with everything it had begun. Never returns but with an error.
///
/// # Errors
///
/// The port could not be bound, or accepting failed for good.
pub fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    for connection in listener.incoming() {
        match connection {
            Ok(stream) => {
                std::thread::spawn(move || answer_all(&stream));
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The control server's path for the scenario.
pub(crate) fn path_of(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Slow => SLOW_PATH,
        Scenario::SlowReader => LARGE_PATH,
        Scenario::Websocket => WS_PATH,
        Scenario::Sse => SSE_PATH,
        _ => "/",
    }
}

fn answer_all(stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let head = head(&mut reader)?;
        let mut words = head.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (Some("PRI"), _) => return streams::http2(&mut reader, &mut writer),
            (_, Some(SLOW_PATH)) => std::thread::sleep(SLOW),
            (_, Some(UPLOAD_PATH)) => skip_body(&mut reader, &head)?,
            (_, Some(LARGE_PATH)) => streams::large(&mut writer)?,
            (_, Some(WS_PATH)) => return streams::websocket(&mut reader, &mut writer),
            (_, Some(SSE_PATH)) => return streams::events(&mut writer),
            _ => {}
        }
        writer.write_all(ANSWER)?;
    }
}

/// The next head.
fn head(reader: &mut impl BufRead) -> io::Result<String> {
    let mut head = String::new();
    loop {
        let start = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if matches!(head.get(start..), Some("\r\n" | "\n")) {
            return Ok(head);
        }
    }
}

fn skip_body(reader: &mut impl Read, head: &str) -> io::Result<()> {
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    io::copy(&mut reader.take(length.unwrap_or(0)), &mut io::sink())?;
    Ok(())
}
