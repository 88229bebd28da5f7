//! Faults of long streams and of HTTP/2 are caught and named.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test's panic is its failure")]

use exeunt_drill::{Class, Drill, FaultKind, Loss, Outcome, Scenario, ScenarioVerdict, Stop, Subject};
use std::path::Path;
use std::time::Duration;

fn drill(mode: &str) -> Drill {
    let tests = std::env::current_exe().unwrap();
    let faulty = tests.parent().and_then(Path::parent).unwrap().join("examples/faulty");
    Drill::new(faulty).args([mode, "{port}"])
}

/// The only scenario's account, of two rounds with a server of that fault.
fn run(mode: &str, scenario: Scenario) -> ScenarioVerdict {
    let drill = drill(mode).scenario(scenario).rounds(2);
    let drill = drill.large_path("/large").ws_path("/ws").sse_path("/events");
    // So that requests of HTTP/2 are under way when the server says GOAWAY.
    let drill = if scenario == Scenario::Http2 { drill.flight(Duration::from_millis(5)) } else { drill };
    let mut verdict = drill.run(&mut (), &Stop::new()).unwrap();
    // Shown when the test fails.
    println!("{verdict}");
    verdict.scenarios.remove(0)
}

/// The only loss.
fn only(verdict: &ScenarioVerdict) -> &Loss {
    assert_eq!(verdict.outcome, Outcome::Lost);
    let [loss] = verdict.losses.as_slice() else { panic!("{:?}", verdict.reasons) };
    loss
}

#[test]
fn streams_that_end_without_a_word_are_torn() {
    let verdict = run("tears-streams", Scenario::Sse);
    let loss = only(&verdict);
    assert_eq!((loss.subject, loss.class, loss.rule), (Subject::Stream, Class::Truncated, "D6"));
    assert_eq!(verdict.farewells.keys().collect::<Vec<_>>(), [&"torn stream"]);

    let verdict = run("tears-streams", Scenario::Websocket);
    assert_eq!(verdict.outcome, Outcome::Lost);
    let torn = verdict.losses.iter().find(|loss| loss.subject == Subject::Stream).unwrap();
    assert_eq!(
        (torn.class, torn.rule, torn.count),
        (Class::Truncated, "D6", verdict.farewells["torn stream"])
    );
}

#[test]
fn another_close_than_going_away_is_named() {
    let verdict = run("says-wrongly", Scenario::Websocket);
    let loss = only(&verdict);
    assert_eq!((loss.subject, loss.class, loss.rule), (Subject::Stream, Class::ErrorStatus, "D6"));
    assert!(loss.why.contains("Close 1011"), "{}", loss.why);
    assert_eq!(verdict.farewells.keys().collect::<Vec<_>>(), [&"Close 1011"]);
}

#[test]
fn a_message_that_was_accepted_and_dropped_is_lost_although_the_peer_was_told() {
    let verdict = run("drops-messages", Scenario::Websocket);
    let loss = only(&verdict);
    assert_eq!((loss.subject, loss.class, loss.rule), (Subject::Message, Class::LostReuse, "D6"));
    assert_eq!(verdict.farewells.keys().collect::<Vec<_>>(), [&"Close 1001"]);
}

#[test]
fn a_large_answer_cut_short_is_named() {
    let verdict = run("truncates", Scenario::SlowReader);
    let loss = only(&verdict);
    assert_eq!((loss.subject, loss.class, loss.rule), (Subject::Request, Class::Truncated, "D7"));
}

#[test]
fn a_connection_of_http2_that_ends_without_goaway_loses_what_is_under_way() {
    let verdict = run("tears-streams", Scenario::Http2);
    let loss = only(&verdict);
    assert_eq!((loss.subject, loss.class, loss.rule), (Subject::Request, Class::LostReuse, "D4"));
}

#[test]
fn a_goaway_that_promises_an_answer_has_to_be_kept() {
    assert_eq!(only(&run("says-wrongly", Scenario::Http2)).class, Class::LostReuse);
}

#[test]
fn what_stands_above_the_last_stream_of_a_goaway_is_no_loss() {
    let verdict = run("goes-away-at-once", Scenario::Http2);
    assert_eq!((verdict.outcome, verdict.lost), (Outcome::Pass, 0), "{:?}", verdict.reasons);
    assert!(verdict.count(Class::Unprocessed) > 0, "{:?}", verdict.requests);
}

#[test]
fn a_server_without_http2_is_not_judged_by_it() {
    let verdict = run("keeps-nothing", Scenario::Http2);
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert!(
        matches!(verdict.faults[..], [ref fault] if fault.kind == FaultKind::NoHttp2),
        "{:?}",
        verdict.faults
    );

    let all = drill("keeps-nothing").rounds(1).connections(4).idle_connections(4).run(&mut (), &Stop::new());
    let all = all.unwrap();
    assert!(all.scenarios.iter().all(|verdict| verdict.scenario != Scenario::Http2));
    assert!(all.notes.iter().any(|note| note.contains("http2 left out")), "{:?}", all.notes);
}
