//! A server of lines: each connection is heard out until it is silent, told goodbye, and closed.
//!
//! `echo_server [ADDRESS]`
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use exeunt::Stop;
use exeunt::server::listener::{Connection, Listener};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A peer that says nothing for so long once the stop is requested has nothing to say.
const SILENCE: Duration = Duration::from_millis(250);

fn main() -> exeunt::Exit {
    exeunt::main(async |app| {
        let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
        let listener = Listener::bind(&address.parse()?)?;
        println!("serving {}", listener.local_address());
        app.accept("echo", listener, echo);
        Ok(())
    })
}

async fn echo(connection: Connection, stop: Stop) -> io::Result<()> {
    let Connection::Tcp { stream, .. } = connection else { return Ok(()) };
    let (reader, mut writer) = TcpStream::from_std(stream)?.into_split();
    // No line is longer, whoever sends it.
    let mut reader = BufReader::new(reader.take(64 * 1024));
    let mut line = Vec::new();
    loop {
        let read = tokio::select! {
            read = reader.read_until(b'\n', &mut line) => read?,
            // What has arrived, or is on its way, is answered.
            () = stop.requested() => match timeout(SILENCE, reader.read_until(b'\n', &mut line)).await {
                Ok(read) => read?,
                Err(_) => break,
            },
        };
        if read == 0 {
            return Ok(());
        }
        writer.write_all(&line).await?;
        line.clear();
        reader.get_mut().set_limit(64 * 1024);
    }
    writer.write_all(b"goodbye\n").await?;
    writer.shutdown().await
}
