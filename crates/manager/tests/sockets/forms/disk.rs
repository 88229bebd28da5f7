//! Uploads that are large, and disks that are full.

use super::{curl, file, has_curl, listed, upload, with_length};
use crate::support::{asking, to_end};
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use tempfile::tempdir;

/// The most that a process has had in memory, in KiB (proc(5)).
fn high_water(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn three_hundred_megabytes_take_no_memory() {
    if !has_curl() {
        return;
    }
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    let sparse = from.path().join("sparse");
    fs::File::create(&sparse).unwrap().set_len(300_000_000).unwrap();
    let small = from.path().join("small");
    fs::write(&small, "hello").unwrap();
    let (program, address) = upload(&to, "");
    let send = |path: &Path| curl(address, &["-F", &format!("photo=@{}", path.display())]);
    assert_eq!(send(&small).1, "photo (small): 5 bytes as small\n\n200");
    let before = high_water(program.id());
    assert_eq!(send(&sparse).1, "photo (sparse): 300000000 bytes as sparse\n\n200");
    let after = high_water(program.id());
    assert!(after < before + 8 * 1024, "{before} KiB before, {after} KiB behind it");
    assert_eq!(fs::metadata(to.path().join("sparse")).unwrap().len(), 300_000_000);
    program.send(Signal::TERM);
    assert_eq!(program.end().0.code(), Some(0));
}

#[test]
fn a_full_disk_is_answered_and_named() {
    let to = tempdir().unwrap();
    // No file may be larger than that many blocks of 512 bytes; without the signal it is an error, as of a full disk.
    let (program, address) = upload(&to, "trap '' XFSZ; ulimit -f 200;");
    let answer = to_end(asking(address, with_length(&file(&"x".repeat(200_000)))));
    assert!(answer.starts_with("HTTP/1.1 507 "), "{answer}");
    let said = program.line();
    assert!(
        said.starts_with("error: the upload cannot be written to `") && said.contains(".upload-"),
        "{said}"
    );
    assert_eq!(listed(to.path()), [""; 0]);
    assert!(to_end(asking(address, with_length(&file("hello")))).ends_with("5 bytes as a\n"), "it goes on");
    fs::remove_dir_all(to.path()).unwrap();
    let answer = to_end(asking(address, with_length(&file("hello"))));
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    program.send(Signal::TERM);
    assert_eq!(program.end().0.code(), Some(0));
}
