//! Sockets that a service manager has passed on: each test is the manager, and runs the example `inherited_probe`.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use std::{
    io::Read as _,
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/inherited_probe");
    assert!(path.exists(), "{} is not built; run `cargo build --examples` first", path.display());
    path
}

/// Two listening sockets become descriptors 3 and 4 of the program, by a shell that then is the program.
fn start(sockets: [&TcpListener; 2], environment: &str, addresses: &[&str]) -> Child {
    let [first, second] = sockets.map(|socket| Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
    let script = format!("exec 3<&0 4<&2 0</dev/null 2>/dev/null; export {environment}; exec \"$0\" \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(program()).args(addresses);
    for variable in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
        shell.env_remove(variable);
    }
    shell.stdin(first).stderr(second).stdout(Stdio::piped()).spawn().unwrap()
}

fn said(child: Child) -> Vec<String> {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn answer(address: SocketAddr) -> String {
    let mut text = String::new();
    TcpStream::connect(address).unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn they_are_taken_by_name_or_in_their_order_once_each_and_left_open() {
    let ((one, first), (two, second)) = (listener(), listener());
    let child = start(
        [&one, &two],
        "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=http:admin",
        &["systemd:admin", "systemd:", "systemd:admin", "systemd:"],
    );
    assert_eq!([answer(second), answer(first)], ["systemd:admin", "systemd:"]);
    let none = "no such socket was passed on; no service manager has passed a socket on to this process that is left; \
                start it by a .socket unit, or by systemd-socket-activate(1)";
    let refused = |address: &str| format!("cannot listen on {address}: {none}");
    assert_eq!(
        said(child),
        [r#"["http", "admin"]"#, &refused("systemd:admin"), &refused("systemd:"), "[]", "Adopted", "Adopted"]
    );
    // D3: the socket is the manager's as well, and still takes clients.
    one.set_nonblocking(true).unwrap();
    let _client = TcpStream::connect(first).unwrap();
    while one.accept().is_err() {}
}

#[test]
fn sockets_without_names_and_those_of_another_process() {
    let ((one, first), (two, _)) = (listener(), listener());
    let child = start([&one, &two], "LISTEN_PID=$$ LISTEN_FDS=1", &["systemd:unknown"]);
    assert_eq!(answer(first), "systemd:unknown");
    assert_eq!(said(child), [r#"["unknown"]"#, "[]", "Adopted"]);

    // For one that takes what is not its own: it should fail, and not wait.
    let _client = TcpStream::connect(first).unwrap();
    let child = start([&one, &two], "LISTEN_PID=1 LISTEN_FDS=2", &["systemd:"]);
    let said = said(child);
    assert_eq!(said[0], "[]");
    assert!(said[1].contains("no such socket was passed on"), "{said:?}");
}

#[test]
fn what_is_no_listening_socket_is_refused_and_the_others_are_not() {
    let ((one, _), (two, second)) = (listener(), listener());
    let child = start(
        [&one, &two],
        "LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=a:b:c; exec 3</dev/null 5>&-",
        &["systemd:a", "systemd:c", "systemd:b", "systemd:d"],
    );
    assert_eq!(answer(second), "systemd:b");
    let said = said(child);
    assert!(said[1].starts_with("cannot listen on systemd:a: descriptor 3 is not a socket"), "{said:?}");
    assert!(said[2].starts_with("cannot listen on systemd:c: Bad file descriptor"), "{said:?}");
    assert!(said[3].starts_with("cannot listen on systemd:d: no such socket"), "{said:?}");
    let child = start([&one, &two], "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=a", &["systemd:a"]);
    let said = self::said(child);
    assert!(said[0].contains("LISTEN_FDS=2 and the names in LISTEN_FDNAMES (a) differ"), "{said:?}");
}
