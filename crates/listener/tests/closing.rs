//! The close of sockets that are ours alone, against the real kernel.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's panic is its failure")]

mod helpers;

use std::{
    fs,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::{Duration, Instant},
};

use exeunt_listener::{Accept, Address, CloseOptions, Listener, Method, Newcomers, Ownership, Step};
use rustix::{
    fs::{OFlags, fcntl_getfl},
    io::{FdFlags, fcntl_getfd},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::helpers::{
    FOREVER, close, connect, greet, in_own_process, is_greeted, is_refused, listener, open_descriptors,
    serve_one,
};

#[cfg(target_os = "linux")]
#[test]
fn an_idle_listener_is_closed_after_two_looks() {
    in_own_process("an_idle_listener_is_closed_after_two_looks", || {
        for text in ["127.0.0.1:0", "[::1]:0", ":0"] {
            let listener = Listener::bind(&text.parse().unwrap()).unwrap();
            let address = listener.local_address().clone();
            let report = close(listener);
            assert_eq!(
                (report.method, &report.ownership),
                (Method::Looked, &Ownership::Sole),
                "{text}: {report:?}"
            );
            assert_eq!((report.looks, report.handshakes, report.accepted), (2, 0, 0));
            assert_eq!(report.newcomers, Newcomers::Refused);
            assert!(!report.limit_hit && report.failure.is_none());
            Listener::bind(&address).unwrap();
        }
    });
}

#[test]
fn who_waits_in_the_queue_is_handed_out() {
    in_own_process("who_waits_in_the_queue_is_handed_out", || {
        let (listener, address) = listener();
        let clients: Vec<_> = (0..50).map(|_| connect(address)).collect();
        let report = close(listener);
        assert_eq!(report.accepted, 50);
        assert!(clients.into_iter().all(is_greeted));
        assert!(is_refused(address));
    });
}

#[test]
fn a_closed_closing_says_the_same_again() {
    in_own_process("a_closed_closing_says_the_same_again", || {
        let (listener, _) = listener();
        let mut closing = listener.close(CloseOptions::default());
        let report = loop {
            match closing.step(Instant::now()) {
                Step::Accepted(_) => panic!("nobody connected"),
                Step::Wait { until } => std::thread::sleep(until.saturating_duration_since(Instant::now())),
                Step::Closed(report) => break report,
            }
        };
        assert!(matches!(closing.step(Instant::now()), Step::Closed(again) if again == report));
    });
}

#[test]
fn everything_is_non_blocking_and_closed_on_exec() {
    let (listener, address) = listener();
    let _clients = [connect(address), connect(address)];
    let Accept::Connection(first) = listener.accept() else { panic!("a client waits") };
    assert!(matches!(first.peer(), Some(peer) if peer.ip() == address.ip()));
    let shared = listener.share().unwrap();
    let adopted = Listener::adopt(shared).unwrap();
    let Accept::Connection(second) = adopted.accept() else { panic!("a client waits") };
    for descriptor in [listener.as_fd(), adopted.as_fd(), first.as_fd(), second.as_fd()] {
        assert!(fcntl_getfl(descriptor).unwrap().contains(OFlags::NONBLOCK));
        assert!(fcntl_getfd(descriptor).unwrap().contains(FdFlags::CLOEXEC));
    }
    assert!(matches!(listener.accept(), Accept::Nothing));
}

#[test]
fn without_descriptors_the_listener_asks_for_patience() {
    in_own_process("without_descriptors_the_listener_asks_for_patience", || {
        let (listener, address) = listener();
        let clients = [connect(address), connect(address)];
        let used_up = use_up_descriptors();
        for expected in [5, 10, 20] {
            assert!(
                matches!(listener.accept(), Accept::BackOff(wait) if wait == Duration::from_millis(expected))
            );
        }
        drop(used_up);
        serve_one(&listener);
        let _used_up = use_up_descriptors();
        assert!(matches!(listener.accept(), Accept::BackOff(wait) if wait == Duration::from_millis(5)));
        let [served, _] = clients;
        assert!(is_greeted(served));
    });
}

#[test]
fn a_close_without_descriptors_ends_by_its_limit_and_says_so() {
    in_own_process("a_close_without_descriptors_ends_by_its_limit_and_says_so", || {
        for (kept_open, all) in [(true, false), (false, true)] {
            let (listener, address) = listener();
            let clients: Vec<_> = (0..10).map(|_| connect(address)).collect();
            let _used_up = use_up_descriptors();
            // The close itself gives back a few, those of the lifeline.
            let mut accepted = Vec::new();
            let report = listener
                .close(CloseOptions::default().limit(Duration::from_millis(100)))
                .block(|client| if kept_open { accepted.push(client) } else { greet(client) });
            assert_eq!((report.accepted == 10, report.limit_hit), (all, !all), "{report:?}");
            assert!(!all || clients.into_iter().all(is_greeted));
        }
    });
}

#[test]
fn no_descriptor_is_left_behind() {
    in_own_process("no_descriptor_is_left_behind", || {
        let folder = tempfile::tempdir().unwrap();
        let before = open_descriptors();
        for round in 0..30 {
            let (listener, address) = listener();
            let client = connect(address);
            close(listener);
            assert!(is_greeted(client));
            let mut abandoned = helpers::listener().0.close(CloseOptions::default());
            if round % 2 == 0 {
                abandoned.step(Instant::now());
            }
            drop(abandoned);
            close(bind_unix(&folder.path().join("socket")));
        }
        assert_eq!(open_descriptors(), before);
    });
}

#[test]
fn a_unix_socket_is_unlinked_and_its_queue_handed_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = bind_unix(&path);
    assert_eq!(listener.local_address().as_path(), Some(path.as_path()));
    let client = UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(FOREVER)).unwrap();
    let report = close(listener);
    assert_eq!((report.method, report.accepted), (Method::Emptied, 1));
    assert!(is_greeted(client));
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_not_ours_any_more_is_not_unlinked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let old = bind_unix(&path);
    fs::remove_file(&path).unwrap();
    let new = bind_unix(&path);
    close(old);
    let client = UnixStream::connect(&path).unwrap();
    serve_one(&new);
    assert!(is_greeted(client));
}

#[test]
fn the_file_of_a_unix_socket_that_was_passed_on_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = bind_unix(&path);
    let successor = Listener::adopt(listener.share().unwrap()).unwrap();
    assert_eq!(close(listener).method, Method::LeftToOthers);
    let client = UnixStream::connect(&path).unwrap();
    serve_one(&successor);
    assert!(is_greeted(client));
}

#[test]
fn a_unix_socket_is_unlinked_from_another_working_folder() {
    in_own_process("a_unix_socket_is_unlinked_from_another_working_folder", || {
        let folder = tempfile::tempdir().unwrap();
        std::env::set_current_dir(folder.path()).unwrap();
        let listener = bind_unix(Path::new("socket"));
        std::env::set_current_dir("/").unwrap();
        listener.close(CloseOptions::default()).block(greet);
        assert!(!folder.path().join("socket").exists());
    });
}

fn bind_unix(path: &Path) -> Listener {
    Listener::bind(&Address::Unix(path.to_owned())).unwrap()
}

/// Opens descriptors until there are none left.
fn use_up_descriptors() -> Vec<OwnedFd> {
    let limit = Rlimit { current: Some(open_descriptors() as u64 + 10), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let input = std::io::stdin();
    std::iter::from_fn(|| input.as_fd().try_clone_to_owned().ok()).collect()
}
