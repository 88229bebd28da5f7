//! What the machine's effects come to.

use super::components::Handles;
use super::groups::GroupClosed;
use super::{Alarm, Core, Locked};
use crate::component::Closer;
use crate::follow::{Item, Progress};
use crate::foreign::{Leftover, foreign};
use crate::kept::MOST_KEPT;
use crate::machine::{ComponentId, Effect, Input, Notice, Phase, ScopeId, Verdict};
use crate::scope::ScopeShared;
use std::sync::Arc;

/// What is to be made known once the lock is released.
#[derive(Default)]
pub(super) struct News {
    phases: Vec<Phase>,
    notices: Vec<(Arc<ScopeShared>, Notice)>,
    pub(super) alarm: bool,
    /// Somebody who blocks may have what it waits for.
    pub(super) moved: bool,
    /// Watchers look again, though no phase has begun.
    watched: bool,
    /// Rung once what they wait for is known.
    pub(super) groups: Vec<Arc<GroupClosed>>,
    pub(super) closes: Vec<(ComponentId, Closer)>,
    pub(super) given_up: Vec<Handles>,
    /// Wakers run when they are dropped.
    pub(super) over: Vec<Handles>,
    pub(super) leftovers: Vec<Leftover>,
    exit: Option<Verdict>,
}

impl Locked<'_> {
    /// Writes down what was decided.
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Enter(phase) => {
                    self.core.phase.set(phase);
                    if phase == Phase::LameDuck {
                        // After the phase is written (invariant 1 of the counts).
                        let scopes = self.state.scopes.values_mut();
                        scopes.for_each(|entry| {
                            entry.at_stop = entry.shared.totals();
                            entry.cut_before = entry.cut.count();
                            entry.cut.make_room();
                        });
                        self.state.failures.make_room();
                        self.state.component_reports.make_room();
                    }
                    if let (Phase::LameDuck, Some(cause)) = (phase, &self.state.cause) {
                        self.state.follow.push(Item::News(Progress::Requested(cause.clone())));
                    }
                    self.state.follow.push(Item::News(Progress::Phase(phase)));
                    self.news.phases.push(phase);
                }
                Effect::Look => self.look_for_shields(),
                Effect::LookForArrivals => self.apply(Input::LastArrival { at: self.core.last_arrival() }),
                Effect::Tell(scope) => self.notify(scope, Notice::Told),
                Effect::Cut(scope) => self.notify(scope, Notice::Cut),
                Effect::CancelStart(component, late) => self.start_given_up(component, late),
                Effect::Close(component, _) => self.close(component),
                Effect::AbandonClose(component, late) => self.close_given_up(component, late),
                Effect::Skip(component) => self.skipped(component),
                Effect::EndShield(shield, why) => self.shield_over(shield, why),
                Effect::Extend(until) => {
                    self.state.extended = Some(until);
                    let left = until.since(self.core.clock.now());
                    self.state.follow.push(Item::News(Progress::Extended { left }));
                }
                Effect::HeldUp => self.held_up(),
                Effect::WakeAt(_) => self.news.alarm = true,
                Effect::Exit(verdict) => {
                    self.state.verdict = Some(verdict);
                    self.state.settle();
                    let exit_status = self.state.exit_statuses.of(verdict);
                    self.state.follow.push(Item::News(Progress::Stopped { verdict, exit_status }));
                    self.news.exit = Some(verdict);
                    self.news.alarm = true;
                }
            }
        }
    }

    /// Whoever blocks looks again.
    pub(super) fn wake_waiters(&mut self) {
        self.news.moved = true;
    }

    /// Whoever watches looks again.
    pub(super) fn wake_watchers(&mut self) {
        self.news.watched = true;
    }

    fn held_up(&self) {
        let now = self.core.clock.now();
        let Some(requested) = self.state.machine.requested() else { return };
        let busy = self.state.scopes.values().filter(|entry| entry.idle_since.is_none());
        let phase = self.core.phase();
        self.state.follow.push(Item::HeldUp {
            phase,
            since: now.since(requested),
            scopes: busy.map(|entry| Arc::clone(&entry.shared)).take(MOST_KEPT).collect(),
            others: self.state.waits_for(now),
        });
    }

    fn notify(&mut self, scope: ScopeId, notice: Notice) {
        if let Some(entry) = self.state.scopes.get(&scope) {
            entry.shared.set_notice(notice);
            self.news.notices.push((Arc::clone(&entry.shared), notice));
        }
    }
}

impl Core {
    /// Without the lock: makes known what was decided. Whoever waits comes first, and what may take its time last
    /// ("Foreign code" in the semantics): no panic and no delay of one keeps it from the next.
    pub(super) fn publish(&self, news: News) {
        // Before anybody is told: a waker may drop the lifecycle on this very thread, which waits for the hooks.
        if news.exit.is_some()
            && let Some(me) = self.me.upgrade()
        {
            self.hooks.end(&me);
            #[cfg(feature = "tokio")]
            if matches!(self.alarm, Alarm::Task(_)) {
                self.hooks.watch();
            }
        }
        if news.moved || !news.phases.is_empty() {
            self.moved_on.notify_all();
        }
        #[cfg(feature = "tokio")]
        for phase in &news.phases {
            self.wake(|| self.bell(*phase).ring());
        }
        for closed in &news.groups {
            self.wake(|| closed.ring());
        }
        for (scope, notice) in &news.notices {
            scope.publish(*notice, |wake| self.wake(wake));
        }
        if news.alarm {
            match &self.alarm {
                Alarm::Hub => crate::hub::wake(),
                #[cfg(feature = "tokio")]
                Alarm::Task(alarm) => self.wake(|| alarm.notify_one()),
            }
        }
        for given_up in news.given_up {
            self.wake(|| given_up.give_up());
        }
        for over in news.over {
            self.wake(|| over.let_go());
        }
        for (component, closer) in news.closes {
            self.run_closer(component, closer);
        }
        if news.watched || !news.phases.is_empty() || !news.notices.is_empty() {
            self.watchers.tell(&self.follow);
        }
        if !news.leftovers.is_empty() {
            self.follow.push(Item::Leftovers(news.leftovers));
        }
        self.follow.tell();
        #[cfg(feature = "metrics")]
        if !news.phases.is_empty() {
            let (me, follow) = (std::sync::Weak::clone(&self.me), Arc::clone(&self.follow));
            self.follow.aside(Box::new(move || {
                if let Some(me) = me.upgrade() {
                    follow.contained("metrics", || crate::stop::Stop::new(me).record_metrics());
                }
            }));
        }
    }

    /// Calls wakers, one of which may panic.
    fn wake(&self, act: impl FnOnce()) {
        if let Err(panic) = foreign(act) {
            self.follow.failed("a waker", panic);
        }
    }
}
