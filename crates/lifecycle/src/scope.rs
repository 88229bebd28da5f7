//! Scopes, and the work that is counted in them (L5).

#[cfg(feature = "tokio")]
use crate::bell::{Bell, Waiting};
use crate::core::{Core, State};
use crate::counts::{SHARDS, Shard, Totals};
use crate::loom::{AtomicU8, Ordering};
use crate::machine::{GroupId, Input, Notice, Phase, ScopeId, Time};
use crate::shield::{Shield, StopImminent};
use crate::site::Site;
use crate::stop::Stop;
use crate::work::{LiveWork, Registry, oldest};
use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering as Plain};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Somebody whose work must be done before the program closes: a server, a consumer, a pool.
///
/// A scope is busy until this handle **and** every [`Work`] begun from it are dropped. `Closing` does not begin
/// before that, unless the drain deadline comes first, when the scope is told to cut what it still has.
///
/// The life of a scope's owner is: begin work as it comes; once [`Phase::Draining`] is
/// reached, accept nothing new; when nothing will begin any more, drop the handle. It is not `Clone`, so that there
/// is one who decides that; share it by reference or in an `Arc`.
///
/// Scopes are few and may have much work. Beginning and ending work takes no lock.
///
/// ```
/// # use exeunt_lifecycle::{Config, Lifecycle};
/// let lifecycle = Lifecycle::install(Config::default())?;
/// let scope = lifecycle.scope("imports");
/// let importer = std::thread::spawn(move || {
///     let mut begun = 0;
///     while !scope.is_draining() {
///         let _one = scope.begin();
///         begun += 1;
///     }
///     begun // the handle is dropped: nothing more will begin
/// });
/// let report = lifecycle.close();
/// let finished: u64 = report.scopes.iter().map(|scope| scope.finished).sum();
/// assert!(finished <= importer.join().unwrap());
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub struct Scope {
    shared: Arc<ScopeShared>,
    stop: Stop,
}

/// One piece of work in flight. Dropping it says that it is finished; [`cut`](Self::cut) says that it is not.
///
/// It belongs to nobody: send it wherever the work goes. To forget it (`mem::forget`) keeps the scope busy until
/// the hard deadline.
///
/// ```
/// # use exeunt_lifecycle::{Config, Lifecycle};
/// let lifecycle = Lifecycle::install(Config::default())?;
/// let scope = lifecycle.scope("imports");
/// let work = scope.begin();
/// drop(scope);
/// std::thread::spawn(move || drop(work)); // done there
/// assert_eq!(lifecycle.close().exit_status(), 0);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[must_use = "dropping it at once says that the work is finished"]
pub struct Work {
    shard: Arc<ScopeShard>,
}

/// Work that a deadline ended before it was finished, as the report names it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct CutWork {
    /// What it was, such as `GET /slow`.
    pub name: String,
    /// What sort of work, such as `request`.
    pub kind: &'static str,
    /// For whom, such as the client's address.
    pub peer: Option<String>,
    /// How long it had been in flight.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::report::seconds"))]
    pub age: Duration,
    /// Where it was spawned; `None` for work that comes from outside, such as a request.
    pub site: Option<Site>,
}

impl Scope {
    pub(crate) fn new(core: Arc<Core>, name: String, group: GroupId) -> Self {
        let shared = core.add_scope(name, group);
        Self { shared, stop: Stop::new(core) }
    }

