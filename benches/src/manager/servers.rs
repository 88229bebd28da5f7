//! The servers under measurement: the same answer, byte for byte but for the order and the case of its two fields, by one
//! thread, beside which there is one that sleeps, with `TCP_NODELAY`.

use super::{files, tls, websocket};
use crate::servers::announce;
use anyhow::{Result, ensure};
use bytes::Bytes;
use exeunt_manager::lifecycle::{Config, Lifecycle};
use exeunt_manager::{Connection, Event, Limits, Listen, Manager};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use std::convert::Infallible;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

const BODY: &str = "{\"ok\":true}";

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// `exeunt_manager::Manager`, which follows and counts in a lifecycle.
    Manager,
    /// hyper on a current-thread runtime, and nothing else.
    Hyper,
    /// A loop on mio that reads, parses with httparse and writes an answer that was made before.
    Mio,
    /// The same, in a process that has no other thread.
    MioAlone,
    /// `exeunt_manager::Manager` over TLS.
    ManagerTls,
    /// hyper on tokio-rustls, on a current-thread runtime.
    HyperTls,
    /// `exeunt_manager::Manager` that sends WebSocket messages back.
    ManagerWebsocket,
    /// tokio-tungstenite that does so, on a current-thread runtime.
    Tungstenite,
    /// `exeunt_manager::Manager` that serves a folder.
    ManagerFiles,
}

/// Runs a server until it is ended; its first line says where it listens. `dir` is what it serves, or has its certificate.
pub(crate) fn serve(kind: Kind, dir: &Path) -> Result<()> {
    if matches!(kind, Kind::Hyper | Kind::Mio | Kind::HyperTls | Kind::Tungstenite) {
        // As the lifecycle's signal thread: the kernel looks descriptors up at less cost (`fdget`), and the C library enters
        // system calls at less, in a process that has one thread only.
        std::thread::spawn(|| {
            loop {
                std::thread::park();
            }
        });
    }
    match kind {
        Kind::Manager => manager(Listen::new(), words),
        Kind::Hyper => hyper(),
        Kind::Mio | Kind::MioAlone => bare(),
        Kind::HyperTls => tls::hyper(dir),
        Kind::Tungstenite => websocket::tungstenite(),
        Kind::ManagerFiles => files::manager(dir),
        Kind::ManagerTls => tls::manager(dir),
        Kind::ManagerWebsocket => websocket::manager(),
    }
}

/// The event loop, following and counting in a lifecycle.
pub(super) fn manager(
    how: Listen,
    handler: impl Fn(&Connection, Event<'_>) + Send + Sync + 'static,
) -> Result<()> {
    let lifecycle = Lifecycle::install(Config::default())?;
    let mut limits = Limits::default();
    // A measurement may take longer than the silence that is usual.
    limits.drain.idle = Duration::from_secs(3600);
    let mut manager = Manager::with_limits(limits, handler);
    let listener = manager.listen_with("http://127.0.0.1:0", how)?;
    if let Some(address) = listener.local_address() {
        announce(&address)?;
    }
    lifecycle.ready();
    manager.run(&lifecycle)?;
    Ok(())
}

/// Eleven bytes from memory.
pub(super) fn words(conn: &Connection, event: Event<'_>) {
    match event {
        Event::HttpMessage(request) if request.uri() == "/" => conn.reply(200, &[], BODY),
        Event::HttpMessage(_) => conn.reply(404, &[], ""),
        _ => {}
    }
}

fn hyper() -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        announce(&listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                // A client that leaves is no news here.
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(word)).await.ok();
            });
        }
    })
}

/// The same by hyper.
pub(super) async fn word(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/" {
        return Ok(Response::new(Full::from(BODY)));
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

fn bare() -> Result<()> {
    const LISTENER: Token = Token(usize::MAX);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    announce(&listener.local_addr()?)?;
    let mut streams = Slab::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut streams)?;
                continue;
            }
            let slot = event.token().0;
            let Some(stream) = streams.get_mut(slot) else { continue };
            if !answered(stream, &mut buffer, answer.as_bytes())? {
                streams.remove(slot);
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &Poll, streams: &mut Slab<TcpStream>) -> Result<()> {
    loop {
        match listener.accept() {
            Ok((mut stream, _)) => {
                stream.set_nodelay(true)?;
                let place = streams.vacant_entry();
                poll.registry().register(&mut stream, Token(place.key()), Interest::READABLE)?;
                place.insert(stream);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads once, or until the kernel has no more, and answers. False when the client has left.
fn answered(stream: &mut TcpStream, buffer: &mut [u8], answer: &[u8]) -> Result<bool> {
    loop {
        match stream.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(length) => {
                let mut fields = [httparse::EMPTY_HEADER; 64];
                let mut request = httparse::Request::new(&mut fields);
                ensure!(request.parse(&buffer[..length])?.is_complete(), "the client sends requests whole");
                ensure!(request.path == Some("/"), "the client asks for / alone");
                ensure!(stream.write(answer)? == answer.len(), "an answer did not fit into an empty socket");
                if length < buffer.len() {
                    return Ok(true);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}
