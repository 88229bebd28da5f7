//! Datagrams and who has sent them.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test's panic is its failure")]

use exeunt_sys::datagram::receive;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::AsFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Stdio};

#[test]
fn nothing_is_not_waited_for_and_without_credentials_nobody_has_sent_it() {
    let (one, other) = UnixDatagram::pair().unwrap();
    let error = receive(one.as_fd(), &mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    other.send(b"four").unwrap();
    let received = receive(one.as_fd(), &mut [0; 3]).unwrap();
    assert_eq!((received.bytes, received.is_whole, received.sender), (3, false, None));
}

/// The kernel gives such a sender the id 0, which is none.
#[test]
fn a_sender_in_a_pid_namespace_that_we_cannot_see_has_no_id() {
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child"]);
    if !unshare.arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: a_sender_in_a_pid_namespace_that_we_cannot_see_has_no_id needs root");
        return;
    }
    let mut probe = std::env::current_exe().unwrap();
    probe.pop();
    probe.pop();
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child"]).arg(probe.join("examples/signal_probe"));
    unshare.args(["receiving", "one"]).arg(format!("exeunt-test/{}", std::process::id()));
    let mut child = unshare.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut name = String::new();
    said.read_line(&mut name).unwrap();
    let address = SocketAddr::from_abstract_name(name.trim()).unwrap();
    UnixDatagram::unbound().unwrap().send_to_addr(b"READY=1", &address).unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(rest, "from myself true\n7 bytes, from None\n");
}
