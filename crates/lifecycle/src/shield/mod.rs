//! Shields: scopes that a stop may not interrupt (L6-L8).

mod report;
mod shards;
mod sites;

pub(crate) use report::{LiveShield, oldest};
pub use report::{ShieldOutcome, ShieldReport};
pub(crate) use shards::Shards;

use crate::core::Core;
use crate::machine::Phase;
use crate::site::Site;
use shards::{Held, millis};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// A scope that a stop may not interrupt, for a time budget of its own.
///
/// From [`Stop::shield`](crate::Stop::shield) until it is dropped, it holds off `Closing` and the cutting of work,
/// at most for its budget, which counts from its creation or its last renewal. If the budget ends behind the
/// deadlines of the stop, it moves them there, but not beyond [`hard_limit`](crate::Config::hard_limit). When the
/// budget has run out during a stop, the stop goes on without the straggler: Rust code cannot be interrupted. A
/// forced end goes on at once.
///
/// In long work, call [`allow_break`](Self::allow_break) wherever it may be interrupted: with a stop requested, it
/// ends the shielded work there; without one it renews the budget.
///
/// Taking and dropping one takes no lock while no stop is requested, and some 40 ns in all. Any number may be live
/// at once, in any threads and tasks. Forgetting one (`mem::forget`) holds a stop off until its budget has run out.
///
/// ```
/// use exeunt_lifecycle::{Break, Config, Lifecycle, Stop};
/// use std::time::Duration;
///
/// fn transfer(stop: &Stop, items: &[&str]) -> Result<usize, Box<dyn std::error::Error>> {
///     let shield = stop.shield(Duration::from_secs(4))?;
///     let mut done = 0;
///     for _item in items {
///         shield.allow_break()?;
///         done += 1; // … what a stop may not interrupt …
///     }
///     Ok(done)
/// }
///
/// let lifecycle = Lifecycle::install(Config::default())?;
/// let stop = lifecycle.stop();
/// assert_eq!(transfer(&stop, &["a", "b"]).unwrap(), 2);
/// stop.request_stop("the example is over");
/// assert!(transfer(&stop, &["c"]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a shield holds the stop off until it is dropped"]
pub struct Shield {
    held: Held,
    /// In milliseconds.
    budget: u64,
    /// Taken inside counted work: a stop alone does not break it.
    in_work: bool,
}

/// A stop was requested: no shield is granted any more, nor exit work taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the program is stopping: nothing that it may not interrupt can begin any more")]
pub struct StopImminent;

/// Why shielded work ends at a safe point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// A stop was requested.
    #[error("the program is stopping")]
    Stop,
    /// The budget had run out, and the stop went on without waiting.
    #[error("the shield's time had run out, and the program went on stopping")]
    Expired,
}

impl Shield {
    /// A budget for who has no better idea: just below the 90 s (Unix) or 5 s (Windows) after which the system
    /// kills.
    pub const DEFAULT_BUDGET: Duration = Duration::from_millis(if cfg!(windows) { 4_500 } else { 89_500 });

    pub(crate) fn take(
        core: &Core,
        budget: Duration,
        in_work: bool,
        site: Site,
    ) -> Result<Self, StopImminent> {
        let budget_millis = millis(budget);
        let shield = Self { held: core.shields().hold(budget_millis, site), budget: budget_millis, in_work };
        // Published first, looked at afterwards (invariant 1 of the shards).
        if shield.held.phase() < Phase::LameDuck
            || (in_work && core.shield_work(shield.held.id(), budget, site))
        {
            return Ok(shield);
        }
        Err(StopImminent)
    }

