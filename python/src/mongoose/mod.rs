//! `exeunt.mongoose`: the event loop of `exeunt-manager`, as programs for the Mongoose model know it.
//!
//! Two rules hold everywhere in here. No lock is held while Python runs or may run (a call, a decref, a wait for the
//! GIL): what is needed is cloned out of it first. And nothing here waits while it holds the GIL.

mod connection;
mod dispatch;
mod errors;
mod events;
mod files;
mod headers;
mod http;
mod interrupts;
mod manager;
mod numbers;
mod payload;
mod report;
mod run;
mod shared;
pub(crate) mod signals;
mod text;
mod timer;
mod tls;
mod view;
mod websocket;

pub(crate) use connection::Connection;
pub(crate) use http::HttpMessage;
pub(crate) use manager::Manager;
pub(crate) use report::{DrainReport, ListenerReport};
pub(crate) use run::{Nudge, configure, drain_poll, follow, interrupt, nudge_when_over, run_poll};
pub(crate) use text::{matches, scan_multipart};
pub(crate) use timer::Timer;
pub(crate) use tls::TlsOpts;
pub(crate) use websocket::WsMessage;
