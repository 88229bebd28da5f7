//! A child as the thread has it that watches it, on Windows.

use super::charge::Charge;
use super::child::Child;
use super::engine::Engine;
use super::error::ChildError;
use super::exit::ChildExit;
use super::launch::Launch;
use super::life::{Effect, Input, NotReady};
use super::spawn::{Streams, spawn};
use crate::cause::Sender;
use crate::signal::Signal;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Instant;

pub(super) struct Running {
    pub(super) charge: Charge,
    streams: Streams,
    ended: bool,
}

impl Running {
    /// Spawns it; if that cannot be, whoever wants it hears of it.
    pub(super) fn start(engine: &'static Engine, launch: Launch) -> Option<Self> {
        let Launch { name, mut command, options, terms } = launch;
        if terms.are_too_late() {
            terms.refuse(ChildError::Stopping { name });
            return None;
        }
        let spawned = spawn(engine, engine.number(), &name, &mut command, &options);
        drop(command);
        let (shared, streams) = match spawned {
            Ok(spawned) => spawned,
            Err(error) => {
                terms.refuse(error);
                return None;
            }
        };
        let mut running = Self { charge: Charge::new(shared, options, terms), streams, ended: false };
        running.apply(Input::Ready);
        if let Some(told) = running.charge.told_before() {
            running.apply(told);
        }
        Some(running)
    }

    pub(super) fn is_over(&self) -> bool {
        self.ended
    }

    /// Its process has ended.
    pub(super) fn end(&mut self, status: io::Result<ExitStatus>) {
        self.ended = true;
        // Who cut it has killed it already, and the notice may still be on its way.
        if self.charge.is_cut() {
            self.apply(Input::Cut);
        }
        let by_itself = !self.charge.life.is_ending();
        let Some(mut state) = self.charge.shared.state() else { return };
        let exit = status.map_or(ChildExit::Unknown, |status| ChildExit::of(status, state.killed));
        state.exit = Some(exit);
        let job = state.job.take();
        drop(state);
        if let Some(job) = job.filter(|_| !by_itself) {
            _ = job.kill(ChildExit::KILLED);
        }
        self.charge.end_work(exit, by_itself);
        self.charge.let_go(exit);
        self.apply(Input::Ended);
        self.charge.shared.ended();
    }

    pub(super) fn apply(&mut self, input: Input) {
        for effect in self.charge.life.apply(Instant::now(), input) {
            match effect {
                Effect::Ready => self.ready(),
                Effect::Tell { by_stop } => self.tell(by_stop),
                Effect::Kill => self.charge.shared.kill(),
                Effect::NotReady(why) => self.not_ready(why),
                Effect::LetGo => {
                    self.charge.let_go(ChildExit::Unknown);
                    self.charge.shared.ended();
                }
            }
        }
    }

    fn ready(&mut self) {
        let (stdin, stdout, stderr) = std::mem::take(&mut self.streams);
        if let Some(answer) = self.charge.answer.take() {
            answer(Ok(Child::new(Arc::clone(&self.charge.shared), stdin, stdout, stderr)));
        }
    }

    /// Since each is ready as soon as it is executed, none is late, or ends before.
    fn not_ready(&mut self, _why: NotReady) {
        if let Some(answer) = self.charge.answer.take() {
            answer(Err(ChildError::Stopping { name: self.charge.shared.name.clone() }));
        }
    }

    fn tell(&self, by_stop: bool) {
        if by_stop && self.has_heard_the_console() {
            return;
        }
        // Windows has no other.
        match self.charge.shared.signal(Signal::BREAK.number()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let (name, pid) = (&*self.charge.shared.name, self.charge.shared.pid);
                let what = "child cannot be told to stop, and is killed if it does not end by itself";
                tracing::warn!(target: "exeunt::lifecycle", name, pid, %error, "{what}");
            }
            _ => {}
        }
    }

    /// Whether the console's event that is the stop's cause reached this child, too.
    fn has_heard_the_console(&self) -> bool {
        self.charge.stop_signal_from().is_some_and(|sender| reaches(sender, self.charge.options.own_group))
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
