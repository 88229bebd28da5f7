//! What the machine's effects come to.

use super::{Alarm, Core, State};
use crate::machine::{Effect, Notice, Phase, ScopeId, Verdict};
use crate::scope::ScopeShared;
use std::sync::Arc;

/// What is to be made known once the lock is released.
#[derive(Default)]
pub(super) struct News {
    phases: Vec<Phase>,
    notices: Vec<(Arc<ScopeShared>, Notice)>,
    alarm: bool,
    exit: Option<Verdict>,
}

impl Core {
    /// Under the lock: writes down what was decided.
    pub(super) fn carry_out(&self, state: &mut State, effects: Vec<Effect>) -> News {
        let mut news = News::default();
        for effect in effects {
            match effect {
                Effect::Enter(phase) => {
                    self.phase.set(phase);
                    if phase == Phase::LameDuck {
                        // After the phase is written (invariant 1 of the counts).
                        state.scopes.values_mut().for_each(|entry| entry.at_stop = entry.shared.totals());
                    }
                    news.phases.push(phase);
                }
                Effect::Tell(scope) => Self::notify(state, scope, Notice::Told, &mut news),
                Effect::Cut(scope) => Self::notify(state, scope, Notice::Cut, &mut news),
                Effect::WakeAt(_) => news.alarm = true,
                Effect::Exit(verdict) => {
                    state.verdict = Some(verdict);
                    news.exit = Some(verdict);
                    news.alarm = true;
                }
            }
        }
        news
    }

    fn notify(state: &State, scope: ScopeId, notice: Notice, news: &mut News) {
        if let Some(entry) = state.scopes.get(&scope) {
            entry.shared.set_notice(notice);
            news.notices.push((Arc::clone(&entry.shared), notice));
        }
    }

    /// Without the lock: tells everybody.
    pub(super) fn publish(&self, news: News) {
        // First: a waker may drop the lifecycle on this very thread, which waits for the hooks.
        if news.exit.is_some()
            && let Some(me) = self.me.upgrade()
        {
            self.hooks.end(&me);
            #[cfg(feature = "tokio")]
            if matches!(self.alarm, Alarm::Task(_)) {
                self.hooks.watch();
            }
        }
        if let Some(phase) = news.phases.last() {
            self.moved_on.notify_all();
            #[cfg(feature = "tokio")]
            self.phases.send_if_modified(|published| {
                let forward = *published < *phase;
                *published = (*published).max(*phase);
                forward
            });
            #[cfg(not(feature = "tokio"))]
            let _ = phase;
        }
        for (scope, notice) in &news.notices {
            scope.publish(*notice);
        }
        if news.alarm {
            match &self.alarm {
                Alarm::Hub => crate::hub::wake(),
                #[cfg(feature = "tokio")]
                Alarm::Task(alarm) => alarm.notify_one(),
            }
        }
        for phase in news.phases {
            tracing::info!(target: "exeunt::lifecycle", %phase, "phase");
        }
        if let Some(verdict) = news.exit {
            let status = verdict.exit_status();
            tracing::info!(target: "exeunt::lifecycle", ?verdict, status, "stopped");
        }
    }
}
