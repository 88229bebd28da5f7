//! Whatever happens any number of times is bounded in the report, and counted (L15).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{Config, CutWork, Lifecycle, Report};
use std::time::Duration;

const KEPT: usize = 1_000;
const MORE: usize = KEPT + 7;

fn install(config: Config) -> Lifecycle {
    Lifecycle::install(config.signals([])).unwrap()
}

fn nothing() -> Result<(), std::io::Error> {
    Ok(())
}

fn says(report: &Report, line: &str) {
    let text = report.to_string();
    assert!(text.lines().any(|said| said.trim() == line), "{line:?} is not in:\n{text}");
}

#[test]
fn failures_are_counted_beyond_the_first_thousand() {
    let lifecycle = install(Config::default());
    let stop = lifecycle.stop();
    let scope = lifecycle.scope("not over yet");
    for number in 0..MORE {
        stop.fail("poller", format!("no route to host {number}"));
    }
    drop(scope);
    let report = lifecycle.close();
    // The first of them stopped it.
    assert_eq!((report.failures.len(), report.failures_left_out), (KEPT + 1, 6));
    assert_eq!(report.failures[0].error, "no route to host 0");
    says(&report, "and 6 failures more");
}

#[test]
fn exit_work_that_fails_is_counted_beyond_the_first_thousand() {
    let lifecycle = install(Config::default().grace(Duration::from_secs(600)));
    for number in 0..MORE {
        lifecycle.stop().run_at_exit(format!("save {number}"), || Err::<(), _>("the disk is full")).unwrap();
    }
    let report = lifecycle.close();
    assert_eq!((report.components.len(), report.components_left_out), (KEPT, 7));
    assert_eq!((report.failures.len(), report.failures_left_out), (KEPT, 7));
    says(&report, "and 7 components more");
}

#[test]
fn work_that_was_cut_is_counted_beyond_the_first_thousand_of_its_scope() {
    let lifecycle = install(Config::default());
    let scope = lifecycle.scope("http");
    let cut = |number| {
        let name = format!("GET /{number}");
        let age = Duration::from_secs(1);
        scope.begin().cut(CutWork { name, kind: "request", peer: None, age, site: None });
    };
    (0..MORE).for_each(cut);
    lifecycle.stop().request_stop("enough");
    (MORE..2 * MORE).for_each(cut);
    drop(scope.begin());
    drop(scope);
    let report = lifecycle.close();
    let [http] = report.scopes.as_slice() else { panic!("{report}") };
    assert_eq!((http.cut.len(), http.cut_left_out, http.finished), (2 * KEPT, 14, 1), "{report}");
    says(&report, "http: 0 in flight at the stop, 1 finished after it, 2014 cut");
    says(&report, "and 14 more that were cut or handed back");
}

#[test]
fn of_what_is_left_behind_the_oldest_thousand_are_named() {
    let lifecycle = install(Config::default().grace(Duration::from_millis(50)));
    let scope = lifecycle.scope("http");
    let _left: Vec<_> = (0..MORE).map(|number| scope.track("request", format!("GET /{number}"))).collect();
    let report = lifecycle.close();
    let [http] = report.scopes.as_slice() else { panic!("{report}") };
    assert_eq!((http.left, http.left_behind.len()), (MORE as u64, KEPT));
}

#[test]
fn of_many_scopes_those_with_trouble_are_in_the_report() {
    let lifecycle = install(Config::default().grace(Duration::from_millis(50)));
    let well: Vec<_> = (0..KEPT).map(|number| lifecycle.scope(format!("tenant {number}"))).collect();
    let stuck: Vec<_> = (0..7).map(|number| lifecycle.scope(format!("stuck {number}"))).collect();
    lifecycle.stop().request_stop("enough");
    drop(well);
    let report = lifecycle.close();
    let names: Vec<_> = report.scopes.iter().take(7).map(|scope| scope.name.as_str()).collect();
    assert_eq!((names.first(), names.last()), (Some(&"stuck 0"), Some(&"stuck 6")));
    assert_eq!((report.scopes.len(), report.scopes_left_out), (KEPT, 7));
    says(&report, "and 7 scopes more");
    drop(stuck);
}

#[test]
fn all_scopes_together_name_no_more_than_ten_thousand_pieces_of_work() {
    let lifecycle = install(Config::default().grace(Duration::from_millis(50)));
    let scopes: Vec<_> = (0..11).map(|number| lifecycle.scope(format!("scope {number}"))).collect();
    let work: Vec<_> =
        scopes.iter().flat_map(|scope| (0..KEPT).map(|_| scope.track("request", "GET /"))).collect();
    let report = lifecycle.close();
    let named: usize = report.scopes.iter().map(|scope| scope.left_behind.len()).sum();
    let left: u64 = report.scopes.iter().map(|scope| scope.left).sum();
    assert_eq!((named, left), (10 * KEPT, 11 * KEPT as u64));
    drop(work);
}

