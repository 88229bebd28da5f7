//! The report in a file, and the next start that reads it (L15).

#![cfg(feature = "report-file")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{Config, CutWork, LastStop, LastStopError, Lifecycle, OnFailure, Report};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

fn install(path: &Path) -> Lifecycle {
    Lifecycle::install(Config::default().signals([]).report_file(path)).unwrap()
}

/// A stop with one of everything.
fn stop(lifecycle: Lifecycle) -> Report {
    let scope = lifecycle.scope("http");
    let (name, peer) = ("GET /\"slow\"".to_owned(), Some("192.0.2.1:4711".to_owned()));
    scope.begin().cut(CutWork { name, kind: "request", peer, age: Duration::from_millis(1_500), site: None });
    drop(scope);
    lifecycle.stop().fail("database", "the disk is full");
    lifecycle.close()
}

#[test]
fn what_one_stop_writes_the_next_start_reads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    let before = SystemTime::now();
    let lifecycle = install(&path);
    assert_eq!(lifecycle.last_stop(), None);
    let report = stop(lifecycle);
    assert_eq!(report.not_written, None);

    let lifecycle = install(&path);
    let last = lifecycle.last_stop().unwrap();
    assert_eq!((last.exit_status, last.cut, last.left, last.attempts), (1, 1, 0, 0));
    assert_eq!(last.why, "database failed: the disk is full");
    assert_eq!(last.failures, [("database".to_owned(), "the disk is full".to_owned())]);
    assert!(last.took.abs_diff(report.took) < Duration::from_micros(1));
    // Seconds as a fraction are exact to less than a microsecond.
    assert!(last.ended_at + Duration::from_millis(1) >= before);
    assert!(last.ended_at <= SystemTime::now() + Duration::from_millis(1));
    let names: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["report.json"], "nothing is left beside it");
}

#[test]
fn the_file_keeps_its_schema() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    _ = stop(install(&path));
    let mut written: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let documented =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/report.md")).unwrap();
    for field in written.as_object().unwrap().keys() {
        assert!(documented.contains(&format!("| `{field}` |")), "docs/report.md does not tell of {field}");
    }
    for field in written["scopes"][0].as_object().unwrap().keys() {
        assert!(documented.contains(&format!("| `{field}` |")), "docs/report.md does not tell of {field}");
    }
    for (pointer, value) in
        [("/ended_at", "TIME"), ("/took", "SPAN"), ("/scopes/0/held", "SPAN"), ("/phases", "PHASES")]
    {
        *written.pointer_mut(pointer).unwrap() = value.into();
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&written).unwrap());
}

#[test]
fn a_file_that_is_no_report_is_a_clear_error_and_is_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    let bad: [&[u8]; 6] = [b"", b"not json", b"[]", b"{}", b"{\"exit_status\": 1000}", b"\xff\xfe\x00"];
    for content in bad {
        fs::write(&path, content).unwrap();
        let error = LastStop::read(&path).unwrap_err();
        assert!(matches!(error, LastStopError::Content { .. }), "{content:?}: {error}");
        assert!(error.to_string().contains("is not a report; it will be overwritten"), "{error}");
        let lifecycle = install(&path);
        assert_eq!(lifecycle.last_stop(), None);
        assert_eq!(lifecycle.close().not_written, None);
        assert_eq!(LastStop::read(&path).unwrap().unwrap().exit_status, 0);
    }
}

#[test]
fn a_report_of_another_version_is_read_as_far_as_it_is_understood() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    fs::write(
        &path,
        r#"{"schema": 9, "exit_status": 3, "new": {"a": [1]}, "took": -1.0, "ended_at": 1e300,
            "scopes": [{"left": 2, "cut": [{}, 7]}, {"shape": "new"}]}"#,
    )
    .unwrap();
    let last = LastStop::read(&path).unwrap().unwrap();
    assert_eq!((last.exit_status, last.cut, last.left, last.took), (3, 2, 2, Duration::ZERO));
    assert_eq!((last.ended_at, last.why.as_str(), last.failures.len()), (SystemTime::UNIX_EPOCH, "", 0));
}

#[test]
fn where_it_cannot_be_written_the_stop_is_as_ever_and_the_report_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let mut cases = vec![directory.path().join("no such directory/report.json"), directory.path().to_owned()];
    if cfg!(unix) {
        cases.push("/dev/null".into());
    }
    for path in cases {
        let lifecycle = install(&path);
        lifecycle.stop().request_stop("enough");
        let report = lifecycle.wait();
        assert_eq!(report.exit_status(), 0);
        let error = report.not_written.as_deref().unwrap();
        assert!(
            error.starts_with("the report could not be written to ")
                && error.contains(path.to_str().unwrap())
        );
        assert!(report.to_string().contains(error), "{report}");
        // Whoever asks later is told the same, and nobody tries again.
        assert_eq!(lifecycle.close().not_written, report.not_written);
    }
    assert!(!cfg!(unix) || !fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn what_was_left_out_is_counted_by_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    let lifecycle = install(&path);
    let scope = lifecycle.scope("http");
    for _ in 0..1_200 {
        let (name, age) = ("GET /".to_owned(), Duration::ZERO);
        scope.begin().cut(CutWork { name, kind: "request", peer: None, age, site: None });
        scope.track("job", "copy").fail("the disk is full", OnFailure::GoOn);
    }
    drop(scope);
    assert_eq!(lifecycle.close().not_written, None);
    let last = LastStop::read(&path).unwrap().unwrap();
    assert_eq!((last.cut, last.failures.len(), last.failures_left_out), (1_200, 1_000, 200));
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let (path, link) = (directory.path().join("report.json"), directory.path().join("link"));
    fs::write(&path, "old").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    _ = install(&link).close();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(LastStop::read(&path).unwrap().unwrap().exit_status, 0);
}

#[test]
fn the_environment_may_name_the_file() {
    let variable = exeunt_lifecycle::VARIABLES.iter().find(|variable| variable.name == "EXEUNT_REPORT");
    assert!(variable.is_some());
}

#[cfg(unix)]
#[test]
fn a_new_file_is_for_its_owner_and_one_that_is_there_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    _ = install(&path).close();
    assert_eq!(mode(), 0o600, "it names requests");
    // Wider than any umask lets through.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    _ = install(&path).close();
    assert_eq!(mode(), 0o666);
}

#[cfg(unix)]
#[test]
fn a_link_stays_one_even_if_it_leads_nowhere_yet() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("reports")).unwrap();
    let (first, second) = (directory.path().join("first"), directory.path().join("second"));
    symlink("second", &first).unwrap();
    symlink("reports/report.json", &second).unwrap();
    for _ in ["a new one", "one that is there"] {
        assert_eq!(install(&first).close().not_written, None);
        for link in [&first, &second] {
            assert!(fs::symlink_metadata(link).unwrap().is_symlink());
        }
        assert!(LastStop::read(directory.path().join("reports/report.json")).unwrap().is_some());
    }
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_are_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    std::os::unix::fs::symlink("report.json", &path).unwrap();
    let why = install(&path).close().not_written.unwrap();
    assert!(why.contains("could not be written to"), "{why}");
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
}
