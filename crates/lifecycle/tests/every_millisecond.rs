//! Signals at every millisecond of a short life: start, run, close. 300 lives, or 3,000 with `EXEUNT_SOAK=1`.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod probe;

use probe::Running;
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt as _;
use std::thread;
use std::time::{Duration, Instant};

/// What a life comes to, as far as the signal had a say in it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Life {
    /// The signal came before its handler.
    DiedYoung,
    /// The signal stopped it.
    Stopped,
    /// It had done before the signal came, or the signal asked for nothing.
    Completed,
    /// The signal came when everything was done and its handler had gone.
    DiedAfterwards,
}

#[test]
fn l10_whenever_a_signal_comes_nothing_is_lost_and_nothing_is_left() {
    let lives = if std::env::var_os("EXEUNT_SOAK").is_some() { 3_000 } else { 300 };
    let signals = [Signal::INT, Signal::TERM, Signal::QUIT, Signal::HUP, Signal::USR1];
    let seen: Vec<Life> = thread::scope(|scope| {
        // Two at a time, since most of a life is waiting.
        let halves = [0, 1].map(|half| {
            let live = move |life: u64| live(signals[life as usize % signals.len()], life / 5 % 30);
            scope.spawn(move || (half..lives).step_by(2).map(live).collect::<Vec<_>>())
        });
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    let count = |wanted: &Life| seen.iter().filter(|life| *life == wanted).count();
    let all = [Life::DiedYoung, Life::Stopped, Life::Completed, Life::DiedAfterwards];
    let counts: Vec<_> = all.iter().map(|life| (life, count(life))).collect();
    // Otherwise the signals were not sent during the life, and this has shown nothing.
    assert!(count(&Life::Stopped) >= lives as usize / 10, "{counts:?}");
}

/// One life: the signal comes `at` milliseconds after its start.
fn live(signal: Signal, at: u64) -> Life {
    let probe = Running::start("hooks", "short");
    let due = Instant::now() + Duration::from_millis(at);
    thread::sleep(due.saturating_duration_since(Instant::now()));
    probe.kill(signal);
    let (said, status) = probe.finish();
    let told = |line: &str| said.lines().any(|said| said == line);
    let (installed, ended) = (told("installed"), told("ending"));
    if let Some(killer) = status.signal() {
        assert_eq!(killer, signal.as_raw(), "{said}");
        assert!(!installed || ended, "{killer} killed it in the middle of its life, at {at} ms:\n{said}");
        return if installed { Life::DiedAfterwards } else { Life::DiedYoung };
    }
    assert_eq!(status.code(), Some(0), "at {at} ms: {said}");
    assert_eq!(said.lines().filter(|line| *line == "ending").count(), 1, "at {at} ms: {said}");
    let work = said.lines().find_map(|line| line.strip_prefix("begun ")).unwrap();
    let (begun, finished) = work.split_once(" finished ").unwrap();
    assert_eq!(begun, finished, "at {at} ms: {said}");
    assert_eq!(
        said.lines().last(),
        Some(if told("closed 0 true") { "closed 0 true" } else { "closed 0 false" })
    );
    if told("usr1") {
        assert_eq!(signal, Signal::USR1);
    }
    if told("closed 0 true") {
        assert_ne!(signal, Signal::USR1, "it asks for nothing");
        Life::Stopped
    } else {
        Life::Completed
    }
}
