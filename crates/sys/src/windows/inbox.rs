//! What the handler leaves for whoever waits.

use super::Record;
use super::handler::{self, State};
use std::io;
use std::time::{Duration, Instant};

static INBOX: Inbox = Inbox { _private: () };

/// Where the records of all registered events arrive, in the order in which the handlers ran.
///
/// There is one in a process. Any number of threads may wait; each record goes to one of them.
#[derive(Debug)]
pub struct Inbox {
    _private: (),
}

impl Inbox {
    /// The process's inbox.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn open() -> io::Result<&'static Self> {
        Ok(&INBOX)
    }

    /// Waits until something arrives, [`wake`](Self::wake) is called or `timeout` (`None`: for ever) has passed,
    /// and takes all that is there. May answer with nothing, and early.
    pub fn wait(&self, timeout: Option<Duration>) -> Vec<Record> {
        // Too far away to be represented is for ever.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = handler::wait_while(until, |state| state.records.is_empty() && !state.woken);
        state.woken = false;
        std::mem::take(&mut state.records)
    }

    /// Makes one [`wait`](Self::wait), the present or the next, end at once.
    pub fn wake(&self) {
        handler::change(|state: &mut State| state.woken = true);
    }
}
