//! Worker pools over a bounded queue (L13).

use super::outcome::{OnFailure, Outcome};
use super::queue::{Leftovers, NameOf, Queue, Queued};
use super::registry::Name;
use crate::foreign::foreign;
#[cfg(feature = "tokio")]
use crate::foreign::foreign_async;
use crate::lifecycle::Lifecycle;
use crate::scope::Scope;
use crate::site::Site;
use crate::stop::Stop;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Workers that take jobs from a bounded queue.
///
/// When the drain begins the pool accepts nothing more: a push, even one that was waiting for room, gives its job
/// back. What is in the queue then is finished, or, with [`PoolBuilder::hand_back`], taken out for the owner
/// ([`take_rest`](Self::take_rest)) and named in the report. What is still in the queue at the drain deadline is cut,
/// named, and can be taken out too: no job is lost in silence (L13). None of this needs a free worker. A job that is
/// running then is told by its [`Stop`]; one that never ends is named as left behind.
///
/// A job that returns an error or panics has failed: that is in the report, the exit status is 1, and its worker
/// goes on with the next one.
///
/// Clones share the pool. Dropping the last one finishes the queue and ends the workers.
///
/// ```
/// use exeunt_lifecycle::{Config, Lifecycle};
///
/// let lifecycle = Lifecycle::install(Config::default())?;
/// let pool = lifecycle.pool("resize").workers(2).queue(100).start(|picture: String, _stop| {
///     if picture.is_empty() { Err("no such picture") } else { Ok(()) }
/// })?;
/// pool.push("cat.png".to_owned())?;
/// let report = lifecycle.close();
/// assert_eq!(report.exit_status(), 0);
/// assert!(pool.push("dog.png".to_owned()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pool<J> {
    owner: Arc<Owner<J>>,
}

/// Its last handle is gone when this is.
struct Owner<J> {
    scope: Scope,
    queue: Arc<Queue<J>>,
}

/// How a [`Pool`] is to be.
///
/// ```
/// # use exeunt_lifecycle::{Config, Lifecycle, OnFailure};
/// let lifecycle = Lifecycle::install(Config::default())?;
/// let pool = lifecycle
///     .pool("resize")
///     .workers(4)
///     .queue(1_000)
///     .job_name(|picture: &String| picture.clone())
///     .on_failure(OnFailure::Stop) // the default is to go on
///     .hand_back() // the default is to finish the queue
///     .start(|_picture, _stop| Err::<(), _>("no such picture"))?;
/// pool.push("cat.png".to_owned())?;
/// let report = lifecycle.wait();
/// assert_eq!(report.cause.unwrap().to_string(), "resize: cat.png failed: no such picture");
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[must_use = "a pool does nothing until it is started"]
pub struct PoolBuilder<J> {
    scope: Scope,
    workers: usize,
    queue: usize,
    leftovers: Leftovers,
    then: OnFailure,
    name_of: Option<NameOf<J>>,
}

/// A job that was not taken, and is given back.
#[non_exhaustive]
pub enum PushError<J> {
    /// There is no room in the queue; only [`Pool::try_push`] says this.
    Full(J),
    /// The drain has begun, and the pool accepts nothing more.
    Draining(J),
    /// This process is a forked child: the workers are its parent's (L17).
    Forked(J),
}

impl Lifecycle {
    /// A pool of workers that `Closing` waits for.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let pool = lifecycle.pool("mail").start(|address: &str, _stop| assert!(address.contains('@')))?;
    /// pool.push("a@example.org")?;
    /// assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn pool<J: Send + 'static>(&self, name: impl Into<String>) -> PoolBuilder<J> {
        PoolBuilder::new(self.scope(name))
    }
}

