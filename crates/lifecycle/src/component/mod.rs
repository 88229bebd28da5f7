//! Components: what has a start and a close, and closes in reverse order of start (L3, L4).

mod blocking;
mod closer;
mod error;
mod exit_work;
mod group_report;
mod report;
#[cfg(feature = "tokio")]
mod start;

pub use blocking::BlockingComponent;
#[cfg(feature = "tokio")]
pub(crate) use closer::ClosingGuard;
pub(crate) use closer::{Closer, run_blocking};
pub use error::StartError;
#[cfg(feature = "tokio")]
pub use exit_work::ExitWorkError;
pub(crate) use exit_work::run_at_exit;
#[cfg(feature = "tokio")]
pub(crate) use exit_work::run_at_exit_async;
pub use group_report::GroupReport;
pub use report::{ComponentOutcome, ComponentReport};
#[cfg(feature = "tokio")]
pub use start::Component;

use crate::core::{Core, Timeouts};
use crate::machine::GroupId;
use crate::scope::Scope;
use crate::work::{Outcome, Tasks};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Components that belong together, and that close before those of the group around them.
///
/// Within a group, components close in reverse order of start: what is started first may be used by all that come
/// after, and closes last. A group within closes as a whole, before the components beside it, even those that
/// started later; so it may use whatever the group around it has. State that must be saved last belongs to the first
/// component of the outermost group.
///
/// A group may have work of its own ([`scope`](Self::scope), [`tasks`](Self::tasks)), and be closed by itself, before
/// the program stops: see [`close`](Self::close).
///
/// A handle: clones mean the same group, and dropping one means nothing.
///
/// ```
/// # use exeunt_lifecycle::{Config, Lifecycle};
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # use std::sync::{Arc, Mutex};
/// let order = Arc::new(Mutex::new(Vec::new()));
/// let closes = |name| {
///     let order = Arc::clone(&order);
///     move |()| async move { order.lock().unwrap().push(name) }
/// };
/// let lifecycle = Lifecycle::on_runtime(Config::default())?;
/// let tenant = lifecycle.group("tenant");
/// lifecycle.component("database", async { Ok::<_, std::io::Error>(()) }, closes("database")).await?;
/// tenant.component("cache", async { Ok::<_, std::io::Error>(()) }, closes("cache")).await?;
/// lifecycle.component("consumer", async { Ok::<_, std::io::Error>(()) }, closes("consumer")).await?;
///
/// lifecycle.stop().request_stop("the example is over");
/// let report = lifecycle.finished().await;
/// assert_eq!(*order.lock().unwrap(), ["cache", "consumer", "database"]);
/// assert_eq!(report.exit_status(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Group {
    core: Arc<Core>,
    id: GroupId,
    /// Its path: the names of the groups around it and its own.
    name: Arc<str>,
}

impl Group {
    pub(crate) fn root(core: Arc<Core>) -> Self {
        Self { core, id: GroupId::ROOT, name: Arc::from("") }
    }

