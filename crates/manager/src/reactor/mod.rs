//! The loop: it waits for what happens, and lets each socket that something happened to have its turn.
//!
//! The work of a pass is proportional to what happened, never to what is open: nothing in here walks over all sockets,
//! but the beginning and the end of a drain.

use crate::connection::Connection;
use crate::core::{Core, Inbox};
use crate::entry::{Entry, Socket};
use crate::event::Event;
use crate::handle::Handle;
use crate::handler::guarded;
use crate::session::Next;
use deadlines::Deadlines;
use mio::{Events, Poll, Token};
use signals::Signals;
use slab::Slab;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod accept;
mod answers;
mod body;
mod comings;
mod connecting;
mod datagram;
mod deadlines;
mod drain;
mod embedded;
mod passed;
mod pull;
mod signals;
mod stream;
mod telling;
mod tls;

pub use passed::Passed;

/// The waker's, and that of the signals. Slots are far below.
pub(crate) const WAKER: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);

/// Wakeups in one pass, however many there are: more are told by the next, behind whatever else there is.
const WAKEUPS: usize = 1024;

/// One read. What is larger takes several.
const SCRATCH: usize = 64 * 1024;

pub(crate) struct Reactor {
    core: Arc<Core>,
    poll: Poll,
    events: Events,
    entries: Slab<Entry>,
    scratch: Box<[u8]>,
    /// To be looked at.
    listed: Vec<usize>,
    deadlines: Deadlines,
    /// Entries that are streams.
    streams: usize,
    /// Listeners that accept nobody, since too many streams are open.
    waiting: Vec<usize>,
    /// Listeners, and whoever else wants to be told of each pass.
    polled: Vec<Connection>,
    /// Who is to be told that the drain has begun.
    entering: VecDeque<usize>,
    /// Taken out of the inbox, and not told yet.
    wakeups: VecDeque<(u64, Vec<u8>)>,
    /// Wakeups that this pass may still tell.
    wakeups_left: usize,
    signals: Option<Signals>,
    /// Whoever else may end the wait, by what is to be read there.
    interrupter: Option<Arc<OwnedFd>>,
    /// The pass is to end then, behind whatever turn it is at.
    until: Option<Instant>,
    /// A moment ago: no foreign code has run since.
    now: Instant,
}

/// What became of a socket in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    /// It stays, and is to be looked at then, at the latest.
    Rests(Option<Instant>),
    /// It has had its share, and has not come to an end.
    Again,
    Gone,
}

impl Reactor {
    pub(crate) fn new(core: Arc<Core>, poll: Poll) -> Self {
        Self {
            core,
            poll,
            events: Events::with_capacity(1024),
            entries: Slab::new(),
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            listed: Vec::new(),
            deadlines: Deadlines::default(),
            streams: 0,
            waiting: Vec::new(),
            polled: Vec::new(),
            entering: VecDeque::new(),
            wakeups: VecDeque::new(),
            wakeups_left: 0,
            signals: None,
            interrupter: None,
            until: None,
            now: Instant::now(),
        }
    }

    /// Waits for something to happen, `timeout` at most (`None`: without limit), and does what is to be done, but no more
    /// of it once it is `until`.
    pub(crate) fn pass(&mut self, timeout: Option<Duration>, until: Option<Instant>) -> io::Result<Passed> {
        self.until = until;
        let signalled = self.go_through(timeout)?;
        let interrupted = self.core.take_interrupt() || signalled;
        Ok(if interrupted { Passed::Interrupted } else { Passed::Whole })
    }

