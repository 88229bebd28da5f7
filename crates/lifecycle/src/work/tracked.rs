//! Work that has a name while it is in flight.

use super::outcome::{Ended, OnFailure, Outcome, ended};
#[cfg(feature = "tokio")]
use super::registry::Abort;
use super::registry::{Entry, Key, Name};
use crate::core::State;
use crate::machine::{Input, ScopeId, Wish};
#[cfg(feature = "tokio")]
use crate::scope::ScopeShard;
use crate::scope::{CutWork, Scope, Work};
use crate::site::Site;
use crate::{Cause, Failure};
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
#[cfg(feature = "tokio")]
use std::sync::Arc;
use std::time::Duration;

/// A [`Work`] with a name, a kind and the place where it began: it is named when the stop is held up, and in the
/// report if it never ends.
///
/// Dropping it says that it is finished, [`cut`](Self::cut) that it is not, [`fail`](Self::fail) that it failed.
/// It costs one short lock at either end, of which there are 16 in a scope, and some 200 ns in all.
///
/// ```
/// # use exeunt_lifecycle::{Config, Lifecycle};
/// let lifecycle = Lifecycle::install(Config::default())?;
/// let scope = lifecycle.scope("imports");
/// let done = scope.track("import", "customers.csv");
/// let given_up = scope.track("import", "orders.csv");
/// drop(done);
/// given_up.cut();
/// drop(scope);
/// let report = lifecycle.close();
/// assert_eq!(report.exit_status(), 3);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[must_use = "dropping it at once says that the work is finished"]
pub struct Tracked {
    /// `None` once it is ended.
    live: Option<Live>,
}

struct Live {
    key: Key,
    work: Work,
}

/// Where a piece of work is named, while it is.
#[cfg(feature = "tokio")]
pub(crate) struct Handle {
    shard: Arc<ScopeShard>,
    key: Key,
}

impl Scope {
    /// Begins a piece of work that has a name: [`begin`](Self::begin), for work that somebody may have to look for.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # let lifecycle = Lifecycle::install(Config::default())?;
    /// let scope = lifecycle.scope("imports");
    /// let work = scope.track("import", "customers.csv");
    /// assert_eq!(scope.live(10)[0].name, "customers.csv");
    /// drop(work);
    /// assert!(scope.live(10).is_empty());
    /// # Ok::<(), exeunt_lifecycle::InstallError>(())
    /// ```
    #[track_caller]
    pub fn track(&self, kind: &'static str, name: impl Into<Cow<'static, str>>) -> Tracked {
        self.track_as(Name::Text(name.into()), kind, Site::here())
    }

    /// The work in flight that has a name: the `most` oldest pieces, oldest first.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let scope = lifecycle.scope("imports");
    /// let _work = ["customers.csv", "orders.csv"].map(|name| scope.track("import", name));
    /// let oldest = scope.live(1);
    /// assert_eq!((&*oldest[0].name, oldest.len()), ("customers.csv", 1));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn live(&self, most: usize) -> Vec<super::LiveWork> {
        self.shared().live(most)
    }

    #[cfg(any(target_os = "linux", windows))]
    pub(crate) fn track_as_child(&self, name: String, site: Site) -> Tracked {
        self.track_as(Name::Text(name.into()), "child process", site)
    }

    pub(crate) fn track_as(&self, name: Name, kind: &'static str, site: Site) -> Tracked {
        let work = self.begin_in_turn();
        self.shared().busy_again();
        let is_forked = || self.shared().is_forked();
        let key = work.shard().registry().insert(name, kind, self.now(), site, is_forked);
        Tracked { live: Some(Live { key, work }) }
    }
}

