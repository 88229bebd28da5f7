//! The axum example with all of it (`examples/drilled.rs`), stopped under every load that it can carry: nothing is lost, and
//! every stream is told. On loopback, and over a link with 20 ms each way.
//!
//! Three stops of each on loopback and one over the link; with `EXEUNT_SOAK=1` a hundred, which belongs to a release build.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test's panic is its failure")]

#[path = "../../listener/tests/link/mod.rs"]
#[allow(dead_code, reason = "its own tests need more of it")]
mod link;

use link::{SERVER_V4, over_a_link};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const EXEUNT: &str = env!("CARGO_BIN_EXE_exeunt");
const SCENARIOS: [&str; 9] =
    ["keepalive", "fresh", "flight", "http2", "slow", "half-sent", "slow-reader", "websocket", "sse"];

#[test]
fn nothing_is_lost_on_loopback() {
    let address = "127.0.0.1:{port}";
    let server = [drilled().into_os_string().into_string().unwrap(), address.to_owned()];
    nothing_is_lost(stops(3), &["--large-path", "/large"], &server);
}

#[test]
fn nothing_is_lost_over_a_link() {
    over_a_link("nothing_is_lost_over_a_link", |link| {
        link.client.enter();
        let host = SERVER_V4.to_string();
        let server = [
            "nsenter".to_owned(),
            format!("--net={}", link.server.path().display()),
            drilled().display().to_string(),
            format!("{host}:{{port}}"),
        ];
        // A round trip takes 40 ms, so that it takes more clients to begin as much at the signal; and less data, since
        // threads carry it packet by packet.
        let options = ["--host", &host, "--connections", "160", "--large-path", "/large?mib=2"];
        nothing_is_lost(stops(1), &options, &server);
    });
}

fn stops(few: u32) -> u32 {
    if std::env::var_os("EXEUNT_SOAK").is_some_and(|value| value == "1") { 100 } else { few }
}

fn nothing_is_lost(rounds: u32, more: &[&str], server: &[String]) {
    let rounds = rounds.to_string();
    let mut options = vec!["drill", "--json", "--rounds", &rounds, "--deadline", "30s"];
    options.extend([
        "--slow-path",
        "/slow?ms=500",
        "--flight-path",
        "/slow?ms=5",
        "--upload-path",
        "/upload",
    ]);
    options.extend(["--ws-path", "/chat", "--sse-path", "/events"]);
    options.extend(SCENARIOS.iter().flat_map(|name| ["--scenario", name]));
    let output = Command::new(EXEUNT)
        .args(options)
        .args(more)
        .arg("--")
        .args(server)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    eprintln!("{}", told(&verdict));
    assert_eq!(verdict["outcome"], "pass", "{verdict:#}");
    for (scenario, name) in verdict["scenarios"].as_array().unwrap().iter().zip(SCENARIOS) {
        assert_eq!(scenario["scenario"], name);
        assert!(scenario["control"]["lost"].as_u64() > Some(0), "{name} could not have told: {scenario:#}");
        assert_eq!(scenario["exit_statuses"][0]["status"]["code"], 0, "{scenario:#}");
    }
    let told = |name| {
        let index = SCENARIOS.iter().position(|scenario| *scenario == name).unwrap();
        let farewells = verdict["scenarios"][index]["farewells"].as_object().unwrap();
        farewells.keys().map(String::as_str).collect::<Vec<_>>()
    };
    assert_eq!(told("websocket"), ["Close 1001"]);
    assert_eq!(told("sse"), ["goodbye"]);
}

/// The verdict in a line for each scenario.
fn told(verdict: &Value) -> String {
    let scenarios = verdict["scenarios"].as_array().unwrap().iter();
    let lines = scenarios.map(|scenario| {
        let (name, rounds, lost) = (&scenario["scenario"], &scenario["rounds"], &scenario["lost"]);
        format!("{name}: {rounds} stops, {lost} lost, {}, exit {}", scenario["requests"], scenario["exit"])
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The example, which `cargo test --workspace` builds.
fn drilled() -> PathBuf {
    let path = Path::new(EXEUNT).with_file_name("examples").join("drilled");
    assert!(path.exists(), "{} is missing: `cargo build -p exeunt --example drilled`", path.display());
    path
}
