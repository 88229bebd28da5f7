//! Signal handlers that can be taken back (design rules L9, L10, L11 and L17).
//!
//! [`register()`] puts our handler in place of a signal's disposition; each delivery becomes a [`Record`] in the
//! process's one [`Inbox`], where a thread waits for it. Until the [`Registration`] is dropped:
//!
//! - A signal is seen on whichever thread it lands, whatever that thread is doing: the handler needs no lock and
//!   no memory, only one `write(2)`. Blocking system calls are restarted (`SA_RESTART`), so code that knows
//!   nothing of us is not disturbed (unless whoever had the signal before wanted it so), and an alternative stack is used where the thread has one (`SA_ONSTACK`).
//! - No delivery is lost, even if thousands come before anybody reads: what the pipe cannot hold is counted.
//!   (The kernel itself merges a standard signal with one of the same number that is still pending, signal(7).)
//! - A signal that was ignored stays ignored ([`Registered::Ignored`]): `nohup` means it.
//! - The handler that was there before runs after ours if [`Registration::chain`] says so, and only then.
//! - In a forked child ours does nothing, and the previous disposition acts.
//!
//! Dropping the registration restores the previous disposition, unless somebody has put a handler over ours.
//!
//! # Children
//!
//! `execve(2)` resets handled signals to their default by itself, so ours never reach a program we start. What it
//! does keep is an ignored signal and the mask of blocked ones; the standard library's `Command` clears neither
//! (it empties the mask and restores SIGPIPE only where it set them itself). A launcher that promises default
//! dispositions and an empty mask has to see to both in the child: [`child::prepare`](crate::child::prepare) does.

mod handler;
mod inbox;
mod register;

pub use crate::vocabulary::{Origin, Record, Registered, SignalError};
pub use inbox::Inbox;
pub use register::{Registration, end_by, is_forked, nudge, register, unblock};
