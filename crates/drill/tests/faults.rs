//! Every fault is caught and named; the careful server passes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test's panic is its failure")]

use exeunt_drill::{Class, Drill, ExitStatus, FaultKind, Outcome, Scenario, ScenarioVerdict, Stop, Verdict};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The example of that name, which `cargo test` builds beside the tests.
fn faulty() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().and_then(Path::parent).unwrap().join("examples/faulty");
    assert!(path.exists(), "{} is missing: `cargo build -p exeunt-drill --examples`", path.display());
    path
}

/// A short drill: few rounds, and no patience with what hangs.
fn drill(mode: &str, scenario: Scenario) -> Drill {
    Drill::new(faulty())
        .args([mode, "{port}"])
        .scenario(scenario)
        .slow_path("/slow")
        .upload_path("/upload")
        .large_path("/large")
        .ws_path("/ws")
        .sse_path("/events")
        .idle_connections(100)
        .rounds(2)
        .deadline(Duration::from_secs(3))
}

fn run(drill: &Drill) -> Verdict {
    let verdict = drill.run(&mut (), &Stop::new()).unwrap();
    // Shown when the test fails.
    println!("{verdict}");
    verdict
}

/// The only scenario's account.
fn only(verdict: &Verdict) -> &ScenarioVerdict {
    assert_eq!(verdict.scenarios.len(), 1);
    &verdict.scenarios[0]
}

fn rule(verdict: &ScenarioVerdict, class: Class) -> &'static str {
    let loss = verdict.losses.iter().find(|loss| loss.class == class);
    loss.unwrap_or_else(|| panic!("no {class}: {:?}", verdict.reasons)).rule
}

fn kinds(verdict: &ScenarioVerdict) -> Vec<&FaultKind> {
    verdict.faults.iter().map(|fault| &fault.kind).collect()
}

#[test]
fn the_careful_server_passes_in_every_scenario() {
    let good = Scenario::ALL.into_iter().fold(drill("good", Scenario::Idle), Drill::scenario);
    let verdict = run(&good.rounds(3).deadline(Duration::from_secs(10)));
    assert_eq!(verdict.outcome, Outcome::Pass, "{:?}", verdict.reasons);
    assert_eq!(verdict.scenarios.len(), Scenario::ALL.len());
    for scenario in &verdict.scenarios {
        assert_eq!((scenario.lost, scenario.rounds), (0, 3), "{}", scenario.scenario);
        assert_eq!(scenario.exit_statuses[0].status, ExitStatus::Code(0));
        assert!(scenario.port_free && scenario.left_over.is_empty());
        assert!(scenario.count(Class::Ok) > 0);
        assert_eq!(scenario.requests.len(), Class::ALL.len());
        let farewells: Vec<_> = scenario.farewells.keys().copied().collect();
        match scenario.scenario {
            Scenario::Websocket => assert_eq!(farewells, ["Close 1001"]),
            Scenario::Sse => assert_eq!(farewells, ["end of the stream", "goodbye"]),
            _ => assert!(farewells.is_empty(), "{farewells:?}"),
        }
    }
}

#[test]
fn the_careful_server_passes_with_flight_and_pipelining() {
    let verdict = run(&drill("good", Scenario::Keepalive).flight(Duration::from_millis(5)));
    assert_eq!(verdict.outcome, Outcome::Pass, "{:?}", verdict.reasons);

    let verdict = run(&drill("good", Scenario::Keepalive).pipeline(4));
    assert_eq!(verdict.outcome, Outcome::Pass, "{:?}", verdict.reasons);
    assert!(only(&verdict).count(Class::Unprocessed) > 0, "nothing stood behind a close");
}

#[test]
fn an_exit_at_once_loses_what_was_begun() {
    // A quick server has answered everything in some of its rounds; slow requests are always in flight.
    for (scenario, rounds) in [(Scenario::Keepalive, 8), (Scenario::Fresh, 8), (Scenario::Slow, 1)] {
        let verdict = run(&drill("at-once", scenario).rounds(rounds));
        assert_eq!(verdict.outcome, Outcome::Lost);
        let lost = only(&verdict).losses.iter().map(|loss| loss.class);
        let expected = [Class::LostAccept, Class::LostReuse, Class::Truncated];
        assert!(lost.clone().all(|class| expected.contains(&class)), "{:?}", lost.collect::<Vec<_>>());
        assert!(only(&verdict).lost > 0);
    }
}