    /// The name that the report uses.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The stop that this scope belongs to.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Begins a piece of work. Takes no lock, some 20 ns together with its end, and is never refused.
    ///
    /// Who may not begin work once a stop is requested begins it first and looks at
    /// [`Stop::is_requested`] afterwards: then it either sees the stop or is counted by it.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let scope = lifecycle.scope("imports");
    /// let work = scope.begin();
    /// if scope.stop().is_requested() {
    ///     // too late, but counted: give it back
    /// }
    /// assert_eq!(scope.in_flight(), 1);
    /// drop(work);
    /// assert_eq!(scope.in_flight(), 0);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn begin(&self) -> Work {
        self.begin_on(SHARD.try_with(Cell::get).unwrap_or(0))
    }

    /// How much work is in flight. Exact when nothing begins or ends meanwhile; otherwise never too low.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let scope = lifecycle.scope("imports");
    /// let (_one, other) = (scope.begin(), scope.begin());
    /// assert_eq!(scope.in_flight(), 2);
    /// drop(other);
    /// assert_eq!(scope.in_flight(), 1);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.shared.totals().in_flight()
    }

    /// Whether to accept nothing new and finish what there is: the drain has begun. One atomic load.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let scope = lifecycle.scope("imports");
    /// assert!(!scope.is_draining());
    /// lifecycle.stop().request_stop("the example is over");
    /// assert!(scope.is_draining() && !scope.is_cut());
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared.notice.load(Ordering::SeqCst) >= Notice::Told as u8
    }

    /// Whether work must end now: the drain deadline has come, or the end is forced. One atomic load.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Phase};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let scope = lifecycle.scope("imports");
    /// lifecycle.stop().request_stop("the example is over");
    /// lifecycle.stop().reached(Phase::Closing).await; // at the drain deadline, as the scope is busy
    /// assert!(scope.is_cut());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.shared.notice.load(Ordering::SeqCst) >= Notice::Cut as u8
    }

    /// Completes when work must end now: the drain deadline has come, or the end is forced.
    ///
    /// What it is told to end it should end at once and report with [`Work::cut`].
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let scope = lifecycle.scope("imports");
    /// let work = scope.track("import", "customers.csv");
    /// tokio::spawn(async move {
    ///     scope.cut_requested().await; // beside the work, in a select
    ///     work.cut();
    /// });
    /// lifecycle.stop().request_stop("the example is over");
    /// let report = lifecycle.finished().await;
    /// assert_eq!((report.exit_status(), &*report.scopes[0].cut[0].name), (3, "customers.csv"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; waiting again after the fact completes at once.
    #[cfg(feature = "tokio")]
    pub fn cut_requested(&self) -> impl Future<Output = ()> + use<'_> {
        self.shared.cut.wait(|| self.is_cut() || self.shared.is_forked())
    }

    /// Completes when the drain has begun: accept nothing new, and finish what there is.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let scope = lifecycle.scope("imports");
    /// let importer = tokio::spawn(async move {
    ///     scope.drain_requested().await; // beside whatever begins work, in a select
    /// });
    /// lifecycle.stop().request_stop("the example is over");
    /// assert_eq!(lifecycle.finished().await.exit_status(), 0);
    /// importer.await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; waiting again after the fact completes at once.
    #[cfg(feature = "tokio")]
    pub fn drain_requested(&self) -> impl Future<Output = ()> + use<'_> {
        self.shared.told.wait(|| self.is_draining() || self.shared.is_forked())
    }
}

impl Scope {
    pub(crate) fn shared(&self) -> &Arc<ScopeShared> {
        &self.shared
    }

    /// The lifecycle's time.
    pub(crate) fn now(&self) -> Time {
        self.stop.core().clock().now()
    }

    /// Begins work that has a name. Much of it is spawned by one thread and ends on all of them, which must not meet
    /// at one lock: so shards take turns, and not so often that neighbours, which tend to end on the same thread,
    /// are apart.
    pub(crate) fn begin_in_turn(&self) -> Work {
        let turn = TURN.try_with(|turn| turn.replace(turn.get().wrapping_add(1))).unwrap_or(0);
        self.begin_on(turn / NEIGHBOURS)
    }

    fn begin_on(&self, index: usize) -> Work {
        // The index is in range, so the first one is never taken instead.
        let shard = self.shared.shards.get(index % SHARDS).unwrap_or(&self.shared.shards[0]);
        shard.count.begin();
        Work { shard: Arc::clone(shard) }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.shared.seal();
    }
}

impl Work {
    pub(crate) fn shard(&self) -> &Arc<ScopeShard> {
        &self.shard
    }

    /// Its scope; `None` if nobody needs that any more.
    pub(crate) fn scope(&self) -> Option<Arc<ScopeShared>> {
        self.shard.scope.upgrade()
    }

