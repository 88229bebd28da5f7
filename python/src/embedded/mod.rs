//! A manager that an event loop of Python's turns: what `exeunt.serve` stands on.
//!
//! Here Python is never called. A pass writes down what has happened, without the GIL, and gives it to its caller when it is
//! over: handlers are coroutines, which run later anyway. What the caller makes of it is in the package.

mod engine;
mod errors;
mod exchange;
mod happened;
mod limits;

pub(crate) use engine::Embedded;
pub(crate) use exchange::Exchange;
