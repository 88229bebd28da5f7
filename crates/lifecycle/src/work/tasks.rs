//! Tasks, blocking jobs and threads (L12).

use super::guard::Guard;
#[cfg(feature = "tokio")]
use super::guard::{Handover, Run};
use super::outcome::{OnFailure, Outcome};
#[cfg(feature = "tokio")]
use super::registry::Abort;
use super::registry::Name;
use super::tracked::Tracked;
use crate::lifecycle::Lifecycle;
use crate::machine::Notice;
use crate::scope::{OnNotice, Scope};
use crate::site::Site;
use crate::stop::Stop;
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, mpsc};

/// A group of tasks, blocking jobs and threads, which a stop tells, awaits, aborts where it can, and names.
///
/// Each gets the [`Stop`] and is told by it when `Draining` begins
/// ([`stop.reached(Phase::Draining)`](Stop::reached), or [`Stop::requested`] for those that need not go on in a lame
/// duck); until the drain deadline it is awaited. Then tasks are aborted, and the abort is awaited: a task that does
/// not yield goes on until it does. Blocking jobs that have not begun are dropped. A thread, or a blocking job that
/// has begun, cannot be ended from outside: it delays the end until the hard deadline at most, and the report names
/// it as left behind.
///
/// What returns an error, or panics, has failed: the failure is in the report, and the exit status is 1. The program
/// goes on, unless [`on_failure`](Self::on_failure) says otherwise.
///
/// Clones share the group. It holds the stop up only while something is in flight, however many clones there are;
/// what is spawned during the drain is awaited like the rest, and what is spawned after the drain deadline never
/// begins, and is in the report as cut. In a forked child nothing is spawned (L17).
///
/// Unlike `tokio_util::task::TaskTracker` it needs no `close` and no token beside it, and knows its tasks by name,
/// age and site.
///
/// ```
/// # use exeunt_lifecycle::{Config, Lifecycle};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let lifecycle = Lifecycle::on_runtime(Config::default())?;
/// let tasks = lifecycle.tasks("mail");
/// for address in ["a@example.org", "b@example.org"] {
///     tasks.spawn(address, async |stop| {
///         stop.requested().await;
///     });
/// }
/// assert_eq!(tasks.in_flight(), 2);
/// lifecycle.stop().request_stop("enough");
/// let report = lifecycle.finished().await;
/// assert_eq!((report.exit_status(), report.scopes[0].finished), (0, 2));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tasks {
    scope: Arc<Scope>,
    then: OnFailure,
    #[cfg(feature = "tokio")]
    runtime: Option<tokio::runtime::Handle>,
}

