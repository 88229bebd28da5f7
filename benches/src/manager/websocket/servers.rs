//! The servers under measurement.

use crate::manager::servers;
use crate::servers::announce;
use anyhow::Result;
use exeunt_manager::{Connection, Event, Listen, WsOp};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;

/// The event loop: each message is sent back.
pub(crate) fn manager() -> Result<()> {
    servers::manager(Listen::new(), |conn: &Connection, event: Event<'_>| match event {
        // Errors leave the client without an answer, which it notices.
        Event::HttpMessage(_) => _ = conn.ws_upgrade(&[]),
        Event::WsMessage(message) => {
            let op = if message.is_binary() { WsOp::Binary } else { WsOp::Text };
            _ = conn.ws_send(op, message.data());
        }
        _ => {}
    })
}

/// tokio-tungstenite on a current-thread runtime, and nothing else: each message is sent back.
pub(crate) fn tungstenite() -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        announce(&listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // A client that leaves is no news here.
            tokio::spawn(async move { echo(stream).await.ok() });
        }
    })
}

async fn echo(stream: TcpStream) -> Result<()> {
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
