//! What the service manager is told of the core.

use super::{Core, State};
use crate::cause::Cause;
use crate::follow::{Item, Progress};
use crate::machine::{Phase, Time};
use crate::report::{Plain, Span};
use crate::service::{self, Service, Waits};
use std::error::Error;
use std::fmt::Write as _;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How many scopes and others a status names.
const NAMED: usize = 10;

impl Core {
    pub(crate) fn service(&self) -> Option<&Service> {
        self.service.get()
    }

    /// From now on it is told. The signal thread is to look when it is due.
    pub(crate) fn tell_service(&self, service: Service) {
        self.service.get_or_init(|| service).begin(Instant::now());
        let core = Weak::clone(&self.me);
        self.follow.add(Arc::new(move |progress| {
            if let (Progress::HeldUp(held_up), Some(core)) = (progress, core.upgrade())
                && let (Some(state), Some(service)) = (core.state(), core.service())
                && core.phase() == held_up.phase
            {
                service.held_up(held_up.to_string(), Instant::now());
                drop(state);
                crate::hub::wake();
            }
        }));
        self.log_service();
    }

    /// An error that is about to be the cause of the stop, if nothing else was before.
    pub(crate) fn blame(&self, error: Option<&(dyn Error + Send + Sync + 'static)>) {
        if let (Some(service), Some(error)) = (self.service(), error)
            && self.phase() < Phase::LameDuck
            && !self.is_forked()
        {
            service.blame(service::errno(error));
        }
    }

    /// By the signal thread, after its tick.
    pub(crate) fn tick_service(&self) {
        if let (Some(service), Some(state)) = (self.service(), self.state()) {
            service.tick(|| self.service_state(&state), Instant::now());
            drop(state);
            self.log_service();
        }
    }

    pub(crate) fn wake_service_in(&self) -> Option<Duration> {
        self.service()?.wake_in(Instant::now())
    }

    /// A reload begins; false if nobody is told of it.
    pub(crate) fn reload_begins(&self) -> bool {
        let (Some(service), Some(state)) = (self.service(), self.state()) else { return false };
        let is_running = self.phase() == Phase::Running;
        if is_running {
            service.reloading(Instant::now());
        }
        drop(state);
        is_running
    }

    pub(crate) fn reload_ends(&self) {
        if let (Some(service), Some(state)) = (self.service(), self.state()) {
            service.reloaded(self.phase() == Phase::Running, Instant::now());
            drop(state);
            crate::hub::wake();
        }
    }

    /// Under the lock. True if the signal thread has something to do for it, at another time than it knew.
    pub(super) fn service_moved(&self, before: Phase, state: &State) -> bool {
        let Some(service) = self.service() else { return false };
        service.moved(before, &self.service_state(state), Instant::now());
        service.take_warnings().into_iter().for_each(|warning| self.follow.push(Item::Service(warning)));
        true
    }

    /// Whoever stops us waits so long.
    pub(crate) fn is_waited_for(&self, waits: Waits) {
        self.waits.get_or_init(|| waits);
    }

    /// Under the lock: a shield may hold the stop off beyond what the manager waits (L6).
    pub(super) fn look_at_length(&self, state: &State, who: &str, until: Time) {
        let (Some(waits), Some(requested)) = (self.waits.get(), state.machine.requested()) else { return };
        let takes = until.since(requested);
        if waits.end_before(takes) {
            let takes = Span(takes);
            self.follow.push(Item::Service(format!("a shield may take {takes}, and {waits}: {who}")));
        }
    }

    fn log_service(&self) {
        let warnings = self.service().map(Service::take_warnings).unwrap_or_default();
        if !warnings.is_empty() {
            warnings.into_iter().for_each(|warning| self.follow.push(Item::Service(warning)));
            self.follow.tell();
        }
    }

    fn service_state(&self, state: &State) -> service::State {
        let (now, phase) = (self.clock.now(), self.phase());
        let ended = state.scopes.values().map(|entry| entry.shared.totals().ended).sum::<u64>();
        let requested = state.machine.requested();
        let stop = requested.zip(state.machine.hard_deadline());
        let exit_status = state.verdict.map(|verdict| state.exit_statuses.of(verdict));
        service::State {
            phase,
            status: self.service_status(state),
            exit_status,
            failed: matches!(state.cause, Some(Cause::Failure(_))),
            stop: stop.map(|(requested, hard)| (hard.since(requested), hard.since(now))),
            shielded: state.extended.is_some() && !state.live_shields.is_empty(),
            done: ended.saturating_add(state.component_reports.count()),
        }
    }

    fn service_status(&self, state: &State) -> String {
        let (now, phase) = (self.clock.now(), self.phase());
        let mut status = phase.to_string();
        let mut add = |text: &dyn std::fmt::Display| _ = write!(status, "{text}");
        if let (Phase::Stopped, Some(verdict)) = (phase, state.verdict) {
            add(&format_args!(", exit status {}", state.exit_statuses.of(verdict)));
        }
        if let Some(cause) = &state.cause {
            add(&format_args!(" ({cause})"));
        }
        if !(Phase::LameDuck..Phase::Stopped).contains(&phase) {
            return status;
        }
        let busy = state.scopes.values().filter(|entry| entry.idle_since.is_none());
        let busy = busy.map(|entry| {
            format!("{} ({} in flight)", Plain(&entry.shared.name), entry.shared.totals().in_flight())
        });
        let mut holders = busy.chain(state.waits_for(now));
        for (index, holder) in holders.by_ref().take(NAMED).enumerate() {
            add(&format_args!("{} {holder}", if index == 0 { ":" } else { ";" }));
        }
        if let more @ 1.. = holders.count() {
            add(&format_args!("; and {more} more"));
        }
        status
    }
}
