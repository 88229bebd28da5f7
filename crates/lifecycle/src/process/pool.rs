//! Some children of one sort, each replaced when it dies.

use super::backoff::Backoff;
use super::builder::{ChildBuilder, Options, household};
use super::child::Child;
use super::engine::{Engine, Order};
use super::error::ChildError;
use super::exit::ChildExit;
use super::family::Family;
use super::launch::{self, Answer, Launch, Terms, release};
use crate::foreign::foreign;
use crate::lifecycle::Lifecycle;
use crate::machine::Notice;
use crate::scope::Scope;
use crate::site::Site;
use crate::stop::{Forked, Stop};
use crate::work::OnFailure;
use std::fmt;
use std::process::Command;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Worker processes that have yet to start. See [`Lifecycle::children`].
#[must_use = "they do not start by themselves"]
pub struct ChildrenBuilder {
    stop: Stop,
    name: String,
    count: usize,
    commands: Commands,
    options: Options,
    limit: Option<(u32, OnFailure)>,
}

type Commands = Box<dyn FnMut(usize) -> Command + Send>;

/// Worker processes that run, each replaced when it dies, until the stop is requested.
///
/// The lifecycle owns them: dropping this changes nothing.
#[derive(Clone)]
pub struct Children {
    shared: Arc<Shared>,
}

struct Shared {
    stop: Stop,
    workers: Mutex<Vec<Worker>>,
    events: Sender<Event>,
    /// None is started any more.
    over: Mutex<bool>,
    is_over: Condvar,
}

/// One place in the pool, and who has it.
#[derive(Default)]
struct Worker {
    child: Option<Arc<Child>>,
    restarts: u32,
}

enum Event {
    Started(usize, Result<Child, ChildError>),
    Ended(usize, ChildExit),
    /// No more are started: the program stops, or somebody stops the pool.
    Enough,
}

impl Lifecycle {
    /// `count` worker processes, of the command that `commands` makes for each, from 0 on: started in sync, each replaced
    /// when it dies, told, awaited and killed by the stop as [any child](Self::child). Linux and Windows
    /// alone.
    ///
    /// One that dies, however it ends, is replaced after 100 ms, after twice as long for each death that follows within
    /// 10 s, 30 s at most. `commands` is called for each replacement, in a thread of the pool's.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::process::Command;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let workers = lifecycle.children("worker", 2, |index| {
    ///     let mut command = Command::new("sleep");
    ///     command.arg("3600").env("WORKER", index.to_string());
    ///     command
    /// });
    /// let workers = workers.start()?;
    /// assert_eq!(workers.ids().len(), 2);
    /// let report = lifecycle.close();
    /// assert_eq!((report.exit_status(), report.scopes[0].finished), (0, 2));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn children(
        &self,
        name: impl Into<String>,
        count: usize,
        commands: impl FnMut(usize) -> Command + Send + 'static,
    ) -> ChildrenBuilder {
        ChildrenBuilder {
            stop: self.stop(),
            name: name.into(),
            count,
            commands: Box::new(commands),
            options: Options::default(),
            limit: None,
        }
    }
}

impl ChildrenBuilder {
    /// What each of them is given, as [`ChildBuilder`] has it; but for `on_failure`, since they are replaced.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Readiness};
    /// # use std::process::Command;
    /// # let lifecycle = Lifecycle::install(Config::default())?;
    /// let workers = lifecycle.children("worker", 2, |_| Command::new("/opt/importer/worker"));
    /// let workers = workers.each(|worker| worker.ready(Readiness::Notify).capture_stderr());
    /// assert!(workers.start().unwrap_err().to_string().starts_with("worker 0: /opt/importer/worker could not be"));
    /// # Ok::<(), exeunt_lifecycle::InstallError>(())
    /// ```
    pub fn each(mut self, options: impl FnOnce(ChildBuilder) -> ChildBuilder) -> Self {
        let Self { stop, name, options: before, .. } = &self;
        let command = Command::new("");
        let child = ChildBuilder { stop: stop.clone(), name: name.clone(), command, options: before.clone() };
        self.options = options(child).options;
        self
    }

    /// How many deaths in a row, each within 10 s of a start, are put up with for one worker. Its next death is a
    /// failure of the program. Any number unless told otherwise.
    pub fn max_restarts(mut self, restarts: u32, then: OnFailure) -> Self {
        self.limit = Some((restarts, then));
        self
    }

    /// Starts them all, and blocks until all are ready, or one will never be: then the others are stopped.
    ///
    /// # Errors
    ///
    /// The [`ChildError`] of the first that was not started; nothing is left of the others then.
    #[track_caller]
    pub fn start(self) -> Result<Children, ChildError> {
        let site = Site::here();
        launch::wait(self.name.clone(), |answer| self.launch(site, answer))
    }

    /// [`start`](Self::start) for async code.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Cancel safety
    ///
    /// Once polled, the workers start and run whether or not anybody waits.
    #[cfg(feature = "tokio")]
    #[track_caller]
    pub fn start_async(self) -> impl Future<Output = Result<Children, ChildError>> {
        let site = Site::here();
        launch::wait_async(self.name.clone(), move |answer| self.launch(site, answer))
    }

