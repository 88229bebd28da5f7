//! Components as the core knows them: names, closers, and what became of them.

use super::{Core, Locked, State};
use crate::cause::{Cause, Failure};
use crate::component::{Closer, ComponentOutcome, ComponentReport};
use crate::follow::{Item, Progress};
use crate::machine::{ComponentId, GroupId, Input, Late, Time};
use crate::report::{Plain, Span};
use crate::shield::oldest;
use std::error::Error;
use std::sync::Arc;
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
    /// Not under the lock: wakers run.
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

/// How long a start and a close may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) start: Duration,
    pub(crate) close: Option<Duration>,
}

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
            let component = locked.state.next_component();
            let Timeouts { start, close } = timeouts;
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

    /// The start has succeeded, and `give` hands over what it gave, under the lock; false if it had been given up.
    pub(crate) fn started(&self, component: ComponentId, closer: Closer, give: impl FnOnce()) -> bool {
        let mut closer = Some(closer);
        let started = self.with(|locked| {
            let Some(entry) = locked.state.components.get_mut(&component) else { return false };
            entry.closer = closer.take();
            give();
            locked.wake_waiters();
            locked.apply(Input::Started(component));
            true
        });
        started.unwrap_or(false)
    }

    /// The start has failed, unless it had been given up. `give` hands over its error, under the lock.
    pub(crate) fn start_failed(
        &self,
        component: ComponentId,
        error: Box<dyn Error + Send + Sync>,
        give: impl FnOnce(Box<dyn Error + Send + Sync>),
    ) {
        self.with(|locked| {
            let state = &mut *locked.state;
            let Some(entry) = state.components.remove(&component) else { return };
            state.component_over(component, &entry, ComponentOutcome::StartFailed, Duration::ZERO);
            state.failed(component, Failure::new(entry.name, &*error));
            give(error);
            locked.wake_waiters();
            locked.apply(Input::StartFailed(component));
        });
    }

    /// Whoever awaited the start has given it up.
    #[cfg(feature = "tokio")]
    pub(crate) fn start_dropped(&self, component: ComponentId) {
        self.with(|locked| {
            locked.state.components.remove(&component);
            locked.apply(Input::StartDropped(component));
        });
    }

    /// Adds exit work; false if it is too late for that.
    pub(crate) fn add_exit_work(&self, name: String, closer: Closer) -> bool {
        let added = self.with(|locked| {
            let component = locked.state.next_component();
            let entry = ComponentEntry::new(name, self.clock.now(), Some(closer));
            locked.state.components.insert(component, entry);
            locked.apply(Input::AtExit { component, close: None });
            let taken = locked.state.machine.has(component);
            if !taken {
                locked.state.components.remove(&component);
            }
            taken
        });
        added.unwrap_or(false)
    }

    /// Runs a closer where it belongs; not under the lock.
    pub(super) fn run_closer(&self, component: ComponentId, closer: Closer) {
        let Some(core) = self.me.upgrade() else { return };
        let name = self.component_name(component);
        match closer {
            Closer::Blocking(close) => {
                let result = self.spawn_blocking("exeunt-close", {
                    let core = Arc::clone(&core);
                    move || core.closed(component, crate::component::run_blocking(close))
                });
                if let Err(error) = result {
                    self.closed(component, Err(error.into()));
                }
            }
            #[cfg(feature = "tokio")]
            Closer::Task { runtime, close } => {
                let guard = crate::component::ClosingGuard::new(core, component);
                let task = runtime.spawn(guard.run(close)).abort_handle();
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
        tracing::debug!(target: "exeunt::lifecycle", component = %name, "closing");
    }

    /// A close is over.
    pub(crate) fn closed(&self, component: ComponentId, result: Result<(), Box<dyn Error + Send + Sync>>) {
        self.with(|locked| {
            let state = &mut *locked.state;
            let Some(entry) = state.components.remove(&component) else { return };
            let took = self.clock.now().since(entry.since);
            let outcome = if result.is_ok() { ComponentOutcome::Closed } else { ComponentOutcome::Failed };
            state.component_over(component, &entry, outcome, took);
            let well = result.is_ok();
            if let Err(error) = result {
                let failure = Failure::new(entry.name, &*error);
                let error = format!("closing: {}", failure.error);
                state.component_failed(component, Failure { error, ..failure });
            }
            locked.apply(Input::Closed { component, well });
        });
    }

    /// Runs `job` in a thread: of the runtime on whose clock we are, which stays paused meanwhile, or of its own.
    pub(crate) fn spawn_blocking(
        &self,
        name: &str,
        job: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        #[cfg(feature = "tokio")]
        if let Some(runtime) = self.clock.runtime() {
            runtime.spawn_blocking(job);
            return Ok(());
        }
        std::thread::Builder::new().name(name.to_owned()).spawn(job).map(drop)
    }

    fn component_name(&self, component: ComponentId) -> String {
        let state = self.state();
        let entry = state.as_ref().and_then(|state| state.components.get(&component));
        entry.map(|entry| entry.name.clone()).unwrap_or_default()
    }
}

impl Locked<'_> {
    pub(super) fn close(&mut self, component: ComponentId) {
        let now = self.core.clock.now();
        if let Some(entry) = self.state.components.get_mut(&component) {
            entry.since = now;
            entry.is_closing = true;
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
        if let Some(mut entry) = self.state.components.remove(&component) {
            self.state.component_over(component, &entry, ComponentOutcome::Skipped, Duration::ZERO);
            // Foreign code runs when it is dropped.
            self.news.dropped.extend(entry.closer.take());
        }
    }
}

impl State {
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
        self.failures.push(failure);
    }

    /// The exit's cause, if nothing else was before.
    fn failed(&mut self, component: ComponentId, failure: Failure) {
        self.component_failed(component, failure.clone());
        self.cause.get_or_insert(Cause::Failure(failure));
    }
}
