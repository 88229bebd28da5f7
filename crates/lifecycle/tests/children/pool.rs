//! Pools of workers (C8).

use crate::{LONG, install, probe_that, shell, state_of, wait_until};
use exeunt_lifecycle::{ChildError, ChildExit, Config, OnFailure, Readiness, Signal};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
fn c8_workers_are_replaced_when_they_die_and_stopped_together() {
    let lifecycle = install(Config::default());
    let pool = lifecycle.children("worker", 3, |_| probe_that(["say", "READY=1", "hang"]));
    let pool = pool.each(|worker| worker.ready(Readiness::Notify)).start().unwrap();
    let before = pool.ids();
    assert_eq!(before.len(), 3);
    let second = &pool.alive()[1];
    second.signal(Signal::TERMINATE).unwrap();
    second.wait().unwrap();
    wait_until("it is replaced", || pool.ids().len() == 3);
    let after = pool.ids();
    assert!(after[1] != before[1] && (after[0], after[2]) == (before[0], before[2]), "{after:?}");
    assert_eq!(pool.restarts(), 1);
    let report = lifecycle.close();
    assert_eq!(report.exit_status(), 0, "{report}");
    assert_eq!((report.scopes[0].in_flight_at_stop, report.scopes[0].finished), (3, 3), "{report}");
    assert!(pool.ids().is_empty() && after.iter().all(|pid| state_of(*pid).is_none()));
}

#[test]
fn c8_all_are_ready_or_none_is_left() {
    let lifecycle = install(Config::default());
    let (say, hear) = std::sync::mpsc::channel();
    let pool = lifecycle.children("worker", 3, move |index| {
        if index == 1 {
            return probe_that(["err", "no port left", "exit", "3"]);
        }
        let mut command = probe_that(["say", "READY=1", "hang"]);
        let (reader, writer) = std::io::pipe().unwrap();
        command.stdout(writer);
        say.send(reader).unwrap();
        command
    });
    let pool = pool.each(|worker| worker.ready(Readiness::Notify).capture_stderr());
    let error = pool.start().unwrap_err();
    let ChildError::Ended { name, exit, stderr, .. } = error else { panic!("{error}") };
    assert_eq!((&*name, exit, &*stderr), ("worker 1", ChildExit::Code(3), "no port left"));
    // The others are gone already: nobody has the other end of their stdout.
    for mut reader in hear {
        rustix::io::ioctl_fionbio(&reader, true).unwrap();
        assert_eq!(std::io::Read::read(&mut reader, &mut [0]).unwrap(), 0);
    }
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn c8_what_dies_again_and_again_is_given_up_where_that_was_asked_for() {
    let lifecycle = install(Config::default());
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let pool = lifecycle.children("flapping", 1, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        shell("exit 7")
    });
    let pool = pool.max_restarts(2, OnFailure::Stop).start().unwrap();
    let report = lifecycle.wait();
    let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
    let expected = "flapping: flapping 0 failed: exit status 7, and so did 2 before it in a row";
    assert_eq!((report.exit_status(), failures.as_slice()), (1, &[expected.to_owned()][..]), "{report}");
    assert_eq!((made.load(Ordering::SeqCst), pool.restarts()), (3, 2));
}

#[test]
fn c8_the_report_names_how_often_one_was_replaced() {
    let lifecycle = install(Config::default());
    let command = |_| shell("trap '' TERM; exec \"$0\" say READY=1 hang");
    let pool = lifecycle.children("worker", 1, command);
    let pool = pool.each(|worker| worker.ready(Readiness::Notify).stop_timeout(Duration::from_millis(100)));
    let pool = pool.start().unwrap();
    pool.alive()[0].kill();
    wait_until("it is replaced", || pool.restarts() == 1 && pool.ids().len() == 1);
    let name = format!("worker 0 (pid {}, restart 1)", pool.ids()[0]);
    let report = lifecycle.close();
    assert_eq!((report.exit_status(), &report.scopes[0].cut[0].name), (3, &name), "{report}");
}

#[test]
fn c8_a_pool_is_stopped_by_its_handle_and_not_replaced() {
    let lifecycle = install(Config::default());
    let pool = lifecycle.children("worker", 2, |_| probe_that(["hang"])).start().unwrap();
    let all = pool.alive();
    pool.stop().unwrap();
    assert!(all.iter().all(|child| child.wait_timeout(LONG).unwrap().is_some()));
    assert!(pool.ids().is_empty());
    // Its scope is idle: the stop has nothing to wait for.
    let report = lifecycle.close();
    assert!(report.scopes.iter().all(|scope| scope.in_flight_at_stop == 0), "{report}");
    assert_eq!((report.exit_status(), pool.restarts()), (0, 0), "{report}");
}

#[test]
fn c8_a_function_that_panics_is_an_error() {
    let lifecycle = install(Config::default());
    let commands = |index| if index == 1 { panic!("no {index}") } else { probe_that(["hang"]) };
    let error = lifecycle.children("worker", 2, commands).start().unwrap_err();
    assert!(error.to_string().ends_with("the function that makes its command panicked: no 1"), "{error}");
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn c8_a_replacement_that_is_starting_is_stopped_with_its_pool() {
    let lifecycle = install(Config::default());
    let (say, hear) = std::sync::mpsc::channel();
    let mut made = 0;
    let pool = lifecycle.children("worker", 1, move |_| {
        made += 1;
        say.send(made).unwrap();
        // The second never gets ready.
        if made == 1 { probe_that(["say", "READY=1", "exit", "0"]) } else { probe_that(["hang"]) }
    });
    let pool = pool.each(|worker| worker.ready(Readiness::Notify)).start().unwrap();
    while hear.recv().unwrap() != 2 {}
    pool.stop().unwrap();
    assert!(hear.try_recv().is_err() && pool.ids().is_empty());
    let report = lifecycle.close();
    assert_eq!(report.exit_status(), 0, "{report}");
}

#[test]
fn c8_a_function_that_panics_for_a_replacement_is_asked_again() {
    let lifecycle = install(Config::default());
    let mut asked = 0;
    let pool = lifecycle.children("worker", 1, move |_| {
        asked += 1;
        assert_ne!(asked, 2, "on purpose");
        probe_that(["hang"])
    });
    let pool = pool.start().unwrap();
    pool.alive()[0].kill();
    wait_until("it is replaced", || pool.restarts() == 2 && pool.ids().len() == 1);
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn c8_when_one_fails_those_that_are_starting_are_not_waited_for() {
    let lifecycle = install(Config::default());
    let command = |index| if index == 1 { probe_that(["exit", "3"]) } else { probe_that(["hang"]) };
    let begun = Instant::now();
    let pool = lifecycle.children("worker", 3, command);
    let error =
        pool.each(|worker| worker.ready(Readiness::Notify).ready_within(2 * LONG)).start().unwrap_err();
    let ChildError::Ended { name, exit, .. } = error else { panic!("{error}") };
    assert_eq!((&*name, exit), ("worker 1", ChildExit::Code(3)));
    let report = lifecycle.close();
    assert!(begun.elapsed() < LONG && report.exit_status() == 0, "{report}");
}
