//! Servers that take turns under the same load, and what a question costs each of them.

use crate::Arguments;
use crate::machine::pin;
use crate::process::Running;
use crate::ratio::{Ratio, median};
use anyhow::{Context as _, Result};
use std::fmt;

/// A load's turn: asks that many questions, or a few more, and says how many they were.
pub(crate) type Turn<'a> = Box<dyn FnMut(u32) -> Result<usize> + 'a>;

/// One of those that are compared.
pub(crate) struct Seat<'a> {
    pub(crate) name: &'static str,
    pub(crate) server: &'a Running,
    pub(crate) turn: Turn<'a>,
}

/// What came of it: microseconds of CPU per question, of each seat in each round.
pub(crate) struct Costs {
    names: Vec<&'static str>,
    rounds: Vec<Vec<f64>>,
    of_first: Vec<Ratio>,
}

/// Lets them take turns. `seats` connects the loads, in the thread that drives them all, on core 1.
pub(crate) fn take<'a>(
    arguments: &Arguments,
    questions: u32,
    seats: impl FnOnce() -> Result<Vec<Seat<'a>>> + Send,
) -> Result<Costs> {
    let (names, rounds) = std::thread::scope(|scope| {
        scope
            .spawn(|| measure(arguments.pairs, questions, seats))
            .join()
            .unwrap_or_else(|_| anyhow::bail!("the client panicked"))
    })?;
    let of_first = (1..names.len())
        .map(|seat| {
            let pairs: Vec<_> = rounds.iter().map(|round| (round[0], round[seat])).collect();
            Ratio::of(&pairs).context("too few pairs")
        })
        .collect::<Result<_>>()?;
    Ok(Costs { names, rounds, of_first })
}

fn measure<'a>(
    pairs: u32,
    questions: u32,
    seats: impl FnOnce() -> Result<Vec<Seat<'a>>>,
) -> Result<(Vec<&'static str>, Vec<Vec<f64>>)> {
    pin(1)?;
    let mut seats = seats()?;
    let count = seats.len();
    let mut rounds = Vec::new();
    for turn in 0..=pairs {
        let mut round = vec![0.0; count];
        for place in 0..count {
            // Who goes first changes from round to round.
            let index = if turn % 2 == 0 { place } else { count - 1 - place };
            let seat = &mut seats[index];
            let before = seat.server.cpu_time()?;
            let asked = (seat.turn)(questions).with_context(|| seat.name)?;
            round[index] = (seat.server.cpu_time()? - before) as f64 / 1e3 / asked as f64;
        }
        // The first round warms up.
        if turn > 0 {
            rounds.push(round);
        }
    }
    Ok((seats.iter().map(|seat| seat.name).collect(), rounds))
}

impl Costs {
    /// Of how many questions that seat answers in a second of CPU (median).
    pub(crate) fn per_second(&self, seat: usize) -> f64 {
        1e6 / self.median(seat)
    }

    /// What one seat's questions cost, of what those of another do.
    pub(crate) fn ratio(&self, ours: usize, theirs: usize) -> Result<Ratio> {
        let pairs: Vec<_> = self.rounds.iter().map(|round| (round[ours], round[theirs])).collect();
        Ratio::of(&pairs).context("too few pairs")
    }

    pub(crate) fn median(&self, seat: usize) -> f64 {
        median(self.rounds.iter().map(|round| round[seat]))
    }

    /// Medians, and the first one's ratio to the others. `wanted`: at most that of the second.
    pub(crate) fn tell(&self, f: &mut fmt::Formatter<'_>, wanted: Option<f64>) -> fmt::Result {
        for (seat, name) in self.names.iter().enumerate() {
            writeln!(
                f,
                "  {name:30} {:8.2} us (median), {:.0} per CPU second",
                self.median(seat),
                self.per_second(seat)
            )?;
        }
        for (index, ratio) in self.of_first.iter().enumerate() {
            let pair = format!("{} / {}", self.names[0], self.names[index + 1]);
            let wanted = wanted.filter(|_| index == 0).map(|wanted| format!(" (wanted: {wanted} at most)"));
            let end = if index + 1 == self.of_first.len() { "" } else { "\n" };
            write!(f, "  {pair:30} {ratio}{}{end}", wanted.unwrap_or_default())?;
        }
        Ok(())
    }
}
