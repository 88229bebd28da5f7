//! The only unsafe code of Exeunt: signal handlers, on Windows the console's, the beginning of a child, on Windows its
//! job, inherited descriptors, who has sent a datagram, and the end of a process that is stuck.
//!
//! Everything above a small safe surface; every `unsafe` block states what it relies on. What a signal *means*
//! is not decided here: [`signal`] says which signal came, from whom and when, and no more. It is one interface with
//! two insides: signals on Unix, console events on Windows.

#[cfg(unix)]
pub mod child;
#[cfg(windows)]
#[path = "windows/child.rs"]
pub mod child;
#[cfg(target_os = "linux")]
pub mod datagram;
#[cfg(unix)]
pub mod descriptors;
pub mod process;
#[cfg(unix)]
pub mod signal;
#[cfg(windows)]
#[path = "windows/mod.rs"]
pub mod signal;
mod vocabulary;
