//! What the log says, in the spans of the stop and its phases.

use super::{HeldUp, Progress};
use crate::foreign::foreign;
use crate::machine::Phase;
use crate::scope::CutWork;
use tracing::Span;

/// The spans that are open: the stop's, and the present phase's inside it.
pub(super) struct Spans {
    stop: Span,
    phase: Span,
}

impl Spans {
    pub(super) fn new() -> Self {
        let starting = foreign(|| phase_span(None, Phase::Starting));
        Self { stop: Span::none(), phase: starting.unwrap_or_else(|_| Span::none()) }
    }

    pub(super) fn trace(&mut self, progress: &Progress) {
        match progress {
            Progress::Requested(cause) => {
                self.stop = tracing::info_span!(target: "exeunt::lifecycle", parent: None, "stop", %cause);
                tracing::info!(target: "exeunt::lifecycle", parent: &self.stop, %cause, "stop requested");
            }
            Progress::Phase(phase) => {
                self.phase = phase_span(self.stop.id(), *phase);
                tracing::info!(target: "exeunt::lifecycle", parent: &self.phase, %phase, "phase");
            }
            Progress::Extended { left } => {
                let seconds = left.as_secs_f64();
                tracing::info!(target: "exeunt::lifecycle", parent: &self.phase, seconds, "shields hold the stop off");
            }
            Progress::Shield(shield) => {
                tracing::warn!(target: "exeunt::lifecycle", parent: &self.phase, "{shield}");
            }
            Progress::Component(component) => {
                let (name, outcome, took) =
                    (&component.name, &component.outcome, component.took.as_secs_f64());
                tracing::info!(target: "exeunt::lifecycle", parent: &self.phase, name, %outcome, took, "component");
            }
            Progress::HeldUp(held_up) => self.held_up(held_up),
            Progress::Cut { scope, work } => {
                let CutWork { name, kind, .. } = work;
                let (age, site) = (work.age.as_secs_f64(), work.site.map(tracing::field::display));
                tracing::warn!(target: "exeunt::lifecycle", parent: &self.phase, scope, name, kind, age, site, "cut");
            }
            Progress::Stopped { verdict, exit_status: status } => {
                tracing::info!(target: "exeunt::lifecycle", parent: &self.phase, ?verdict, status, "stopped");
                *self = Self { stop: Span::none(), phase: Span::none() };
            }
        }
    }

    fn held_up(&self, held_up: &HeldUp) {
        let (phase, since) = (held_up.phase, held_up.since.as_secs_f64());
        for scope in &held_up.scopes {
            tracing::warn!(
                target: "exeunt::lifecycle", parent: &self.phase,
                %phase, since, in_flight = scope.in_flight, by = %scope, "the stop is held up"
            );
        }
        for other in &held_up.others {
            tracing::warn!(
                target: "exeunt::lifecycle", parent: &self.phase,
                %phase, since, by = other, "the stop is held up"
            );
        }
    }
}

fn phase_span(parent: Option<tracing::span::Id>, phase: Phase) -> Span {
    tracing::info_span!(target: "exeunt::lifecycle", parent: parent, "phase", %phase)
}
