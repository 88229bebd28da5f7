//! An event loop with one handler, timers and wakeups, that stops without losing a request.
//!
//! The model is Mongoose's: sockets, and a function that is told what happens to them. Who polls owns the sockets; any
//! thread may write, answer, add timers and send wakeups.
//!
//! ```
//! use exeunt_lifecycle::{Config, Lifecycle};
//! use exeunt_manager::{Connection, Event, Manager};
//!
//! let lifecycle = Lifecycle::install(Config::default())?;
//! let mut manager = Manager::new(|conn: &Connection, event: Event<'_>| match event {
//!     Event::HttpMessage(request) if request.uri() == "/" => conn.reply(200, &[], b"{\"ok\":true}"),
//!     Event::HttpMessage(_) => conn.reply(404, &[], b""),
//!     _ => {}
//! });
//! let listener = manager.listen("http://127.0.0.1:0")?;
//! # assert!(listener.is_listening());
//! # lifecycle.stop().request_stop("the example is over");
//! let drained = manager.run(&lifecycle)?; // until the stop, and through it
//! assert!(drained.is_clean());
//! assert_eq!(lifecycle.close().exit_status(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Unix only, as its listeners are. `docs/guide/event-loop.md` shows the patterns, and `docs/semantics.md` has the rules (M1
//! to M20, and D2 to D8).

mod connect;
mod connection;
mod core;
mod entry;
mod error;
mod event;
mod handle;
mod handler;
pub mod http;
mod limits;
mod listen;
mod manager;
mod reactor;
mod session;
mod stop;
mod timer;
mod tls;
pub mod uploads;
pub mod url;
#[cfg(not(any(fuzzing, test)))]
mod websocket;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod websocket;
mod wire;

pub use connect::Connect;
pub use connection::Connection;
pub use error::{
    AnswerError, ConnectError, ConnectionClosed, ListenError, ManagerClosed, PollError, RequestError,
    SendError, StreamError,
};
pub use event::Event;
pub use exeunt_lifecycle as lifecycle;
pub use exeunt_listener as listener;
pub use handle::Handle;
pub use handler::Handler;
pub use http::{Files, FilesError, ReplyError, Request, Response};
pub use limits::Limits;
pub use listen::Listen;
pub use manager::Manager;
pub use reactor::Passed;
pub use stop::DrainReport;
pub use timer::{Schedule, Timer};
pub use tls::{StartTlsError, Tls, TlsError, TlsInfo};
pub use uploads::{Form, Uploads};
pub use websocket::{UpgradeError, WsControl, WsHandshake, WsMessage, WsOp};
