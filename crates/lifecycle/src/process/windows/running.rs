//! A child as the thread has it that watches it, on Windows.

use super::builder::Options;
use super::child::{Child, Shared};
use super::engine::{Answer, Engine, Launch, OnEnd};
use super::error::ChildError;
use super::exit::ChildExit;
use super::life::{Effect, Input, Life, NotReady};
use super::spawn::{Streams, spawn};
use crate::cause::{Cause, Received, Sender};
use crate::machine::{Notice, Time};
use crate::runner::detached;
use crate::scope::Scope;
use crate::signal::Signal;
use crate::work::Tracked;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Instant;

pub(super) struct Running {
    shared: Arc<Shared>,
    streams: Streams,
    life: Life,
    options: Options,
    family: u64,
    scope: Option<Arc<Scope>>,
    work: Option<Tracked>,
    /// Until it is ready, or never will be.
    answer: Option<Answer>,
    on_end: Option<OnEnd>,
    /// When it was there for certain, on the lifecycle's clock.
    born: Time,
    ended: bool,
}

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
        let spawned = spawn(engine, id, &name, &mut command, &options);
        drop(command);
        let (shared, streams) = match spawned {
            Ok(spawned) => spawned,
            Err(error) => {
                release(scope);
                answer(Err(error));
                return None;
            }
        };
        family.members.join(&shared);
        let note = note.map(|note| format!(", {note}")).unwrap_or_default();
        let work = scope.track_as_child(format!("{name} (pid {}{note})", shared.pid), site);
        let mut running = Self {
            born: scope.now(),
            life: Life::new(Instant::now().checked_add(options.ready_within), options.stop_timeout),
            shared,
            streams,
            options,
            family: family.id,
            scope: Some(scope),
            work: Some(work),
            answer: Some(answer),
            on_end,
            ended: false,
        };
        running.apply(Input::Ready);
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

    pub(super) fn is_over(&self) -> bool {
        self.ended
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

    /// Its process has ended.
    pub(super) fn end(&mut self, status: io::Result<ExitStatus>) {
        self.ended = true;
        // Who cut it has killed it already, and the notice may still be on its way.
        if self.scope.as_ref().is_some_and(|scope| scope.is_cut()) {
            self.apply(Input::Cut);
        }
        let by_itself = !self.life.is_ending();
        let Some(mut state) = self.shared.state() else { return };
        let exit = status.map_or(ChildExit::Unknown, |status| ChildExit::of(status, state.killed));
        state.exit = Some(exit);
        let job = state.job.take();
        drop(state);
        if let Some(job) = job.filter(|_| !by_itself) {
            _ = job.kill(ChildExit::KILLED);
        }
        self.end_work(exit, by_itself);
        self.let_go(exit);
        self.apply(Input::Ended);
        self.shared.ended();
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
                Effect::Kill => self.shared.kill(),
                Effect::NotReady(why) => self.not_ready(why),
                Effect::LetGo => {
                    self.let_go(ChildExit::Unknown);
                    self.shared.ended();
                }
            }
        }
    }

    fn ready(&mut self) {
        let (stdin, stdout, stderr) = std::mem::take(&mut self.streams);
        if let Some(answer) = self.answer.take() {
            answer(Ok(Child::new(Arc::clone(&self.shared), stdin, stdout, stderr)));
        }
    }

    /// Since each is ready as soon as it is executed, none is late, or ends before.
    fn not_ready(&mut self, _why: NotReady) {
        if let Some(answer) = self.answer.take() {
            answer(Err(ChildError::Stopping { name: self.shared.name.clone() }));
        }
    }

    fn tell(&self, by_stop: bool) {
        if by_stop && self.has_heard_the_console() {
            return;
        }
        // Windows has no other.
        match self.shared.signal(Signal::BREAK.number()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let (name, pid) = (&*self.shared.name, self.shared.pid);
                let what = "child cannot be told to stop, and is killed if it does not end by itself";
                tracing::warn!(target: "exeunt::lifecycle", name, pid, %error, "{what}");
            }
            _ => {}
        }
    }

    /// Whether the console's event that is the stop's cause reached this child, too.
    fn has_heard_the_console(&self) -> bool {
        let Some(scope) = &self.scope else { return false };
        let stop = scope.stop();
        let Some(state) = stop.core().state() else { return false };
        let was_there = state.machine.requested().is_some_and(|requested| self.born <= requested);
        match state.cause {
            Some(Cause::Signal(Received { sender, .. })) => {
                was_there && reaches(sender, self.options.own_group)
            }
            _ => false,
        }
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
        if let Some(on_end) = self.on_end.take() {
            on_end(exit);
        }
        if let Some(scope) = self.scope.take() {
            release(scope);
        }
    }
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

/// Whether an event that we have got has a child, too, for certain. The end of the console goes to all that have it; Ctrl-C
/// to those of our group, and Ctrl-Break at least to them: from the keyboard it goes to all, from a program to our group.
fn reaches(sender: Sender, own_group: bool) -> bool {
    match sender {
        Sender::Terminal => !own_group,
        Sender::ConsoleClosed | Sender::Logoff | Sender::Shutdown => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Sender, reaches};

    #[test]
    fn c10_who_has_heard_the_console_is_not_told_again() {
        let cases = [
            (Sender::Terminal, true, false),
            (Sender::Terminal, false, true),
            (Sender::ConsoleClosed, true, true),
            (Sender::Logoff, true, true),
            (Sender::Shutdown, false, true),
            (Sender::Unknown, false, false),
        ];
        for (sender, own_group, expected) in cases {
            assert_eq!(reaches(sender, own_group), expected, "{sender:?}, {own_group}");
        }
    }
}
