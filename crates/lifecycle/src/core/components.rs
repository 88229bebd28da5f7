//! Components as the core knows them: names, closers, and what became of them.

use super::{Alarm, Core, Locked, State};
use crate::cause::{Cause, Failure, in_words};
use crate::component::{Closer, ComponentOutcome, ComponentReport};
use crate::follow::{Item, Progress};
use crate::foreign::Leftover;
use crate::machine::{ComponentId, GroupId, Input, Late, Time};
use crate::report::{Plain, Span};
use crate::runner::{Job, detached};
use crate::shield::oldest;
use std::error::Error;
use std::time::Duration;

/// A component that is not over.
#[derive(Debug)]
pub(crate) struct ComponentEntry {
    name: String,
    since: Time,
    /// From its start until its close begins.
    closer: Option<Closer>,
    is_closing: bool,
    handles: Handles,
}

/// What ends a start or a close that is given up.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    /// Whoever starts it waits for this to be dropped.
    #[cfg(feature = "tokio")]
    cancel: Option<tokio::sync::oneshot::Sender<()>>,
    #[cfg(feature = "tokio")]
    abort: Option<tokio::task::AbortHandle>,
}

impl Handles {
    /// Not under the lock, either.
    #[cfg_attr(not(feature = "tokio"), expect(clippy::unused_self, reason = "there is nothing to let go of"))]
    pub(super) fn let_go(self) {
        #[cfg(feature = "tokio")]
        drop((self.cancel, self.abort));
    }

    /// Not under the lock, as dropping them: wakers run.
    pub(super) fn give_up(self) {
        #[cfg(feature = "tokio")]
        if let Some(abort) = self.abort {
            abort.abort();
        }
    }
}

impl ComponentEntry {
    fn new(name: String, since: Time, closer: Option<Closer>) -> Self {
        Self { name, since, closer, is_closing: false, handles: Handles::default() }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn cancelled(&mut self) -> tokio::sync::oneshot::Receiver<()> {
        let (cancel, cancelled) = tokio::sync::oneshot::channel();
        self.handles.cancel = Some(cancel);
        cancelled
    }
}

/// How long a start and a close may take, and whose turn it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) start: Duration,
    pub(crate) close: Option<Duration>,
    /// Behind those that started before it, too.
    pub(crate) last: bool,
}

/// Smaller numbers, which close later, are for those that close last. There are few: an admin listener, an exporter.
pub(super) const FIRST_COMPONENT: usize = 64;

pub(super) const SHORTEST: Duration = Duration::from_millis(1);

/// How a start ended that the machine was told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    Taken(ComponentId),
    Stopping,
    GroupClosed,
    Forked,
}

impl Core {
    pub(crate) fn open_group(&self, parent: GroupId) -> GroupId {
        let opened = self.with(|locked| {
            let group = GroupId(locked.state.next_group);
            locked.state.next_group += 1;
            locked.apply(Input::GroupOpened { group, parent });
            group
        });
        opened.unwrap_or(parent)
    }

    /// A component wants to start. `prepare` sees its entry, under the lock.
    pub(crate) fn begin_start(
        &self,
        name: &str,
        group: GroupId,
        timeouts: Timeouts,
        prepare: impl FnOnce(&mut ComponentEntry),
    ) -> Begun {
        let begun = self.with(|locked| {
            let Timeouts { start, close, last } = timeouts;
            let component = if last { locked.state.next_last() } else { locked.state.next_component() };
            // One without any time would be over before it begins.
            let (start, close) = (start.max(SHORTEST), close.map(|close| close.max(SHORTEST)));
            locked.apply(Input::Starting { component, group, start, close });
            if !locked.state.machine.has(component) {
                let stopping = locked.state.machine.requested().is_some();
                return if stopping { Begun::Stopping } else { Begun::GroupClosed };
            }
            let mut entry = ComponentEntry::new(name.to_owned(), self.clock.now(), None);
            prepare(&mut entry);
            locked.state.components.insert(component, entry);
            Begun::Taken(component)
        });
        begun.unwrap_or(Begun::Forked)
    }

    /// The start has succeeded, and `give` hands over what it gave, under the lock; false if it had been given up:
    /// then both are dropped here.
    pub(crate) fn started(&self, component: ComponentId, closer: Closer, give: impl FnOnce()) -> bool {
        self.keep_a_thread_for(&closer);
        // Out here, so that what is not taken is not dropped under the lock.
        let mut given = Some((closer, give));
        let started = self.with(|locked| {
            let Some(entry) = locked.state.components.get_mut(&component) else { return false };
            if let Some((closer, give)) = given.take() {
                entry.closer = Some(closer);
                give();
            }
            locked.wake_waiters();
            locked.apply(Input::Started(component));
            true
        });
        self.follow.contained("a start that came too late", || drop(given));
        started.unwrap_or(false)
    }

