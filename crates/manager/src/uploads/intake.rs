//! A receiver that a connection has.

use std::sync::{Arc, Mutex};

use super::{Form, FormError, FormReceiver};
use crate::core::lock;

/// Shared by the connection, which ends it, and the thread that polls, which writes without the connection's lock.
#[derive(Clone)]
pub(crate) struct Intake(Arc<Mutex<Option<FormReceiver>>>);

impl Intake {
    pub(crate) fn new(receiver: FormReceiver) -> Self {
        Self(Arc::new(Mutex::new(Some(receiver))))
    }

    /// Takes what came next; what came before is removed if this cannot be taken.
    pub(crate) fn take(&self, bytes: &[u8]) -> Result<(), FormError> {
        let mut place = lock(&self.0);
        let Some(receiver) = place.as_mut() else { return Ok(()) };
        let taken = receiver.take(bytes);
        if taken.is_err() {
            *place = None;
        }
        taken
    }

    /// The form, once.
    pub(crate) fn finish(&self) -> Result<Option<Form>, FormError> {
        let receiver = lock(&self.0).take();
        receiver.map(FormReceiver::finish).transpose()
    }
}