impl<J: Send + 'static> PoolBuilder<J> {
    /// A pool of the scope's name, in its place.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, PoolBuilder};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let pool = PoolBuilder::new(lifecycle.scope("resize")).start(|_picture: u32, _stop| {})?;
    /// pool.push(1)?;
    /// assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn new(scope: Scope) -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            scope,
            workers,
            queue: 100,
            leftovers: Leftovers::Finish,
            then: OnFailure::GoOn,
            name_of: None,
        }
    }

    /// How many jobs may run at once, at least one. As many as there are cores, unless told otherwise.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let pool = lifecycle.pool("resize").workers(2);
    /// let pool = pool.start_async(async |_picture: u32, stop| stop.requested().await)?;
    /// for picture in 1..=3 {
    ///     pool.push_async(picture).await?;
    /// }
    /// tokio::task::yield_now().await;
    /// assert_eq!((pool.in_flight(), pool.waiting()), (3, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// How many jobs may wait, at least one. 100 unless told otherwise. Beyond a million (2²⁰), any number may: room for
    /// them is not taken before they come.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, PushError};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let pool = lifecycle.pool("resize").queue(1).start_async(async |_picture: u32, _stop| {})?;
    /// pool.try_push(1)?;
    /// assert!(matches!(pool.try_push(2), Err(PushError::Full(2))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue(mut self, queue: usize) -> Self {
        self.queue = queue.max(1);
        self
    }

    /// When the drain begins, finish what is in the queue. So it is unless told otherwise.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let pool = lifecycle.pool("resize").workers(1).finish_queue();
    /// let pool = pool.start_async(async |_picture: u32, _stop| {})?;
    /// for picture in 1..=3 {
    ///     pool.push_async(picture).await?;
    /// }
    /// lifecycle.stop().request_stop("the example is over");
    /// assert_eq!(lifecycle.finished().await.scopes[0].finished, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn finish_queue(mut self) -> Self {
        self.leftovers = Leftovers::Finish;
        self
    }

    /// When the drain begins, take out of the queue what no worker has begun: for jobs that take long, and that
    /// somebody can keep. [`Pool::take_rest`] gives them to the owner.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let pool = lifecycle.pool("resize").workers(1).hand_back();
    /// let pool = pool.start_async(async |_picture: u32, stop| stop.requested().await)?;
    /// for picture in 1..=3 {
    ///     pool.push_async(picture).await?;
    /// }
    /// tokio::task::yield_now().await; // the first is begun
    /// lifecycle.stop().request_stop("the example is over");
    /// let report = lifecycle.finished().await;
    /// assert_eq!((report.scopes[0].finished, pool.take_rest()), (1, vec![2, 3]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn hand_back(mut self) -> Self {
        self.leftovers = Leftovers::HandBack;
        self
    }

    /// What becomes of the program when a job fails. It goes on, unless told otherwise.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, OnFailure};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let pool = lifecycle.pool("resize").on_failure(OnFailure::Stop);
    /// let pool = pool.start_async(async |_picture: u32, _stop| Err::<(), _>("no such picture"))?;
    /// pool.push_async(1).await?;
    /// assert_eq!(lifecycle.finished().await.exit_status(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_failure(mut self, then: OnFailure) -> Self {
        self.then = then;
        self
    }

    /// What the report calls a job. The pool's name and a number, unless told otherwise.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let pool = lifecycle.pool("resize").job_name(|picture: &u32| format!("picture {picture}"));
    /// let pool = pool.start_async(async |_picture, _stop| std::future::pending::<()>().await)?;
    /// pool.push_async(7).await?;
    /// lifecycle.stop().request_stop("the example is over");
    /// assert_eq!(lifecycle.finished().await.scopes[0].cut[0].name, "picture 7");
    /// # Ok(())
    /// # }
    /// ```
    pub fn job_name(mut self, name: impl Fn(&J) -> String + Send + Sync + 'static) -> Self {
        self.name_of = Some(Box::new(name));
        self
    }

    /// Starts the workers, as threads.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let pool = lifecycle.pool("resize").start(|picture: u32, stop| {
    ///     // … one picture, in pieces if that takes long, with a look at `stop` between them …
    /// #   _ = (picture, stop);
    /// })?;
    /// pool.push(1)?;
    /// assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A thread could not be started; none is left behind.
    pub fn start<R: Outcome>(
        self,
        work: impl Fn(J, &Stop) -> R + Send + Sync + 'static,
    ) -> io::Result<Pool<J>> {
        let (workers, then) = (self.workers, self.then);
        let pool = self.build();
        let work = Arc::new(work);
        for number in 1..=workers {
            let (work, queue, stop) = (Arc::clone(&work), pool.worker(), pool.owner.scope.stop());
            let thread = std::thread::Builder::new().name(format!("{} {number}", pool.thread_name()));
            thread.spawn(move || {
                let next = || {
                    let next = queue.next_blocking(then);
                    next.map(|(job, guard)| guard.run(|| work(job, &stop)))
                };
                // Whatever panics, a worker goes on with the next job.
                while foreign(next) != Ok(None) {}
            })?;
        }
        Ok(pool)
    }

    /// Starts the workers, as tasks on the present runtime. At the drain deadline they are aborted, and that is
    /// awaited.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let pool = lifecycle.pool("fetch").start_async(async |page: u32, _stop| {
    ///     tokio::time::sleep(Duration::from_secs(1)).await; // … the page …
    /// #   _ = page;
    /// })?;
    /// pool.push_async(1).await?;
    /// lifecycle.stop().request_stop("the example is over");
    /// let report = lifecycle.finished().await;
    /// assert_eq!((report.exit_status(), report.took.as_secs()), (0, 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no tokio runtime here.
    #[cfg(feature = "tokio")]
    pub fn start_async<F>(self, work: impl Fn(J, Stop) -> F + Send + Sync + 'static) -> io::Result<Pool<J>>
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let (workers, then) = (self.workers, self.then);
        let pool = self.build();
        let work = Arc::new(work);
        for _ in 0..workers {
            let (work, queue, stop) = (Arc::clone(&work), pool.worker(), pool.owner.scope.stop());
            let scope = Arc::clone(pool.owner.scope.shared());
            runtime.spawn(async move {
                let next = async || {
                    let (job, guard) = queue.next(then).await?;
                    let work = Arc::clone(&work);
                    let run = super::guard::Run::new(move |stop| work(job, stop), stop.clone(), guard);
                    scope.unless_cut(run).await;
                    Some(())
                };
                // Whatever panics, a worker goes on with the next job.
                while foreign_async(next()).await != Ok(None) {}
            });
        }
        Ok(pool)
    }

    fn build(self) -> Pool<J> {
        let queue = Queue::new(&self.scope, self.queue, self.leftovers, self.name_of);
        Pool { owner: Arc::new(Owner { scope: self.scope, queue }) }
    }
}

