//! The queue of a pool, which stops without a worker's help.
//!
//! Closing the channel refuses every later push, and what was pushed before can still be taken out: by the workers,
//! or by whoever tells the pool that the drain has begun or its deadline come. Each job is taken out once.

use super::guard::Guard;
use super::outcome::OnFailure;
use super::pool::PushError;
use super::registry::Name;
use super::tracked::Tracked;
use crate::machine::Notice;
use crate::scope::{OnNotice, Scope};
use async_channel::{Receiver, Sender, TrySendError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What becomes of the jobs that wait when the drain begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leftovers {
    Finish,
    HandBack,
}

pub(super) struct Queue<J> {
    sender: Sender<Queued<J>>,
    receiver: Receiver<Queued<J>>,
    leftovers: Leftovers,
    /// Nobody is left to whom anything could be handed back.
    abandoned: AtomicBool,
    rest: Mutex<Vec<J>>,
    name: Arc<str>,
    next: AtomicU64,
    name_of: Option<NameOf<J>>,
}

/// What the report calls a job.
pub(super) type NameOf<J> = Box<dyn Fn(&J) -> String + Send + Sync>;

/// A job in the queue, or waiting to be.
pub(super) struct Queued<J> {
    job: J,
    ticket: Ticket,
}

/// Dropped in the queue, as that is dropped with its last worker, it says that the job is cut; dropped by whoever
/// waits for room, it says that the job never was.
struct Ticket {
    tracked: Option<Tracked>,
    /// Whether whoever waited for room has gone away.
    withdrawn: Option<Arc<AtomicBool>>,
}

impl<J> Queued<J> {
    pub(super) fn new(job: J, tracked: Tracked) -> Self {
        Self { job, ticket: Ticket { tracked: Some(tracked), withdrawn: None } }
    }

    fn open(mut self) -> (J, Option<Tracked>) {
        let tracked = self.ticket.tracked.take();
        (self.job, tracked)
    }

    fn refuse(self) -> J {
        let (job, tracked) = self.open();
        if let Some(tracked) = tracked {
            tracked.refuse();
        }
        job
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let withdrawn = self.withdrawn.as_ref().is_some_and(|withdrawn| withdrawn.load(Ordering::SeqCst));
        match self.tracked.take() {
            Some(tracked) if withdrawn => tracked.refuse(),
            Some(tracked) => tracked.cut(),
            None => {}
        }
    }
}

/// Somebody who waits for room.
struct Waiting {
    withdrawn: Arc<AtomicBool>,
    has_room: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.withdrawn.store(!self.has_room, Ordering::SeqCst);
    }
}