    /// Says that this work was ended before it was finished. It is named in the report, and the exit status says
    /// so too (L14).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, CutWork, Lifecycle};
    /// # use std::time::Duration;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let scope = lifecycle.scope("imports");
    /// let work = scope.begin();
    /// work.cut(CutWork {
    ///     name: "customers.csv".to_owned(),
    ///     kind: "import",
    ///     peer: None,
    ///     age: Duration::from_secs(21),
    ///     site: None,
    /// });
    /// drop(scope);
    /// assert_eq!(lifecycle.close().exit_status(), 3);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn cut(self, what: CutWork) {
        self.end_as(Input::WorkCut, |state, id| state.cut(id, what));
    }

    /// Protects a part of this work from the stop, such as a transaction, until the [`Shield`] is dropped, and for
    /// `budget` at most.
    ///
    /// Like [`Stop::shield`], and it is granted after the stop request too, while work is being drained: then it ends
    /// with the drain deadline, which it does not move. A stop alone does not break it at
    /// [`allow_break`](Shield::allow_break), since counted work has until the drain deadline.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, StopImminent};
    /// # use std::time::Duration;
    /// # let lifecycle = Lifecycle::install(Config::default())?;
    /// let scope = lifecycle.scope("http");
    /// let request = scope.begin();
    /// lifecycle.stop().request_stop("the example is over");
    /// assert_eq!(lifecycle.stop().shield(Duration::from_secs(1)).unwrap_err(), StopImminent);
    /// let transaction = request.shield(Duration::from_secs(1))?;
    /// // … commit …
    /// drop((transaction, request, scope));
    /// assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StopImminent`] once work has been cut, in `Closing` and after.
    #[track_caller]
    pub fn shield(&self, budget: Duration) -> Result<Shield, StopImminent> {
        let core = self.shard.scope.upgrade().and_then(|scope| scope.core.upgrade());
        Shield::take(&*core.ok_or(StopImminent)?, budget, true, Site::here())
    }

    /// Counts it out under the same lock that records why: a report in between would take it for finished.
    pub(crate) fn end_as(
        self,
        input: impl FnOnce(ScopeId) -> Input,
        record: impl FnOnce(&mut State, ScopeId),
    ) {
        let shard = Arc::clone(&self.shard);
        std::mem::forget(self);
        let Some(scope) = shard.scope.upgrade() else { return };
        let Some(core) = scope.core.upgrade() else { return };
        let mut last = false;
        core.apply(input(scope.id), |state| {
            last = shard.count.end();
            record(state, scope.id);
        });
        if last {
            scope.look_if_idle();
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.shard.count.end()
            && let Some(scope) = self.shard.scope.upgrade()
        {
            scope.look_if_idle();
        }
    }
}

/// What a scope, its work and the core share.
pub(crate) struct ScopeShared {
    id: ScopeId,
    /// Which closes when its work is done.
    group: GroupId,
    pub(crate) name: String,
    core: Weak<Core>,
    shards: [Arc<ScopeShard>; SHARDS],
    notice: AtomicU8,
    on_notice: Mutex<Option<OnNotice>>,
    #[cfg(feature = "tokio")]
    told: Bell,
    #[cfg(feature = "tokio")]
    cut: Bell,
}

/// What a scope's owner does at once when it is told something. Runs on any thread, so it must not block, nor run
/// foreign code.
pub(crate) type OnNotice = Arc<dyn Fn(Notice) + Send + Sync>;

/// Work holds its shard and not its scope, so that threads do not meet at one reference count.
pub(crate) struct ScopeShard {
    count: Shard,
    named: Registry,
    scope: Weak<ScopeShared>,
}

impl ScopeShard {
    /// The work of this shard that has a name.
    pub(crate) fn registry(&self) -> &Registry {
        &self.named
    }
}

impl ScopeShared {
    pub(crate) fn new(id: ScopeId, group: GroupId, name: String, core: Weak<Core>) -> Arc<Self> {
        Arc::new_cyclic(|scope| Self {
            id,
            group,
            name,
            core,
            shards: std::array::from_fn(|_| {
                Arc::new(ScopeShard {
                    count: Shard::new(),
                    named: Registry::default(),
                    scope: Weak::clone(scope),
                })
            }),
            notice: AtomicU8::new(Notice::None as u8),
            on_notice: Mutex::new(None),
            #[cfg(feature = "tokio")]
            told: Bell::default(),
            #[cfg(feature = "tokio")]
            cut: Bell::default(),
        })
    }

    pub(crate) fn id(&self) -> ScopeId {
        self.id
    }

    pub(crate) fn group(&self) -> GroupId {
        self.group
    }

    pub(crate) fn totals(&self) -> Totals {
        self.shards.iter().map(|shard| shard.count.totals()).sum()
    }

    /// Called under the core's lock, so that it only moves forward.
    pub(crate) fn set_notice(&self, notice: Notice) {
        self.notice.store(notice as u8, Ordering::SeqCst);
    }

    pub(crate) fn is_told(&self) -> bool {
        self.notice.load(Ordering::SeqCst) >= Notice::Told as u8
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.notice.load(Ordering::SeqCst) >= Notice::Cut as u8
    }

