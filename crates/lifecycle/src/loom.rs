//! The atomics that loom can explore; the standard ones everywhere else.

#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

#[cfg(all(test, loom))]
pub(crate) use modelled::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// Loom takes sequentially consistent accesses for acquire and release ones; only its fences have the one order
/// that all threads agree on. Putting fences around the accesses marked `SeqCst`, and around no others, gives
/// them that order, and weakening one is still found out.
#[cfg(all(test, loom))]
mod modelled {
    pub(crate) use loom::sync::atomic::Ordering;
    use loom::sync::atomic::fence;

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
                    fenced(order, || self.0.load(weaker(order, Ordering::Acquire)))
                }

                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    fenced(order, || self.0.store(value, weaker(order, Ordering::Release)));
                }
            }
        };
    }

    atomic!(AtomicBool, bool);
    atomic!(AtomicU8, u8);
    atomic!(AtomicU64, u64);

    impl AtomicU64 {
        pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            fenced(order, || self.0.fetch_add(value, weaker(order, Ordering::AcqRel)))
        }
    }

    fn fenced<T>(order: Ordering, access: impl FnOnce() -> T) -> T {
        let total = matches!(order, Ordering::SeqCst);
        if total {
            fence(Ordering::SeqCst);
        }
        let value = access();
        if total {
            fence(Ordering::SeqCst);
        }
        value
    }

    fn weaker(order: Ordering, instead: Ordering) -> Ordering {
        if matches!(order, Ordering::SeqCst) { instead } else { order }
    }
}
