//! Console events that can be taken back (design rules L10, L11 and L16), behind the interface of signals on Unix.
//!
//! [`register()`] takes the numbers that the C runtime knows, and each [`Record`] says by its [`Origin`] which event
//! it was:
//!
//! | number | event | origin |
//! |---|---|---|
//! | 2, SIGINT | Ctrl-C | [`Origin::Kernel`] |
//! | 21, SIGBREAK | Ctrl-Break | [`Origin::Kernel`] |
//! | 15, SIGTERM | the console is closed; a user logs off; the system shuts down | [`Origin::Close`], [`Origin::Logoff`], [`Origin::Shutdown`] |
//!
//! Windows runs the handler on a thread that it makes for each event, so that events are seen whatever the threads of
//! the program are doing. Until the [`Registration`] is dropped:
//!
//! - After a close, a logoff and a shutdown Windows ends the process as soon as the handler returns, and 5 s after
//!   the event in any case (`SPI_GETHUNGAPPTIMEOUT`, `SPI_GETWAITTOKILLTIMEOUT`; HandlerRoutine); a service alone
//!   goes on after a logoff that it says it has taken. So for these the handler does not return: whoever reads the
//!   record has the process end, or Windows does. While it waits, Windows may deliver no further event, not even
//!   Ctrl-C.
//! - Programs that have loaded user32 or gdi32 receive neither logoff nor shutdown (HandlerRoutine). What stops a
//!   service is its service manager, and no console event.
//! - If [`Registration::chain`] says so, the event goes on to the handler below ours: a Ctrl-C at once, the three others
//!   when the registration is dropped. Nobody can ask whether there is one; where there is none, or none that says that
//!   it took the event, Windows ends the process.
//! - Ctrl-C stays ignored where it was when we were started (`CREATE_NEW_PROCESS_GROUP`, `SetConsoleCtrlHandler(NULL,
//!   TRUE)`): Windows then delivers none.
//!
//! There are no forks and no signal masks here: [`is_forked`] is false, and [`unblock`] has nothing to do.

mod handler;
mod inbox;
mod register;

pub use crate::vocabulary::{Origin, Record, Registered, SignalError};
pub use inbox::Inbox;
pub use register::{Registration, end_by, is_forked, nudge, register, unblock};

/// The numbers by which events are registered, as in the C runtime's `signal.h`.
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
const SIGBREAK: i32 = 21;

/// What portable programs ask for, and Windows does not have.
const SIGHUP: i32 = 1;
const SIGQUIT: i32 = 3;