    /// A stop is requested.
    pub(crate) fn is_stopping(&self) -> bool {
        self.core.upgrade().is_some_and(|core| core.phase() >= Phase::LameDuck)
    }

    pub(crate) fn is_forked(&self) -> bool {
        self.core.upgrade().is_some_and(|core| core.is_forked())
    }

    /// The lifecycle's time.
    pub(crate) fn now(&self) -> Time {
        self.core.upgrade().map(|core| core.clock().now()).unwrap_or_default()
    }

    /// The work that has a name.
    fn named(&self) -> impl Iterator<Item = &Registry> {
        self.shards.iter().map(|shard| &shard.named)
    }

    /// Ends whatever can be ended from outside.
    #[cfg(feature = "tokio")]
    pub(crate) fn abort_all(&self) {
        self.named().for_each(Registry::abort_all);
    }

    pub(crate) fn live(&self, most: usize) -> Vec<LiveWork> {
        if self.is_forked() {
            return Vec::new();
        }
        oldest(self.named(), self.now(), most)
    }

    /// Calls `act` for each notice from now on, and once for the one that was given already.
    pub(crate) fn on_notice(&self, act: &OnNotice) {
        if self.is_forked() {
            return;
        }
        *self.on_notice.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(act));
        if self.is_cut() {
            act(Notice::Cut);
        } else if self.is_told() {
            act(Notice::Told);
        }
    }

    /// No work begins from outside any more: idle as soon as nothing is in flight.
    pub(crate) fn seal(&self) {
        self.shards.iter().for_each(|shard| shard.count.seal());
        self.look_if_idle();
    }

    /// Somebody was told that no more work begins.
    pub(crate) fn turned_away(&self) {
        let Some(core) = self.core.upgrade() else { return };
        core.apply_if(|state| {
            let entry = state.machine.requested().and_then(|_| state.scopes.get_mut(&self.id))?;
            entry.account.turned_away += 1;
            None
        });
    }

    /// Called after work has begun: in a scope that seals itself when it is told, that may have been idle.
    pub(crate) fn busy_again(self: &Arc<Self>) {
        if self.is_told()
            && let Some(core) = self.core.upgrade()
        {
            core.scope_busy(self);
        }
    }

    /// Calls something foreign, without a lock; its panic is in the report.
    pub(crate) fn contained(&self, name: &str, act: impl FnOnce()) {
        if let Some(core) = self.core.upgrade() {
            core.follow().contained(name, act);
        }
    }

    /// Without a lock. What wakes others is called through `wake`, which lets no panic of theirs pass.
    pub(crate) fn publish(&self, notice: Notice, wake: impl Fn(&dyn Fn())) {
        let act = self.on_notice.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(act) = act {
            wake(&|| act(notice));
        }
        #[cfg(feature = "tokio")]
        {
            wake(&|| self.told.ring());
            if notice >= Notice::Cut {
                wake(&|| self.cut.ring());
            }
        }
    }

    /// Runs `work`, and drops it at the cut.
    #[cfg(feature = "tokio")]
    pub(crate) async fn unless_cut(&self, work: impl Future<Output = ()>) {
        let cut = std::pin::pin!(self.cut_requested());
        futures_util::future::select(std::pin::pin!(work), cut).await;
    }

    /// Its bell lives here, so this cannot end without the notice.
    #[cfg(feature = "tokio")]
    fn cut_requested(&self) -> Waiting<'_> {
        self.cut.wait(|| self.is_cut())
    }

    /// Sealed, nothing begins any more: what is counted now can only become less.
    fn look_if_idle(&self) {
        if self.totals().in_flight() == 0
            && let Some(core) = self.core.upgrade()
        {
            core.scope_idle(self.id);
        }
    }
}

thread_local! {
    /// The shard that this thread counts on.
    static SHARD: Cell<usize> = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Cell::new(NEXT.fetch_add(1, Plain::Relaxed))
    };
    /// The next turn for named work; threads begin apart from each other.
    static TURN: Cell<usize> = Cell::new(SHARD.try_with(Cell::get).unwrap_or(0).wrapping_mul(NEIGHBOURS));
}

/// How many pieces of named work in a row are on one shard.
const NEIGHBOURS: usize = 64;

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Scope");
        debug.field("name", &self.shared.name).field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ScopeShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeShared").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").finish_non_exhaustive()
    }
}