impl<J: Send + 'static> Pool<J> {
    /// Puts a job into the queue, and blocks while there is no room. Not for async code; there, use
    /// [`push_async`](Self::push_async).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, PushError};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let pool = lifecycle.pool("resize").queue(1).start(|_picture: u32, _stop| {})?;
    /// for picture in 1..=10 {
    ///     pool.push(picture)?; // waits for room
    /// }
    /// _ = lifecycle.close();
    /// assert!(matches!(pool.push(11), Err(PushError::Draining(11))));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The drain has begun, or begins while this waits; the job is given back.
    #[track_caller]
    pub fn push(&self, job: J) -> Result<(), PushError<J>> {
        let queued = self.queued(job, Site::here())?;
        self.owner.queue.push(queued).map_err(PushError::Draining)
    }

    /// Puts a job into the queue if there is room.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let pool = lifecycle.pool("resize").queue(1).start_async(async |_picture: u32, _stop| {})?;
    /// pool.try_push(1)?;
    /// let refused = pool.try_push(2).unwrap_err();
    /// assert_eq!(refused.into_job(), 2); // for later
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no room, or the drain has begun; the job is given back.
    #[track_caller]
    pub fn try_push(&self, job: J) -> Result<(), PushError<J>> {
        let queued = self.queued(job, Site::here())?;
        self.owner.queue.try_push(queued)
    }

    /// Puts a job into the queue, and waits while there is no room.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, PushError};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let pool = lifecycle.pool("resize").queue(1).start_async(async |_picture: u32, _stop| {})?;
    /// for picture in 1..=10 {
    ///     pool.push_async(picture).await?; // waits for room
    /// }
    /// lifecycle.stop().request_stop("the example is over");
    /// assert!(matches!(pool.push_async(11).await, Err(PushError::Draining(11))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The drain has begun, or begins while this waits; the job is given back.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a job that has no room yet is dropped with the future.
    #[track_caller]
    pub fn push_async(&self, job: J) -> impl Future<Output = Result<(), PushError<J>>> + use<'_, J> {
        let queued = self.queued(job, Site::here());
        async move { self.owner.queue.push_async(queued?).await.map_err(PushError::Draining) }
    }

    /// The jobs that no worker will begin, because the drain has begun and they are handed back, or because the drain
    /// deadline has cut them. Empty before, and when called again.
    ///
    /// Complete once `Closing` has begun: a component that closes then can keep them.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let pool = lifecycle.pool("resize").workers(1);
    /// let pool = pool.start_async(async |_picture: u32, _stop| std::future::pending::<()>().await)?;
    /// for picture in 1..=3 {
    ///     pool.push_async(picture).await?;
    /// }
    /// tokio::task::yield_now().await; // the first is begun, and never ends
    /// lifecycle.stop().request_stop("the example is over");
    /// assert_eq!(lifecycle.finished().await.exit_status(), 3);
    /// assert_eq!(pool.take_rest(), [2, 3]);
    /// assert!(pool.take_rest().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "nobody else will do these jobs"]
    pub fn take_rest(&self) -> Vec<J> {
        let Owner { scope, queue } = &*self.owner;
        // A forked child's copies of them are its parent's (L17).
        if scope.shared().is_forked() { Vec::new() } else { queue.take_rest() }
    }

    /// How many jobs wait.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let pool = lifecycle.pool("resize").start_async(async |_picture: u32, _stop| {})?;
    /// pool.try_push(1)?;
    /// assert_eq!(pool.waiting(), 1);
    /// tokio::task::yield_now().await;
    /// assert_eq!(pool.waiting(), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.owner.queue.waiting()
    }

    /// How many jobs wait, run, or wait to be pushed.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let pool = lifecycle.pool("resize").start_async(async |_picture: u32, stop| stop.requested().await)?;
    /// pool.try_push(1)?;
    /// tokio::task::yield_now().await; // begun, and so no longer waiting
    /// assert_eq!((pool.in_flight(), pool.waiting()), (1, 0));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.owner.scope.in_flight()
    }

    fn queued(&self, job: J, site: Site) -> Result<Queued<J>, PushError<J>> {
        let Owner { scope, queue } = &*self.owner;
        if scope.shared().is_forked() {
            return Err(PushError::Forked(job));
        }
        if queue.is_closed() {
            // Never counted in: whoever tries again and again would be in flight at the end.
            scope.shared().turned_away();
            return Err(PushError::Draining(job));
        }
        let name = queue.name_of(&job).map_or_else(|| queue.number(), |name| Name::Text(name.into()));
        Ok(Queued::new(job, scope.track_as(name, "queued job", site)))
    }

    fn worker(&self) -> Arc<Queue<J>> {
        Arc::clone(&self.owner.queue)
    }

    /// A thread's name must not have a NUL.
    fn thread_name(&self) -> String {
        self.owner.scope.name().replace('\0', "")
    }
}

