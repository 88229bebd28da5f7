//! Under a real systemd, which `make test-systemd` brings along: units of ours that are started, reloaded, stopped,
//! given more time, killed by the watchdog, and handed sockets.

#![cfg(all(target_os = "linux", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod machine;

use machine::{Machine, until};

#[test]
fn s2_s3_a_unit_is_started_reloaded_and_stopped() {
    let Some(machine) = Machine::boot() else { return };
    machine.service("shop.service", "unit", "Type=notify-reload\n");
    // Both wait for READY=1, the second for one behind a RELOADING=1.
    machine.succeed(&["start", "shop.service"]);
    machine.expect(
        "shop.service",
        &[("ActiveState", "active"), ("SubState", "running"), ("StatusText", "running")],
    );
    machine.succeed(&["reload", "shop.service"]);
    assert!(machine.says("shop.service").contains("reloads"), "{}", machine.says("shop.service"));
    machine.expect("shop.service", &[("ActiveState", "active"), ("StatusText", "running")]);
    machine.succeed(&["stop", "shop.service"]);
    machine.expect("shop.service", &[("Result", "success"), ("ExecMainStatus", "0")]);
}

#[test]
fn s2_a_start_that_fails_tells_why() {
    let Some(machine) = Machine::boot() else { return };
    machine.service("broken.service", "failed", "");
    assert!(!machine.systemctl(&["start", "broken.service"]).0);
    machine.expect(
        "broken.service",
        &[
            ("ActiveState", "failed"),
            ("ExecMainStatus", "1"),
            ("StatusErrno", "13"),
            ("StatusText", "stopped, exit status 1 (main failed: Permission denied (os error 13))"),
        ],
    );
}

#[test]
fn s2_a_start_that_is_stopped_and_one_that_takes_too_long() {
    let Some(machine) = Machine::boot() else { return };
    machine.service("never.service", "start", "TimeoutStartSec=1s\n");
    assert!(!machine.systemctl(&["start", "never.service"]).0);
    machine.expect("never.service", &[("Result", "timeout"), ("ExecMainStatus", "0")]);
    machine.service("stopped.service", "start", "");
    machine.succeed(&["start", "--no-block", "stopped.service"]);
    until("it is starting", || (machine.show("stopped.service", "StatusText") == "starting").then_some(()));
    machine.succeed(&["stop", "stopped.service"]);
    machine.expect("stopped.service", &[("Result", "success"), ("ExecMainStatus", "0")]);
}

#[test]
fn s4_a_stop_that_takes_longer_than_the_unit_allows_is_given_the_time() {
    let Some(machine) = Machine::boot() else { return };
    // Each takes six seconds.
    let told = |unit: &str, scenario, more: &str| {
        machine.service(unit, scenario, &format!("TimeoutStopSec=2s\n{more}"));
        machine.succeed(&["start", unit]);
    };
    told("shield.service", "unit-shield", "");
    told("slow.service", "unit-slow", "");
    told("mute.service", "unit-slow", "Type=exec\nUnsetEnvironment=NOTIFY_SOCKET\n");
    until("it is ready", || machine.says("mute.service").contains("ready").then_some(()));
    machine.succeed(&["stop", "--no-block", "shield.service", "slow.service", "mute.service"]);
    assert_eq!(machine.result("shield.service"), "success", "{}", machine.says("shield.service"));
    assert_eq!(machine.result("slow.service"), "success", "{}", machine.says("slow.service"));
    assert_eq!(machine.result("mute.service"), "timeout", "or it proves nothing");
}

#[test]
fn s5_the_watchdog_is_content_until_the_process_hangs() {
    let Some(machine) = Machine::boot() else { return };
    machine.service("watched.service", "unit", "WatchdogSec=1s\nTimeoutAbortSec=1s\n");
    machine.service(
        "forgetful.service",
        "unit",
        "WatchdogSec=1s\nTimeoutAbortSec=1s\nUnsetEnvironment=WATCHDOG_USEC\n",
    );
    machine.succeed(&["start", "watched.service", "forgetful.service"]);
    // Long enough for one that is not fed.
    assert_eq!(machine.result("forgetful.service"), "watchdog", "or it proves nothing");
    machine.expect("watched.service", &[("ActiveState", "active"), ("NRestarts", "0")]);
    machine.succeed(&["kill", "--signal=STOP", "watched.service"]);
    assert_eq!(machine.result("watched.service"), "watchdog");
}

#[test]
fn s7_the_preset_takes_the_time_of_the_unit() {
    let Some(machine) = Machine::boot() else { return };
    machine.service(
        "preset.service",
        "unit-preset",
        "Environment=EXEUNT_GRACE=systemd\nTimeoutStopSec=20s\n",
    );
    machine.succeed(&["start", "preset.service"]);
    machine.succeed(&["stop", "--no-block", "preset.service"]);
    // 20 s less the reserve are 16 s of grace, of which a fifth is kept for closing.
    until("it has told", || machine.says("preset.service").contains("12.8 s").then_some(()));
    machine.succeed(&["kill", "--signal=KILL", "preset.service"]);
}

#[test]
fn s8_sockets_are_passed_on_and_what_is_stored_comes_back() {
    let Some(machine) = Machine::boot() else { return };
    machine.unit(
        "site.socket",
        "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=127.0.0.1:8000\nFileDescriptorName=http\n",
    );
    machine.service("site.service", "", "Type=exec\nExecStart=/run/inherited_probe systemd:http\n");
    machine.succeed(&["start", "site.socket"]);
    let fetch = ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8000; cat <&3"];
    assert_eq!(machine.run(&fetch).stdout, b"systemd:http");
    assert_eq!(machine.result("site.service"), "success");
    assert!(
        machine.says("site.service").contains("[\"http\"]\n[]\nAdopted"),
        "{}",
        machine.says("site.service")
    );

    machine.service("keeper.service", "unit-store", "FileDescriptorStoreMax=4\n");
    machine.succeed(&["start", "keeper.service"]);
    until("it is kept", || (machine.show("keeper.service", "NFileDescriptorStore") == "1").then_some(()));
    machine.succeed(&["restart", "keeper.service"]);
    let says = machine.says("keeper.service");
    assert!(says.contains("stored true") && says.contains("back: 1 of http"), "{says}");
}

/// What the guide shows is a unit that systemd understands.
#[test]
fn the_units_of_the_guide_are_understood() {
    let Some(machine) = Machine::boot() else { return };
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/service-managers.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let units: Vec<_> = guide.split("```ini\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(units.len() >= 2, "there are units in the guide");
    let names = units.iter().map(|unit| {
        let name = unit.lines().find_map(|line| line.strip_prefix("# /etc/systemd/system/")).unwrap();
        machine.unit(name, &unit.replace("/usr/local/bin/shop", "/run/lifecycle_probe"));
        name
    });
    for name in names.collect::<Vec<_>>() {
        let verified = machine.run(&["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", name]);
        let said = String::from_utf8(verified.stderr).unwrap();
        assert!(verified.status.success() && said.is_empty(), "{name}: {said}");
    }
}