    /// The start has failed, unless it had been given up. `give` hands over its error, under the lock.
    pub(crate) fn start_failed(
        &self,
        component: ComponentId,
        error: Box<dyn Error + Send + Sync>,
        give: impl FnOnce(Box<dyn Error + Send + Sync>),
    ) {
        let told = in_words(&*error);
        self.blame(Some(&*error));
        let mut given = Some((error, give));
        self.with(|locked| {
            let state = &mut *locked.state;
            let Some(entry) = state.components.remove(&component) else { return };
            state.component_over(component, &entry, ComponentOutcome::StartFailed, Duration::ZERO);
            state.failed(component, Failure { name: entry.name, error: told });
            locked.news.over.push(entry.handles);
            if let Some((error, give)) = given.take() {
                give(error);
            }
            locked.wake_waiters();
            locked.apply(Input::StartFailed(component));
        });
        self.follow.contained("a start that failed too late", || drop(given));
    }

    /// Whoever awaited the start has given it up.
    #[cfg(feature = "tokio")]
    pub(crate) fn start_dropped(&self, component: ComponentId) {
        self.with(|locked| {
            if let Some(entry) = locked.state.components.remove(&component) {
                locked.news.over.push(entry.handles);
            }
            locked.apply(Input::StartDropped(component));
        });
    }

    /// Adds exit work; false if it is too late for that, and then it is dropped here.
    pub(crate) fn add_exit_work(&self, name: String, closer: Closer) -> bool {
        self.keep_a_thread_for(&closer);
        let mut refused = None;
        let added = self.with(|locked| {
            let component = locked.state.next_component();
            let entry = ComponentEntry::new(name, self.clock.now(), Some(closer));
            locked.state.components.insert(component, entry);
            locked.apply(Input::AtExit { component, close: None });
            let taken = locked.state.machine.has(component);
            if !taken {
                refused = locked.state.components.remove(&component);
            }
            taken
        });
        self.follow.contained("exit work that came too late", || drop(refused));
        added.unwrap_or(false)
    }

    /// Runs a closer where it belongs; not under the lock.
    pub(super) fn run_closer(&self, component: ComponentId, closer: Closer) {
        let Some(core) = self.me.upgrade() else { return };
        match closer {
            Closer::Blocking(close) => self.close_in_a_thread(
                component,
                Box::new(move || {
                    // It may have waited for its turn longer than it had time.
                    if core.is_closing(component) {
                        core.closed(component, crate::component::run_blocking(close));
                    }
                }),
            ),
            #[cfg(feature = "tokio")]
            Closer::Task { runtime, close } => {
                let guard = crate::component::ClosingGuard::new(core, component, runtime.clone(), close);
                let task = runtime.spawn(guard.run()).abort_handle();
                let late = self.with(|locked| match locked.state.components.get_mut(&component) {
                    Some(entry) => {
                        entry.handles.abort = Some(task.clone());
                        false
                    }
                    None => true,
                });
                if late == Some(true) {
                    task.abort();
                }
            }
        }
    }

    /// In one of its own; where none can be had, in the one that is there for that.
    fn close_in_a_thread(&self, component: ComponentId, close: Job) {
        #[cfg(feature = "tokio")]
        if let Some(runtime) = self.clock.runtime() {
            let close = crate::runtime::Handed::new("exeunt-close", close);
            runtime.spawn_blocking(|| close.run());
            return;
        }
        let Err((close, error)) = detached("exeunt-close", close) else { return };
        if let Err(close) = self.closing.push(close) {
            self.let_go(vec![Leftover::new("a closer without a thread", close)]);
            self.closed(component, Err(error.into()));
        }
    }

    /// So that what blocks is closed even where the stop finds that no thread can be had.
    fn keep_a_thread_for(&self, closer: &Closer) {
        let needs_one = matches!((closer, &self.alarm), (Closer::Blocking(_), Alarm::Hub));
        if needs_one && !self.is_forked() {
            // Where there is none now, there may be one then.
            _ = self.closing.start("exeunt-closing");
        }
    }

    fn is_closing(&self, component: ComponentId) -> bool {
        let state = self.state();
        state.is_some_and(|state| state.components.get(&component).is_some_and(|entry| entry.is_closing))
    }

    /// A close is over.
    pub(crate) fn closed(&self, component: ComponentId, result: Result<(), Box<dyn Error + Send + Sync>>) {
        let well = result.is_ok();
        let error = result.err().map(|error| {
            let told = in_words(&*error);
            self.follow.contained("the error of a close", || drop(error));
            told
        });
        self.with(|locked| {
            let state = &mut *locked.state;
            let Some(entry) = state.components.remove(&component) else { return };
            let took = self.clock.now().since(entry.since);
            let outcome = if well { ComponentOutcome::Closed } else { ComponentOutcome::Failed };
            state.component_over(component, &entry, outcome, took);
            if let Some(error) = error {
                let error = format!("closing: {error}");
                state.component_failed(component, Failure { name: entry.name, error });
            }
            locked.news.over.push(entry.handles);
            locked.apply(Input::Closed { component, well });
        });
    }

    /// Nothing of it is dropped here.
    pub(crate) fn let_go(&self, leftovers: Vec<Leftover>) {
        if !leftovers.is_empty() && !self.is_forked() {
            self.follow.push(Item::Leftovers(leftovers));
            self.follow.tell();
        }
    }

