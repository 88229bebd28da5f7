//! The signal thread: one in a process, however many lifecycles there are (L10, L18).

use crate::cause::Received;
use crate::core::Core;
use crate::foreign::foreign;
use crate::lifecycle::InstallError;
use crate::machine::Input;
use crate::runner::detached;
use crate::signal::Signal;
use exeunt_sys::signal as sys;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Taken to join and to leave, and never by the signal thread, which is waited for under it.
static CONTROL: Mutex<Control> = Mutex::new(Control { next: 0, thread: None, handlers: BTreeMap::new() });

/// Who gets signals and ticks. The only lock that the signal thread takes here.
static MEMBERS: Mutex<Vec<Member>> = Mutex::new(Vec::new());

/// How often somebody has asked for [`settle`], and how many of them have what they asked for.
static ASKED: AtomicU64 = AtomicU64::new(0);
static SETTLED: Mutex<u64> = Mutex::new(0);
static SETTLES: Condvar = Condvar::new();

thread_local! {
    static IS_SIGNAL_THREAD: Cell<bool> = const { Cell::new(false) };
}

struct Control {
    next: u64,
    thread: Option<JoinHandle<()>>,
    handlers: BTreeMap<Signal, sys::Registration>,
}

/// What a lifecycle wants of signals.
#[derive(Clone)]
pub(crate) struct Wishes {
    pub(crate) handled: Vec<Signal>,
    /// Those of them that stop it.
    pub(crate) stopping: Vec<Signal>,
    pub(crate) chain: bool,
    /// The main thread calls the handler that was there before, and one that was put over ours goes below it.
    pub(crate) on_main: bool,
    /// Whether the end of a user's session is for it (L16).
    pub(crate) logoff: bool,
}

#[derive(Clone)]
struct Member {
    id: u64,
    core: Arc<Core>,
    wishes: Wishes,
    /// Signals from before are not for it: nobody may have read them when the last member left.
    since: Instant,
}

/// A lifecycle's place in the hub. Dropping it restores the handlers that nobody else needs, and ends the thread
/// with the last one.
#[derive(Debug)]
pub(crate) struct Membership {
    id: u64,
    ignored: Vec<Signal>,
    process: u32,
}

impl Membership {
    pub(crate) fn ignored(&self) -> &[Signal] {
        &self.ignored
    }

    /// Handles one more signal; false if it stays ignored.
    pub(crate) fn add(&self, signal: Signal) -> Result<bool, InstallError> {
        if sys::is_forked() {
            return Err(InstallError::Forked);
        }
        let mut control = lock(&CONTROL);
        let wants = |wishes: &mut Wishes| {
            let new = !wishes.handled.contains(&signal);
            new.then(|| wishes.handled.push(signal)).is_some()
        };
        if !with_wishes(self.id, wants) {
            return Ok(!self.ignored.contains(&signal));
        }
        // The signal thread lets it land.
        wake();
        match control.handle(&[signal], false) {
            Ok(ignored) => {
                control.settle();
                Ok(ignored.is_empty())
            }
            Err(error) => {
                with_wishes(self.id, |wishes| {
                    wishes.handled.retain(|handled| *handled != signal);
                    true
                });
                Err(error)
            }
        }
    }
}

/// Makes `core` a member: signals reach it from the moment that each handler is in place.
pub(crate) fn join(core: Arc<Core>, wishes: Wishes) -> Result<Membership, InstallError> {
    if sys::is_forked() {
        return Err(InstallError::Forked);
    }
    let inbox = sys::Inbox::open().map_err(InstallError::Pipe)?;
    let mut control = lock(&CONTROL);
    let id = control.next;
    control.next += 1;
    let (handled, renew) = (wishes.handled.clone(), wishes.on_main);
    lock(&MEMBERS).push(Member { id, core, wishes, since: Instant::now() });
    let joined = control.start_thread(inbox).and_then(|()| control.handle(&handled, renew));
    match joined {
        Ok(ignored) => {
            control.settle();
            Ok(Membership { id, ignored, process: std::process::id() })
        }
        Err(error) => {
            let gone = control.leave(id);
            drop(control);
            drop(gone);
            Err(error)
        }
    }
}

