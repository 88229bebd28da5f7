//! What a pass brings to light.

use super::exchange::Exchange;
use exeunt_manager as engine;
use exeunt_manager::{Event, WsControl};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One thing that happened to a connection.
pub(super) enum Happened {
    Request(engine::Connection, engine::Request),
    Message(engine::WsMessage),
    Closing(u16, String),
    Writable,
    Trouble(String),
    Gone,
}

/// What the engine's handler and the loop's face share.
#[derive(Default)]
pub(super) struct Ledger {
    entries: Mutex<Vec<(u64, Happened)>>,
    /// Who waits until no more than so many bytes of theirs are unsent.
    marks: Mutex<HashMap<u64, usize>>,
    /// Whether there is anybody in there: `Write` is told with each answer, and hardly anybody waits.
    marked: AtomicBool,
}

impl Ledger {
    /// The engine's handler.
    pub(super) fn told(&self, conn: &engine::Connection, event: Event<'_>) {
        let happened = match event {
            Event::HttpMessage(request) => Happened::Request(conn.clone(), request.clone()),
            Event::WsMessage(message) => Happened::Message(message.clone()),
            Event::WsControl(WsControl::Close { code, reason }) => Happened::Closing(*code, reason.clone()),
            Event::Write(_) => return self.wrote(conn),
            Event::Error(text) => Happened::Trouble(text.to_owned()),
            Event::Close if !conn.is_listening() => {
                self.unmark(conn.id());
                Happened::Gone
            }
            _ => return,
        };
        self.write_down(conn.id(), happened);
    }

    pub(super) fn take(&self) -> Vec<(u64, Happened)> {
        std::mem::take(&mut *lock(&self.entries))
    }

    /// From now on it is told, once, when no more than that many bytes of its own are unsent. Whether that is so already.
    pub(super) fn mark(&self, conn: &engine::Connection, most: usize) -> bool {
        lock(&self.marks).insert(conn.id(), most);
        // Looked at behind the entry, so that whoever writes in between sees one of the two.
        self.marked.store(true, Ordering::SeqCst);
        let below = conn.unsent_len() <= most;
        if below {
            self.unmark(conn.id());
        }
        below
    }

    fn wrote(&self, conn: &engine::Connection) {
        if !self.marked.load(Ordering::SeqCst) {
            return;
        }
        let most = lock(&self.marks).get(&conn.id()).copied();
        if most.is_some_and(|most| conn.unsent_len() <= most) {
            self.unmark(conn.id());
            self.write_down(conn.id(), Happened::Writable);
        }
    }

    fn unmark(&self, id: u64) {
        if self.marked.load(Ordering::SeqCst) {
            let mut marks = lock(&self.marks);
            marks.remove(&id);
            self.marked.store(!marks.is_empty(), Ordering::SeqCst);
        }
    }

    fn write_down(&self, id: u64, happened: Happened) {
        lock(&self.entries).push((id, happened));
    }
}

impl Happened {
    /// As Python has it: a number, the connection's, and what belongs to it.
    pub(super) fn object<'py>(
        self,
        py: Python<'py>,
        id: u64,
        ledger: &Arc<Ledger>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let nothing = || py.None().into_bound(py);
        let (number, payload) = match self {
            Self::Request(conn, request) => {
                let exchange = Exchange::new(conn, request, Arc::clone(ledger));
                (0, Bound::new(py, exchange)?.into_any())
            }
            Self::Message(message) => match message.text() {
                Some(text) => (1, PyString::new(py, text).into_any()),
                None => (1, PyBytes::new(py, message.data()).into_any()),
            },
            Self::Closing(code, reason) => (2, (code, reason).into_pyobject(py)?.into_any()),
            Self::Writable => (3, nothing()),
            Self::Trouble(text) => (4, PyString::new(py, &text).into_any()),
            Self::Gone => (5, nothing()),
        };
        Ok((number, id, payload).into_pyobject(py)?.into_any())
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