impl<J: Send + 'static> Queue<J> {
    pub(super) fn new(
        scope: &Scope,
        length: usize,
        leftovers: Leftovers,
        name_of: Option<NameOf<J>>,
    ) -> Arc<Self> {
        let (sender, receiver) = channel(length);
        let queue = Arc::new(Self {
            sender,
            receiver,
            leftovers,
            abandoned: AtomicBool::new(false),
            rest: Mutex::new(Vec::new()),
            name: Arc::from(scope.name()),
            next: AtomicU64::new(1),
            name_of,
        });
        let shared = Arc::downgrade(scope.shared());
        let told = Arc::downgrade(&queue);
        let act: OnNotice = Arc::new(move |notice| {
            if let Some(queue) = told.upgrade() {
                queue.told(notice);
            }
            if let Some(scope) = shared.upgrade() {
                scope.seal();
            }
        });
        scope.shared().on_notice(&act);
        queue
    }

    pub(super) fn push(&self, queued: Queued<J>) -> Result<(), J> {
        self.sender.send_blocking(queued).map_err(|refused| refused.0.refuse())
    }

    pub(super) fn try_push(&self, queued: Queued<J>) -> Result<(), PushError<J>> {
        self.sender.try_send(queued).map_err(|refused| match refused {
            TrySendError::Full(queued) => PushError::Full(queued.refuse()),
            TrySendError::Closed(queued) => PushError::Draining(queued.refuse()),
        })
    }

    pub(super) async fn push_async(&self, queued: Queued<J>) -> Result<(), J> {
        let mut queued = match self.sender.try_send(queued) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(queued)) => return Err(queued.refuse()),
            Err(TrySendError::Full(queued)) => queued,
        };
        let withdrawn = Arc::new(AtomicBool::new(false));
        queued.ticket.withdrawn = Some(Arc::clone(&withdrawn));
        let mut sent = std::pin::pin!(self.sender.send(queued));
        // Behind the job, and so dropped before it.
        let mut waiting = Waiting { withdrawn, has_room: false };
        let result = sent.as_mut().await;
        waiting.has_room = true;
        result.map_err(|refused| refused.0.refuse())
    }

    /// The next job for a worker; `None` when there will be none.
    pub(super) fn next_blocking(&self, then: OnFailure) -> Option<(J, Guard)> {
        loop {
            let queued = self.receiver.recv_blocking().ok()?;
            if let Some(begun) = self.begin(queued, then) {
                return Some(begun);
            }
        }
    }

    /// The next job for a worker; `None` when there will be none.
    #[cfg(feature = "tokio")]
    pub(super) async fn next(&self, then: OnFailure) -> Option<(J, Guard)> {
        loop {
            let queued = self.receiver.recv().await.ok()?;
            if let Some(begun) = self.begin(queued, then) {
                return Some(begun);
            }
        }
    }

    pub(super) fn take_rest(&self) -> Vec<J> {
        std::mem::take(&mut *self.rest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the pool accepts nothing more.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) fn waiting(&self) -> usize {
        self.receiver.len()
    }

    pub(super) fn name_of(&self, job: &J) -> Option<String> {
        self.name_of.as_ref().map(|name_of| name_of(job))
    }

    pub(super) fn number(&self) -> Name {
        Name::Numbered { of: Arc::clone(&self.name), number: self.next.fetch_add(1, Ordering::Relaxed) }
    }

    /// A job that a worker took while the deadline came is not begun any more.
    fn begin(&self, queued: Queued<J>, then: OnFailure) -> Option<(J, Guard)> {
        let (job, tracked) = queued.open();
        let tracked = tracked?;
        if tracked.is_cut() {
            self.keep(job);
            tracked.cut();
            return None;
        }
        tracked.becomes("job");
        Some((job, Guard::new(tracked, then)))
    }

    fn told(&self, notice: Notice) {
        self.receiver.close();
        let hand_back = self.leftovers == Leftovers::HandBack && !self.abandoned.load(Ordering::SeqCst);
        if notice < Notice::Cut && !hand_back {
            return;
        }
        while let Ok(queued) = self.receiver.try_recv() {
            let (job, tracked) = queued.open();
            // Kept first: whoever sees the work ended finds the job.
            self.keep(job);
            match tracked {
                Some(tracked) if notice >= Notice::Cut => tracked.cut(),
                Some(tracked) => tracked.hand_back(),
                None => {}
            }
        }
    }

    fn keep(&self, job: J) {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner).push(job);
    }
}

/// A bounded channel takes its room at once. Nobody means to fill one that is longer than this: it has no bound then.
const LONGEST: usize = 1 << 20;

fn channel<T>(length: usize) -> (Sender<T>, Receiver<T>) {
    if length > LONGEST { async_channel::unbounded() } else { async_channel::bounded(length) }
}

impl<J> Queue<J> {
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
        self.receiver.close();
    }
}

#[cfg(test)]
mod tests {
    use super::{Leftovers, OnFailure, Queue, Queued};
    use crate::site::Site;
    use crate::{Config, Lifecycle, Phase};
    use std::time::Duration;

    /// Long enough for what is waited for, on any machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn l13_a_job_that_is_taken_as_the_deadline_comes_is_kept_and_not_begun() {
        let config = Config::default().grace(Duration::from_millis(60)).signals([]);
        let lifecycle = Lifecycle::install(config).unwrap();
        let scope = lifecycle.scope("resize");
        let queue = Queue::new(&scope, 1, Leftovers::Finish, None);
        let take = |job| Queued::new(job, scope.track_as(queue.number(), "queued job", Site::here()));
        let (begun, guard) = queue.begin(take(1), OnFailure::GoOn).unwrap();
        assert_eq!((begun, scope.live(1)[0].kind), (1, "job"));
        guard.run(|| ());
        let late = take(2);
        lifecycle.stop().request_stop("enough");
        assert!(lifecycle.stop().wait_for(Phase::Closing, PATIENCE).unwrap());
        assert!(queue.begin(late, OnFailure::GoOn).is_none());
        assert_eq!(queue.take_rest(), [2]);
        let report = lifecycle.close();
        let cut: Vec<_> = report.scopes[0].cut.iter().map(|job| (job.name.as_str(), job.kind)).collect();
        assert_eq!(cut, [("resize #2", "queued job")]);
    }
}
