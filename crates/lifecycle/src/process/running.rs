//! A child as the thread has it that watches it.

use super::builder::{Options, Readiness};
use super::child::{Child, Shared};
use super::engine::{Answer, Engine, Launch, OnEnd, Order};
use super::error::ChildError;
use super::exit::ChildExit;
use super::life::{Effect, Input, Life, NotReady};
use super::notify::{Said, Socket};
use super::spawn::spawn;
use super::stat::Stat;
use super::strangers::FAMILY;
use crate::cause::{Cause, Received, Sender};
use crate::machine::{Notice, Time};
use crate::runner::detached;
use crate::scope::Scope;
use crate::work::Tracked;
use rustix::io::{Errno, read};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use std::io::{self, PipeReader};
use std::process;
use std::sync::Arc;
use std::time::Instant;

pub(super) struct Running {
    shared: Arc<Shared>,
    process: process::Child,
    life: Life,
    options: Options,
    family: u64,
    notify: Option<Socket>,
    stderr: Option<PipeReader>,
    scope: Option<Arc<Scope>>,
    work: Option<Tracked>,
    /// Until it is ready, or never will be.
    answer: Option<Answer>,
    on_end: Option<OnEnd>,
    /// When it was there for certain, on the lifecycle's clock.
    born: Time,
    reaped: bool,
    /// What descends from it is to be killed.
    doomed: bool,
    engine: &'static Engine,
}

/// What of a child something happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    End = 0,
    Notify = 1,
    Stderr = 2,
}

impl What {
    pub(super) fn of(token: u64) -> Option<Self> {
        [Self::End, Self::Notify, Self::Stderr].into_iter().find(|what| *what as u64 == token & 3)
    }

    fn token(self, id: u64) -> u64 {
        id << 2 | self as u64
    }
}

/// How much of a child's stderr, and how many datagrams of its, are read in one turn: others have theirs then.
const READS: usize = 16;
const DATAGRAMS: usize = 64;

/// Of one that has ended the whole queue is read: systemd makes it 512 long (`net.unix.max_dgram_qlen`), and who is left
/// of its own may write on.
const LAST_TURNS: usize = 64;

impl Running {
    /// Spawns it; if that cannot be, whoever wants it hears of it.
    pub(super) fn start(engine: &'static Engine, launch: Launch) -> Option<Self> {
        let Launch { name, note, mut command, options, scope, family, site, answer, on_end } = launch;
        // Its scope is busy by now: either this sees the stop, or the stop sees it.
        if scope.stop().is_requested() {
            release(scope);
            answer(Err(ChildError::Stopping { name }));
            return None;
        }
        let id = engine.number();
        // Nobody may look for strangers before this one is known.
        let mut strangers = engine.strangers();
        if strangers.are_wanted() {
            command.env(FAMILY, strangers.tokens(id));
        }
        let spawned = spawn(&mut command, &options);
        if let Ok((process, ..)) = &spawned {
            strangers.started(process.id());
        }
        drop(strangers);
        let (process, notify, stderr) = match spawned {
            Ok(spawned) => spawned,
            Err(error) => {
                release(scope);
                answer(Err(error.of(name, &command)));
                return None;
            }
        };
        drop(command);
        let shared = Arc::new(Shared::new(engine, id, name, process.id(), options.own_group));
        family.members.join(&shared);
        let pid = process.id();
        let note = note.map(|note| format!(", {note}")).unwrap_or_default();
        let work = scope.track_as_child(format!("{} (pid {pid}{note})", shared.name), site);
        let now = Instant::now();
        let mut running = Self {
            born: scope.now(),
            life: Life::new(now.checked_add(options.ready_within), options.stop_timeout),
            shared,
            process,
            options,
            family: family.id,
            notify,
            stderr,
            scope: Some(scope),
            work: Some(work),
            answer: Some(answer),
            on_end,
            reaped: false,
            doomed: false,
            engine,
        };
        running.watch();
        if running.options.readiness == Readiness::Exec {
            running.apply(Input::Ready);
        }
        running.look_for_notices();
        Some(running)
    }

    pub(super) fn id(&self) -> u64 {
        self.shared.id
    }

    pub(super) fn family(&self) -> u64 {
        self.family
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.life.wake_at()
    }

    /// Reaped, and nobody writes to what we read of it.
    pub(super) fn is_over(&self) -> bool {
        self.reaped && self.stderr.is_none()
    }

    /// Whether what descends from it is to be killed; once.
    pub(super) fn take_doom(&mut self) -> Option<u64> {
        std::mem::take(&mut self.doomed).then(|| self.id())
    }

