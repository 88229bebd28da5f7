//! What became of a group that was closed by itself.

use super::report::{ComponentOutcome, ComponentReport};
use crate::cause::Failure;
use crate::scope::CutWork;
use std::time::Duration;

/// What became of a group that was closed before the program stopped: the answer of
/// [`Group::close`](super::Group::close). All of it is in the program's own report, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "it has what failed"]
pub struct GroupReport {
    /// Its name, behind those of the groups around it.
    pub name: String,
    /// How long it took.
    pub took: Duration,
    /// What became of each component, in the order in which they were over.
    pub components: Vec<ComponentReport>,
    /// Why components failed to start or to close, in the order in which they did.
    pub failures: Vec<Failure>,
    /// Work that was cut.
    pub cut: Vec<CutWork>,
    /// How many entries more there were: of each list, the first thousand are kept.
    pub left_out: u64,
}

impl GroupReport {
    /// Whether every component closed well, and no work was cut.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let tenant = lifecycle.group("tenant");
    /// let close = |()| Err("the disk is full");
    /// tenant.component_blocking("cache", || Ok::<_, std::io::Error>(()), close).start()?;
    /// let report = tenant.close_blocking(Duration::from_secs(5));
    /// assert!(!report.is_clean());
    /// assert_eq!(report.failures[0].to_string(), "tenant/cache failed: closing: the disk is full");
    /// # _ = lifecycle.close();
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let closed = |component: &ComponentReport| component.outcome == ComponentOutcome::Closed;
        self.components.iter().all(closed) && self.failures.is_empty() && self.cut.is_empty()
    }
}