    /// Whether a signal ended the wait.
    fn go_through(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        self.wakeups_left = WAKEUPS;
        // That may have been all that there was to be done.
        let done = self.read_inbox() | self.enter_drain();
        let timeout = if done { Some(Duration::ZERO) } else { self.timeout(timeout) };
        let waited = self.wait(timeout);
        self.core.awake();
        self.now = Instant::now();
        match waited {
            // A signal: whoever polls may have something to do about it.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                return Ok(true);
            }
            waited => waited?,
        }
        if self.hear() {
            return Ok(true);
        }
        self.take_turns();
        self.read_inbox();
        self.fire_timers();
        self.keep_deadlines();
        self.read_inbox();
        self.tell_poll();
        Ok(false)
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let Self { core, poll, events, .. } = self;
        if timeout == Some(Duration::ZERO) {
            return poll.poll(events, timeout);
        }
        let waited = core.wait(|may_wait| {
            let looked = poll.poll(events, if may_wait { timeout } else { Some(Duration::ZERO) });
            (may_wait || looked.is_err() || !events.is_empty()).then_some(looked)
        });
        waited.unwrap_or(Ok(()))
    }

    /// Whether the pass is to end before the next turn.
    fn is_over(&self) -> bool {
        self.core.is_interrupted() || self.until.is_some_and(|until| until <= self.now)
    }

    /// For signal handlers to write to.
    pub(crate) fn signal_fd(&mut self) -> io::Result<BorrowedFd<'_>> {
        let signals = match self.signals.take() {
            Some(signals) => signals,
            None => Signals::new(self.poll.registry())?,
        };
        Ok(self.signals.insert(signals).theirs())
    }

    /// Has what comes there end the wait, which is not read.
    pub(crate) fn interrupted_by(&mut self, source: &Arc<OwnedFd>) -> io::Result<()> {
        if self.interrupter.as_ref().is_some_and(|known| Arc::ptr_eq(known, source)) {
            return Ok(());
        }
        signals::watch(self.poll.registry(), source)?;
        if let Some(before) = self.interrupter.replace(Arc::clone(source)) {
            signals::forget(self.poll.registry(), &before);
        }
        Ok(())
    }

    /// Whether another pass would have something to do at once, or clients are being waited for.
    pub(crate) fn has_more(&self) -> bool {
        let closing = |entry: &Entry| matches!(entry.socket, Socket::Closing(..));
        self.core.has_written_down()
            || !self.events.is_empty()
            || self.is_busy()
            || self.entries.iter().any(|(_, entry)| closing(entry))
    }

    fn timeout(&mut self, most: Option<Duration>) -> Option<Duration> {
        if self.is_busy() || !self.core.fall_asleep() {
            return Some(Duration::ZERO);
        }
        let timer = self.core.timers().next();
        let due = [timer, self.deadlines.next()].into_iter().flatten().min();
        let left = due.map(|due| due.saturating_duration_since(Instant::now()));
        [left, most].into_iter().flatten().min()
    }

    /// Whether something is to be done, without anything happening.
    fn is_busy(&self) -> bool {
        !(self.listed.is_empty() && self.wakeups.is_empty() && self.entering.is_empty())
    }

    /// Lists whomever the kernel tells of. Whether a signal is among what it tells.
    fn hear(&mut self) -> bool {
        let mut signalled = false;
        for event in &self.events {
            if event.token() == SIGNALS {
                signalled = true;
            }
            let slot = event.token().0;
            // It may be gone, and even be another by now: then it is looked at in vain.
            let Some(entry) = self.entries.get_mut(slot) else { continue };
            entry.readable |= event.is_readable() || event.is_error();
            entry.writable |= event.is_writable() || event.is_error();
            entry.hung_up |= event.is_read_closed() || event.is_error();
            entry.broken |= event.is_error() || event.is_write_closed();
            list(&mut self.listed, entry, slot);
        }
        if let (true, Some(signals)) = (signalled, &self.signals) {
            signals.take();
        }
        signalled
    }

    fn take_turns(&mut self) {
        let mut listed = std::mem::take(&mut self.listed);
        let mut had = 0;
        for slot in &listed {
            if self.is_over() {
                break;
            }
            self.turn(*slot, None);
            had += 1;
        }
        // Who has not had his turn has it before those that want another.
        listed.drain(..had);
        listed.append(&mut self.listed);
        self.listed = listed;
    }

    /// Lets a socket do what it can, after `first` if there is something to begin with.
    fn turn(&mut self, slot: usize, first: Option<Next>) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        entry.listed = false;
        let fate = match &entry.socket {
            Socket::Stream(_) => stream::turn(&self.core, entry, &mut self.scratch, &mut self.now, first),
            Socket::Datagram(_) => datagram::turn(&self.core, entry, &mut self.scratch),
            Socket::Listener(_) => self.accept(slot),
            Socket::Closing(..) => self.go_on_closing(slot),
            Socket::Connecting(_) => self.go_on_connecting(slot),
            Socket::Between => Fate::Gone,
        };
        match fate {
            Fate::Gone => self.remove(slot),
            Fate::Stays | Fate::Again | Fate::Rests(_) => {
                let Some(entry) = self.entries.get_mut(slot) else { return };
                if fate == Fate::Again {
                    list(&mut self.listed, entry, slot);
                }
                let wake_at = match fate {
                    Fate::Rests(wake_at) => wake_at,
                    _ => entry.connection.lock().wake_at(&self.core.limits),
                };
                self.deadlines.arm(entry, slot, wake_at);
            }
        }
    }

    /// Does what other threads, and handlers, have written down. Whether there was anything.
    pub(super) fn read_inbox(&mut self) -> bool {
        let most = if self.wakeups.is_empty() { self.wakeups_left } else { 0 };
        let taken = self.core.take_inbox(most);
        if taken.is_none() && self.wakeups.is_empty() {
            return false;
        }
        let Inbox { added, touched, wakeups, .. } = taken.unwrap_or_default();
        self.wakeups.extend(wakeups);
        // The last pass may be long ago.
        self.now = Instant::now();
        for entry in added {
            self.add(entry);
        }
        self.tell_wakeups();
        for connection in touched {
            let slot = connection.lock().slot();
            let Some(slot) = slot else { continue };
            self.list_for_polls(&connection);
            self.turn_or_list(slot);
        }
        true
    }

    fn tell_wakeups(&mut self) {
        while self.wakeups_left > 0
            && !self.is_over()
            && let Some((id, payload)) = self.wakeups.pop_front()
        {
            self.wakeups_left -= 1;
            let connection = self.core.open().get(&id).cloned();
            if let Some(connection) = connection {
                connection.tell(&self.core, Event::Wakeup(&payload));
                self.now = Instant::now();
            }
        }
    }

    /// Lets a socket have its turn, in the next pass if this one is over.
    fn turn_or_list(&mut self, slot: usize) {
        if !self.is_over() {
            self.turn(slot, None);
        } else if let Some(entry) = self.entries.get_mut(slot) {
            list(&mut self.listed, entry, slot);
        }
    }

    fn fire_timers(&mut self) {
        let now = Instant::now();
        self.now = now;
        // Those that callbacks add, and those that are due again at once, are the next pass's.
        let due = self.core.timers().take_due(now);
        if due.is_empty() {
            return;
        }
        let handle = Handle::new(&self.core);
        for (at, timer) in due {
            if self.is_over() {
                self.core.timers().put_back(at, &timer);
                continue;
            }
            timer.fire(&handle, |callback| {
                if let Err(panic) = guarded(callback) {
                    tracing::error!(target: "exeunt::manager", panic, "a timer's callback panicked");
                    self.core.account().panicked(panic);
                }
            });
            self.core.timers().again(&timer, now);
            timer.tidy();
            self.now = Instant::now();
        }
    }

    fn tell_poll(&mut self) {
        let mut told = 0;
        while !self.is_over()
            && let Some(connection) = self.polled.get(told)
        {
            if connection.lock().stays_polled() {
                connection.tell(&self.core, Event::Poll);
                told += 1;
            } else {
                self.polled.swap_remove(told);
            }
        }
    }

    fn list_for_polls(&mut self, connection: &Connection) {
        if connection.lock().becomes_polled() {
            self.polled.push(connection.clone());
        }
    }
}

fn list(listed: &mut Vec<usize>, entry: &mut Entry, slot: usize) {
    if !std::mem::replace(&mut entry.listed, true) {
        listed.push(slot);
    }
}
