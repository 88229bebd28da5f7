//! A socket that somebody else holds too keeps working for them, and one that is ours alone is not mistaken for shared.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::exit,
    reason = "a test's panic is its failure; a forked child exits"
)]

mod helpers;

use std::{
    env,
    io::{self, Write as _},
    net::TcpListener,
    num::NonZeroU32,
    os::fd::AsFd as _,
    process::{self, Command, Stdio},
    time::{Duration, Instant},
};

use exeunt_listener::{Accept, Binder, CloseOptions, Listener, Method, Newcomers, Ownership, Step};
use fork::{Fork, fork, waitpid};
use socket2::{SockFilter, SockRef};

use crate::helpers::{
    close, connect, greet, in_own_process, is_greeted, is_refused, listener, serve_one, serves,
};

#[test]
fn a_socket_passed_on_is_left_as_it_is() {
    let (listener, address) = listener();
    let successor = listener.share().unwrap();
    let waiting = connect(address);
    let report = close(listener);
    assert_eq!((report.method, report.ownership), (Method::LeftToOthers, Ownership::PassedOn));
    assert_eq!((report.looks, report.accepted), (0, 0));
    let successor = Listener::adopt(successor).unwrap();
    serve_one(&successor);
    assert!(is_greeted(waiting), "who waited in the queue belongs to the successor");
    assert!(serves(successor.as_fd().try_clone_to_owned().unwrap(), address));
}

#[test]
fn an_adopted_socket_is_left_as_it_is() {
    let theirs = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = theirs.local_addr().unwrap();
    let report = close(Listener::adopt(theirs.try_clone().unwrap()).unwrap());
    assert_eq!((report.method, report.ownership), (Method::LeftToOthers, Ownership::Adopted));
    assert!(serves(theirs.into(), address));
}

#[test]
fn an_adopted_socket_that_is_vouched_for_is_closed_with_care() {
    in_own_process("an_adopted_socket_that_is_vouched_for_is_closed_with_care", || {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let listener = Listener::adopt_sole(socket).unwrap();
        let waiting = connect(address);
        let report = close(listener);
        assert_eq!((report.method, report.accepted), (Method::Looked, 1));
        assert!(is_greeted(waiting));
    });
}

#[test]
fn a_copy_in_this_process_is_found() {
    in_own_process("a_copy_in_this_process_is_found", || {
        let (listener, address) = listener();
        let copy = listener.as_fd().try_clone_to_owned().unwrap();
        let report = close(listener);
        assert_eq!(
            (report.method, report.ownership),
            (Method::LeftToOthers, Ownership::HeldBy(process::id()))
        );
        assert!(serves(copy, address));
    });
}