/// Takes a member out. It may be the last to have its core, whose values are foreign code: dropped without a lock.
/// Whether a handler of ours is there for that signal.
pub(crate) fn handles(signal: Signal) -> bool {
    // In a forked child the lock may be held by a thread that is not there.
    !sys::is_forked() && lock(&CONTROL).handlers.contains_key(&signal)
}

fn leave(id: u64) {
    let gone = lock(&CONTROL).leave(id);
    _ = foreign(|| drop(gone));
}

/// The signal thread looks at its deadlines again.
pub(crate) fn wake() {
    if let Ok(inbox) = sys::Inbox::open() {
        inbox.wake();
    }
}

/// Blocks until every signal that was delivered before has been taken note of, `timeout` at most; true if it has. Not by
/// the signal thread, which would wait for itself.
pub(crate) fn settle(timeout: Duration) -> bool {
    if is_signal_thread() || sys::is_forked() {
        return false;
    }
    let until = Instant::now() + timeout;
    let mine = ASKED.fetch_add(1, Ordering::SeqCst) + 1;
    wake();
    let mut settled = lock(&SETTLED);
    while *settled < mine {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        settled = SETTLES.wait_timeout(settled, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    true
}

impl Membership {
    /// Puts the handler of a signal that it handles back over another; true if it had to.
    pub(crate) fn renew(&self, signal: Signal) -> Result<bool, InstallError> {
        if sys::is_forked() {
            return Err(InstallError::Forked);
        }
        match lock(&CONTROL).handlers.get_mut(&signal) {
            Some(registration) => registration.renew().map_err(|error| failed(signal, error)),
            None => Ok(false),
        }
    }

    /// Changes which signals stop it, and whether the end of a session does.
    pub(crate) fn change(&self, stopping: Vec<Signal>, logoff: bool) {
        if sys::is_forked() {
            return;
        }
        let mut control = lock(&CONTROL);
        with_wishes(self.id, |wishes| {
            wishes.stopping = stopping;
            wishes.logoff = logoff;
            true
        });
        control.settle();
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let id = self.id;
        if self.process != std::process::id() {
            // A forked child: the locks may be held by threads that are not here.
        } else if is_signal_thread() {
            // A waker that ran here dropped the lifecycle, and this thread cannot wait for its own end.
            // Where no thread can be had, the handlers stay, as if the lifecycle did.
            _ = std::thread::Builder::new().spawn(move || leave(id));
        } else {
            leave(id);
        }
    }
}

impl Control {
    fn start_thread(&mut self, inbox: &'static sys::Inbox) -> Result<(), InstallError> {
        if self.thread.is_none() {
            let thread = std::thread::Builder::new().name("exeunt-signals".to_owned());
            self.thread = Some(thread.spawn(move || run(inbox)).map_err(InstallError::Thread)?);
        }
        Ok(())
    }

    /// Puts handlers in place where there are none yet; answers those that stay ignored.
    fn handle(&mut self, signals: &[Signal], renew: bool) -> Result<Vec<Signal>, InstallError> {
        let mut ignored = Vec::new();
        for &signal in signals {
            if let Some(registration) = self.handlers.get_mut(&signal) {
                if renew {
                    registration.renew().map_err(|error| failed(signal, error))?;
                }
                continue;
            }
            match sys::register(signal.number()).map_err(|error| failed(signal, error))? {
                sys::Registered::Handled(registration) => _ = self.handlers.insert(signal, registration),
                sys::Registered::Ignored => ignored.push(signal),
            }
        }
        Ok(ignored)
    }

    /// Answers who has left, to be dropped without a lock.
    fn leave(&mut self, id: u64) -> Vec<Member> {
        let gone = lock(&MEMBERS).extract_if(.., |member| member.id == id).collect();
        self.settle();
        wake();
        if lock(&MEMBERS).is_empty()
            && let Some(thread) = self.thread.take()
        {
            _ = thread.join();
        }
        gone
    }

    /// Keeps the handlers that somebody needs, as they need them.
    fn settle(&mut self) {
        let members = lock(&MEMBERS);
        self.handlers.retain(|signal, registration| {
            let needed = || members.iter().filter(|member| member.wishes.handled.contains(signal));
            // Whoever had SIGCHLD before us waits for children of their own.
            #[cfg(target_os = "linux")]
            let always = *signal == crate::process::CHILD;
            #[cfg(not(target_os = "linux"))]
            let always = false;
            registration.chain(always || needed().any(|member| member.wishes.chain));
            registration.on_main_thread(needed().any(|member| member.wishes.on_main));
            registration.logoff(needed().any(|member| member.wishes.logoff));
            needed().next().is_some()
        });
    }
}

impl Member {
    fn wake_in(&self) -> Option<Duration> {
        let deadline = self.core.wake_at().map(|(_, left)| left);
        let others = [self.core.hooks().wake_in(), self.core.wake_service_in()];
        deadline.into_iter().chain(others.into_iter().flatten()).min()
    }
}

/// Whether this is the signal thread, which cannot wait for what it brings about itself.
pub(crate) fn is_signal_thread() -> bool {
    IS_SIGNAL_THREAD.try_with(Cell::get).unwrap_or(false)
}

fn with_wishes(id: u64, change: impl FnOnce(&mut Wishes) -> bool) -> bool {
    let mut members = lock(&MEMBERS);
    members.iter_mut().find(|member| member.id == id).is_some_and(|member| change(&mut member.wishes))
}

fn run(inbox: &sys::Inbox) {
    IS_SIGNAL_THREAD.set(true);
    let mut unblocked = BTreeSet::new();
    let mut settled = *lock(&SETTLED);
    loop {
        let members = lock(&MEMBERS).clone();
        if members.is_empty() {
            return;
        }
        for signal in members.iter().flat_map(|member| &member.wishes.handled) {
            // Everybody else may have been started with the signal blocked; it has to land somewhere. One that
            // does not exist is refused to whoever asked for it.
            if unblocked.insert(*signal) {
                _ = sys::unblock(signal.number());
            }
        }
        let left = members.iter().filter_map(Member::wake_in).min();
        release(members);
        // Read before the inbox is: what was there when they asked is among what it gives now.
        let asked = ASKED.load(Ordering::SeqCst);
        let waiting = asked > settled;
        let records = inbox.wait(if waiting { Some(Duration::ZERO) } else { left });
        // Asked for again: whoever joined while we waited may be the one it is for. Not in the loop's head, where the
        // lock would be held all through its body.
        let members = lock(&MEMBERS).clone();
        #[cfg(target_os = "linux")]
        if records.iter().any(|record| record.signal == crate::process::CHILD.number()) {
            crate::process::someone_died();
        }
        for member in &members {
            // Whatever goes wrong with one must not cost the process its signals.
            _ = foreign(|| serve(member, &records));
        }
        release(members);
        if waiting {
            settled = asked;
            *lock(&SETTLED) = settled;
            SETTLES.notify_all();
        }
    }
}

/// Lets go of members that may have left meanwhile, whose cores must not be dropped on this thread: what a program
/// has given them may take its time over that.
fn release(members: Vec<Member>) {
    for core in members.into_iter().filter_map(|member| Arc::into_inner(member.core)) {
        // Where no thread can be had, they stay.
        if let Err((job, _)) = detached("exeunt-drop", Box::new(|| drop(core))) {
            std::mem::forget(job);
        }
    }
}

fn serve(member: &Member, records: &[sys::Record]) {
    for record in records {
        let signal = Signal::new(record.signal);
        let is_for_it = member.wishes.logoff || record.origin != sys::Origin::Logoff;
        if is_for_it && member.wishes.handled.contains(&signal) && record.at >= member.since {
            let received = Received { signal, sender: record.origin.into() };
            let stops = member.wishes.stopping.contains(&signal);
            member.core.hooks().deliver(&member.core, received, record.at, stops);
        }
    }
    member.core.hooks().tick(&member.core);
    member.core.apply(Input::Tick, |_| {});
    member.core.tick_service();
}

fn failed(signal: Signal, error: sys::SignalError) -> InstallError {
    match error {
        sys::SignalError::Forked => InstallError::Forked,
        sys::SignalError::Inbox(source) => InstallError::Pipe(source),
        sys::SignalError::Refused { source, .. } => InstallError::Signal { signal, source },
        other => InstallError::Signal { signal, source: std::io::Error::other(other) },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
