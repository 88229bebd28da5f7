//! A closed-loop client: each connection sends its next request when it has the whole answer to the last.

use anyhow::{Context as _, Result, ensure};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const REQUEST: &[u8] = b"GET /index.html HTTP/1.1\r\nhost: bench\r\n\r\n";

/// Kept connections to one server.
pub(crate) struct Client {
    connections: Vec<TcpStream>,
    /// Every answer has this many bytes: the page is the same, and the date has a fixed width.
    answer: usize,
}

impl Client {
    pub(crate) async fn connect(server: SocketAddr, connections: u32) -> Result<Self> {
        let mut client = Self { connections: Vec::new(), answer: 0 };
        for _ in 0..connections {
            let mut stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            stream.write_all(REQUEST).await?;
            client.answer = first_answer(&mut stream).await?;
            client.connections.push(stream);
        }
        Ok(client)
    }

    /// Sends that many requests in all, or a few more so that each connection has as many, and reads their answers.
    /// Says how many they were.
    pub(crate) async fn turn(&mut self, requests: u32) -> Result<usize> {
        let each = (requests as usize).div_ceil(self.connections.len());
        let answer = self.answer;
        let mut turns = tokio::task::JoinSet::new();
        for mut stream in self.connections.drain(..) {
            turns.spawn(async move {
                let mut buffer = vec![0; answer];
                for _ in 0..each {
                    stream.write_all(REQUEST).await?;
                    stream.read_exact(&mut buffer).await?;
                    ensure!(buffer.starts_with(b"HTTP/1.1 200"), "not a 200: {:?}", buffer.escape_ascii());
                }
                Ok(stream)
            });
        }
        while let Some(stream) = turns.join_next().await {
            self.connections.push(stream??);
        }
        Ok(each * self.connections.len())
    }
}

async fn first_answer(stream: &mut TcpStream) -> Result<usize> {
    let mut answer = Vec::new();
    loop {
        ensure!(stream.read_buf(&mut answer).await? > 0, "the server closed the connection");
        if is_whole(&answer)? {
            return Ok(answer.len());
        }
    }
}

/// Whether an answer has come to its end.
pub(crate) fn is_whole(answer: &[u8]) -> Result<bool> {
    const EMPTY_LINE: &[u8] = b"\r\n\r\n";
    let Some(end) = answer.windows(EMPTY_LINE.len()).position(|bytes| bytes == EMPTY_LINE) else {
        return Ok(false);
    };
    let (head, body) = answer.split_at(end);
    let head = str::from_utf8(head)?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .context("an answer without content-length")?;
    Ok(body.len() - EMPTY_LINE.len() == length.1.trim().parse::<usize>()?)
}
