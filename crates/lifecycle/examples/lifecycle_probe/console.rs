//! What console events meet.

use crate::{FOR_EVER, finish, ready};
use exeunt_lifecycle::{Config, Lifecycle, Phase, Stop};
use std::convert::Infallible;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

pub(crate) fn run(scenario: &str) -> ExitCode {
    // Whatever hangs must not hang the tests.
    thread::spawn(|| {
        thread::sleep(Duration::from_secs(120));
        std::process::abort();
    });
    match scenario {
        "serve" => serve(Config::default()),
        "users-come-and-go" => serve(Config::default().terminate_on_logoff(false)),
        "stdin" => serve(Config::default().stop_on_stdin_end(true)),
        "busy" => busy(),
        "two" => two(),
        "after-close" => after(|lifecycle| drop(lifecycle.close())),
        "after-drop" => after(drop),
        other => panic!("no scenario {other:?}"),
    }
}

/// Threads work until the stop, and the rest is finished; what comes after the report is part of the program too.
fn serve(config: Config) -> ExitCode {
    let config = config.grace(FOR_EVER).before_termination(|_| println!("last words"));
    let lifecycle = Lifecycle::install(config).unwrap();
    for name in ["database", "cache"] {
        let close = move |_| println!("{name} closes");
        lifecycle.component_blocking(name, || Ok::<_, Infallible>(()), close).start().unwrap();
    }
    let workers = ["one", "two"].map(|name| {
        let scope = lifecycle.scope(name);
        thread::spawn(move || {
            while !scope.stop().is_requested() {
                let _work = scope.begin();
                thread::sleep(Duration::from_millis(1));
            }
        })
    });
    let watcher = thread::spawn({
        let stop = lifecycle.stop();
        move || Phase::ALL.into_iter().for_each(|phase| reach(&stop, phase))
    });
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    let report = lifecycle.close();
    watcher.join().unwrap();
    // Longer than `console_event` takes a process for ending by itself.
    thread::sleep(Duration::from_secs(1));
    println!("{report}");
    ExitCode::from(report.exit_status())
}

/// Work that never ends, and more grace than Windows gives.
fn busy() -> ExitCode {
    let lifecycle = Lifecycle::install(Config::default().grace(FOR_EVER).lame_duck(FOR_EVER / 2)).unwrap();
    let scope = lifecycle.scope("stubborn");
    let _work = scope.begin();
    let stop = lifecycle.stop();
    thread::spawn(move || {
        [Phase::LameDuck, Phase::Draining, Phase::Closing].into_iter().for_each(|phase| reach(&stop, phase));
    });
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    finish(lifecycle)
}

/// Two lifecycles see the same event; one that does not want it does not, and one outlives the others.
fn two() -> ExitCode {
    let install = |config: Config| Lifecycle::install(config.grace(FOR_EVER)).unwrap();
    let one = install(Config::default());
    let other = install(Config::default());
    let indifferent = install(Config::default().terminate_on_logoff(false));
    println!("ready");
    one.stop().wait().unwrap();
    other.stop().wait().unwrap();
    let left = [one.close(), other.close()].map(|report| report.exit_status());
    assert_eq!(left, [0, 0]);
    println!("requested {}", indifferent.stop().is_requested());
    finish(indifferent)
}

/// When the lifecycle has gone, an event ends the program as if there had been none.
fn after(leave: impl FnOnce(Lifecycle)) -> ExitCode {
    leave(Lifecycle::install(Config::default()).unwrap());
    println!("ready");
    thread::sleep(FOR_EVER);
    ExitCode::from(99)
}

fn reach(stop: &Stop, phase: Phase) {
    stop.wait_for(phase, FOR_EVER).unwrap();
    println!("{phase}");
}
