//! What the handler is told.

use crate::http::{Request, Response};
use crate::websocket::{WsControl, WsHandshake, WsMessage};

/// Something that happened to a connection.
///
/// The order is fixed. A server's connection: `Open`, `Accept`, then for each request `HttpHeaders`, `HttpBody` if that
/// was asked for, `HttpMessage`, `Read` and `Write`, and `Close` in the end. A raw one: `Open`, `Accept`, `Read`, `Write`, `Close`.
/// A WebSocket goes on behind the request's message with `WsOpen`, then `WsMessage` and `WsControl`, before the `Read` of
/// the bytes that made them whole. A client's:
/// `Open` and `Resolve` inside [`connect`](crate::Handle::connect) (`Resolve` later if there is a name to be resolved), then
/// `Connect`, and of HTTP for each response `HttpResponseHeaders`, `HttpBody` if that was asked for, `HttpResponse` and
/// `Read`; or `Error` and `Close`. With TLS, `TlsHandshake` comes behind `Accept` or `Connect`. A listener: `Open` inside
/// [`listen`](crate::Handle::listen), a `Poll` in each pass, `Close`. After `Close` nothing comes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The connection exists.
    Open,
    /// Its peer's name has addresses, or needed none.
    Resolve,
    /// It is connected. (Bytes that were written before go now.)
    Connect,
    /// A listener has accepted it.
    Accept,
    /// The TLS handshake is done: what is sent and received is protected from here on, and told behind this.
    TlsHandshake,
    /// A pass of the loop is over. Listeners are always told, others if they ask for it
    /// ([`Connection::poll_events`](crate::Connection::poll_events)).
    Poll,
    /// These bytes came. They are in the receive buffer too, until they are consumed; on an HTTP connection that has
    /// happened already. On a UDP socket: one datagram, from the present
    /// [`remote_address`](crate::Connection::remote_address).
    Read(&'a [u8]),
    /// That many bytes went to the kernel.
    Write(usize),
    /// The head of a request is whole; its body may still be on the way. An answer given now is the answer: the
    /// message will not come.
    HttpHeaders(&'a Request),
    /// These bytes of a body came, a request's or a response's. Told only if the program asked for it
    /// ([`Connection::stream_body`](crate::Connection::stream_body)), and of a request until it is answered; they are kept by nobody.
    HttpBody(&'a [u8]),
    /// A request is whole. It may be answered now or later; until then no further request of this connection is told.
    HttpMessage(&'a Request),
    /// The connection is a WebSocket now. A server's is told of inside of [`ws_upgrade`](crate::Connection::ws_upgrade), a
    /// client's ([`ws_connect`](crate::Handle::ws_connect)) when the server has agreed.
    WsOpen(WsHandshake<'a>),
    /// A WebSocket message is whole.
    WsMessage(&'a WsMessage),
    /// A ping, a pong or a Close of the peer's. What is to be done about it is done by itself.
    WsControl(&'a WsControl),
    /// The head of a response is whole; its body may still be on the way.
    HttpResponseHeaders(&'a Response),
    /// A response is whole: to the oldest request that had none.
    HttpResponse(&'a Response),
    /// Somebody called [`wakeup`](crate::Connection::wakeup), with this payload.
    Wakeup(&'a [u8]),
    /// Something went wrong, in words: a connection or a response that will not come, a request that is none, a file that
    /// became shorter while it was sent, or what the program said itself
    /// ([`Connection::error`](crate::Connection::error)).
    Error(&'a str),
    /// The drain has begun (rule D6): what is in flight may finish, and streams that would not end by themselves should
    /// say goodbye and [`drain`](crate::Connection::drain). Listeners are not told.
    Drain,
    /// The last event.
    Close,
}
