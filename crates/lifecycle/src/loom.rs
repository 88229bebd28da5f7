//! The atomics that loom can explore; the standard ones everywhere else. So with tokio's `Notify`.

#[cfg(not(all(test, exeunt_loom)))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

#[cfg(all(feature = "tokio", not(all(test, exeunt_loom))))]
pub(crate) use tokio::sync::{Notify, futures::Notified};

#[cfg(all(test, exeunt_loom))]
pub(crate) use broadcast::{Notified, Notify};
#[cfg(all(test, exeunt_loom))]
pub(crate) use modelled::{AtomicBool, AtomicU8, AtomicU64, Ordering, model};

/// Loom takes sequentially consistent accesses for acquire and release ones; only its fences have the one order
/// that all threads agree on. "Write, then read something else" needs one fence in between, and `SeqCst` on both
/// accesses puts it there. So everything is modelled twice, with the fence at the writes alone and at the reads
/// alone: then either access shows when it is not marked `SeqCst`.
#[cfg(all(test, exeunt_loom))]
mod modelled {
    pub(crate) use loom::sync::atomic::Ordering;
    use loom::sync::atomic::fence;
    use std::cell::Cell;

    /// Where the fences are.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Fences {
        AfterWrites,
        BeforeReads,
    }

    thread_local! {
        // Loom runs all threads of a model on the thread that called it.
        static FENCES: Cell<Fences> = const { Cell::new(Fences::AfterWrites) };
    }

    pub(crate) fn model(check: fn()) {
        for fences in [Fences::AfterWrites, Fences::BeforeReads] {
            FENCES.set(fences);
            loom::model(check);
        }
    }

    macro_rules! atomic {
        ($name:ident, $value:ty) => {
            #[derive(Debug)]
            pub(crate) struct $name(loom::sync::atomic::$name);

            #[allow(dead_code, reason = "each type uses some of them")]
            impl $name {
                pub(crate) fn new(value: $value) -> Self {
                    Self(loom::sync::atomic::$name::new(value))
                }

                pub(crate) fn load(&self, order: Ordering) -> $value {
                    fence_if(order, Fences::BeforeReads);
                    self.0.load(weaker(order, Ordering::Acquire))
                }

                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    self.0.store(value, weaker(order, Ordering::Release));
                    fence_if(order, Fences::AfterWrites);
                }
            }
        };
    }

    atomic!(AtomicBool, bool);
    atomic!(AtomicU8, u8);
    atomic!(AtomicU64, u64);

    impl AtomicU64 {
        pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            let before = self.0.fetch_add(value, weaker(order, Ordering::AcqRel));
            fence_if(order, Fences::AfterWrites);
            before
        }

        pub(crate) fn compare_exchange(
            &self,
            before: u64,
            after: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            let success_order = weaker(success, Ordering::AcqRel);
            let result = self.0.compare_exchange(before, after, success_order, failure);
            fence_if(success, Fences::AfterWrites);
            result
        }
    }

    fn fence_if(order: Ordering, place: Fences) {
        if matches!(order, Ordering::SeqCst) && FENCES.get() == place {
            fence(Ordering::SeqCst);
        }
    }

    fn weaker(order: Ordering, instead: Ordering) -> Ordering {
        if matches!(order, Ordering::SeqCst) { instead } else { order }
    }
}

/// What `Notify` promises of `notify_waiters`: it wakes every `Notified` that existed before, polled or not, and none
/// that comes after.
#[cfg(all(test, exeunt_loom))]
mod broadcast {
    use super::{AtomicU64, Ordering};
    use std::pin::Pin;
    use std::task::{Context, Poll};

    pub(crate) struct Notify(AtomicU64);

    pub(crate) struct Notified<'a> {
        calls: &'a AtomicU64,
        before: u64,
    }

    impl Default for Notify {
        fn default() -> Self {
            Self(AtomicU64::new(0))
        }
    }

    impl Notify {
        pub(crate) fn notify_waiters(&self) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }

        pub(crate) fn notified(&self) -> Notified<'_> {
            Notified { calls: &self.0, before: self.0.load(Ordering::Acquire) }
        }
    }

    impl Future for Notified<'_> {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            if self.calls.load(Ordering::Acquire) == self.before { Poll::Pending } else { Poll::Ready(()) }
        }
    }
}
