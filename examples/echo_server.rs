//! A server of lines: each connection finishes the line that it is at, is told goodbye, and is closed.
//!
//! `echo_server [ADDRESS]`
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use exeunt::Stop;
use exeunt::server::listener::{Connection, Listener};
use std::io;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

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
            // The line first: what has arrived is answered.
            biased;
            read = reader.read_until(b'\n', &mut line) => read?,
            () = stop.requested() => break,
        };
        if read == 0 {
            return Ok(());
        }
        writer.write_all(&line).await?;
        line.clear();
        reader.get_mut().set_limit(64 * 1024);
        if stop.is_requested() {
            break;
        }
    }
    writer.write_all(b"goodbye\n").await?;
    writer.shutdown().await
}
