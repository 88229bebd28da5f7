//! The loop: it waits for what happens, and lets each socket that something happened to have its turn.
//!
//! The work of a pass is proportional to what happened, never to what is open: nothing in here walks over all sockets,
//! but the beginning and the end of a drain.

use crate::connection::Connection;
use crate::core::{Core, Inbox, Stage, handle};
use crate::entry::{Entry, Socket};
use crate::event::Event;
use crate::handler::guarded;
use crate::session::{Next, Session};
use deadlines::Deadlines;
use exeunt_listener::{Address, CloseOptions};
use mio::{Events, Poll, Token};
use slab::Slab;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

mod accept;
mod datagram;
mod deadlines;
mod drain;
mod stream;

/// The waker's. Slots are far below.
pub(crate) const WAKER: Token = Token(usize::MAX);

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
            now: Instant::now(),
        }
    }

    /// Waits for something to happen, `timeout` at most (`None`: without limit), and does what is to be done.
    pub(crate) fn pass(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.read_inbox();
        let timeout = self.timeout(timeout);
        let waited = self.poll.poll(&mut self.events, timeout);
        self.core.awake();
        self.now = Instant::now();
        match waited {
            // A signal: whoever polls may have something to do about it.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            waited => waited?,
        }
        self.hear();
        self.take_turns();
        self.read_inbox();
        self.fire_timers();
        self.keep_deadlines();
        self.read_inbox();
        self.tell_poll();
        Ok(())
    }

    fn timeout(&mut self, most: Option<Duration>) -> Option<Duration> {
        let busy = !self.listed.is_empty() || !self.core.fall_asleep();
        if busy {
            return Some(Duration::ZERO);
        }
        let timer = self.core.timers().next();
        let due = [timer, self.deadlines.next()].into_iter().flatten().min();
        let left = due.map(|due| due.saturating_duration_since(Instant::now()));
        [left, most].into_iter().flatten().min()
    }

    /// Lists whomever the kernel tells of.
    fn hear(&mut self) {
        for event in &self.events {
            let slot = event.token().0;
            // It may be gone, and even be another by now: then it is looked at in vain.
            let Some(entry) = self.entries.get_mut(slot) else { continue };
            entry.readable |= event.is_readable() || event.is_error();
            entry.writable |= event.is_writable() || event.is_error();
            entry.hung_up |= event.is_read_closed() || event.is_error();
            entry.broken |= event.is_error() || event.is_write_closed();
            list(&mut self.listed, entry, slot);
        }
    }

    fn take_turns(&mut self) {
        let mut listed = std::mem::take(&mut self.listed);
        for slot in listed.drain(..) {
            self.turn(slot, None);
        }
        if self.listed.is_empty() {
            self.listed = listed; // its memory
        }
    }

    /// Lets a socket do what it can, after `first` if there is something to begin with.
    fn turn(&mut self, slot: usize, first: Option<Next>) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        entry.listed = false;
        let fate = match &entry.socket {
            Socket::Stream(_) => stream::turn(&self.core, entry, &mut self.scratch, self.now, first),
            Socket::Datagram(_) => datagram::turn(&self.core, entry, &mut self.scratch),
            Socket::Listener(_) => self.accept(slot),
            Socket::Closing(..) => self.go_on_closing(slot),
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

    /// Does what other threads, and handlers, have written down.
    pub(super) fn read_inbox(&mut self) {
        let Inbox { added, touched, wakeups, .. } = self.core.take_inbox();
        if !(added.is_empty() && touched.is_empty()) {
            // The last pass may be long ago.
            self.now = Instant::now();
        }
        for entry in added {
            self.add(entry);
        }
        for (id, payload) in wakeups {
            let connection = self.core.open().get(&id).cloned();
            if let Some(connection) = connection {
                connection.tell(&self.core, Event::Wakeup(&payload));
            }
        }
        for connection in touched {
            let slot = connection.lock().slot();
            let Some(slot) = slot else { continue };
            self.list_for_polls(&connection);
            self.turn(slot, None);
        }
    }

    /// Takes a socket in.
    fn add(&mut self, mut entry: Entry) -> Option<usize> {
        let vacant = self.entries.vacant_entry();
        let slot = vacant.key();
        if let Err(error) = entry.register(self.poll.registry(), Token(slot)) {
            let text = format!("the kernel does not watch the socket: {error}");
            entry.connection.tell(&self.core, Event::Error(&text));
            self.bury(entry);
            return None;
        }
        let connection = entry.connection.clone();
        connection.lock().placed(slot);
        match (&entry.socket, self.core.stage()) {
            (Socket::Stream(_), _) => self.streams += 1,
            // What comes this late goes with the others.
            (Socket::Listener(_), Stage::Draining) => connection.lock().drain(&self.core),
            (Socket::Listener(_), Stage::Cut) => connection.lock().close(),
            _ => {}
        }
        vacant.insert(entry);
        self.list_for_polls(&connection);
        // What was done to it before it had a place.
        self.turn(slot, None);
        Some(slot)
    }

    fn remove(&mut self, slot: usize) {
        let Some(entry) = self.entries.try_remove(slot) else { return };
        self.deadlines.tidy(&self.entries);
        if let Socket::Stream(_) = entry.socket {
            self.streams -= 1;
            if self.streams < self.core.limits.connections {
                for slot in self.waiting.drain(..) {
                    if let Some(entry) = self.entries.get_mut(slot) {
                        list(&mut self.listed, entry, slot);
                    }
                }
            }
        }
        self.bury(entry);
    }

    /// Tells the last event, and closes the socket.
    fn bury(&self, entry: Entry) {
        let Entry { connection, socket, .. } = entry;
        if connection.is_open() {
            connection.lock().close();
            connection.tell(&self.core, Event::Close);
        }
        let leftover = connection.end(Session::gone);
        drop(leftover);
        self.core.open().remove(&connection.id());
        if let Socket::Listener(door) = socket
            && let Address::Unix(_) = door.listener.local_address()
        {
            // Its name goes with it; that is the first step of a close, and the others are for clients in its queue.
            _ = door.listener.close(CloseOptions::default()).step(Instant::now());
        }
    }

    fn fire_timers(&mut self) {
        let handle = handle(&self.core);
        let now = Instant::now();
        // Those that callbacks add, and those that are due again at once, are the next pass's.
        let due = self.core.timers().take_due(now);
        for timer in due {
            timer.fire(&handle, |callback| {
                if let Err(panic) = guarded(callback) {
                    tracing::error!(target: "exeunt::manager", panic, "a timer's callback panicked");
                    self.core.account().panicked(panic);
                }
            });
            self.core.timers().again(&timer, now);
        }
    }

    fn keep_deadlines(&mut self) {
        let now = Instant::now();
        self.now = now;
        while let Some((slot, at)) = self.deadlines.pop(now) {
            let Some(entry) = self.entries.get_mut(slot) else { continue };
            // Not for its present deadline: it was armed anew, or is another socket.
            if entry.armed != Some(at) {
                continue;
            }
            entry.armed = None;
            match &entry.socket {
                Socket::Stream(_) => {
                    let next = stream::tick(&self.core, entry, &mut self.scratch, now);
                    self.turn(slot, next);
                }
                _ => self.turn(slot, None),
            }
        }
    }

    fn tell_poll(&mut self) {
        let mut told = 0;
        while let Some(connection) = self.polled.get(told) {
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

    /// Closes everything at once, the newest first.
    pub(crate) fn close(&mut self) {
        let mut entries = self.core.take_inbox().added;
        entries.extend(std::mem::take(&mut self.entries).into_iter().map(|(_, entry)| entry));
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.connection.id()));
        for entry in entries {
            if let Socket::Stream(stream) = &entry.socket
                && entry.connection.lock().is_cut_short()
            {
                stream.reset_on_close();
            }
            self.bury(entry);
        }
        self.streams = 0;
        self.listed.clear();
        self.polled.clear();
        self.waiting.clear();
    }
}

fn list(listed: &mut Vec<usize>, entry: &mut Entry, slot: usize) {
    if !std::mem::replace(&mut entry.listed, true) {
        listed.push(slot);
    }
}