#[test]
fn a_copy_in_a_program_that_we_started_is_found() {
    const CHILD: &str = "EXEUNT_TEST_CHILD";
    if env::var_os(CHILD).is_some() {
        let inherited = io::stdin().as_fd().try_clone_to_owned().unwrap();
        return serve_one(&Listener::adopt(inherited).unwrap());
    }
    in_own_process("a_copy_in_a_program_that_we_started_is_found", || {
        let (listener, address) = listener();
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "a_copy_in_a_program_that_we_started_is_found"])
            .env(CHILD, "1")
            .stdin(Stdio::from(listener.as_fd().try_clone_to_owned().unwrap()))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let report = close(listener);
        assert_eq!((report.method, report.ownership), (Method::LeftToOthers, Ownership::HeldBy(child.id())));
        assert!(is_greeted(connect(address)));
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_program_that_we_started_without_it_does_not_count() {
    in_own_process("a_program_that_we_started_without_it_does_not_count", || {
        let (listener, address) = listener();
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let report = close(listener);
        assert_eq!((report.method, report.ownership), (Method::Looked, Ownership::Sole));
        assert!(is_refused(address));
        drop(child.stdin.take());
        child.wait().unwrap();
    });
}

#[test]
fn a_forked_child_serves_on() {
    in_own_process("a_forked_child_serves_on", || {
        let (listener, address) = listener();
        let Fork::Parent(child) = fork().unwrap() else {
            serve_one(&listener);
            process::exit(0);
        };
        let report = close(listener);
        assert_eq!((report.method, report.ownership), (Method::LeftToOthers, Ownership::Forked));
        assert!(is_greeted(connect(address)));
        assert_eq!(waitpid(child).unwrap(), 0);
    });
}

#[test]
fn a_forked_child_leaves_the_socket_to_its_parent() {
    in_own_process("a_forked_child_leaves_the_socket_to_its_parent", || {
        let (listener, address) = listener();
        let Fork::Parent(child) = fork().unwrap() else {
            let report = close(listener);
            let as_it_should =
                (report.method, report.ownership) == (Method::LeftToOthers, Ownership::Inherited);
            process::exit(if as_it_should { 0 } else { 1 });
        };
        assert_eq!(waitpid(child).unwrap(), 0);
        let client = connect(address);
        serve_one(&listener);
        assert!(is_greeted(client));
        let report = close(listener);
        assert_eq!(report.ownership, Ownership::Sole, "the child is gone");
    });
}

#[test]
fn a_shared_port_is_not_filtered_but_its_queue_is_not_lost() {
    let ours = Binder::new().reuse_port(true).bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
    let address = ours.local_address().as_socket_addr().unwrap();
    let theirs = Binder::new().reuse_port(true).bind(ours.local_address()).unwrap();
    let clients: Vec<_> = (0..32).map(|_| connect(address)).collect();
    let report = close(ours);
    assert_eq!((report.method, &report.ownership), (Method::Emptied, &Ownership::PortShared), "{report:?}");
    assert!((1..32).contains(&report.accepted), "the kernel gave all to one: {report:?}");
    while let Accept::Connection(connection) = theirs.accept() {
        greet(connection);
    }
    assert!(clients.into_iter().all(is_greeted));
    let later = connect(address);
    serve_one(&theirs);
    assert!(is_greeted(later));
}

type TurnAway<'a> = &'a dyn Fn(SockRef<'_>) -> io::Result<()>;

#[test]
fn whoever_receives_a_listener_lets_clients_in_again() {
    let by_filter = |socket: SockRef<'_>| socket.attach_filter(&[SockFilter::new(0x06, 0, 0, 0)]);
    let by_interface = |socket: SockRef<'_>| socket.bind_device_by_index_v4(NonZeroU32::new(i32::MAX as u32));
    let ways: [TurnAway<'_>; 2] = [&by_filter, &by_interface];
    for turn_away in ways {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let adopted = turn_away(SockRef::from(&socket)).and_then(|()| Listener::adopt(socket));
        match adopted {
            Ok(listener) => {
                let client = connect(address);
                serve_one(&listener);
                assert!(is_greeted(client));
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let skipped = "SKIPPED: whoever_receives_a_listener_lets_clients_in_again needs CAP_NET_ADMIN and CAP_NET_RAW";
                let _ = writeln!(io::stderr(), "{skipped}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn the_time_for_the_search_is_kept_and_running_out_of_it_is_told() {
    let (listener, address) = listener();
    let waiting = connect(address);
    let report = listener.close(CloseOptions::default().owner_search(Duration::ZERO)).block(greet);
    assert!(matches!(report.ownership, Ownership::Unknown(_)), "{report:?}");
    assert_eq!((report.method, report.newcomers), (Method::Emptied, Newcomers::Admitted));
    assert_eq!(report.accepted, 1);
    assert!(is_greeted(waiting));
}

#[test]
fn what_does_not_listen_is_not_adopted() {
    let refused = |descriptor: std::os::fd::OwnedFd, part: &str| {
        let error = Listener::adopt(descriptor).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(part), "{error}");
    };
    refused(std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into(), "does not listen");
    refused(io::pipe().unwrap().0.into(), "not a socket");
    let (_listener, address) = listener();
    refused(connect(address).into(), "does not listen");
}

#[test]
fn a_close_that_is_abandoned_leaves_nothing_open() {
    in_own_process("a_close_that_is_abandoned_leaves_nothing_open", || {
        let (listener, address) = listener();
        let mut closing = listener.close(CloseOptions::default());
        assert!(matches!(closing.step(Instant::now()), Step::Wait { .. }));
        drop(closing);
        assert!(is_refused(address));
    });
}