    /// Runs `job` in a thread: of the runtime on whose clock we are, which stays paused meanwhile, or of its own.
    pub(crate) fn spawn_blocking(
        &self,
        name: &str,
        job: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        #[cfg(feature = "tokio")]
        if let Some(runtime) = self.clock.runtime() {
            let job = crate::runtime::Handed::new(name, job);
            runtime.spawn_blocking(|| job.run());
            return Ok(());
        }
        std::thread::Builder::new().name(name.to_owned()).spawn(job).map(drop)
    }
}

impl Locked<'_> {
    pub(super) fn close(&mut self, component: ComponentId) {
        let now = self.core.clock.now();
        if let Some(entry) = self.state.components.get_mut(&component) {
            entry.since = now;
            entry.is_closing = true;
            self.state.follow.push(Item::Closing(entry.name.clone()));
            self.news.closes.extend(entry.closer.take().map(|closer| (component, closer)));
        }
    }

    pub(super) fn start_given_up(&mut self, component: ComponentId, late: Late) {
        let Some(entry) = self.state.components.remove(&component) else { return };
        let after = self.core.clock.now().since(entry.since);
        self.state.component_over(component, &entry, ComponentOutcome::StartTimedOut, Duration::ZERO);
        let error = match late {
            Late::Timeout => format!("its start took longer than {after:?}"),
            Late::Stop => format!("the stop could not wait for its start, which had taken {after:?}"),
            Late::Group => format!("its group could not wait for its start, which had taken {after:?}"),
        };
        let failure = Failure { name: entry.name, error };
        if late == Late::Group {
            // Whoever closed the group did not want the program to end.
            self.state.component_failed(component, failure);
        } else {
            self.state.failed(component, failure);
        }
        self.wake_waiters();
        self.news.given_up.push(entry.handles);
    }

    pub(super) fn close_given_up(&mut self, component: ComponentId, late: Late) {
        let Some(entry) = self.state.components.remove(&component) else { return };
        let took = self.core.clock.now().since(entry.since);
        let outcome = match late {
            Late::Timeout => ComponentOutcome::TimedOut,
            Late::Stop | Late::Group => ComponentOutcome::Skipped,
        };
        self.state.component_over(component, &entry, outcome, took);
        if late == Late::Timeout {
            let error = format!("it did not close within {took:?}");
            self.state.component_failed(component, Failure { name: entry.name, error });
        }
        self.news.given_up.push(entry.handles);
    }

    pub(super) fn skipped(&mut self, component: ComponentId) {
        if let Some(entry) = self.state.components.remove(&component) {
            self.state.component_over(component, &entry, ComponentOutcome::Skipped, Duration::ZERO);
            let leftover = entry.closer.map(|closer| closer.into_leftover(entry.name));
            self.news.leftovers.extend(leftover);
            self.news.over.push(entry.handles);
        }
    }
}

impl State {
    /// One that closes behind all that are to come and have been; of those, too, the one that started first closes last.
    fn next_last(&mut self) -> ComponentId {
        let id = ComponentId(self.next_last);
        if id.0 >= FIRST_COMPONENT {
            return self.next_component();
        }
        self.next_last += 1;
        id
    }

    fn next_component(&mut self) -> ComponentId {
        let id = ComponentId(self.next_component);
        self.next_component += 1;
        id
    }

    fn component_over(
        &mut self,
        component: ComponentId,
        entry: &ComponentEntry,
        outcome: ComponentOutcome,
        took: Duration,
    ) {
        let report = ComponentReport { name: entry.name.clone(), outcome, took };
        self.tell_groups(component, &report);
        // Whoever closed the group knows, and programs that run long may close many.
        let early = self.machine.requested().is_none();
        if !early || report.outcome != ComponentOutcome::Closed {
            self.component_reports.push(report.clone());
        }
        self.follow.push(Item::News(Progress::Component(report)));
    }

    /// What the stop waits for beside scopes, in words.
    pub(crate) fn waits_for(&self, now: Time) -> Vec<String> {
        // An entry without its closer is on its way in, or on its way out.
        let components = self.components.values().filter(|entry| entry.closer.is_none());
        let components = components.map(|entry| {
            let doing = if entry.is_closing { "closing" } else { "starting" };
            format!("component {}, {doing} for {}", Plain(&entry.name), Span(now.since(entry.since)))
        });
        components.chain(oldest(self.live_shields.values(), now)).collect()
    }

    pub(crate) fn is_starting(&self, component: ComponentId) -> bool {
        self.components.get(&component).is_some_and(|entry| entry.closer.is_none())
    }

    fn component_failed(&mut self, component: ComponentId, failure: Failure) {
        self.tell_groups_of_failure(component, &failure);
        self.keep_failure(failure);
    }

    /// The exit's cause, if nothing else was before.
    fn failed(&mut self, component: ComponentId, failure: Failure) {
        self.component_failed(component, failure.clone());
        self.cause.get_or_insert(Cause::Failure(failure));
    }
}