    pub(super) fn tick(&mut self, now: Instant) {
        if self.wake_at().is_some_and(|at| at <= now) {
            self.apply(Input::Tick);
        }
    }

    pub(super) fn stop(&mut self) {
        self.apply(Input::Stop);
    }

    pub(super) fn kill(&mut self) {
        self.apply(Input::Kill);
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::None => {}
            Notice::Told => self.apply(Input::Told),
            Notice::Cut => self.apply(Input::Cut),
        }
    }

    pub(super) fn happens(&mut self, what: What) {
        match what {
            What::Notify => _ = self.listen(),
            What::Stderr => self.read(READS),
            What::End => self.end(),
        }
    }

    fn watch(&mut self) {
        let (id, engine) = (self.id(), self.engine);
        if let Some(notify) = &self.notify {
            _ = engine.watch(notify, What::Notify.token(id));
        }
        if let Some(stderr) = &self.stderr {
            _ = engine.watch(stderr, What::Stderr.token(id));
        }
        let pid = Pid::from_child(&self.process);
        let watched = pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from).and_then(|pidfd| {
            engine.watch(&pidfd, What::End.token(id))?;
            Ok(pidfd)
        });
        match watched {
            Ok(pidfd) if !super::without_pidfds() => {
                if let Some(mut state) = self.shared.state() {
                    state.pidfd = Some(pidfd);
                }
            }
            // An old kernel, or none to be had: a thread waits for it, and leaves it to be reaped.
            _ => wait_in_a_thread(engine, id, pid),
        }
    }

    fn look_for_notices(&mut self) {
        let Some(scope) = &self.scope else { return };
        if scope.is_cut() {
            self.apply(Input::Cut);
        } else if scope.is_draining() {
            self.apply(Input::Told);
        }
    }

    fn apply(&mut self, input: Input) {
        for effect in self.life.apply(Instant::now(), input) {
            match effect {
                Effect::Ready => self.ready(),
                Effect::Tell { by_stop } => self.tell(by_stop),
                Effect::Kill => {
                    self.doomed = true;
                    self.shared.kill();
                }
                Effect::NotReady(why) => self.not_ready(why),
                Effect::LetGo => {
                    self.let_go(ChildExit::Unknown);
                    self.shared.ended();
                }
            }
        }
    }

    fn ready(&mut self) {
        let process = &mut self.process;
        let (stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        if let Some(answer) = self.answer.take() {
            answer(Ok(Child::new(Arc::clone(&self.shared), stdin, stdout, stderr)));
        }
    }

    fn not_ready(&mut self, why: NotReady) {
        let Some(answer) = self.answer.take() else { return };
        self.on_end = None;
        let name = self.shared.name.clone();
        let Some(state) = self.shared.state() else { return };
        let (exit, stderr) = (state.exit.unwrap_or(ChildExit::Unknown), state.tail.text());
        let error = match why {
            NotReady::Ended => ChildError::Ended { name, exit, errno: state.errno, stderr },
            NotReady::Late => {
                let (within, bootstrapped) = (self.options.ready_within, state.bootstrapped);
                ChildError::Late { name, within, bootstrapped, exit, stderr }
            }
            NotReady::Cut => ChildError::Stopping { name },
        };
        drop(state);
        answer(Err(error));
    }

    fn tell(&self, by_stop: bool) {
        if !(by_stop && self.has_heard_the_terminal()) {
            _ = self.shared.signal(self.options.stop_signal.number());
        }
        // One that is stopped would hear it when it goes on.
        _ = self.shared.signal(super::CONTINUE);
    }

    /// Whether the signal from the terminal that is the stop's cause reached this child, too: it goes to all of the
    /// group that was there.
    fn has_heard_the_terminal(&self) -> bool {
        let (false, Some(scope)) = (self.options.own_group, &self.scope) else { return false };
        let stop = scope.stop();
        let Some(state) = stop.core().state() else { return false };
        let from_terminal =
            matches!(state.cause, Some(Cause::Signal(Received { sender: Sender::Terminal, .. })));
        let was_there = state.machine.requested().is_some_and(|requested| self.born <= requested);
        let group = |pid| Stat::of(pid).map(|stat| stat.group);
        from_terminal && was_there && group(self.shared.pid) == group(process::id())
    }

    /// Whether there may be more.
    fn listen(&mut self) -> bool {
        let pid = Pid::from_child(&self.process);
        let read = |notify: &Socket| notify.read(pid, self.options.own_group);
        let datagrams: Vec<Vec<Said>> = match &self.notify {
            Some(notify) => std::iter::from_fn(|| read(notify)).take(DATAGRAMS).collect(),
            None => return false,
        };
        let is_full = datagrams.len() == DATAGRAMS;
        for said in datagrams.into_iter().flatten() {
            if let Some(mut state) = self.shared.state() {
                match &said {
                    Said::Bootstrapped => state.bootstrapped = true,
                    Said::Stopping => state.stopping = true,
                    Said::Status(status) => state.status = Some(status.clone()),
                    Said::Errno(number) => state.errno = Some(*number),
                    Said::Ready | Said::Extend(_) => {}
                }
            }
            match said {
                Said::Ready => self.apply(Input::Ready),
                Said::Extend(time) => self.apply(Input::Extend(time)),
                Said::Bootstrapped | Said::Stopping | Said::Status(_) | Said::Errno(_) => {}
            }
        }
        is_full
    }

    fn read(&mut self, reads: usize) {
        let Some(stderr) = &self.stderr else { return };
        let mut buffer = [0; 16 * 1024];
        for _ in 0..reads {
            match read(stderr, &mut buffer) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Ok(count @ 1..) => {
                    if let Some(mut state) = self.shared.state() {
                        state.tail.push(buffer.get(..count).unwrap_or_default());
                    }
                }
                Ok(0) | Err(_) => {
                    self.engine.forget(stderr);
                    self.stderr = None;
                    return;
                }
            }
        }
    }

    /// Its process has ended, and is there to be reaped.
    fn end(&mut self) {
        if self.reaped {
            return;
        }
        // What it had said comes first: that it was ready, why it ended.
        _ = (0..LAST_TURNS).all(|_| self.listen());
        self.read(READS);
        // Who cut it has killed it already, and the notice may still be on its way.
        if self.scope.as_ref().is_some_and(|scope| scope.is_cut()) {
            self.apply(Input::Cut);
        }
        let failed = self.answer.is_some();
        let by_itself = !self.life.is_ending() && !failed;
        if self.life.is_ending() || failed {
            self.shared.kill_group();
            self.doomed = true;
        }
        let Some(mut state) = self.shared.state() else { return };
        let exit = match self.process.try_wait() {
            Ok(Some(status)) => status.into(),
            Ok(None) => return,
            Err(_) => ChildExit::Unknown,
        };
        self.reaped = true;
        state.exit = Some(exit);
        if let Some(pidfd) = state.pidfd.take() {
            self.engine.forget(pidfd);
        }
        drop(state);
        // Not under the lock above, which whoever cuts takes, on the signal thread perhaps.
        self.engine.strangers().reaped(self.shared.pid);
        if let Some(notify) = self.notify.take() {
            self.engine.forget(notify);
        }
        self.end_work(exit, by_itself);
        self.let_go(exit);
        self.apply(Input::Ended);
        self.shared.ended();
    }

    fn end_work(&mut self, exit: ChildExit, by_itself: bool) {
        let Some(work) = self.work.take() else { return };
        let stopping = self.scope.as_ref().is_some_and(|scope| scope.stop().is_requested());
        match self.options.on_failure {
            _ if self.life.is_cut() && exit.was_killed() => work.cut(),
            Some(then) if by_itself && !stopping && !exit.is_success() => work.fail(exit.to_string(), then),
            _ => drop(work),
        }
    }

    /// Nobody waits for it any more.
    fn let_go(&mut self, exit: ChildExit) {
        if let Some(mut state) = self.shared.state() {
            state.exit.get_or_insert(exit);
        }
        if let Some(work) = self.work.take() {
            work.cut();
        }
        if let Some(on_end) = self.on_end.take()
            && self.answer.is_none()
        {
            on_end(exit);
        }
        if let Some(scope) = self.scope.take() {
            release(scope);
        }
    }
}

fn wait_in_a_thread(engine: &'static Engine, id: u64, pid: Pid) {
    let wait = move || {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(Errno::INTR) = waitid(WaitId::Pid(pid), ended) {}
        engine.order(Order::Ended(id));
    };
    // Where there is no thread either, nobody hears of its end, until the stop kills it.
    _ = detached("exeunt-waiting", Box::new(wait));
}

/// Lets go of what may be the last to have the lifecycle, whose values are foreign code and not for this thread.
pub(super) fn release(scope: Arc<Scope>) {
    let Some(scope) = Arc::into_inner(scope) else { return };
    let stop = scope.stop();
    drop(scope);
    let core = stop.into_core();
    if let Some(core) = Arc::into_inner(core)
        && let Err((job, _)) = detached("exeunt-drop", Box::new(|| drop(core)))
    {
        std::mem::forget(job);
    }
}
