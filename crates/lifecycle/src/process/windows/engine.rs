//! The one thread that starts and watches all children of the process, on Windows.
//!
//! It sleeps until somebody wants something, until a thread that waits for a child says that it has ended, or until a
//! child's time is over; nothing is polled. No other thread starts or ends a child, so that what happens to each is in
//! one order.

use super::builder::Options;
use super::child::Child;
use super::error::ChildError;
use super::exit::ChildExit;
use super::family::Family;
use super::running::Running;
use crate::foreign::foreign;
use crate::machine::Notice;
use crate::scope::Scope;
use crate::site::Site;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::process::{self, Command, ExitStatus};
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

pub(super) type Answer = Box<dyn FnOnce(Result<Child, ChildError>) + Send>;

pub(super) type OnEnd = Box<dyn FnOnce(ChildExit) + Send>;

/// A child that is to be started.
pub(super) struct Launch {
    pub(super) name: String,
    /// What the report says of it besides.
    pub(super) note: Option<String>,
    pub(super) command: Command,
    pub(super) options: Options,
    pub(super) scope: Arc<Scope>,
    /// Those who hear of the stop together.
    pub(super) family: Family,
    pub(super) site: Site,
    pub(super) answer: Answer,
    /// Called when it has ended, or was given up; not if it never started.
    pub(super) on_end: Option<OnEnd>,
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
    let until = children.values().filter_map(Running::wake_at).min();
    let first = match until {
        Some(until) => orders.recv_timeout(until.saturating_duration_since(Instant::now())).ok(),
        None => orders.recv().ok(),
    };
    first.into_iter().chain(orders.try_iter()).for_each(|order| carry_out(engine, children, order));
    let now = Instant::now();
    children.values_mut().for_each(|child| child.tick(now));
    children.retain(|_, child| !child.is_over());
}

fn carry_out(engine: &'static Engine, children: &mut BTreeMap<u64, Running>, order: Order) {
    match order {
        Order::Start(launch) => {
            if let Some(running) = Running::start(engine, *launch) {
                children.insert(running.id(), running);
            }
        }
        Order::Stop(id) => _ = children.get_mut(&id).map(Running::stop),
        Order::StopFamily(family) => of(family, children).for_each(Running::stop),
        Order::Kill(id) => _ = children.get_mut(&id).map(Running::kill),
        Order::Notice { family, notice } => of(family, children).for_each(|child| child.notice(notice)),
        Order::Ended { id, process, status } => {
            if let Some(child) = children.get_mut(&id) {
                child.end(status);
            }
            drop(process);
        }
    }
}

fn of(family: u64, children: &mut BTreeMap<u64, Running>) -> impl Iterator<Item = &mut Running> {
    children.values_mut().filter(move |child| child.family() == family)
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}
