//! Listening sockets that close without losing anyone.
//!
//! Closing a listening socket resets every connection that a client believes to have and the server has not accepted:
//! those in the accept queue, and those whose handshake is still on the wire. [`Listener::close`] turns new handshakes
//! away first, waits for the ones under way, and only then closes (rule D3); what it accepts meanwhile is handed to the
//! caller like any other connection. A socket that somebody else holds too is left to them untouched.
//!
//! Unix only.
//!
//! The crate knows no runtime. Sockets are non-blocking; [`Listener`] is [`AsFd`](std::os::fd::AsFd), so any loop can
//! watch it, and closing is a stepper that is told the time:
//!
//! ```
//! use std::time::Instant;
//! use exeunt_listener::{Accept, CloseOptions, Listener, Step};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = Listener::bind(&"127.0.0.1:0".parse()?)?;
//! let address = listener.local_address().as_socket_addr().ok_or("not TCP")?;
//! let _client = std::net::TcpStream::connect(address)?;
//! assert!(matches!(listener.accept(), Accept::Connection(_)));
//!
//! let _second = std::net::TcpStream::connect(address)?;   // nobody has accepted it yet
//! let mut closing = listener.close(CloseOptions::default());
//! let mut served = 0;
//! let report = loop {
//!     match closing.step(Instant::now()) {
//!         Step::Accepted(_connection) => served += 1,
//!         Step::Wait { until } => std::thread::sleep(until.saturating_duration_since(Instant::now())),
//!         Step::Closed(report) => break report,
//!     }
//! };
//! assert_eq!((served, report.accepted), (1, 1));
//! # Ok(()) }
//! ```
//!
//! `docs/listener.md` tells the whole story, with its figures and its limits.

mod accept;
mod address;
mod bind;
mod bind_error;
mod close;
mod connection;
mod inherited;
mod lifeline;
mod listener;
#[cfg(target_os = "linux")]
#[path = "linux/mod.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "portable.rs"]
mod system;

pub use crate::{
    accept::Accept,
    address::{Address, AddressError},
    bind::Binder,
    bind_error::BindError,
    close::{
        Closing, Step,
        options::CloseOptions,
        report::{CloseReport, Method, Newcomers, Ownership},
    },
    connection::Connection,
    inherited::inherited,
    listener::Listener,
};
