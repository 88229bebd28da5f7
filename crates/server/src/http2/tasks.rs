//! Where hyper's part of each request runs: a task of its own, which a cut reaches.

use super::exchange::{Exchange, order};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Spawns what hyper has to do for each stream.
#[derive(Clone)]
pub(super) struct Tasks(pub(super) Arc<Exchange>);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, part: F) {
        tokio::spawn(Cuttable { part: Some(part), waiting: None, exchange: Arc::clone(&self.0) });
    }
}

pin_project_lite::pin_project! {
    /// A part of a stream, dropped soon after a cut: asked once more for what it does about that, and not waited for.
    /// Dropped, its stream is reset.
    struct Cuttable<F> {
        #[pin]
        part: Option<F>,
        waiting: Option<usize>,
        exchange: Arc<Exchange>,
    }

    impl<F> PinnedDrop for Cuttable<F> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(waiting) = this.waiting {
                this.exchange.forget(waiting);
            }
        }
    }
}

impl<F: Future> Future for Cuttable<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        // Before the poll: what it answers to a cut that comes behind this is a matter of the next.
        let cut = this.exchange.is_ordered(order::CUT);
        let over = this.part.as_mut().as_pin_mut().is_none_or(|part| part.poll(cx).is_ready());
        if over || cut {
            this.part.set(None);
            return Poll::Ready(());
        }
        if this.waiting.is_none() {
            // A spawned task is woken by one waker all its life.
            *this.waiting = this.exchange.wait(cx.waker());
            if this.waiting.is_none() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}
