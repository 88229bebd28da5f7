//! Components that write down when they close.

use exeunt_lifecycle::{Group, StartError};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Who closed, in order.
#[derive(Clone, Default)]
pub(crate) struct Order(Arc<Mutex<Vec<&'static str>>>);

impl Order {
    pub(crate) fn note(&self, name: &'static str) {
        self.0.lock().unwrap().push(name);
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }

    /// A component that starts at once, and takes a second to close.
    pub(crate) async fn component(&self, group: &Group, name: &'static str) -> Result<(), StartError> {
        let order = self.clone();
        let close = move |()| async move {
            sleep(SECOND).await;
            order.note(name);
        };
        group.component(name, async { Ok::<_, Infallible>(()) }, close).await
    }
}