impl<J> Drop for Owner<J> {
    fn drop(&mut self) {
        if !self.scope.shared().is_forked() {
            self.queue.abandon();
        }
    }
}

impl<J> Clone for Pool<J> {
    fn clone(&self) -> Self {
        Self { owner: Arc::clone(&self.owner) }
    }
}

impl<J> PushError<J> {
    /// The job.
    ///
    /// ```
    /// # use exeunt_lifecycle::PushError;
    /// let refused = PushError::Full("cat.png");
    /// assert_eq!(refused.into_job(), "cat.png");
    /// ```
    pub fn into_job(self) -> J {
        let (Self::Full(job) | Self::Draining(job) | Self::Forked(job)) = self;
        job
    }
}

impl<J> fmt::Debug for Pool<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("scope", &self.owner.scope).finish_non_exhaustive()
    }
}

impl<J> fmt::Debug for PoolBuilder<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PoolBuilder");
        debug.field("workers", &self.workers).field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl<J> fmt::Debug for PushError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Draining(_) => "Draining(..)",
            Self::Forked(_) => "Forked(..)",
        })
    }
}

impl<J> fmt::Display for PushError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the pool's queue is full; wait for room, or give it a longer queue",
            Self::Draining(_) => "the pool accepts nothing more, since the program is stopping",
            Self::Forked(_) => {
                "this process was forked from the one whose pool this is; it has no workers here"
            }
        })
    }
}

impl<J> std::error::Error for PushError<J> {}
