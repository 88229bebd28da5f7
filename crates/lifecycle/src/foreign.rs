//! Code that is not ours, where we call it: whatever a program gave us to call, to drop or to put into words.
//!
//! It may panic, block, or call us again, so (see "Foreign code" in `docs/semantics.md`):
//!
//! 1. It is never called, and nothing of it dropped, under a lock of ours.
//! 2. It is called through this module, which lets no panic pass.
//! 3. The signal thread calls none of it but wakers, and neither does anybody who still has others to wake: what is
//!    to be told or dropped goes to a [`Runner`](crate::runner::Runner).

use crate::runner::detached;
use crate::work::panicked;
#[cfg(feature = "tokio")]
use futures_util::FutureExt as _;
use std::any::Any;
use std::fmt;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls it; a panic is answered in words.
pub(crate) fn foreign<R>(act: impl FnOnce() -> R) -> Result<R, String> {
    // What a panic leaves behind belongs to whoever panicked.
    catch_unwind(AssertUnwindSafe(act)).map_err(in_words)
}

/// Polls it; a panic is answered in words, and what it left behind is dropped.
#[cfg(feature = "tokio")]
pub(crate) async fn foreign_async<R>(act: impl Future<Output = R>) -> Result<R, String> {
    AssertUnwindSafe(act).catch_unwind().await.map_err(in_words)
}

/// What a panic said.
pub(crate) fn in_words(panic: Box<dyn Any + Send>) -> String {
    let said = panicked(&*panic);
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        // It would go on like this.
        forget(another);
    }
    said
}

/// What is to be dropped, by somebody who has time for it.
pub(crate) struct Leftover {
    of: String,
    let_go: Box<dyn FnOnce() + Send>,
}

impl Leftover {
    pub(crate) fn new<T: Send + 'static>(of: impl Into<String>, what: T) -> Self {
        Self { of: of.into(), let_go: Box::new(|| drop(what)) }
    }

    /// Dropped where tokio's runtime is at hand, which a destructor may spawn on.
    #[cfg(feature = "tokio")]
    pub(crate) fn of_runtime<T: Send + 'static>(
        of: impl Into<String>,
        runtime: tokio::runtime::Handle,
        what: T,
    ) -> Self {
        let let_go = move || {
            let _here = runtime.enter();
            drop(what);
        };
        Self { of: of.into(), let_go: Box::new(let_go) }
    }

    /// Drops it, in a thread that nobody waits for; here, if none can be had. `failed` hears of a panic.
    pub(crate) fn let_go(self, failed: impl Fn(&str, String) + Send + 'static) {
        let Self { of, let_go } = self;
        let job = Box::new(move || {
            if let Err(panic) = foreign(let_go) {
                failed(&of, panic);
            }
        });
        if let Err((job, _)) = detached("exeunt-drop", job) {
            job();
        }
    }
}

impl fmt::Debug for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Leftover").field(&self.of).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::foreign;
    use std::panic::panic_any;

    /// Panics when it is dropped, and what it panics with does so too.
    struct Again(u32);

    impl Drop for Again {
        fn drop(&mut self) {
            if self.0 > 0 {
                panic_any(Again(self.0 - 1));
            }
        }
    }

    #[test]
    fn no_panic_passes_not_even_one_of_what_was_panicked_with() {
        assert_eq!(foreign(|| 7), Ok(7));
        assert_eq!(foreign(|| panic!("at {}", 1)).unwrap_err(), "panicked: at 1");
        assert_eq!(foreign(|| panic_any(Again(0))).unwrap_err(), "panicked");
        assert_eq!(foreign(|| panic_any(Again(9))).unwrap_err(), "panicked");
    }
}
