//! What the loop and the handles share.

use crate::connect::Resolver;
use crate::connection::Connection;
use crate::entry::{Entry, Socket};
use crate::error::ManagerClosed;
use crate::handler::{Handler, discard};
use crate::limits::Limits;
use crate::stop::Account;
use crate::timer::{Callback, Schedule, Timer, Timers};
use exeunt_lifecycle::{Scope, Stop, Work};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Shared by the [`Manager`](crate::Manager), its handles and its connections.
///
/// Sockets are not in here: the thread that polls owns them, so that everybody else only ever touches memory. What others
/// want of a socket they write down in its connection's state, and put the connection into the inbox.
///
/// Locks are taken in this order, and never while foreign code runs: a connection's state; then any one of those in here.
pub(crate) struct Core {
    pub(crate) handler: Option<Handler>,
    pub(crate) limits: Limits,
    waker: Result<mio::Waker, io::ErrorKind>,
    inbox: Mutex<Inbox>,
    open: Mutex<BTreeMap<u64, Connection>>,
    timers: Mutex<Timers>,
    stage: AtomicU8,
    last_id: AtomicU64,
    closed: AtomicBool,
    stop: RwLock<Option<Stop>>,
    /// The pass is to end behind the present turn.
    interrupted: AtomicBool,
    scope: RwLock<Option<Scope>>,
    account: Mutex<Account>,
    date: Mutex<Date>,
    resolver: Resolver,
    waiting: OnceLock<Box<Around>>,
}

/// What is done around a wait, which it is given, and calls.
pub(crate) type Around = dyn Fn(&mut (dyn FnMut(bool) -> bool + Send)) + Send + Sync;

/// How far the stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Serving,
    Draining,
    Cut,
}

/// What is to be done by the thread that polls.
#[derive(Default)]
pub(crate) struct Inbox {
    /// The thread waits for events, or is about to. Whoever writes in here takes it, and wakes the thread.
    asleep: bool,
    /// The next wait is to end at once, though there may be nothing in here.
    wake: bool,
    closed: bool,
    pub(crate) added: Vec<Entry>,
    pub(crate) touched: Vec<Connection>,
    pub(crate) wakeups: VecDeque<(u64, Vec<u8>)>,
}

impl Inbox {
    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.touched.is_empty() && self.wakeups.is_empty()
    }
}

struct Date {
    second: u64,
    text: String,
}

impl Core {
    pub(crate) fn new(
        handler: Option<Handler>,
        limits: Limits,
        waker: Result<mio::Waker, io::ErrorKind>,
    ) -> Self {
        Self {
            handler,
            limits,
            waker,
            inbox: Mutex::default(),
            open: Mutex::default(),
            timers: Mutex::default(),
            stage: AtomicU8::new(0),
            last_id: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            stop: RwLock::new(None),
            interrupted: AtomicBool::new(false),
            scope: RwLock::new(None),
            account: Mutex::default(),
            date: Mutex::new(Date { second: u64::MAX, text: String::new() }),
            resolver: Resolver::new(),
            waiting: OnceLock::new(),
        }
    }

    /// What is done around waits from now on; false if something is already.
    pub(crate) fn around_waits(&self, around: Box<Around>) -> bool {
        self.waiting.set(around).is_ok()
    }

    /// Waits, for the kernel or a disk, under no lock. `wait` is told whether it may, and gives what came of it, if that was
    /// to be had without. None if whoever is around it did not let it.
    pub(crate) fn wait<T: Send>(&self, mut wait: impl FnMut(bool) -> Option<T> + Send) -> Option<T> {
        let Some(around) = self.waiting.get() else { return wait(true) };
        let mut waited = None;
        around(&mut |may_wait| {
            if waited.is_none() {
                waited = wait(may_wait);
            }
            waited.is_some()
        });
        waited
    }

    /// Why there is no loop, if there is none.
    pub(crate) fn broken(&self) -> Option<io::ErrorKind> {
        self.waker.as_ref().err().copied()
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Connection>> {
        lock(&self.open)
    }

    pub(crate) fn timers(&self) -> MutexGuard<'_, Timers> {
        lock(&self.timers)
    }

    pub(crate) fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        lock(&self.account)
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::SeqCst) {
            0 => Stage::Serving,
            1 => Stage::Draining,
            _ => Stage::Cut,
        }
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::SeqCst);
    }

    /// The stop that this loop belongs to, from now on.
    pub(crate) fn follow(&self, stop: &Stop) {
        let mut place = self.stop.write().unwrap_or_else(PoisonError::into_inner);
        let before = place.replace(stop.clone());
        drop(place);
        drop(before);
    }

    /// Whether responses must announce the end (D2).
    pub(crate) fn is_stopping(&self) -> bool {
        self.stage() > Stage::Serving
            || self
                .stop
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .as_ref()
                .is_some_and(Stop::is_requested)
    }

    /// Counts requests in `scope` from now on; or, with `None`, no more, which says that none will begin.
    pub(crate) fn count_in(&self, scope: Option<Scope>) {
        let before =
            std::mem::replace(&mut *self.scope.write().unwrap_or_else(PoisonError::into_inner), scope);
        drop(before);
    }

    /// A piece of work, where somebody counts.
    pub(crate) fn begin_work(&self) -> Option<Work> {
        self.scope.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(Scope::begin)
    }

    /// Whether the scope that counts has been told to cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.scope.read().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(Scope::is_cut)
    }

    /// Now, as an HTTP date (RFC 9110 §5.6.7), given to `write`.
    pub(crate) fn with_date<T>(&self, write: impl FnOnce(&str) -> T) -> T {
        let now = SystemTime::now();
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut date = lock(&self.date);
        if date.second != second {
            *date = Date { second, text: httpdate::fmt_http_date(now) };
        }
        write(&date.text)
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        discard(self.handler.take());
    }
}

