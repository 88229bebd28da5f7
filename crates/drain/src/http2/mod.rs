//! The same for one HTTP/2 connection (rules D2, D5, D7, D8 and D9).
//!
//! HTTP/2 has the word that HTTP/1 lacks: a GOAWAY says "I shall close, finish what you have" on a connection where no
//! response is due. It is said in two steps (RFC 9113 §6.8): a first GOAWAY with the highest number there is, so that the
//! peer begins nothing new; a PING; and when that is answered, whatever the peer had sent before is here, so that a
//! second GOAWAY with the last stream's number loses nobody. Frames are the HTTP layer's; the machine sees them pass.
//!
//! ```
//! use exeunt_drain::Limits;
//! use exeunt_drain::http2::{Connection, Effect, Input};
//! use std::time::{Duration, Instant};
//!
//! let now = Instant::now();
//! let mut connection = Connection::new(Limits::default(), now);
//! assert_eq!(connection.on(now, Input::Draining), Some(Effect::GoAway));
//! // Its PING is not answered: what may have come is looked at, and then the connection ends.
//! let silent = connection.wake_at().expect("an answer is waited for");
//! assert_eq!(silent, now + Duration::from_secs(2)); // linger
//! assert_eq!(connection.on(silent, Input::Tick), Some(Effect::LastLook));
//! assert_eq!(connection.on(silent, Input::NothingThere), Some(Effect::EndInput));
//! ```

mod connection;
mod frames;
mod vocabulary;
mod wire;

pub use connection::Connection;
pub use vocabulary::{Effect, Input};