#[test]
fn a_program_whose_tenants_come_and_go_keeps_what_went_wrong_with_the_first_thousand() {
    let lifecycle = install(Config::default());
    for number in 0..MORE {
        let tenant = lifecycle.group(format!("tenant {number}"));
        tenant.component_blocking("cache", nothing, |()| Err("the disk is full")).start().unwrap();
        let scope = tenant.scope("requests");
        let age = Duration::ZERO;
        scope.begin().cut(CutWork { name: "GET /".to_owned(), kind: "request", peer: None, age, site: None });
        drop(scope);
        assert!(!tenant.close_blocking(Duration::from_secs(60)).is_clean());
    }
    let report = lifecycle.close();
    assert_eq!((report.components.len(), report.components_left_out), (KEPT, 7));
    assert_eq!((report.failures.len(), report.failures_left_out), (KEPT, 7));
    assert_eq!((report.scopes.len(), report.scopes_left_out), (KEPT, 7));
}

#[test]
fn a_groups_own_report_is_bounded_too() {
    let lifecycle = install(Config::default());
    let tenant = lifecycle.group("tenant");
    let scope = tenant.scope("requests");
    let closer = std::thread::spawn({
        let tenant = tenant.clone();
        move || tenant.close_blocking(Duration::from_secs(600))
    });
    while !scope.is_draining() {
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..MORE {
        let age = Duration::ZERO;
        scope.begin().cut(CutWork { name: "GET /".to_owned(), kind: "request", peer: None, age, site: None });
    }
    drop(scope);
    let report = closer.join().unwrap();
    assert_eq!((report.cut.len(), report.left_out), (KEPT, 7));
}

#[test]
fn odd_names_cannot_pass_for_lines_of_the_report() {
    let lifecycle = install(Config::default().grace(Duration::from_millis(50)));
    let scope = lifecycle.scope("mail\n  exit status 0\u{1b}[2J");
    let _work = scope.track("job", "a\nb\0c");
    lifecycle.stop().fail("poller\r\n", "line 1\nline 2");
    let text = lifecycle.close().to_string();
    let odd = |line: &&str| line.chars().any(char::is_control);
    assert_eq!(text.lines().find(odd), None);
    assert!(text.contains(r"mail\n  exit status 0\u{1b}[2J: "), "{text}");
    assert!(text.contains(r"poller\r\n failed: line 1\nline 2"), "{text}");
    assert_eq!(text.lines().filter(|line| line.trim_start().starts_with("exit status")).count(), 1, "{text}");
}

#[test]
fn a_queue_without_end_takes_no_room_before_jobs_come() {
    let lifecycle = install(Config::default());
    let pool = lifecycle.pool("pool").workers(1).queue(usize::MAX).start(|_: u32, _| {}).unwrap();
    pool.push(1).unwrap();
    drop(pool);
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn l6_shields_that_the_very_first_signal_overrides_are_named() {
    use exeunt_lifecycle::{Phase, ShieldOutcome, Signal};
    use rustix::process::{Signal as Raw, getpid, kill_process};
    let config = Config::default().max_attempts(1).signals([Signal::USER1]);
    let lifecycle = Lifecycle::install(config).unwrap();
    lifecycle.ready();
    let shield = lifecycle.stop().shield(Duration::from_secs(20)).unwrap().named("transfer");
    kill_process(getpid(), Raw::USR1).unwrap();
    let report = lifecycle.wait();
    let [overridden] = report.shields.as_slice() else { panic!("{report}") };
    assert_eq!((overridden.name.as_deref(), overridden.outcome), (Some("transfer"), ShieldOutcome::Forced));
    assert_eq!((lifecycle.stop().phase(), shield.allow_break().is_err()), (Phase::Stopped, true));
}

#[cfg(target_os = "linux")]
#[test]
fn a_daemon_whose_reload_fails_keeps_the_first_thousand_failures() {
    use exeunt_lifecycle::Signal;
    use rustix::process::{Signal as Raw, getpid, kill_process};
    use std::sync::mpsc::channel;
    let (say, hear) = channel();
    let reload = move |_, _: &_| {
        say.send(()).unwrap();
        Err::<(), _>("the file is gone")
    };
    let config = Config::default().on_signal(Signal::USER2, reload);
    let lifecycle = install(config.before_termination(|_| Err::<(), _>("the last one")));
    for _ in 0..MORE {
        kill_process(getpid(), Raw::USR2).unwrap();
        // One after the other, since the kernel merges those that are pending.
        hear.recv_timeout(Duration::from_secs(60)).unwrap();
    }
    let report = lifecycle.close();
    // The stop has room for its own; the last reload may be among those.
    let (kept, left_out) = (report.hook_failures.len(), report.hook_failures_left_out);
    assert_eq!((kept as u64 + left_out, left_out.clamp(6, 7)), (MORE as u64 + 1, left_out));
    assert!(report.hook_failures.iter().any(|failure| failure.error == "the last one"), "{report}");
    says(&report, &format!("and {left_out} failures of hooks more"));
}
