//! The one thread that starts and watches all children of the process, on Windows.
//!
//! It sleeps until somebody wants something, until a thread that waits for a child says that it has ended, or until a
//! child's time is over; nothing is polled. No other thread starts or ends a child, so that what happens to each is in
//! one order.

use super::family::Family;
use super::launch::Launch;
use super::life::Input;
use super::running::Running;
use crate::foreign::foreign;
use crate::machine::Notice;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::process::{self, ExitStatus};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

static ENGINE: Mutex<Option<&'static Engine>> = Mutex::new(None);

pub(super) struct Engine {
    orders: Sender<Order>,
    next: AtomicU64,
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
    /// It has ended. As long as its handle is open, no other process has its id, and no other group.
    Ended {
        id: u64,
        process: process::Child,
        status: io::Result<ExitStatus>,
    },
}

impl Engine {
    /// Begins with the first child of a process. Never `None` here, where nothing forks.
    pub(super) fn of_this_process() -> io::Result<Option<&'static Self>> {
        let mut engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
        if engine.is_none() {
            let (orders, taken) = mpsc::channel();
            let new: &'static Self = Box::leak(Box::new(Self { orders, next: AtomicU64::new(1) }));
            std::thread::Builder::new().name("exeunt-children".to_owned()).spawn(move || run(new, &taken))?;
            *engine = Some(new);
        }
        Ok(*engine)
    }

    #[expect(clippy::unused_self, reason = "on Unix it depends on the process")]
    pub(super) fn is_forked(&self) -> bool {
        false
    }

    /// One that nobody else has.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn family(&self) -> Family {
        Family { id: self.number(), members: Arc::default() }
    }

    /// Never blocks, from any thread.
    pub(super) fn order(&self, order: Order) {
        // The thread that takes them never ends.
        _ = self.orders.send(order);
    }
}

fn run(engine: &'static Engine, orders: &Receiver<Order>) {
    let mut children = BTreeMap::new();
    loop {
        // Whatever goes wrong with one must not end the thread: nobody would tell or kill the others.
        _ = foreign(|| turn(engine, orders, &mut children));
    }
}

fn turn(engine: &'static Engine, orders: &Receiver<Order>, children: &mut BTreeMap<u64, Running>) {
    let until = children.values().filter_map(|child| child.charge.life.wake_at()).min();
    let first = match until {
        Some(until) => orders.recv_timeout(until.saturating_duration_since(Instant::now())).ok(),
        None => orders.recv().ok(),
    };
    first.into_iter().chain(orders.try_iter()).for_each(|order| carry_out(engine, children, order));
    let now = Instant::now();
    let due = children.values_mut().filter(|child| child.charge.life.wake_at().is_some_and(|at| at <= now));
    due.for_each(|child| child.apply(Input::Tick));
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
        Order::Notice { family, notice } => {
            if let Some(input) = Input::of(notice) {
                of(family, children).for_each(|child| child.apply(input));
            }
        }
        Order::Ended { id, process, status } => {
            if let Some(child) = children.get_mut(&id) {
                child.end(status);
            }
            drop(process);
        }
    }
}

fn of(family: u64, children: &mut BTreeMap<u64, Running>) -> impl Iterator<Item = &mut Running> {
    children.values_mut().filter(move |child| child.charge.family == family)
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}