#[test]
fn a_dropped_queue_is_named() {
    let verdict = run(&drill("drops-queue", Scenario::Fresh));
    assert_eq!(verdict.outcome, Outcome::Lost);
    assert_eq!(rule(only(&verdict), Class::LostAccept), "D3");
    assert!(verdict.reasons[0].contains("queue"), "{:?}", verdict.reasons);
    assert_eq!(only(&verdict).losses.len(), 1, "{:?}", verdict.reasons);
}

#[test]
fn a_truncated_answer_is_named() {
    let verdict = run(&drill("truncates", Scenario::Keepalive));
    assert_eq!(verdict.outcome, Outcome::Lost);
    assert_eq!(rule(only(&verdict), Class::Truncated), "D7");
    assert_eq!(only(&verdict).losses.len(), 1, "{:?}", verdict.reasons);
}

#[test]
fn a_hung_request_is_named_and_does_not_hang_the_drill() {
    let verdict = run(&drill("hangs", Scenario::Keepalive).deadline(Duration::from_millis(700)));
    assert_eq!(verdict.outcome, Outcome::Lost);
    assert_eq!(rule(only(&verdict), Class::Hung), "D8");
    assert!(matches!(kinds(only(&verdict))[..], [FaultKind::IgnoredSignal { .. }]));
}

#[test]
fn an_error_after_the_signal_is_named() {
    let verdict = run(&drill("errors", Scenario::Slow));
    assert_eq!(verdict.outcome, Outcome::Lost);
    assert_eq!(rule(only(&verdict), Class::ErrorStatus), "D4");
    assert!(verdict.reasons[0].contains("503"), "{:?}", verdict.reasons);
}

#[test]
fn a_kept_connection_closed_at_once_loses_what_is_in_flight() {
    let verdict = run(&drill("closes-idle", Scenario::Keepalive).flight(Duration::from_millis(5)));
    assert_eq!(verdict.outcome, Outcome::Lost);
    assert_eq!(rule(only(&verdict), Class::LostReuse), "D4");
    let loss = only(&verdict).losses.iter().find(|loss| loss.class == Class::LostReuse).unwrap();
    assert!(loss.why.contains("without having announced it"), "{}", loss.why);
    assert!(loss.example.answered_before > 0, "{:?}", loss.example);
}

#[test]
fn half_a_request_that_is_taken_for_silence_is_named() {
    let verdict = run(&drill("closes-halves", Scenario::HalfSent));
    assert_eq!(verdict.outcome, Outcome::Lost);
    let rules = [Class::LostAccept, Class::LostReuse].map(|class| rule(only(&verdict), class));
    assert_eq!(rules, ["D5", "D5"]);
    assert_eq!(only(&verdict).losses.len(), 2, "{:?}", verdict.reasons);
}

#[test]
fn a_request_that_meets_the_fin_of_a_silent_connection_has_crossed() {
    // Each waker looks at its connection at a moment of its own and sends 150 ms later: those that
    // looked before the server's close after 250 ms of draining find nothing amiss.
    let idle = drill("good", Scenario::Idle).idle_connections(800);
    let verdict = run(&idle.flight(Duration::from_millis(150)).rounds(3));
    let (crossed, lost) = (only(&verdict).count(Class::Crossed), only(&verdict).lost);
    assert!(crossed > 0, "{:?}", only(&verdict).requests);
    // A request that arrives in the microseconds between the server's last look and its FIN is lost in truth.
    assert!(lost * 10 <= crossed, "{:?}", verdict.reasons);
    assert_eq!(verdict.outcome == Outcome::Pass, lost == 0);
}

#[test]
fn a_child_that_stays_is_named_and_ended() {
    let verdict = run(&drill("leaves-child", Scenario::Idle).rounds(1));
    assert_eq!(verdict.outcome, Outcome::Lost);
    let left = &only(&verdict).left_over;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].process.name, "sleep");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", left[0].process.pid));
    assert!(stat.is_err(), "it still lives: {stat:?}");
    assert_eq!(only(&verdict).faults[0].rule, Some("L12"));
}

