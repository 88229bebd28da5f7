//! What is told, and when. Every time is handed in.

use super::message::Message;
use super::preset::Waits;
use super::socket::{ServiceError, Socket, monotonic, watchdog};
use crate::machine::Phase;
use crate::report::Span;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whether somebody speaks for this process.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// How much time is asked for at once: a process that hangs as a whole is killed so long after its last word.
const STEP: Duration = Duration::from_secs(20);

/// Half of it, so that one message may be late.
const AGAIN: Duration = Duration::from_secs(10);

/// What may come behind the hard deadline: hooks (2 s), the report's file (2 s), whoever is still told (1 s).
const BEHIND: Duration = Duration::from_secs(5);

/// When to offer again what the manager had no room for.
const RETRY: Duration = Duration::from_millis(100);

/// How many messages wait for room.
const WAITING: usize = 16;

/// The one that speaks for the process.
#[derive(Debug)]
pub(crate) struct Service {
    socket: Socket,
    /// How often the watchdog is fed.
    feed: Option<Duration>,
    waits: Option<Waits>,
    /// Another may speak for the process. No lock: it may be dropped in a forked child (L17).
    over: AtomicBool,
    told: Mutex<Told>,
}

/// How the lifecycle is.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// In words, and who is waited for.
    pub(crate) status: String,
    pub(crate) exit_status: Option<u8>,
    /// The stop was requested by a failure.
    pub(crate) failed: bool,
    /// From the stop request to the hard deadline, and what is left of that.
    pub(crate) stop: Option<(Duration, Duration)>,
    /// A live shield has moved the deadlines.
    pub(crate) shielded: bool,
    /// Grows with everything that gets done.
    pub(crate) done: u64,
}

/// What was told, and what is to be.
#[derive(Debug, Default)]
struct Told {
    unsent: VecDeque<Message>,
    retry_at: Option<Instant>,
    feed_at: Option<Instant>,
    extension: Option<Extension>,
    reloads: u32,
    errno: Option<i32>,
    /// For the log, and whether it has had that there is a problem.
    warnings: Vec<String>,
    has_problem: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extension {
    due: Instant,
    seen: (Phase, u64),
}

impl Service {
    /// If a manager wants to be told of this process, and no other lifecycle does so.
    pub(crate) fn of_process(waits: Option<Waits>) -> Result<Option<Self>, ServiceError> {
        let (Some(socket), watchdog) = (Socket::of_manager()?, watchdog()?) else { return Ok(None) };
        if TAKEN.swap(true, Ordering::SeqCst) {
            return Ok(None);
        }
        Ok(Some(Self::new(socket, watchdog, waits)))
    }

    pub(super) fn new(socket: Socket, watchdog: Option<Duration>, waits: Option<Waits>) -> Self {
        Self {
            socket,
            feed: watchdog.map(|longest| longest / 2),
            waits,
            over: AtomicBool::new(false),
            told: Mutex::default(),
        }
    }

    /// The lifecycle has begun.
    pub(crate) fn begin(&self, now: Instant) {
        let mut told = self.told();
        told.feed_at = self.feed.map(|_| now);
        self.send(&mut told, Message::status(Phase::Starting.to_string()), now);
    }

    /// Nothing more is told, and somebody else may speak for the process.
    pub(crate) fn end(&self) {
        if !self.over.swap(true, Ordering::SeqCst) {
            TAKEN.store(false, Ordering::SeqCst);
        }
    }

    /// The number that goes with the failure that ends the program.
    pub(crate) fn blame(&self, errno: Option<i32>) {
        let mut told = self.told();
        told.errno = told.errno.or(errno);
    }

    /// The phase has changed, or the deadlines have.
    pub(crate) fn moved(&self, before: Phase, state: &State, now: Instant) {
        let mut told = self.told();
        let is_new = |phase| before < phase && state.phase >= phase;
        let mut message = Message::default();
        if before != state.phase {
            message.status = Some(state.status.clone());
        }
        // A stop passes through `Running` on its way.
        if is_new(Phase::Running) && state.phase == Phase::Running {
            message.ready = true;
            message.main_pid = Some(std::process::id());
        }
        if is_new(Phase::LameDuck) {
            message.stopping = true;
            message.errno = told.errno.filter(|_| state.failed);
        }
        if state.phase == Phase::Stopped {
            message.exit_status = state.exit_status;
            told.extension = None;
        } else if self.needs_time(state) && (told.extension.is_none() || state.shielded) {
            message.extend = self.extend(&mut told, state, now);
        }
        self.send(&mut told, message, now);
    }

