//! What can go wrong when an address is bound, and what is said about it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's panic is its failure")]

mod helpers;

use std::{
    error::Error as _,
    fs, io,
    net::{Ipv4Addr, Ipv6Addr},
    os::unix::net::{UnixListener, UnixStream},
    process,
};

use exeunt_listener::{Accept, Address, BindError, Binder, Listener};

use crate::helpers::{connect, is_greeted, listener, serve_one};

fn refused(address: &str) -> BindError {
    Listener::bind(&address.parse().unwrap()).unwrap_err()
}

#[test]
fn a_port_that_is_taken_is_named_with_its_owner() {
    let (_listener, address) = listener();
    let error = refused(&address.to_string());
    assert!(error.is_taken());
    assert_eq!(error.to_string(), format!("cannot listen on {address}: the port is taken"));
    assert_eq!(error.source().unwrap().downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::AddrInUse);
    let hint = error.hint().unwrap();
    assert!(hint.contains(&address.port().to_string()), "{hint}");
    if cfg!(target_os = "linux") {
        assert!(hint.contains(&process::id().to_string()), "{hint}");
    }
}

#[test]
fn an_address_of_another_machine_is_told_apart() {
    // RFC 5737: never anybody's.
    let error = refused("192.0.2.1:8000");
    assert!(error.is_not_local(), "{error:?}");
    assert!(error.hint().unwrap().contains(":8000"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_privileged_port_is_told_apart() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    let first: u16 = first.trim().parse().unwrap();
    if first < 2 {
        use std::io::Write as _;
        let _ =
            writeln!(io::stderr(), "SKIPPED: a_privileged_port_is_told_apart: no port is privileged here");
        return;
    }
    // Capabilities are a thread's, and this test has one for itself.
    let mut sets = capabilities(None).unwrap();
    sets.effective.remove(CapabilitySet::NET_BIND_SERVICE);
    set_capabilities(None, sets).unwrap();
    let error = refused(&format!("127.0.0.1:{}", first - 1));
    assert!(error.is_privileged(), "{error:?}");
    let hint = error.hint().unwrap();
    assert!(hint.contains(&format!("below {first}")) && hint.contains("CAP_NET_BIND_SERVICE"), "{hint}");
}

#[test]
fn a_name_without_an_address_is_told_apart() {
    // No label is that long (RFC 1035 §2.3.4), so no server is asked.
    let error = refused(&format!("{}:80", "x".repeat(64)));
    assert!(error.is_unresolved() && error.hint().is_some(), "{error:?}");
}

#[test]
fn every_address_means_both_families() {
    let listener = Listener::bind(&":0".parse().unwrap()).unwrap();
    let port = listener.local_address().port().unwrap();
    let mut targets = vec![(Ipv4Addr::LOCALHOST, port).into()];
    if listener.local_address().as_socket_addr().unwrap().is_ipv6() {
        targets.push((Ipv6Addr::LOCALHOST, port).into());
    }
    for target in targets {
        let client = connect(target);
        serve_one(&listener);
        assert!(is_greeted(client));
    }
}

#[test]
fn a_name_is_resolved() {
    let listener = Listener::bind(&"localhost:0".parse().unwrap()).unwrap();
    let address = listener.local_address().as_socket_addr().unwrap();
    assert!(address.ip().is_loopback() && address.port() != 0);
}

#[test]
fn a_port_is_free_again_while_old_connections_linger() {
    let (listener, address) = listener();
    let client = connect(address);
    serve_one(&listener); // the server closes first, and so gets the TIME_WAIT
    assert!(is_greeted(client));
    drop(listener);
    Listener::bind(&address.into()).unwrap();
}

#[test]
fn a_shared_port_must_be_asked_for() {
    let shared = Binder::new().reuse_port(true);
    let first = shared.bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
    assert!(Listener::bind(first.local_address()).unwrap_err().is_taken());
    shared.bind(first.local_address()).unwrap();
}

#[test]
fn a_stale_unix_socket_is_replaced_and_a_living_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let listener = Listener::bind(&Address::Unix(path.clone())).unwrap();
    let client = UnixStream::connect(&path).unwrap();
    serve_one(&listener);
    assert!(is_greeted(client));

    let error = Listener::bind(&Address::Unix(path.clone())).unwrap_err();
    assert!(error.is_taken() && error.hint().is_some());
    assert_eq!(error.to_string(), format!("cannot listen on unix:{}: the socket is in use", path.display()));
    assert!(matches!(listener.accept(), Accept::Nothing), "the probe must not turn up as a client");
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious");
    fs::write(&path, "data").unwrap();
    let error = Listener::bind(&Address::Unix(path.clone())).unwrap_err();
    assert!(error.to_string().ends_with("is not a socket"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "data");
    let error = Listener::bind(&Address::Unix(folder.path().join("none/socket"))).unwrap_err();
    assert!(error.to_string().ends_with("the folder does not exist"), "{error}");
}