#[test]
fn a_port_that_is_taken_over_is_named() {
    let verdict = run(&drill("leaves-heir", Scenario::Idle));
    assert_eq!(verdict.outcome, Outcome::Lost);
    assert!(!only(&verdict).port_free);
    assert!(matches!(kinds(only(&verdict))[..], [FaultKind::LeftOver { .. }, FaultKind::PortNotFree { .. }]));
}

#[test]
fn an_ignored_signal_is_named() {
    let verdict = run(&drill("ignores", Scenario::Idle).deadline(Duration::from_millis(300)));
    assert_eq!(verdict.outcome, Outcome::Lost);
    let faults = &only(&verdict).faults;
    assert!(matches!(faults[..], [ref fault] if fault.rule == Some("L2")), "{faults:?}");
    assert!(verdict.to_string().contains("had to be killed"));
}

#[test]
fn a_port_that_never_opens_is_inconclusive() {
    let verdict = run(&drill("never-opens", Scenario::Fresh).start_deadline(Duration::from_millis(300)));
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert!(matches!(kinds(only(&verdict))[..], [FaultKind::NeverOpened { names_port: true, .. }]));
    assert!(verdict.output.as_deref().unwrap().contains("I will never listen"));

    let path = drill("good", Scenario::Fresh).path("/missing").start_deadline(Duration::from_millis(300));
    let verdict = run(&path);
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert!(matches!(kinds(only(&verdict))[..], [FaultKind::NeverReady { status: Some(404), .. }]));
}

#[test]
fn a_command_that_ends_at_once_is_inconclusive_and_the_rest_is_not_tried() {
    let short = Drill::new("sh").args(["-c", "echo no such luck {port}; exit 3"]);
    let verdict = run(&short);
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    let status = ExitStatus::Code(3);
    assert!(matches!(kinds(only(&verdict))[..], [FaultKind::DiedAtStart { status: s, .. }] if *s == status));
    assert!(verdict.output.as_deref().unwrap().starts_with("no such luck 2"));
    assert!(
        verdict
            .notes
            .iter()
            .any(|note| note.contains("given up before fresh, flight, http2, half-sent, idle"))
    );
}

#[test]
fn a_death_under_load_is_a_loss() {
    let verdict = run(&drill("dies-under-load", Scenario::Keepalive));
    assert_eq!(verdict.outcome, Outcome::Lost);
    let status = Some(ExitStatus::Code(7));
    assert!(kinds(only(&verdict)).contains(&&FaultKind::DiedDuringLoad { status }));
    assert!(verdict.output.as_deref().unwrap().contains("I cannot bear it"));
}

#[test]
fn a_refusal_before_the_signal_is_a_loss() {
    let verdict = run(&drill("stops-listening", Scenario::Fresh).rounds(1));
    assert_eq!(verdict.outcome, Outcome::Lost);
    assert!(matches!(kinds(only(&verdict))[..], [FaultKind::RefusedBeforeSignal { .. }]));
}

#[test]
fn a_crash_is_named() {
    let verdict = run(&drill("crashes", Scenario::Idle).rounds(1));
    assert_eq!(verdict.outcome, Outcome::Lost);
    let status = ExitStatus::Signal(6);
    assert!(kinds(only(&verdict)).contains(&&FaultKind::Crashed { status }));
}

#[test]
fn a_server_that_keeps_nothing_makes_keepalive_void() {
    let verdict = run(&drill("keeps-nothing", Scenario::Keepalive));
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert_eq!((only(&verdict).rounds, only(&verdict).void_rounds.len()), (0, 3));
    assert!(verdict.reasons[0].contains("reused"), "{:?}", verdict.reasons);
    assert!(verdict.to_string().contains("it keeps no connections"));
}

#[test]
fn what_is_not_http_never_gets_ready() {
    let verdict = run(&drill("babbles", Scenario::Fresh).start_deadline(Duration::from_millis(300)));
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert!(matches!(kinds(only(&verdict))[..], [FaultKind::NeverReady { status: None, .. }]));
}
