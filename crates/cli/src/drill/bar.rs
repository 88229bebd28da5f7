use exeunt_drill::{Progress, Scenario};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

/// A bar on stderr while the drill runs, if anybody sits there.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Self {
        let target =
            if stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {elapsed}") {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl Progress for Bar {
    fn begins(&mut self, rounds: u32) {
        self.0.set_length(rounds.into());
        if !self.0.is_hidden() {
            self.0.enable_steady_tick(Duration::from_millis(250));
        }
    }

    fn round(&mut self, scenario: Scenario, control: bool, round: u32) {
        let what = if control { " against the control server" } else { "" };
        self.0.set_message(format!("{scenario}{what}, round {round}"));
        // Rounds that had to be repeated come on top of what was planned.
        self.0.set_position((self.0.position() + 1).min(self.0.length().unwrap_or(u64::MAX)));
    }

    fn ends(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