    fn launch(self, site: Site, answer: Answer<Children>) -> Result<(), ChildError> {
        let (events, happened) = mpsc::channel();
        let told = events.clone();
        let enough = move |notice| {
            if notice != Notice::None {
                _ = told.send(Event::Enough);
            }
        };
        let (engine, scope, family) = household(&self.stop, &self.name, enough)?;
        let workers = (0..self.count).map(|_| Worker::default()).collect();
        let shared = Arc::new(Shared {
            stop: self.stop,
            workers: Mutex::new(workers),
            events,
            over: Mutex::default(),
            is_over: Condvar::new(),
        });
        let name = self.name.clone();
        let (options, commands, limit) = (self.options, self.commands, self.limit);
        let places = vec![Place::default(); self.count];
        let mut keeper =
            Keeper { engine, scope, family, name: self.name, options, commands, limit, site, shared, places };
        let thread = std::thread::Builder::new().name("exeunt-pool".to_owned()).spawn(move || {
            let started = keeper.start_all(&happened);
            let well = started.is_ok();
            let children = Children { shared: Arc::clone(&keeper.shared) };
            answer(started.map(|()| children));
            if well {
                keeper.keep(&happened);
                keeper.end(&happened);
            }
            keeper.shared.over();
            release(keeper.scope);
        });
        thread.map(|_| ()).map_err(|source| ChildError::Watch { name, source })
    }
}

impl Children {
    /// The ids of those that run.
    #[must_use]
    pub fn ids(&self) -> Vec<u32> {
        self.alive().iter().map(|child| child.id()).collect()
    }

    /// How often one was replaced, of all together.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.shared.workers().map(|workers| workers.iter().map(|worker| worker.restarts).sum()).unwrap_or(0)
    }

    /// Those that run, in their order.
    #[must_use]
    pub fn alive(&self) -> Vec<Arc<Child>> {
        let Some(workers) = self.shared.workers() else { return Vec::new() };
        let children = workers.iter().filter_map(|worker| worker.child.clone());
        children.filter(|child| child.is_alive()).collect()
    }

    /// Stops them all, and blocks until they have ended; none is replaced any more.
    ///
    /// # Errors
    ///
    /// [`Forked`], at once, in a forked child, where it would never come.
    pub fn stop(&self) -> Result<(), Forked> {
        if self.shared.stop.core().is_forked() {
            return Err(Forked);
        }
        _ = self.shared.events.send(Event::Enough);
        self.shared.wait_until_over();
        self.shared.stop_all()
    }
}

impl fmt::Debug for Children {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Children").field("ids", &self.ids()).field("restarts", &self.restarts()).finish()
    }
}

impl fmt::Debug for ChildrenBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ChildrenBuilder");
        debug.field("name", &self.name).field("count", &self.count).field("options", &self.options);
        debug.finish_non_exhaustive()
    }
}