impl Tasks {
    /// A group of the scope's name, in its place. Tasks run on the runtime that they are spawned in, or else on the
    /// one that this is called in.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Tasks};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let tasks = Tasks::new(lifecycle.scope("mail"));
    /// tasks.spawn("a@example.org", async |_| ());
    /// lifecycle.stop().request_stop("the example is over");
    /// assert_eq!(lifecycle.finished().await.scopes[0].name, "mail");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        let shared = Arc::downgrade(scope.shared());
        let act: OnNotice = Arc::new(move |notice| {
            let Some(scope) = shared.upgrade() else { return };
            #[cfg(feature = "tokio")]
            if notice >= Notice::Cut {
                scope.abort_all();
            }
            if notice >= Notice::Told {
                scope.seal();
            }
        });
        scope.shared().on_notice(&act);
        Self {
            scope: Arc::new(scope),
            then: OnFailure::GoOn,
            #[cfg(feature = "tokio")]
            runtime: tokio::runtime::Handle::try_current().ok(),
        }
    }

    /// What becomes of the program when something spawned by this handle fails.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, OnFailure};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let tasks = lifecycle.tasks("mail").on_failure(OnFailure::Stop);
    /// tasks.spawn("a@example.org", async |_| Err::<(), _>("no such address"));
    /// let report = lifecycle.finished().await; // of a stop that nobody else requested
    /// assert_eq!(report.cause.unwrap().to_string(), "mail: a@example.org failed: no such address");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn on_failure(mut self, then: OnFailure) -> Self {
        self.then = then;
        self
    }

    /// How much is in flight.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let tasks = lifecycle.tasks("mail");
    /// tasks.spawn("a@example.org", async |_| ());
    /// assert_eq!(tasks.in_flight(), 1);
    /// tokio::task::yield_now().await;
    /// assert_eq!(tasks.in_flight(), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.scope.in_flight()
    }

    /// Completes when the drain has begun: of the program, or of the [`Group`](crate::Group) that these tasks belong
    /// to.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let tasks = lifecycle.tasks("mail");
    /// let group = tasks.clone();
    /// tasks.spawn("a@example.org", async move |_stop| group.drain_requested().await);
    /// lifecycle.stop().request_stop("the example is over");
    /// assert_eq!(lifecycle.finished().await.scopes[0].finished, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; waiting again after the fact completes at once.
    #[cfg(feature = "tokio")]
    pub async fn drain_requested(&self) {
        self.scope.drain_requested().await;
    }

    /// Counts a piece of work that runs elsewhere, in a thread or an event loop that is not ours, until what this
    /// returns is dropped. [`Tracked::is_cut`] says that it must end; then [`Tracked::cut`] says that it did.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Site};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let work = lifecycle.tasks("imports").track("import", "customers.csv", Site::elsewhere("imports.py", 12));
    /// lifecycle.stop().request_stop("the example is over");
    /// work.cut();
    /// let cut = &lifecycle.close().scopes[0].cut[0];
    /// assert!(cut.to_string().starts_with("import customers.csv, after "));
    /// assert!(cut.to_string().ends_with(", from imports.py:12"));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn track(&self, kind: &'static str, name: impl Into<Cow<'static, str>>, site: Site) -> Tracked {
        self.scope.track_as(Name::Text(name.into()), kind, site)
    }

    /// The `most` oldest of what is in flight, oldest first.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let tasks = lifecycle.tasks("mail");
    /// for address in ["a@example.org", "b@example.org"] {
    ///     tasks.spawn(address, async |stop| stop.requested().await);
    /// }
    /// let oldest = tasks.live(1);
    /// assert_eq!((&*oldest[0].name, oldest[0].kind), ("a@example.org", "task"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn live(&self, most: usize) -> Vec<super::LiveWork> {
        self.scope.live(most)
    }

    /// Spawns a task. Where there is no runtime that is the task's failure.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let tasks = lifecycle.tasks("mail");
    /// tasks.spawn("a@example.org", async |stop| {
    ///     stop.requested().await; // tells it to finish
    ///     Ok::<(), std::io::Error>(())
    /// });
    /// tasks.spawn("deaf", async |_| std::future::pending::<()>().await);
    /// lifecycle.stop().request_stop("the example is over");
    /// let report = lifecycle.finished().await;
    /// assert_eq!((report.scopes[0].finished, &*report.scopes[0].cut[0].name), (1, "deaf"));
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    #[track_caller]
    pub fn spawn<T, F>(&self, name: impl Into<Cow<'static, str>>, task: T)
    where
        T: FnOnce(Stop) -> F + Send + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        let Some(tracked) = self.begin(name.into(), "task") else { return };
        self.on_a_runtime(tracked, |runtime, guard, stop| {
            Abort::Task(runtime.spawn(Run::new(task, stop, guard)).abort_handle())
        });
    }

    /// Runs a blocking job on the runtime's threads for that. Where there is no runtime that is the job's failure.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let tasks = lifecycle.tasks("pictures");
    /// tasks.spawn_blocking("resize cat.png", |stop| {
    ///     _ = stop.wait(); // in pieces, with a look at `stop` between them
    /// });
    /// lifecycle.stop().request_stop("the example is over");
    /// let report = lifecycle.finished().await;
    /// assert_eq!((report.scopes[0].in_flight_at_stop, report.scopes[0].finished), (1, 1));
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    #[track_caller]
    pub fn spawn_blocking<T, R>(&self, name: impl Into<Cow<'static, str>>, job: T)
    where
        T: FnOnce(Stop) -> R + Send + 'static,
        R: Outcome,
    {
        let Some(tracked) = self.begin(name.into(), "blocking") else { return };
        self.on_a_runtime(tracked, |runtime, guard, stop| {
            let guard = Handover::new(guard);
            let abort = Abort::Waiting(Arc::clone(&guard));
            let waiting = Waiting(guard);
            runtime.spawn_blocking(move || {
                if let Some(guard) = waiting.0.take() {
                    guard.run(|| job(stop));
                }
            });
            abort
        });
    }

    /// Runs something on a thread of its own, with this name. That no thread can be had is its failure.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let tasks = lifecycle.tasks("pollers");
    /// tasks.spawn_thread("mail", |stop| while stop.sleep(Duration::from_secs(60)) {});
    /// let report = lifecycle.close(); // ends the sleep
    /// assert_eq!(report.scopes[0].finished, 1);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[track_caller]
    pub fn spawn_thread<T, R>(&self, name: impl Into<Cow<'static, str>>, body: T)
    where
        T: FnOnce(Stop) -> R + Send + 'static,
        R: Outcome,
    {
        let name = name.into();
        // `std::thread::Builder` panics over a NUL.
        let thread = std::thread::Builder::new().name(name.replace('\0', ""));
        let Some(tracked) = self.begin(name, "thread") else { return };
        let stop = self.scope.stop();
        // The thread gets its guard only once it exists, so that the failure to start it can be told from its end.
        let (give, take) = mpsc::channel::<Guard>();
        let spawned = thread.spawn(move || {
            if let Ok(guard) = take.recv() {
                guard.run(|| body(stop));
            }
        });
        match spawned {
            // A thread that is gone already drops the guard, and the work is cut.
            Ok(_) => _ = give.send(Guard::new(tracked, self.then)),
            Err(error) => tracked.fail(error, self.then),
        }
    }

    #[track_caller]
    fn begin(&self, name: Cow<'static, str>, kind: &'static str) -> Option<Tracked> {
        if self.scope.shared().is_forked() {
            return None;
        }
        let tracked = self.scope.track_as(Name::Text(name), kind, Site::here());
        if tracked.is_cut() {
            tracked.cut();
            return None;
        }
        Some(tracked)
    }

    #[cfg(feature = "tokio")]
    fn on_a_runtime(
        &self,
        tracked: Tracked,
        spawn: impl FnOnce(&tokio::runtime::Handle, Guard, Stop) -> Abort,
    ) {
        let here = tokio::runtime::Handle::try_current().ok();
        let Some(runtime) = here.as_ref().or(self.runtime.as_ref()) else {
            return tracked.fail(NoRuntime, self.then);
        };
        let Some(handle) = tracked.handle() else { return };
        let abort = spawn(runtime, Guard::new(tracked, self.then), self.scope.stop());
        handle.abort_by(abort);
        if self.scope.is_cut() {
            self.scope.shared().abort_all();
        }
    }
}

/// A blocking job that has not begun. Dropped so, by a runtime that ends, it is cut.
#[cfg(feature = "tokio")]
struct Waiting(Arc<Handover>);

#[cfg(feature = "tokio")]
impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

/// There is nothing to run a task.
#[cfg(feature = "tokio")]
#[derive(Debug, thiserror::Error)]
#[error("there is no tokio runtime here to run it; spawn it inside one, or use a thread")]
struct NoRuntime;

impl Lifecycle {
    /// A group of tasks, blocking jobs and threads that `Closing` waits for.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let pollers = lifecycle.tasks("pollers");
    /// for name in ["mail", "feeds"] {
    ///     pollers.spawn_thread(name, |stop| stop.wait());
    /// }
    /// assert_eq!(lifecycle.close().scopes[0].finished, 2);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn tasks(&self, name: impl Into<String>) -> Tasks {
        Tasks::new(self.scope(name))
    }

    /// Spawns a task that the program cannot do without: its failure is a stop request. See [`Tasks::spawn`].
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// lifecycle.task("reindex", async |_stop| Err::<(), _>("the index is gone"));
    /// let report = lifecycle.finished().await;
    /// assert_eq!(report.exit_status(), 1);
    /// assert_eq!(report.cause.unwrap().to_string(), "reindex failed: the index is gone");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    #[track_caller]
    pub fn task<T, F>(&self, name: impl Into<Cow<'static, str>>, task: T)
    where
        T: FnOnce(Stop) -> F + Send + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        let name = name.into();
        self.needed(&name).spawn(name, task);
    }

    /// Runs a blocking job that the program cannot do without: its failure is a stop request. See
    /// [`Tasks::spawn_blocking`].
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// lifecycle.blocking("index", |_| Err::<(), _>("the disk is full"));
    /// let report = lifecycle.finished().await;
    /// assert_eq!(report.cause.unwrap().to_string(), "index failed: the disk is full");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    #[track_caller]
    pub fn blocking<T, R>(&self, name: impl Into<Cow<'static, str>>, job: T)
    where
        T: FnOnce(Stop) -> R + Send + 'static,
        R: Outcome,
    {
        let name = name.into();
        self.needed(&name).spawn_blocking(name, job);
    }

    /// Runs a thread that the program cannot do without: its failure is a stop request. See
    /// [`Tasks::spawn_thread`].
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// lifecycle.thread("poller", |stop| {
    ///     _ = stop.wait();
    /// });
    /// assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), exeunt_lifecycle::InstallError>(())
    /// ```
    #[track_caller]
    pub fn thread<T, R>(&self, name: impl Into<Cow<'static, str>>, body: T)
    where
        T: FnOnce(Stop) -> R + Send + 'static,
        R: Outcome,
    {
        let name = name.into();
        self.needed(&name).spawn_thread(name, body);
    }

    fn needed(&self, name: &str) -> Tasks {
        self.tasks(name).on_failure(OnFailure::Stop)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("scope", &self.scope).finish_non_exhaustive()
    }
}
