//! Shields for Python: blocks that a stop may not interrupt (L6-L9).
//!
//! What decides is the machine of one lifecycle for the whole process, which the first block installs. This is between
//! that and Python: which blocks are live in which thread, and whose turn it is to be interrupted. The exceptions
//! themselves are made and raised by `exeunt._shields` and `exeunt._signals`, which say how signals get there.
//!
//! Nothing here takes the GIL by itself: whoever has to be told is the main thread, which is interrupted by a signal.

mod block;
mod conductor;
mod ending;
mod live;
mod main_thread;
mod running;

pub(crate) use block::ShutdownProtection;
pub(crate) use conductor::Shields;
