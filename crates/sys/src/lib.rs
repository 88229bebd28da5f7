//! The only unsafe code of Exeunt: signal handlers.
//!
//! Everything above a small safe surface; every `unsafe` block states what it relies on. What a signal *means*
//! is not decided here: [`signal`] says which signal came, from whom and when, and no more.

#[cfg(unix)]
pub mod signal;