impl Shared {
    /// Not in a forked child.
    fn workers(&self) -> Option<MutexGuard<'_, Vec<Worker>>> {
        let workers = || self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        (!self.stop.core().is_forked()).then(workers)
    }

    fn over(&self) {
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.is_over.notify_all();
    }

    fn wait_until_over(&self) {
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        while !*over {
            over = self.is_over.wait(over).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn stop_all(&self) -> Result<(), Forked> {
        let all: Vec<_> =
            self.workers().ok_or(Forked)?.iter().filter_map(|worker| worker.child.clone()).collect();
        all.iter().for_each(|child| child.request_stop());
        all.iter().try_for_each(|child| child.wait().map(drop))
    }
}

/// What the pool's thread has.
struct Keeper {
    engine: &'static Engine,
    scope: Arc<Scope>,
    family: Family,
    name: String,
    options: Options,
    commands: Commands,
    limit: Option<(u32, OnFailure)>,
    site: Site,
    shared: Arc<Shared>,
    places: Vec<Place>,
}

#[derive(Clone, Default)]
struct Place {
    backoff: Backoff,
    since: Option<Instant>,
    /// When its next is started.
    due: Option<Instant>,
}

impl Keeper {
    fn start_all(&mut self, happened: &Receiver<Event>) -> Result<(), ChildError> {
        let mut error = None;
        let mut starting = 0;
        for index in 0..self.places.len() {
            match self.start(index) {
                Ok(()) => starting += 1,
                Err(failed) => {
                    self.give_up(&mut error, failed);
                    break;
                }
            }
        }
        // Those that have ended meanwhile are replaced when all are there.
        let mut ended = Vec::new();
        while starting > 0 {
            match happened.recv() {
                Ok(Event::Started(index, Ok(child))) => {
                    starting -= 1;
                    self.started(index, child);
                }
                Ok(Event::Started(_, Err(failed))) => {
                    starting -= 1;
                    self.give_up(&mut error, failed);
                }
                Ok(Event::Ended(index, exit)) => ended.push((index, exit)),
                // A start under way is finished; what comes of it is told by itself.
                Ok(Event::Enough) => {}
                Err(_) => break,
            }
        }
        match error {
            None => {
                ended.into_iter().for_each(|(index, exit)| self.ended(index, &exit));
                Ok(())
            }
            Some(error) => {
                _ = self.shared.stop_all();
                Err(error)
            }
        }
    }

    /// One is not to be had: nobody waits for the others, which may take their time over getting ready.
    fn give_up(&self, error: &mut Option<ChildError>, failed: ChildError) {
        error.get_or_insert(failed);
        self.engine.order(Order::StopFamily(self.family.id));
    }

    /// Replaces those that die, until nothing is to be replaced any more.
    fn keep(&mut self, happened: &Receiver<Event>) {
        while !self.scope.stop().is_requested() {
            let due = self.places.iter().filter_map(|place| place.due).min();
            let event = match due {
                Some(due) => happened.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => happened.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match event {
                Ok(Event::Started(index, Ok(child))) => self.started(index, child),
                Ok(Event::Started(index, Err(error))) => self.ended(index, &error),
                Ok(Event::Ended(index, exit)) => self.ended(index, &exit),
                Ok(Event::Enough) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => self.replace(),
            }
        }
    }

    /// Somebody stops the pool, and not the program, which needs no help: also those are stopped that are starting.
    fn end(&mut self, happened: &Receiver<Event>) {
        if self.scope.stop().is_requested() {
            return;
        }
        self.engine.order(Order::StopFamily(self.family.id));
        while self.places.iter().any(|place| place.since.is_some()) {
            match happened.recv() {
                Ok(Event::Started(index, Ok(child))) => self.started(index, child),
                Ok(Event::Started(index, Err(_)) | Event::Ended(index, _)) => {
                    _ = self.places.get_mut(index).map(|place| place.since.take());
                }
                Ok(Event::Enough) => {}
                Err(_) => return,
            }
        }
    }

    fn replace(&mut self) {
        let now = Instant::now();
        for index in 0..self.places.len() {
            let due = self.places.get_mut(index).and_then(|place| place.due.take_if(|due| *due <= now));
            if due.is_none() {
                continue;
            }
            if let Some(worker) = self.shared.workers().as_mut().and_then(|workers| workers.get_mut(index)) {
                worker.restarts += 1;
            }
            if let Err(error) = self.start(index) {
                self.ended(index, &error);
            }
        }
    }

    fn start(&mut self, index: usize) -> Result<(), ChildError> {
        let name = format!("{} {index}", self.name);
        if let Some(place) = self.places.get_mut(index) {
            place.since = Some(Instant::now());
        }
        let command = match foreign(|| (self.commands)(index)) {
            Ok(command) => command,
            Err(panic) => return Err(ChildError::Command { name, panic }),
        };
        let restarts =
            self.shared.workers().and_then(|workers| Some(workers.get(index)?.restarts)).unwrap_or(0);
        let (started, ended) = (self.shared.events.clone(), self.shared.events.clone());
        let terms = Terms {
            note: (restarts > 0).then(|| format!("restart {restarts}")),
            scope: Arc::clone(&self.scope),
            family: self.family.clone(),
            site: self.site,
            answer: Box::new(move |answer| _ = started.send(Event::Started(index, answer))),
            on_end: Some(Box::new(move |exit| _ = ended.send(Event::Ended(index, exit)))),
        };
        let launch = Launch { name, command, options: self.options.clone(), terms };
        self.engine.order(Order::Start(Box::new(launch)));
        Ok(())
    }

    fn started(&self, index: usize, child: Child) {
        if let Some(worker) = self.shared.workers().as_mut().and_then(|workers| workers.get_mut(index)) {
            worker.child = Some(Arc::new(child));
        }
    }

    /// It has died, or was not started.
    fn ended(&mut self, index: usize, how: &dyn fmt::Display) {
        let (name, limit) = (format!("{} {index}", self.name), self.limit);
        let Some(place) = self.places.get_mut(index) else { return };
        let Some(since) = place.since.take() else { return };
        if self.scope.stop().is_requested() {
            return;
        }
        let wait = place.backoff.died(since.elapsed());
        if let Some((most, then)) = limit
            && place.backoff.in_a_row() > most
        {
            let error = format!("{how}, and so did {most} before it in a row");
            self.scope.track_as_child(name, self.site).fail(error, then);
            return;
        }
        place.due = Instant::now().checked_add(wait);
        self.scope.shared().contained("tracing", || {
            tracing::warn!(target: "exeunt::lifecycle", name, how = %how, wait = ?wait, "child ended, and is replaced");
        });
    }
}

#[cfg(test)]
mod tests {

    use crate::{Config, Lifecycle};
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn c8_a_pool_without_workers_stops_as_well() {
        let lifecycle = Lifecycle::install(Config::default().grace(Duration::from_secs(60))).unwrap();
        let pool = lifecycle.children("nobody", 0, |_| Command::new("sleep")).start().unwrap();
        assert!(pool.ids().is_empty());
        assert_eq!(lifecycle.close().exit_status(), 0);
    }
}
