//! `exeunt drill` from outside: exit statuses, what it prints, what it leaves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const EXEUNT: &str = env!("CARGO_BIN_EXE_exeunt");

/// One at a time: a drill loads the machine, and two would judge each other.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn drill(arguments: &[&str]) -> Output {
    let _turn = turn();
    Command::new(EXEUNT).arg("drill").args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Drills the control server, which has no signal handler.
fn losing(more: &[&str]) -> Output {
    let options = ["--rounds", "3", "--scenario", "fresh"];
    drill(&[&options, more, &["--", EXEUNT, "drill-control", "{port}"]].concat())
}

#[test]
fn a_server_that_dies_at_once_loses_and_the_verdict_says_why() {
    let output = losing(&[]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    for words in [
        "fresh: LOST",
        "× lost_accept in",
        "rule D3: closing a listener loses nobody",
        "SIGTERM itself ended the process",
        "such as round",
        "ended by SIGTERM",
        "control: a server that drops everything lost",
        "\nverdict: LOST, ",
    ] {
        assert!(stdout.contains(words), "{words:?} is missing:\n{stdout}");
    }
    assert_eq!(stderr, "", "news on stderr though nobody sits there");
}

#[test]
fn the_own_server_passes_and_needs_no_command() {
    let output = drill(&["--rounds", "2", "--connections", "16", "--idle-connections", "50"]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", text(&output.stderr));
    assert!(stdout.contains("\nverdict: PASS, nothing lost in 14 stops"), "{stdout}");
    for scenario in ["keepalive", "fresh", "flight", "http2", "slow", "half-sent", "idle"] {
        assert!(stdout.contains(&format!("\n{scenario} ")), "{scenario:?} is missing:\n{stdout}");
    }
}

#[test]
fn the_json_has_its_documented_shape() {
    let output = losing(&["--json"]);
    let verdict: Value = serde_json::from_slice(&output.stdout).expect("nothing but JSON");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(verdict["schema"], 1);
    assert_eq!(verdict["outcome"], "lost");
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(keys(&verdict), "command elapsed_ms notes outcome output reasons scenarios schema settings");
    assert_eq!(
        keys(&verdict["settings"]),
        "connections deadline_ms flight_ms flight_path host idle_connections large_path path pipeline port signal \
         slow_path sse_path to_group upload_path ws_path"
    );
    let scenario = &verdict["scenarios"][0];
    assert_eq!(
        keys(scenario),
        "before_signal control exit exit_statuses farewells faults left_over losses lost outcome port_free reasons \
         requests rounds rounds_wanted scenario void_rounds"
    );
    assert_eq!(
        keys(&scenario["requests"]),
        "crossed error_status hung lost_accept lost_reuse ok refused truncated unprocessed"
    );
    assert_eq!(keys(&scenario["exit"]), "max_ms median_ms min_ms");
    assert_eq!(scenario["exit_statuses"][0]["status"]["signal"], 15);
    assert!(scenario["control"]["lost"].as_u64() > Some(0));
    let loss = &scenario["losses"][0];
    assert_eq!(keys(loss), "before_signal class count example rounds rule rule_says subject why");
    assert_eq!(
        keys(&loss["example"]),
        "answer answered_before begun_ms class connect end ended_ms fin_at_send round sent_bytes silence_ms subject"
    );
    let losses = scenario["losses"].as_array().unwrap();
    let sum: u64 = losses.iter().map(|loss| loss["count"].as_u64().unwrap()).sum();
    assert_eq!(scenario["lost"].as_u64(), Some(sum));
}

#[test]
fn a_server_that_never_opens_its_port_is_inconclusive() {
    let output = drill(&["--port", "19999", "--start-deadline", "200ms", "--", "sleep", "600"]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{stdout}{}", text(&output.stderr));
    assert!(stdout.contains("nobody listened on port 19999 within 200 ms"), "{stdout}");
    assert!(stdout.contains("the command has no {port} in it"), "{stdout}");
    assert!(stdout.contains("verdict: INCONCLUSIVE"), "{stdout}");
}

#[test]
fn what_cannot_be_used_is_refused_with_a_hint() {
    for (arguments, words) in [
        (&["--port", "0"][..], "port 0 is no port"),
        (&["--port", "70000"], "70000 is not in"),
        (&["--path", "index"], "does not begin with a slash"),
        (&["--ws-path", "chat"], "does not begin with a slash"),
        (&["--host", "localhost"], "--host"),
        (&["--scenario", "websocket", "--", "true", "{port}"], "answers each message with one"),
        (&["--slow-path", "slow"], "does not begin with a slash"),
        (&["--connections", "0"], "0 connections prove nothing"),
        (&["--rounds", "0"], "0 rounds prove nothing"),
        (&["--pipeline", "0"], "0 pipelined requests prove nothing"),
        (&["--flight-ms", "300"], "a flight of 300 ms"),
        (&["--signal", "KILL"], "a signal that can be handled"),
        (&["--signal", "FOO"], "choose from HUP, INT"),
        (
            &["--scenario", "stampede"],
            "choose from keepalive, fresh, flight, http2, slow, half-sent, slow-reader, websocket, sse, idle",
        ),
        (&["--deadline", "soon"], "--deadline"),
        (&["--deadline", "0s"], "a deadline of 0"),
        (&["--", "true"], "neither a port is given"),
        (&["--scenario", "slow", "--", "true", "{port}"], "needs a path whose answer takes about 500 ms"),
        (&["--", "/no/such/server", "{port}"], "cannot start \"/no/such/server\""),
    ] {
        let output = drill(arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(words), "{arguments:?}: {stderr}");
        assert!(stderr.contains("hint: ") || stderr.contains("--help"), "{arguments:?}: {stderr}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
    }
}

#[test]
fn an_interrupted_drill_takes_its_server_along() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600", file.display());
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut drill = Command::new(EXEUNT)
            .args(["drill", "--port", "19998", "--start-deadline", "600s", "--", "sh", "-c", &script])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = loop {
            match std::fs::read_to_string(&file) {
                Ok(pid) => break pid.trim().to_owned(),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        std::fs::remove_file(&file).unwrap();
        kill_process(Pid::from_child(&drill), signal).unwrap();
        assert_eq!(drill.wait().unwrap().code(), Some(status));
        assert!(!Path::new("/proc").join(&pid).exists(), "the server {pid} still lives");
    }
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let _turn = turn();
    let mut drill = Command::new(EXEUNT)
        .args(["drill", "--rounds", "1", "--scenario", "fresh", "--no-control"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(drill.stdout.take());
    let output = drill.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}