    /// Gives it a name, for the notice of who holds the stop up, and for the report; without one it is known by the
    /// place where it was taken. Costs a lock, here and when it is dropped, and some 100 ns in all.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let stop = lifecycle.stop();
    /// let shield = stop.shield(Duration::from_secs(4))?.named("transfer 17");
    /// stop.request_stop("the example is over");
    /// drop(shield);
    /// let longest = lifecycle.close().longest_shield.unwrap();
    /// assert_eq!(longest.name.as_deref(), Some("transfer 17"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        self.held.name(name.clone());
        // Published first, looked at afterwards (invariant 5 of the shards).
        if self.held.phase() >= Phase::LameDuck
            && let Some(core) = self.held.core()
        {
            core.name_shield(self.held.id(), name);
        }
        self
    }

    /// The safe point (L7). With a stop requested, ends the shielded work here; without one, renews the budget, for
    /// some nanoseconds, on a clock that is exact to about 10 ms.
    ///
    /// A shield taken inside counted work ([`Work::shield`](crate::Work::shield)) does not break because of a stop,
    /// as the work has until the drain deadline: it breaks when the end is forced or its budget has run out. After
    /// the stop request this does not renew it.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Break, Config, Lifecycle};
    /// # use std::time::Duration;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let stop = lifecycle.stop();
    /// let shield = stop.shield(Duration::from_secs(4))?;
    /// assert_eq!(shield.allow_break(), Ok(())); // 4 s from now
    /// stop.request_stop("the example is over");
    /// assert_eq!(shield.allow_break(), Err(Break::Stop));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Break::Stop`]: the shield holds nothing off any more. Roll back, and end. [`Break::Expired`]: the same,
    /// except that it was already over when this was called, and the stop has gone on meanwhile.
    #[inline]
    pub fn allow_break(&self) -> Result<(), Break> {
        if self.held.phase() < Phase::LameDuck {
            self.held.touch(self.budget);
            return Ok(());
        }
        self.break_off()
    }

    /// A new budget, counted from now. During a stop it goes no further than
    /// [`hard_limit`](crate::Config::hard_limit), or for a shield taken inside counted work after the stop request,
    /// than the drain deadline.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Break, Config, Lifecycle};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let mut shield = lifecycle.stop().shield(Duration::from_secs(2))?;
    /// lifecycle.stop().request_stop("the example is over");
    /// tokio::time::sleep(Duration::from_secs(1)).await;
    /// shield.renew(Duration::from_secs(3))?; // 4 s after the stop request
    /// tokio::time::sleep(Duration::from_secs(4)).await;
    /// assert_eq!(shield.renew(Duration::from_secs(3)), Err(Break::Expired));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`allow_break`](Self::allow_break), but a stop alone is none.
    pub fn renew(&mut self, budget: Duration) -> Result<(), Break> {
        self.budget = millis(budget);
        self.held.renew(self.budget);
        // Published first, looked at afterwards (invariant 1 of the shards).
        if self.held.phase() < Phase::LameDuck {
            return Ok(());
        }
        self.held.core().map_or(Err(Break::Stop), |core| core.renew_shield(self.held.id(), budget))
    }

    /// How the stop has gone on without this shield: [`Expired`](ShieldOutcome::Expired), or
    /// [`Forced`](ShieldOutcome::Forced), or [`Ended`](ShieldOutcome::Ended) once it has broken. `None` while it would hold
    /// a stop off. For whoever can interrupt the work that it protects; [`Stop::on_change`](crate::Stop::on_change) says
    /// when to look.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, ShieldOutcome};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let shield = lifecycle.stop().shield(Duration::from_secs(2))?;
    /// lifecycle.stop().request_stop("the example is over");
    /// assert_eq!(shield.outcome(), None);
    /// tokio::time::sleep(Duration::from_secs(3)).await;
    /// assert_eq!(shield.outcome(), Some(ShieldOutcome::Expired));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn outcome(&self) -> Option<ShieldOutcome> {
        if self.held.phase() < Phase::LameDuck {
            return None;
        }
        self.held.core().map_or(Some(ShieldOutcome::Ended), |core| core.shield_outcome(self.held.id()))
    }

    #[cold]
    fn break_off(&self) -> Result<(), Break> {
        let Some(core) = self.held.core() else { return Err(Break::Stop) };
        match core.shield_break(self.held.id(), !self.in_work) {
            Ok(()) if self.in_work => Ok(()),
            Ok(()) => Err(Break::Stop),
            Err(why) => Err(why),
        }
    }
}

impl fmt::Debug for Shield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shield").field("budget", &Duration::from_millis(self.budget)).finish_non_exhaustive()
    }
}