impl Tracked {
    /// Says that this work was ended before it was finished. It is named in the report, and the exit status says so
    /// too (L14).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let scope = lifecycle.scope("imports");
    /// let work = scope.track("import", "customers.csv");
    /// lifecycle.stop().request_stop("the example is over");
    /// scope.cut_requested().await;
    /// work.cut();
    /// drop(scope);
    /// let report = lifecycle.finished().await;
    /// assert_eq!(report.scopes[0].cut[0].age.as_secs(), 20);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cut(mut self) {
        self.end_cut();
    }

    /// Says that this work failed. It is named in the report, and the exit status is 1 (L14).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, OnFailure};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let scope = lifecycle.scope("imports");
    /// scope.track("import", "customers.csv").fail("line 7 is no customer", OnFailure::GoOn);
    /// drop(scope);
    /// let report = lifecycle.close();
    /// assert_eq!(report.failures[0].to_string(), "imports: customers.csv failed: line 7 is no customer");
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn fail(mut self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>, then: OnFailure) {
        match ended(Ok(Err::<(), _>(error.into()))) {
            Ended::Well => {}
            Ended::ByStop(error) | Ended::Badly(error) => self.end_badly(error, then),
        }
    }

    /// Whether work must end now: the drain deadline has come, or the end is forced.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Phase};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let scope = lifecycle.scope("imports");
    /// let work = scope.track("import", "customers.csv");
    /// lifecycle.stop().request_stop("the example is over");
    /// assert!(!work.is_cut());
    /// lifecycle.stop().reached(Phase::Closing).await;
    /// assert!(work.is_cut());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.work.scope().is_none_or(|scope| scope.is_cut()))
    }

    /// Who can be told how to end it from outside.
    #[cfg(feature = "tokio")]
    pub(crate) fn handle(&self) -> Option<Handle> {
        self.live.as_ref().map(|live| Handle { shard: Arc::clone(live.work.shard()), key: live.key })
    }

    /// What was waiting has begun.
    pub(crate) fn becomes(&self, kind: &'static str) {
        if let Some(live) = &self.live {
            live.work.shard().registry().becomes(live.key, kind);
        }
    }

    /// It ended by itself, well or not.
    pub(crate) fn end<R: Outcome>(&mut self, result: Result<R, Box<dyn Any + Send>>, then: OnFailure) {
        match ended(result) {
            Ended::Well => drop(self.take()),
            Ended::ByStop(_) if self.is_stopping() => drop(self.take()),
            Ended::ByStop(error) | Ended::Badly(error) => self.end_badly(error, then),
        }
    }

    pub(super) fn end_badly(&mut self, error: String, then: OnFailure) {
        let Some((live, entry)) = self.take() else { return };
        let name = live.name(entry);
        live.fail(Failure { name, error }, then);
    }

    /// A stop is requested: of another lifecycle is not enough.
    fn is_stopping(&self) -> bool {
        self.live.as_ref().and_then(|live| live.work.scope()).is_some_and(|scope| scope.is_stopping())
    }

    /// It was ended before it was finished.
    pub(crate) fn end_cut(&mut self) {
        let Some((live, entry)) = self.take() else { return };
        let Some(entry) = entry else { return };
        let age = live.age(&entry);
        let (name, kind, site) = (entry.name.to_string(), entry.kind, Some(entry.site));
        live.work.cut(CutWork { name, kind, peer: None, age, site });
    }

    /// Its owner has it back.
    pub(crate) fn hand_back(mut self) {
        let Some((live, Some(entry))) = self.take() else { return };
        let age = live.age(&entry);
        let named = super::LiveWork { name: entry.name.to_string(), kind: entry.kind, age, site: entry.site };
        live.work.end_as(
            |_| Input::Tick,
            move |state, scope| {
                if let (Some(_), Some(entry)) = (state.machine.requested(), state.scopes.get_mut(&scope)) {
                    entry.account.handed_back.push(named);
                }
            },
        );
    }

    /// It never was.
    pub(crate) fn refuse(mut self) {
        let Some((live, _)) = self.take() else { return };
        live.work.end_as(
            |_| Input::Tick,
            |state, scope| {
                if let (Some(_), Some(entry)) = (state.machine.requested(), state.scopes.get_mut(&scope)) {
                    entry.account.refused += 1;
                }
            },
        );
    }

    fn take(&mut self) -> Option<(Live, Option<Entry>)> {
        let live = self.live.take()?;
        let is_forked = || live.work.scope().is_some_and(|scope| scope.is_forked());
        let entry = live.work.shard().registry().remove(live.key, is_forked);
        Some((live, entry))
    }
}

#[cfg(feature = "tokio")]
impl Handle {
    /// How to end it from outside. Look for the cut after this.
    pub(crate) fn abort_by(&self, abort: Abort) {
        self.shard.registry().abort_by(self.key, abort);
    }
}

impl Live {
    fn age(&self, entry: &Entry) -> Duration {
        self.work.scope().map(|scope| scope.now().since(entry.since)).unwrap_or_default()
    }

    fn name(&self, entry: Option<Entry>) -> String {
        let scope = self.work.scope().map(|scope| scope.name.clone());
        match (scope, entry.map(|entry| entry.name.to_string())) {
            (Some(scope), Some(name)) if name != scope => format!("{scope}: {name}"),
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => String::new(),
        }
    }

    fn fail(self, failure: Failure, then: OnFailure) {
        let (of, told) = (self.work.scope(), failure.clone());
        let input: fn(ScopeId) -> Input = match then {
            OnFailure::GoOn => |_| Input::WorkFailed,
            OnFailure::Stop => |_| Input::Stop(Wish::Failure),
        };
        self.work.end_as(input, move |state, scope| {
            if then == OnFailure::Stop && state.cause.is_none() {
                state.cause = Some(Cause::Failure(failure.clone()));
            }
            note(state, scope, failure);
        });
        // Afterwards, so that a subscriber that blocks or panics costs the thread of this work, and not the stop.
        if let Some(scope) = of {
            scope.contained("tracing", || {
                tracing::error!(target: "exeunt::lifecycle", name = told.name, error = told.error, "work failed");
            });
            #[cfg(feature = "metrics")]
            scope.contained("metrics", || crate::metrics::work_failed(&scope.name));
        }
    }
}

fn note(state: &mut State, scope: ScopeId, failure: Failure) {
    if let (Some(_), Some(entry)) = (state.machine.requested(), state.scopes.get_mut(&scope)) {
        entry.account.failed += 1;
    }
    state.keep_failure(failure);
}

impl Drop for Tracked {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl fmt::Debug for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracked").finish_non_exhaustive()
    }
}
