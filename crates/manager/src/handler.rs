//! The program's function, and how it is called.

use crate::connection::Connection;
use crate::event::Event;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a program does about events. It is called by one thread at a time for one connection's socket, but a call of
/// its own ([`Connection::error`], [`Handle::listen`](crate::Handle::listen)) may call it from within, and from other threads.
pub type Handler = Arc<dyn Fn(&Connection, Event<'_>) + Send + Sync>;

/// Runs foreign code; what it panicked with, if it did.
pub(crate) fn guarded(run: impl FnOnce()) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = message(&*panic);
        // The payload's own destructor is foreign code as well.
        _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
        text
    })
}

/// Drops what is foreign, and may panic in it.
pub(crate) fn discard<T>(foreign: T) {
    if let Err(panic) = guarded(|| drop(foreign)) {
        tracing::error!(target: "exeunt::manager", panic, "what the program gave panicked when it was dropped");
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        return (*text).to_owned();
    }
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn what_a_panic_says_is_kept() {
        assert_eq!(guarded(|| {}), Ok(()));
        assert_eq!(guarded(|| panic!("one")), Err("one".to_owned()));
        assert_eq!(guarded(|| panic!("{}", 2)), Err("2".to_owned()));
        assert_eq!(guarded(|| std::panic::panic_any(3)), Err("a panic without words".to_owned()));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_survived() {
        struct Nasty;
        impl Drop for Nasty {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        assert!(guarded(|| std::panic::panic_any(Nasty)).is_err());
    }
}
