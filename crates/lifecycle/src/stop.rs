//! The handle that everybody holds.

use crate::cause::{Cause, Failure};
use crate::core::Core;
use crate::machine::{Phase, Time};
use crate::shield::{Shield, StopImminent};
use crate::site::Site;
use crate::watch::Watch;
use crate::work::Outcome;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The stop of a program: ask whether it is requested, wait for it, request it.
///
/// Any number of clones, in any thread or task; dropping one means nothing. When the
/// [`Lifecycle`](crate::Lifecycle) is dropped without being closed, the stop is over at once: every wait completes.
///
/// ```
/// # use exeunt_lifecycle::{Config, Lifecycle};
/// let lifecycle = Lifecycle::install(Config::default())?;
/// let stop = lifecycle.stop();
/// let waiter = std::thread::spawn({
///     let stop = stop.clone();
///     move || stop.wait() // blocks; `requested` is for async code
/// });
/// assert!(stop.request_stop("the example is over"));
/// waiter.join().unwrap()?;
/// assert_eq!(lifecycle.close().exit_status(), 0);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Clone)]
pub struct Stop {
    core: Arc<Core>,
}

/// This process is a forked child: the stop is its parent's, and nothing here moves any more (L17).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this process was forked from the one whose stop this is; it has to install a lifecycle of its own")]
pub struct Forked;

impl Stop {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    #[cfg(any(target_os = "linux", windows))]
    pub(crate) fn into_core(self) -> Arc<Core> {
        self.core
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Whether the program is to end. One atomic load.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let stop = lifecycle.stop();
    /// assert!(!stop.is_requested());
    /// stop.request_stop("the example is over");
    /// assert!(stop.is_requested());
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.phase() >= Phase::LameDuck
    }