    /// Called by the signal thread when it has the core.
    pub(crate) fn tick(&self, state: impl FnOnce() -> State, now: Instant) {
        let mut told = self.told();
        let mut message = Message::default();
        if told.retry_at.is_some_and(|at| at <= now) {
            told.retry_at = None;
            self.send_waiting(&mut told, now);
        }
        if told.feed_at.is_some_and(|at| at <= now) {
            message.watchdog = true;
            told.feed_at = self.feed.and_then(|feed| now.checked_add(feed));
        }
        if let Some(extension) = told.extension.filter(|extension| extension.due <= now) {
            let state = state();
            let moves = extension.seen != (state.phase, state.done);
            message.extend = if self.needs_time(&state) && (moves || state.shielded) {
                self.extend(&mut told, &state, now)
            } else {
                told.extension = Some(Extension { due: now + AGAIN, ..extension });
                None
            };
        }
        self.send(&mut told, message, now);
    }

    /// How long until [`tick`](Self::tick) has something to do.
    pub(crate) fn wake_in(&self, now: Instant) -> Option<Duration> {
        let told = self.told();
        let due = told.extension.map(|extension| extension.due);
        let next = [told.feed_at, told.retry_at, due].into_iter().flatten().min()?;
        (!self.is_over()).then(|| next.saturating_duration_since(now))
    }

    /// Who holds the stop up.
    pub(crate) fn held_up(&self, text: String, now: Instant) {
        self.send(&mut self.told(), Message::status(text), now);
    }

    /// A reload was asked for, and takes until [`reloaded`](Self::reloaded).
    pub(crate) fn reloading(&self, now: Instant) {
        let mut told = self.told();
        told.reloads += 1;
        let message = Message { reloading: Some(monotonic()), ..Message::status("reloading") };
        self.send(&mut told, message, now);
    }

    /// A reload is over. Those that were asked for meanwhile are one with it to the manager.
    pub(crate) fn reloaded(&self, is_running: bool, now: Instant) {
        let mut told = self.told();
        told.reloads = told.reloads.saturating_sub(1);
        if told.reloads == 0 && is_running {
            let message = Message { ready: true, ..Message::status(Phase::Running.to_string()) };
            self.send(&mut told, message, now);
        }
    }

    /// What the log should say.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.told().warnings)
    }

    /// Whether the manager may kill us before the stop is over.
    fn needs_time(&self, state: &State) -> bool {
        let Some((whole, _)) = state.stop else { return false };
        self.waits.is_none_or(|waits| waits.end_before(whole + BEHIND))
    }

    fn extend(&self, told: &mut Told, state: &State, now: Instant) -> Option<Duration> {
        let (whole, left) = state.stop?;
        if told.extension.is_none() {
            let whole = Span(whole);
            told.warnings.push(format!("asked for more time, since the stop may take {whole}"));
        }
        told.extension = Some(Extension { due: now + AGAIN, seen: (state.phase, state.done) });
        Some((left + BEHIND).min(STEP))
    }

    fn send(&self, told: &mut Told, message: Message, now: Instant) {
        if message.is_empty() || self.is_over() {
            return;
        }
        if told.unsent.len() >= WAITING {
            // The oldest that nobody will miss; there are few others in a life.
            let passing = told.unsent.iter().position(Message::is_passing);
            told.unsent.remove(passing.unwrap_or(0));
        }
        told.unsent.push_back(message);
        if told.retry_at.is_none() {
            self.send_waiting(told, now);
        }
    }

    fn send_waiting(&self, told: &mut Told, now: Instant) {
        while let Some(message) = told.unsent.front() {
            let problem = match self.socket.send(&message.to_string(), &[]) {
                Ok(()) => None,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    told.retry_at = now.checked_add(RETRY);
                    Some("does not keep up, and will be told later".to_owned())
                }
                Err(error) => Some(format!("cannot be told: {error}")),
            };
            if let Some(problem) = problem
                && !std::mem::replace(&mut told.has_problem, true)
            {
                told.warnings.push(problem);
            }
            if told.retry_at.is_some() {
                return;
            }
            told.unsent.pop_front();
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end();
    }
}
