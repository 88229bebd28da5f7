//! The control server: it loses, so that a drill which sees no loss can be told from a blind one.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

/// The path that the control server answers after 500 ms.
pub const SLOW_PATH: &str = "/slow";

const SLOW: Duration = Duration::from_millis(500);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

/// Serves keep-alive HTTP/1.1 on 127.0.0.1, a thread for each connection, and handles no signal: SIGTERM
/// ends it on the spot, with everything it had begun. Never returns but with an error.
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

fn answer_all(stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut head = Vec::new();
        loop {
            let start = head.len();
            if reader.read_until(b'\n', &mut head).ok()? == 0 {
                return None;
            }
            if matches!(head.get(start..), Some(b"\r\n" | b"\n")) {
                break;
            }
        }
        if head.strip_prefix(b"GET ").is_some_and(|rest| rest.starts_with(SLOW_PATH.as_bytes())) {
            std::thread::sleep(SLOW);
        }
        writer.write_all(ANSWER).ok()?;
    }
}