    /// The present phase. One atomic load.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Phase};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let stop = lifecycle.stop();
    /// assert_eq!(stop.phase(), Phase::Starting);
    /// lifecycle.ready();
    /// assert!(stop.phase() < Phase::LameDuck); // later phases are greater
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.core.phase()
    }

    /// Whether signals have forced the end (L9): everything is cut, and no shield holds anything off.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// lifecycle.stop().request_stop("the example is over");
    /// assert!(!lifecycle.stop().is_forced());
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.is_requested() && self.core.is_forced()
    }

    /// Requests the stop; true if nobody had before. Only the first request's cause counts, and only it starts the
    /// clock (L2). In a forked child: nothing, and false.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Cause, Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let stop = lifecycle.stop();
    /// assert!(stop.request(Cause::StdinEnded)); // seen by a reader of our own
    /// assert!(!stop.request(Cause::Call { why: "too late".to_owned() }));
    /// assert_eq!(lifecycle.close().cause, Some(Cause::StdinEnded));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[expect(clippy::must_use_candidate, reason = "whether it was the first interests few")]
    pub fn request(&self, cause: Cause) -> bool {
        self.core.request(cause)
    }

    /// Requests the stop, and says why in the report; true if nobody had before.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let stop = lifecycle.stop();
    /// assert!(stop.request_stop("all is done"));
    /// assert!(!stop.request_stop("and once more"));
    /// assert_eq!(lifecycle.close().cause.unwrap().to_string(), "all is done");
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn request_stop(&self, why: impl Into<String>) -> bool {
        self.request(Cause::Call { why: why.into() })
    }

    /// Requests the stop because `name` has failed; true if nobody had requested it before. Every failure is in the
    /// report, and makes the exit status 1 even where it is not the cause (L4, L14), unless the stop is over by then.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let stop = lifecycle.stop();
    /// let work = lifecycle.scope("work");
    /// stop.request_stop("all is done");
    /// stop.fail("database", "the disk is full"); // not the cause, and yet a failure
    /// drop(work);
    /// let report = lifecycle.close();
    /// assert_eq!(report.failures[0].to_string(), "database failed: the disk is full");
    /// assert_eq!(report.exit_status(), 1);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn fail(&self, name: impl Into<String>, error: impl Into<Box<dyn Error + Send + Sync>>) -> bool {
        let error = error.into();
        self.core.blame(Some(&*error));
        self.request(Cause::Failure(Failure::new(name.into(), &*error)))
    }

    /// Why the program ends; `None` before the stop request, and in a forked child.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let stop = lifecycle.stop();
    /// assert_eq!(stop.cause(), None);
    /// stop.request_stop("the example is over");
    /// assert_eq!(stop.cause().unwrap().to_string(), "the example is over");
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.core.state()?.cause.clone()
    }

    /// When what is in flight will be cut; `None` before the stop request.
    ///
    /// On the lifecycle's clock: with [`Lifecycle::on_runtime`](crate::Lifecycle::on_runtime) this is a
    /// `tokio::time::Instant` as well, by `from_std`.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # use tokio::time::{Instant, timeout_at};
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let stop = lifecycle.stop();
    /// assert_eq!(stop.drain_deadline(), None);
    /// stop.request_stop("the example is over");
    /// let deadline = Instant::from_std(stop.drain_deadline().expect("a stop was requested"));
    /// let answer = timeout_at(deadline, std::future::pending::<()>()).await;
    /// assert!(answer.is_err(), "20 s were not enough");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn drain_deadline(&self) -> Option<Instant> {
        let at = self.drain_time()?;
        self.core.clock().instant(at)
    }

    /// When the stop is over, whatever is left; `None` before the stop request.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let stop = lifecycle.stop();
    /// assert_eq!(stop.hard_deadline(), None);
    /// stop.request_stop("the example is over");
    /// assert!(stop.hard_deadline() > stop.drain_deadline());
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn hard_deadline(&self) -> Option<Instant> {
        let at = self.core.state()?.machine.hard_deadline()?;
        self.core.clock().instant(at)
    }

    /// How long until the drain deadline, on the lifecycle's clock; zero when it has passed, `None` before the stop
    /// request.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let _endless = lifecycle.scope("endless");
    /// let stop = lifecycle.stop();
    /// assert_eq!(stop.time_left(), None);
    /// stop.request_stop("the example is over");
    /// tokio::time::sleep(Duration::from_secs(15)).await;
    /// assert_eq!(stop.time_left().unwrap().as_secs_f64().round(), 5.0); // of 20 s
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let at = self.drain_time()?;
        Some(at.since(self.core.clock().now()))
    }

    /// Blocks until the stop is requested.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let stop = lifecycle.stop();
    /// let waiter = std::thread::spawn(move || stop.wait());
    /// lifecycle.stop().request_stop("the example is over");
    /// assert_eq!(waiter.join().unwrap(), Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Forked`], at once, in a forked child, where it would never come.
    pub fn wait(&self) -> Result<(), Forked> {
        self.wait_until(Phase::LameDuck, None).map(|_| ())
    }

    /// Blocks until `phase` is reached, for `timeout` at most; false if it was not.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Phase};
    /// # use std::time::Duration;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let stop = lifecycle.stop();
    /// assert!(!stop.wait_for(Phase::Running, Duration::from_millis(1))?);
    /// lifecycle.ready();
    /// assert!(stop.wait_for(Phase::Running, Duration::from_secs(60))?); // at once
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Forked`], at once, in a forked child, where it would never come.
    pub fn wait_for(&self, phase: Phase, timeout: Duration) -> Result<bool, Forked> {
        self.wait_until(phase, Some(timeout))
    }

    /// Blocks for `time`, or until the stop is requested: true if the time has passed, false if the program is to
    /// end (in a forked child, always and at once). For loops that do something every so often:
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// # let lifecycle = Lifecycle::install(Config::default())?;
    /// let stop = lifecycle.stop();
    /// let worker = std::thread::spawn(move || {
    ///     while stop.sleep(Duration::from_secs(60)) {
    ///         // … look for something to do …
    ///     }
    /// });
    /// let report = lifecycle.close(); // ends the sleep at once
    /// worker.join().unwrap();
    /// # Ok::<(), exeunt_lifecycle::InstallError>(())
    /// ```
    #[must_use = "false says that the program is to end"]
    pub fn sleep(&self, time: Duration) -> bool {
        !self.core.is_forked() && !self.core.wait_for(Phase::LameDuck, Some(time))
    }

    /// [`sleep`](Self::sleep) for async code: waits for `time`, or until the stop is requested; true if the time
    /// has passed, false if the program is to end (in a forked child, always and at once).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), exeunt_lifecycle::InstallError> {
    /// # let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let stop = lifecycle.stop();
    /// assert!(stop.sleep_async(Duration::from_secs(60)).await);
    /// stop.request_stop("the example is over");
    /// assert!(!stop.sleep_async(Duration::from_secs(60)).await);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    #[cfg(feature = "tokio")]
    #[must_use = "false says that the program is to end"]
    pub async fn sleep_async(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.requested()).await.is_err()
    }

    /// Protects what follows from the stop, until the [`Shield`] is dropped, and for `budget` at most, counted from
    /// now or from its last renewal. [`Shield::DEFAULT_BUDGET`] is one for who has no better idea.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Phase, StopImminent};
    /// # use std::time::Duration;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let stop = lifecycle.stop();
    /// let shield = stop.shield(Duration::from_secs(4))?;
    /// stop.request_stop("the example is over");
    /// assert_eq!(stop.phase(), Phase::Draining); // and no further, for 4 s
    /// drop(shield);
    /// assert_eq!(stop.shield(Duration::from_secs(4)).unwrap_err(), StopImminent);
    /// assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StopImminent`] after a stop request: nothing begins any more that the stop would have to wait for. Inside
    /// counted work, see [`Work::shield`](crate::Work::shield); for what must be done at the end,
    /// [`run_at_exit`](Self::run_at_exit).
    #[track_caller]
    pub fn shield(&self, budget: Duration) -> Result<Shield, StopImminent> {
        self.shield_at(budget, Site::here())
    }

    /// [`shield`](Self::shield) for whom the caller's line is none of Rust: `site` is where the report says that it was
    /// taken.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Site};
    /// # use std::time::Duration;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let stop = lifecycle.stop();
    /// let shield = stop.shield_at(Duration::from_secs(4), Site::elsewhere("transfer.py", 17))?;
    /// stop.request_stop("the example is over");
    /// drop(shield);
    /// let longest = lifecycle.close().longest_shield.unwrap();
    /// assert_eq!(longest.site, Some(Site::elsewhere("transfer.py", 17)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StopImminent`] after a stop request.
    pub fn shield_at(&self, budget: Duration, site: Site) -> Result<Shield, StopImminent> {
        Shield::take(&self.core, budget, false, site)
    }

    /// Has `work` done in `Closing`, in a thread of its own, when nothing is in flight any more and before any
    /// component closes: the latest registered first, one after the other, each once. It may take half of the time
    /// that is left, the last all of it; after a forced end they have 1 s together.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # let lifecycle = Lifecycle::install(Config::default())?;
    /// # let (say, hear) = std::sync::mpsc::channel();
    /// let stop = lifecycle.stop();
    /// stop.run_at_exit("position", move || say.send("saved"))?;
    /// assert_eq!(lifecycle.close().exit_status(), 0);
    /// assert_eq!(hear.recv()?, "saved");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StopImminent`] once components are being closed. A stop request alone does not refuse it.
    pub fn run_at_exit<R: Outcome>(
        &self,
        name: impl Into<String>,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<(), StopImminent> {
        crate::component::run_at_exit(&self.core, name.into(), work)
    }

    /// [`run_at_exit`](Self::run_at_exit) for async code: has `work` done in `Closing`, as a task of the runtime that
    /// this is called in, or else of the one that the lifecycle is on. It takes its turn among all exit work, and has
    /// the same time; when that is over, it is aborted, which is a failure. Not polled before its turn, and dropped
    /// if that never comes.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # async fn leave_the_cluster() -> std::io::Result<()> { Err(std::io::Error::other("nobody answers")) }
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let stop = lifecycle.stop();
    /// stop.run_at_exit_async("cluster", async { leave_the_cluster().await })?;
    /// stop.request_stop("the example is over");
    /// let report = lifecycle.finished().await;
    /// assert_eq!(report.failures[0].to_string(), "cluster failed: closing: nobody answers");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ExitWorkError`](crate::ExitWorkError): components are being closed; or there is no tokio runtime.
    #[cfg(feature = "tokio")]
    pub fn run_at_exit_async<F>(
        &self,
        name: impl Into<String>,
        work: F,
    ) -> Result<(), crate::component::ExitWorkError>
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        crate::component::run_at_exit_async(&self.core, name.into(), work)
    }

    /// Completes when the stop is requested; in a forked child, where that would never come, at once.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// lifecycle.task("listener", async |stop| {
    ///     tokio::select! {
    ///         () = stop.requested() => {} // leave
    ///         () = std::future::pending() => {} // whatever comes in
    ///     }
    /// });
    /// lifecycle.stop().request_stop("the example is over");
    /// assert_eq!(lifecycle.finished().await.exit_status(), 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; waiting again after the fact completes at once.
    #[cfg(feature = "tokio")]
    pub fn requested(&self) -> impl Future<Output = ()> + use<'_> {
        self.reached(Phase::LameDuck)
    }

    /// Completes when `phase` is reached; in a forked child, where that would never come, at once.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Phase};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default().lame_duck(Duration::from_secs(5)))?;
    /// lifecycle.task("listener", async |stop| {
    ///     stop.reached(Phase::Draining).await; // goes on accepting in a lame duck
    /// });
    /// lifecycle.ready();
    /// lifecycle.stop().request_stop("the example is over");
    /// assert_eq!(lifecycle.finished().await.took.as_secs(), 5);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; waiting again after the fact completes at once.
    #[cfg(feature = "tokio")]
    pub fn reached(&self, phase: Phase) -> impl Future<Output = ()> + use<'_> {
        // The bell lives in the core, so this cannot end without the phase.
        self.core.bell(phase).wait(|| self.phase() >= phase || self.core.is_forked())
    }

    /// Something new has come, such as a request: keeps a lame duck up that ends when it is quiet
    /// ([`Config::lame_duck_quiet`](crate::Config::lame_duck_quiet)). The servers of this project say so of each request
    /// that is no balancer's probe; a loop of one's own may. One atomic load, but in a lame duck.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Phase};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let seconds = Duration::from_secs;
    /// let lifecycle = Lifecycle::on_runtime(Config::default().lame_duck(seconds(10)).lame_duck_quiet(seconds(2)))?;
    /// lifecycle.ready();
    /// let stop = lifecycle.stop();
    /// stop.request_stop("the example is over");
    /// tokio::time::sleep(seconds(1)).await;
    /// stop.note_arrival(); // a client that has not heard yet
    /// let report = lifecycle.finished().await;
    /// assert_eq!(report.time_in(Phase::LameDuck).as_secs(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn note_arrival(&self) {
        self.core.note_arrival();
    }

    /// Has `act` called after each step of the stop (a phase began, work was told, or cut, a shield's
    /// time ran out), until the [`Watch`] is
    /// dropped: for event loops that have a waker of their own. By a thread for that alone, beside the stop (with
    /// [`Lifecycle::on_runtime`](crate::Lifecycle::on_runtime) by whatever thread took the step): one that blocks holds
    /// up the others that were asked for here. A panic in it is caught, and among the report's
    /// [`hook_failures`](crate::Report::hook_failures). What happened before is not told, so look at the phase after
    /// asking.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::sync::mpsc::channel;
    /// # let lifecycle = Lifecycle::install(Config::default())?;
    /// let (wake, woken) = channel();
    /// let stop = lifecycle.stop();
    /// let watch = stop.on_change(move || _ = wake.send(()));
    /// stop.request_stop("the example is over");
    /// assert!(woken.recv().is_ok());
    /// # drop(watch);
    /// # assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), exeunt_lifecycle::InstallError>(())
    /// ```
    pub fn on_change(&self, act: impl Fn() + Send + Sync + 'static) -> Watch {
        self.core.on_change(Arc::new(act))
    }

    fn drain_time(&self) -> Option<Time> {
        self.core.state()?.machine.drain_deadline()
    }

    fn wait_until(&self, phase: Phase, timeout: Option<Duration>) -> Result<bool, Forked> {
        let reached = self.core.wait_for(phase, timeout);
        if !reached && self.core.is_forked() { Err(Forked) } else { Ok(reached) }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("phase", &self.phase()).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use super::{Arc, Core, Stop};
    use crate::{Config, Lifecycle, Phase};
    use futures_util::FutureExt as _;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    const FOR_EVER: Duration = Duration::MAX;

    /// While it lives, this seems to be a forked child.
    struct Child(Arc<Core>);

    impl Child {
        fn of(stop: &Stop) -> Self {
            stop.core.seems_forked.store(true, Ordering::SeqCst);
            Self(Arc::clone(&stop.core))
        }
    }

    impl Drop for Child {
        fn drop(&mut self) {
            self.0.seems_forked.store(false, Ordering::SeqCst);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn l17_in_a_forked_child_nothing_is_waited_for() {
        let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
        let (stop, scope) = (lifecycle.stop(), lifecycle.scope("scope"));
        assert!(stop.requested().now_or_never().is_none() && scope.cut_requested().now_or_never().is_none());
        let _child = Child::of(&stop);
        assert_eq!(stop.sleep_async(FOR_EVER).now_or_never(), Some(false));
        assert!(!stop.sleep(FOR_EVER));
        let waits = [stop.requested().now_or_never(), stop.reached(Phase::Stopped).now_or_never()];
        assert_eq!(waits, [Some(()); 2]);
        let waits = [scope.drain_requested().now_or_never(), scope.cut_requested().now_or_never()];
        assert_eq!(waits, [Some(()); 2]);
        assert!(!stop.is_requested());
    }

    #[tokio::test(start_paused = true)]
    async fn l17_a_forked_child_has_nothing_of_its_parents_pool() {
        let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
        let pool = lifecycle.pool("pool").hand_back().start_async(async |_: u32, _| ()).unwrap();
        pool.try_push(1).unwrap();
        let stop = lifecycle.stop();
        stop.request_stop("enough");
        let child = Child::of(&stop);
        assert!(pool.take_rest().is_empty() && pool.try_push(2).is_err());
        drop(child);
        assert_eq!(pool.take_rest(), [1]);
    }
}
