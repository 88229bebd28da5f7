//! The drain protocol of one HTTP/1 connection, as a pure state machine (rules D2 and D4 to D8); [`http2`] has that of
//! one HTTP/2 connection.
//!
//! A [`Connection`] decides; it reads nothing, writes nothing and asks no clock. Whoever owns the socket tells it
//! what happened ([`Input`], with the time), and carries out what it answers ([`Effect`]). So the same rules serve
//! an async server, whose HTTP is spoken by a library, and an event loop that parses for itself.
//!
//! The rules in short (`docs/semantics.md` has them whole):
//!
//! - **D2** from the stop request on, each response head that is not yet written says `Connection: close`;
//! - **D4** a request that arrives before we said that we would close is answered;
//! - **D5** a silent connection is closed once it has been silent for `idle_grace`, counted from the latest of: the
//!   drain began, the connection was accepted, its last byte; and only after a last look at its receive queue;
//! - **D6** a connection that a program has taken over (a WebSocket, a tunnel) is the program's until it is done;
//! - **D7** a close never turns into a reset that eats the last response: end the writing, read on for a while,
//!   then close;
//! - **D8** at the drain deadline a response not begun becomes a 503, and one that was begun is aborted.
//!
//! # Example
//!
//! A kept connection is silent when the drain begins, and stays so:
//!
//! ```
//! use exeunt_drain::{Connection, Effect, Input, Limits};
//! use std::time::{Duration, Instant};
//!
//! let accepted = Instant::now();
//! let mut connection = Connection::new(Limits::default(), accepted);
//! let drain = accepted + Duration::from_secs(1);
//! assert_eq!(connection.on(drain, Input::Draining), None);
//!
//! let silent = connection.wake_at().expect("a silent connection is waited for");
//! assert_eq!(silent, drain + Duration::from_millis(250)); // idle_grace
//! assert_eq!(connection.on(silent, Input::Tick), Some(Effect::LastLook));
//! assert_eq!(connection.on(silent, Input::NothingThere), Some(Effect::EndInput));
//! assert_eq!(connection.on(silent, Input::Finished), Some(Effect::Close)); // nothing is owed: no linger
//! ```

mod boundary;
mod connection;
pub mod http2;
mod limits;
mod telling;
mod vocabulary;
mod waits;

pub use boundary::Framing;
pub use connection::Connection;
pub use limits::Limits;
pub use telling::{Tell, Telling};
pub use vocabulary::{Effect, Input};
pub use waits::{Wait, Waits};
