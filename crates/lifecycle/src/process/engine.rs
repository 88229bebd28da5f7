//! The one thread that starts, watches and reaps all children of the process.
//!
//! 1. It never ends, since the kernel's parent-death signal follows the thread that spawned a child, not its process.
//! 2. It sleeps until something happens to a child (a pidfd, its notify socket, its stderr), until somebody wants
//!    something (the waker), or until a child's time is over; nothing is polled.
//! 3. It alone reaps, so that between the end of a child and its reaping its group can be killed, and no other has its id.

use super::family::Family;
use super::launch::Launch;
use super::life::Input;
use super::running::{Running, What};
use super::strangers::Strangers;
use crate::foreign::foreign;
use crate::machine::Notice;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::mem::take;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

static ENGINE: Mutex<Option<&'static Engine>> = Mutex::new(None);

/// The process that has the engine, for forked children, where its lock may be held for ever.
static PROCESS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

pub(super) struct Engine {
    process: u32,
    epoll: OwnedFd,
    waker: OwnedFd,
    orders: Mutex<Vec<Order>>,
    next: AtomicU64,
    strangers: Mutex<Strangers>,
}

/// What others want of the thread.
pub(super) enum Order {
    Start(Box<Launch>),
    Stop(u64),
    StopFamily(u64),
    Kill(u64),
    Notice {
        family: u64,
        notice: Notice,
    },
    /// Somebody has died who may be a stranger.
    Look,
    /// A thread that waits for it says so.
    Ended(u64),
}

impl Engine {
    /// Begins with the first child of a process. `None` in a forked child of that process.
    pub(super) fn of_this_process() -> io::Result<Option<&'static Self>> {
        let here = std::process::id();
        // Before the lock, which a thread that is not here may hold.
        if !matches!(PROCESS.load(Ordering::SeqCst), 0) && PROCESS.load(Ordering::SeqCst) != here {
            return Ok(None);
        }
        let mut engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = *engine {
            return Ok(Some(engine));
        }
        let new = Self {
            process: here,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            waker: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            orders: Mutex::default(),
            next: AtomicU64::new(1),
            strangers: Mutex::default(),
        };
        new.watch(&new.waker, WAKER)?;
        // The thread first: without one, nothing is left behind for ever.
        let (give, take) = mpsc::channel::<&'static Self>();
        std::thread::Builder::new().name("exeunt-children".to_owned()).spawn(move || take.recv().map(run))?;
        let new: &'static Self = Box::leak(Box::new(new));
        _ = give.send(new);
        PROCESS.store(here, Ordering::SeqCst);
        *engine = Some(new);
        Ok(Some(new))
    }

    /// If there is one, and this is its process.
    pub(super) fn if_any() -> Option<&'static Self> {
        match PROCESS.load(Ordering::SeqCst) {
            here if here == std::process::id() => *ENGINE.lock().unwrap_or_else(PoisonError::into_inner),
            _ => None,
        }
    }

    /// Not in a forked child.
    pub(super) fn strangers(&self) -> MutexGuard<'_, Strangers> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }

    /// One that nobody else has.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn family(&self) -> Family {
        Family { id: self.number(), members: Arc::default() }
    }

    /// Never blocks, from any thread. Nothing in a forked child.
    pub(super) fn order(&self, order: Order) {
        if self.is_forked() {
            return;
        }
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
        // That it is full means that the thread has yet to look.
        _ = rustix::io::write(&self.waker, &1_u64.to_ne_bytes());
    }

    pub(super) fn watch(&self, what: impl AsFd, token: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, what, EventData::new_u64(token), EventFlags::IN)?)
    }

    /// Before it is closed: that alone does not end the watch where a forked child has a copy of it (epoll(7)), and what
    /// nobody reads would wake the thread for ever.
    pub(super) fn forget(&self, what: impl AsFd) {
        _ = epoll::delete(&self.epoll, what);
    }

    fn take_orders(&self) -> Vec<Order> {
        take(&mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

const WAKER: u64 = u64::MAX;

fn run(engine: &'static Engine) -> ! {
    let mut children = BTreeMap::new();
    loop {
        // Whatever goes wrong with one must not end the thread, which would kill all of them.
        _ = foreign(|| turn(engine, &mut children));
    }
}

fn turn(engine: &'static Engine, children: &mut BTreeMap<u64, Running>) {
    let until = children.values().filter_map(|child| child.charge.life.wake_at()).min();
    let mut events = Vec::with_capacity(64);
    let woken = epoll::wait(&engine.epoll, spare_capacity(&mut events), until.map(wait).as_ref());
    if woken.is_err() {
        events.clear();
    }
    for event in &events {
        let token = event.data.u64();
        if token == WAKER {
            _ = rustix::io::read(&engine.waker, &mut [0; 8]);
        } else if let (Some(child), Some(what)) = (children.get_mut(&(token >> 2)), What::of(token)) {
            child.happens(what);
        }
    }
    for order in engine.take_orders() {
        carry_out(engine, children, order);
    }
    let now = Instant::now();
    let due = children.values_mut().filter(|child| child.charge.life.wake_at().is_some_and(|at| at <= now));
    due.for_each(|child| child.apply(Input::Tick));
    let doomed: Vec<u64> = children.values_mut().filter_map(Running::take_doom).collect();
    if !doomed.is_empty() {
        let mut strangers = engine.strangers();
        doomed.into_iter().for_each(|child| strangers.doom(child));
        strangers.look();
    }
    children.retain(|_, child| !child.is_over());
}

fn carry_out(engine: &'static Engine, children: &mut BTreeMap<u64, Running>, order: Order) {
    match order {
        Order::Start(launch) => {
            if let Some(running) = Running::start(engine, *launch) {
                children.insert(running.charge.shared.id, running);
            }
        }
        Order::Stop(id) => _ = children.get_mut(&id).map(|child| child.apply(Input::Stop)),
        Order::StopFamily(family) => of(family, children).for_each(|child| child.apply(Input::Stop)),
        Order::Kill(id) => _ = children.get_mut(&id).map(|child| child.apply(Input::Kill)),
        Order::Look => engine.strangers().look(),
        Order::Ended(id) => _ = children.get_mut(&id).map(|child| child.happens(What::End)),
        Order::Notice { family, notice } => {
            if let Some(input) = Input::of(notice) {
                of(family, children).for_each(|child| child.apply(input));
            }
        }
    }
}

fn of(family: u64, children: &mut BTreeMap<u64, Running>) -> impl Iterator<Item = &mut Running> {
    children.values_mut().filter(move |child| child.charge.family == family)
}

/// Whole milliseconds, rounded up: a wait that ends too early would be begun again and again.
fn wait(until: Instant) -> Timespec {
    let left = until.saturating_duration_since(Instant::now()).min(LONGEST);
    let millis = u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    let left = Duration::from_millis(millis);
    Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    }
}

/// Older kernels take no more than an `int` of milliseconds (`epoll_wait(2)`).
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}