/// The inbox.
impl Core {
    /// Has the thread that polls do what the connection's state says.
    pub(crate) fn touch(&self, connection: &Connection) {
        self.write_down(|inbox| inbox.touched.push(connection.of(None)));
    }

    /// Sends a payload to a connection's handler, by way of the thread that polls.
    pub(crate) fn wakeup(&self, id: u64, payload: Vec<u8>) {
        self.write_down(|inbox| inbox.wakeups.push_back((id, payload)));
    }

    /// Hands a socket over to the thread that polls; refused, too, is one that is to be connected behind the cut.
    pub(crate) fn add(&self, entry: Entry) -> Result<(), ManagerClosed> {
        let mut refused = None;
        self.write_down(|inbox| {
            // Looked at with the inbox locked: the cut sets the stage first, and empties the inbox afterwards.
            let late = matches!(entry.socket, Socket::Connecting(_)) && self.stage() == Stage::Cut;
            if inbox.closed || late { refused = Some(entry) } else { inbox.added.push(entry) }
        });
        refused.map_or(Ok(()), |_| Err(ManagerClosed))
    }

    /// Has the present or next poll return at once.
    pub(crate) fn wake(&self) {
        self.write_down(|inbox| inbox.wake = true);
    }

    /// Has the present or next poll return behind the turn that it is at.
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// Whether it was interrupted; it is no more.
    pub(crate) fn take_interrupt(&self) -> bool {
        self.is_interrupted() && self.interrupted.swap(false, Ordering::SeqCst)
    }

    /// Adds a timer.
    pub(crate) fn add_timer(
        self: &Arc<Self>,
        schedule: Schedule,
        callback: Callback,
    ) -> Result<Timer, ManagerClosed> {
        // Closing sets the mark first and clears the timers afterwards, so that this one is seen by one of the two.
        let timer = self.timers().add(Arc::downgrade(self), schedule, callback, Instant::now());
        if self.is_closed() {
            timer.cancel();
            return Err(ManagerClosed);
        }
        timer.tidy();
        // Whoever sleeps may have to sleep less.
        self.write_down(|_| {});
        Ok(timer)
    }

    /// Takes out what is to be done, if anything is, but no more than that many wakeups; that the next wait is to end at
    /// once stays.
    pub(crate) fn take_inbox(&self, wakeups: usize) -> Option<Inbox> {
        let mut inbox = lock(&self.inbox);
        if inbox.is_empty() {
            return None;
        }
        let Inbox { wake, closed, .. } = *inbox;
        let mut taken = std::mem::replace(&mut *inbox, Inbox { wake, closed, ..Inbox::default() });
        if taken.wakeups.len() > wakeups {
            inbox.wakeups = taken.wakeups;
            taken.wakeups = inbox.wakeups.drain(..wakeups).collect();
        }
        Some(taken)
    }

    /// Whether sockets wait to be taken in.
    pub(crate) fn has_added(&self) -> bool {
        !lock(&self.inbox).added.is_empty()
    }

    /// Whether something is to be done by the thread that polls.
    pub(crate) fn has_written_down(&self) -> bool {
        !lock(&self.inbox).is_empty()
    }

    /// Called before waiting: whether there is nothing to do, so that whoever writes something down must wake the thread.
    pub(crate) fn fall_asleep(&self) -> bool {
        let mut inbox = lock(&self.inbox);
        let quiet = inbox.is_empty() && !std::mem::take(&mut inbox.wake);
        inbox.asleep = quiet;
        quiet
    }

    /// Called after waiting.
    pub(crate) fn awake(&self) {
        let mut inbox = lock(&self.inbox);
        inbox.asleep = false;
        inbox.wake = false;
    }

    /// From here on nothing is added.
    pub(crate) fn shut(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.resolver.close();
        lock(&self.inbox).closed = true;
    }

    fn write_down(&self, write: impl FnOnce(&mut Inbox)) {
        let asleep = {
            let mut inbox = lock(&self.inbox);
            write(&mut inbox);
            std::mem::take(&mut inbox.asleep)
        };
        if asleep
            && let Ok(waker) = &self.waker
            && let Err(error) = waker.wake()
        {
            tracing::error!(target: "exeunt::manager", %error, "the loop could not be woken");
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
