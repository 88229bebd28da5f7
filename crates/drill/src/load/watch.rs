use std::pin::Pin;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Until when a round watches: unanswered SYNs first, then everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    connects: CancellationToken,
    all: CancellationToken,
}

impl Limits {
    /// From now on a SYN without an answer counts as refused.
    pub(crate) fn end_connects(&self) {
        self.connects.cancel();
    }

    /// From now on nothing is waited for.
    pub(crate) fn end(&self) {
        self.connects.cancel();
        self.all.cancel();
    }

    pub(crate) fn watch(&self) -> Watch {
        Watch {
            connects: Box::pin(self.connects.clone().cancelled_owned()),
            all: Box::pin(self.all.clone().cancelled_owned()),
        }
    }
}

/// One client's view of the limits: registered once, not once per request.
#[derive(Debug)]
pub(crate) struct Watch {
    connects: Pin<Box<WaitForCancellationFutureOwned>>,
    all: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Watch {
    pub(crate) fn connects_over(&mut self) -> impl Future<Output = ()> + '_ {
        self.connects.as_mut()
    }

    pub(crate) fn over(&mut self) -> impl Future<Output = ()> + '_ {
        self.all.as_mut()
    }
}
