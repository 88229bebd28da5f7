//! What of a child is the same on every system: for whom it runs, and what its end means to them.

use super::builder::Options;
use super::child::Shared;
use super::exit::ChildExit;
use super::launch::{Answer, OnEnd, Terms, release};
use super::life::{Input, Life};
use crate::cause::{Cause, Received, Sender};
use crate::machine::{Notice, Time};
use crate::scope::Scope;
use crate::work::Tracked;
use std::sync::Arc;
use std::time::Instant;

pub(super) struct Charge {
    pub(super) shared: Arc<Shared>,
    pub(super) life: Life,
    pub(super) options: Options,
    pub(super) family: u64,
    /// Until it is ready, or never will be.
    pub(super) answer: Option<Answer>,
    pub(super) on_end: Option<OnEnd>,
    scope: Option<Arc<Scope>>,
    work: Option<Tracked>,
    /// When it was there for certain, on the lifecycle's clock.
    born: Time,
}

impl Charge {
    /// It was spawned.
    pub(super) fn new(shared: Arc<Shared>, options: Options, terms: Terms) -> Self {
        let Terms { note, scope, family, site, answer, on_end } = terms;
        family.members.join(&shared);
        let note = note.map(|note| format!(", {note}")).unwrap_or_default();
        let work = scope.track_as_child(format!("{} (pid {}{note})", shared.name, shared.pid), site);
        Self {
            life: Life::new(Instant::now().checked_add(options.ready_within), options.stop_timeout),
            born: scope.now(),
            shared,
            options,
            family: family.id,
            answer: Some(answer),
            on_end,
            scope: Some(scope),
            work: Some(work),
        }
    }

    /// What its scope was told before it was there.
    pub(super) fn told_before(&self) -> Option<Input> {
        match &self.scope {
            Some(scope) if scope.is_cut() => Some(Input::Cut),
            Some(scope) if scope.is_draining() => Some(Input::Told),
            _ => None,
        }
    }

    pub(super) fn is_cut(&self) -> bool {
        self.scope.as_ref().is_some_and(|scope| scope.is_cut())
    }

    /// Who sent the signal that is the stop's cause, if this child was there when the stop was requested: what was sent to
    /// many may have reached it, too.
    pub(super) fn stop_signal_from(&self) -> Option<Sender> {
        let stop = self.scope.as_ref()?.stop();
        let state = stop.core().state()?;
        match state.cause {
            Some(Cause::Signal(Received { sender, .. })) if self.born <= state.machine.requested()? => {
                Some(sender)
            }
            _ => None,
        }
    }

    /// It ended: what that says of its work.
    pub(super) fn end_work(&mut self, exit: ChildExit, by_itself: bool) {
        let Some(work) = self.work.take() else { return };
        let stopping = self.scope.as_ref().is_some_and(|scope| scope.stop().is_requested());
        match self.options.on_failure {
            _ if self.life.is_cut() && exit.was_killed() => work.cut(),
            Some(then) if by_itself && !stopping && !exit.is_success() => work.fail(exit.to_string(), then),
            _ => drop(work),
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn let_go(&mut self, exit: ChildExit) {
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

impl Input {
    /// What a scope was told.
    pub(super) fn of(notice: Notice) -> Option<Self> {
        match notice {
            Notice::None => None,
            Notice::Told => Some(Self::Told),
            Notice::Cut => Some(Self::Cut),
        }
    }
}