    /// A group inside this one, which closes before this one's components.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # let open = || Ok::<_, std::io::Error>(());
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let shop = lifecycle.group("shop");
    /// shop.component_blocking("stock", open, |()| {}).start()?;
    /// shop.group("till").component_blocking("drawer", open, |()| {}).start()?;
    /// let closed = lifecycle.close().components;
    /// assert_eq!((&*closed[0].name, &*closed[1].name), ("shop/till/drawer", "shop/stock"));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn group(&self, name: impl AsRef<str>) -> Self {
        let id = self.core.open_group(self.id);
        Self { core: Arc::clone(&self.core), id, name: Arc::from(self.path(name.as_ref())) }
    }

    /// A component that is started by a future, and closed by one. Nothing happens before it is awaited.
    ///
    /// The start runs in the awaiting task. A stop request does not interrupt it: it may finish within its
    /// [`start_timeout`](Component::start_timeout), and is given up at the drain deadline (L3). What it gives is
    /// handed to whoever awaited, as a clone, and kept for `close`, which gets it by value. After a stop request
    /// nothing starts any more.
    ///
    /// `close` runs once, as a task of the runtime on which the component was started, in `Closing`, when everything
    /// that started later is closed (L4). It returns a future of `()` or of a `Result`.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// #[derive(Clone)]
    /// struct Database;
    ///
    /// impl Database {
    ///     async fn connect() -> std::io::Result<Self> {
    ///         Ok(Self)
    ///     }
    ///
    ///     async fn close(self) -> std::io::Result<()> {
    ///         Err(std::io::Error::other("the disk is full"))
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let database = lifecycle.component("database", Database::connect(), |db| db.close()).await?;
    /// // … use it …
    /// # drop(database);
    /// lifecycle.stop().request_stop("the example is over");
    /// let report = lifecycle.finished().await;
    /// assert_eq!(report.failures[0].to_string(), "database failed: closing: the disk is full");
    /// assert_eq!(report.exit_status(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn component<S, T, E, C, F>(&self, name: impl Into<String>, start: S, close: C) -> Component<S, C>
    where
        S: Future<Output = Result<T, E>>,
        T: Clone + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
        C: FnOnce(T) -> F + Send + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        Component::new(self.clone(), &name.into(), start, close)
    }

    /// A component that is started and closed by functions that block, each in a thread of its own. Nothing happens
    /// before [`start`](BlockingComponent::start) is called. For the rest it is like
    /// [`component`](Self::component).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::path::PathBuf;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// # let path = std::env::temp_dir().join(format!("exeunt-doc-{}.pid", std::process::id()));
    /// # let lock = path.clone();
    /// let create = move || std::fs::write(&path, "locked").map(|()| path);
    /// let path: PathBuf = lifecycle
    ///     .component_blocking("lock file", create, |path| std::fs::remove_file(path))
    ///     .start()?;
    /// assert!(path.exists());
    /// assert_eq!(lifecycle.close().exit_status(), 0);
    /// assert!(!path.exists());
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn component_blocking<S, T, E, C, R>(
        &self,
        name: impl Into<String>,
        start: S,
        close: C,
    ) -> BlockingComponent<S, C>
    where
        S: FnOnce() -> Result<T, E> + Send + 'static,
        T: Clone + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
        C: FnOnce(T) -> R + Send + 'static,
        R: Outcome,
    {
        BlockingComponent::new(self.clone(), &name.into(), start, close)
    }

    /// A scope whose work is done before the components of this group close, whether that is by
    /// [`close`](Self::close) or with the program: work that uses them. See [`Lifecycle::scope`]; for a queue of jobs,
    /// [`PoolBuilder::new`](crate::PoolBuilder::new) takes it.
    ///
    /// [`Lifecycle::scope`]: crate::Lifecycle::scope
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let tenant = lifecycle.group("tenant");
    /// let scope = tenant.scope("imports");
    /// let import = scope.track("import", "customers.csv");
    /// tokio::spawn(async move {
    ///     scope.drain_requested().await; // accept nothing new; finish what there is
    ///     drop((import, scope));
    /// });
    /// let report = tenant.close(Duration::from_secs(10)).await;
    /// assert_eq!((&*report.name, report.cut.len()), ("tenant", 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn scope(&self, name: impl AsRef<str>) -> Scope {
        Scope::new(Arc::clone(&self.core), self.path(name.as_ref()), self.id)
    }

    /// Tasks, blocking jobs and threads that end before the components of this group close. See [`Tasks`].
    ///
    /// A task learns that its group closes by [`Tasks::drain_requested`]: the [`Stop`] that it gets is the program's.
    ///
    /// [`Stop`]: crate::Stop
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let tenant = lifecycle.group("tenant");
    /// let tasks = tenant.tasks("mail");
    /// let group = tasks.clone();
    /// tasks.spawn("a@example.org", async move |_stop| group.drain_requested().await);
    /// tokio::task::yield_now().await;
    /// tenant.close(Duration::from_secs(10)).await;
    /// assert_eq!(tasks.in_flight(), 0);
    /// assert!(!lifecycle.stop().is_requested(), "the program goes on");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn tasks(&self, name: impl AsRef<str>) -> Tasks {
        Tasks::new(self.scope(name))
    }

    /// Closes the group now, before the program stops, and answers what became of it.
    ///
    /// Nothing further starts in it ([`StartError::GroupClosed`]). Its work ([`scope`](Self::scope),
    /// [`tasks`](Self::tasks)) is told, as in `Draining`, and cut when `within` is over but for a close reserve: the
    /// smaller of 20 % and 5 s. Then its components close, each once, in the order and with the timeouts of a stop;
    /// groups within it first. What is not closed when `within` is over is skipped. All that goes wrong is in the
    /// answer and in the program's report, and counts for its exit status; it stops nothing.
    ///
    /// Shields do not hold it off: they are for the stop. A stop request meanwhile does not interrupt it; once the
    /// program is in `Closing`, that takes over what is left, in the same order, and a component that is being closed
    /// is waited for. Who calls it while somebody else closes the group, or one around it, waits for that; of a
    /// closed group the answer is empty. The outermost group closes with the program: this waits for that.
    ///
    /// Do not wait for it in work of the group, nor in a closer, which it waits for itself.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let tenant = lifecycle.group("tenant 7");
    /// tenant.component("cache", async { Ok::<_, std::io::Error>(()) }, async |()| ()).await?;
    /// let refresh = tenant.tasks("refresh");
    /// let told = refresh.clone();
    /// refresh.spawn("prices", async move |_stop| {
    ///     told.drain_requested().await;
    ///     // … finish …
    /// });
    ///
    /// let report = tenant.close(Duration::from_secs(10)).await;
    /// assert!(report.is_clean());
    /// assert_eq!(report.components[0].to_string(), "tenant 7/cache: closed after 0 ms");
    /// assert!(!lifecycle.stop().is_requested());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// It begins when this is first polled. Dropping the future changes nothing about it: the group closes all the
    /// same.
    #[cfg(feature = "tokio")]
    pub async fn close(&self, within: Duration) -> GroupReport {
        self.core.close_group(self.id, &self.name, within).wait().await
    }

    /// [`close`](Self::close), and blocks until the group is closed. Not for async code, where it would block a
    /// thread of the runtime that a closer may need.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let tenant = lifecycle.group("tenant 7");
    /// tenant.component_blocking("cache", || Ok::<_, std::io::Error>(()), |()| {}).start()?;
    /// assert!(tenant.close_blocking(Duration::from_secs(10)).is_clean());
    /// assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn close_blocking(&self, within: Duration) -> GroupReport {
        self.core.wait_for_group(&self.core.close_group(self.id, &self.name, within))
    }

    fn path(&self, name: &str) -> String {
        if self.name.is_empty() { name.to_owned() } else { format!("{}/{name}", self.name) }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("name", &self.name).finish_non_exhaustive()
    }
}

const DEFAULT_TIMEOUTS: Timeouts = Timeouts { start: Duration::from_secs(60), close: None, last: false };
