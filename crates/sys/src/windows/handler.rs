//! What runs on the thread that Windows makes for an event: an ordinary thread, which may lock and wait.

use super::{Origin, Record, SIGBREAK, SIGINT, SIGTERM};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use windows_sys::Win32::Foundation::{FALSE, TRUE};
use windows_sys::Win32::System::Console::{
    CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT,
};
use windows_sys::core::BOOL;

/// Never held while Windows is called: Windows may hold its list of handlers while it runs ours, which locks this.
static STATE: Mutex<State> = Mutex::new(State {
    records: Vec::new(),
    woken: false,
    held: 0,
    ctrl_c: Slot::new(),
    ctrl_break: Slot::new(),
    end: Slot::new(),
});
static CHANGED: Condvar = Condvar::new();

pub(super) struct State {
    pub(super) records: Vec<Record>,
    pub(super) woken: bool,
    /// Threads of events that do not return.
    pub(super) held: u32,
    ctrl_c: Slot,
    ctrl_break: Slot,
    end: Slot,
}

/// What is done about one number.
pub(super) struct Slot {
    /// Events are ours to record.
    pub(super) active: bool,
    /// They go on to the handler below ours.
    pub(super) chain: bool,
    /// Logoffs are among them.
    pub(super) logoff: bool,
}

impl Slot {
    pub(super) const fn new() -> Self {
        Self { active: false, chain: false, logoff: true }
    }
}

impl State {
    pub(super) fn slot(&mut self, signal: i32) -> Option<&mut Slot> {
        match signal {
            SIGINT => Some(&mut self.ctrl_c),
            SIGBREAK => Some(&mut self.ctrl_break),
            SIGTERM => Some(&mut self.end),
            _ => None,
        }
    }

    pub(super) fn is_active(&self) -> bool {
        [&self.ctrl_c, &self.ctrl_break, &self.end].iter().any(|slot| slot.active)
    }
}

/// Changes what the handler knows, and wakes whoever waits for it.
pub(super) fn change<T>(change: impl FnOnce(&mut State) -> T) -> T {
    let changed = change(&mut lock());
    CHANGED.notify_all();
    changed
}

/// Waits for a change, until a time at most (`None`: for ever).
pub(super) fn wait_while(
    until: Option<Instant>,
    unchanged: impl Fn(&mut State) -> bool,
) -> MutexGuard<'static, State> {
    let state = lock();
    match until {
        None => CHANGED.wait_while(state, unchanged).unwrap_or_else(PoisonError::into_inner),
        Some(until) => {
            let left = until.saturating_duration_since(Instant::now());
            CHANGED.wait_timeout_while(state, left, unchanged).unwrap_or_else(PoisonError::into_inner).0
        }
    }
}

/// The handler. `TRUE`: the event is taken; `FALSE`: the handler below ours is asked.
pub(super) extern "system" fn handle(event: u32) -> BOOL {
    let (signal, origin) = match event {
        CTRL_C_EVENT => (SIGINT, Origin::Kernel),
        CTRL_BREAK_EVENT => (SIGBREAK, Origin::Kernel),
        CTRL_CLOSE_EVENT => (SIGTERM, Origin::Close),
        CTRL_LOGOFF_EVENT => (SIGTERM, Origin::Logoff),
        CTRL_SHUTDOWN_EVENT => (SIGTERM, Origin::Shutdown),
        _ => return FALSE,
    };
    let mut state = lock();
    let chain = match state.slot(signal) {
        Some(slot) if slot.active => {
            if origin == Origin::Logoff && !slot.logoff {
                return TRUE;
            }
            slot.chain
        }
        _ => return FALSE,
    };
    state.records.push(Record { signal, origin, at: Instant::now() });
    CHANGED.notify_all();
    if signal == SIGTERM {
        state.held += 1;
        let over = |state: &mut State| state.slot(signal).is_some_and(|slot| chain && !slot.active);
        let mut state =
            CHANGED.wait_while(state, |state| !over(state)).unwrap_or_else(PoisonError::into_inner);
        state.held -= 1;
    }
    if chain { FALSE } else { TRUE }
}

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
