//! Waking all who wait, in async code, for something that is written once and then stays.
//!
//! Whoever rings writes first and rings afterwards; whoever waits takes its place first and looks afterwards. So
//! either it sees what was written, or its place was taken before the bell rang, and it is woken.

use crate::loom::{Notified, Notify};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Rung once. Costs a short lock for every 32 who wait; whoever was woken takes none.
#[derive(Default)]
pub(crate) struct Bell(Notify);

impl Bell {
    /// Wakes all who wait. What they wait for is written by now.
    pub(crate) fn ring(&self) {
        self.0.notify_waiters();
    }

    /// Completes when the bell has been rung, or at once if `is_so` already, which it is rung for.
    pub(crate) fn wait(&self, is_so: impl FnOnce() -> bool) -> Waiting<'_> {
        // Has its place from here on, polled or not.
        let place = self.0.notified();
        Waiting { place: (!is_so()).then_some(place) }
    }
}

pin_project! {
    /// Somebody who waits; `None` has nothing to wait for.
    #[must_use = "futures do nothing unless polled"]
    pub(crate) struct Waiting<'a> {
        #[pin]
        place: Option<Notified<'a>>,
    }
}

impl Future for Waiting<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.project().place.as_pin_mut().map_or(Poll::Ready(()), |place| place.poll(context))
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").finish_non_exhaustive()
    }
}

#[cfg(all(test, exeunt_loom))]
mod loom_tests {
    use super::Bell;
    use crate::counts::PhaseCell;
    use crate::loom::model;
    use crate::machine::Phase;
    use futures_util::FutureExt as _;
    use std::sync::Arc;

    #[test]
    fn loom_whoever_waits_sees_it_or_is_woken() {
        model(|| {
            let shared = Arc::new((PhaseCell::new(), Bell::default()));
            let waiter = {
                let shared = Arc::clone(&shared);
                loom::thread::spawn(move || {
                    let (phase, bell) = &*shared;
                    // What it is when it was polled too early, or never.
                    let mut waiting = bell.wait(|| phase.load() >= Phase::LameDuck);
                    while (&mut waiting).now_or_never().is_none() {
                        loom::thread::yield_now();
                    }
                })
            };
            let (phase, bell) = &*shared;
            phase.set(Phase::LameDuck);
            bell.ring();
            waiter.join().unwrap();
        });
    }
}
