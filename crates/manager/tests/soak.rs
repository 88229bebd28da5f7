//! Descriptors and memory: what thousands of connections took is given back, and a loop without descriptors waits.
//!
//! `EXEUNT_SOAK=1` makes it 10,000 connections at once, ten times over, and a file of 5 GB.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test's panic is its failure"
)]

#[path = "sockets/certificates.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod certificates;
#[path = "sockets/probe.rs"]
mod probe;
#[path = "sockets/support.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod support;

use exeunt_manager::{Listen, Manager};
use probe::Probe;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use support::{GET, LIMIT, Polled, address, asking, echo, hello, poll_until, read_to};

/// Descriptors are the whole process's.
static ALONE: Mutex<()> = Mutex::new(());

fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

/// Resident memory, in bytes (proc(5), `statm`).
fn memory(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/statm")).unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size() as u64
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LIMIT, "{what}: not in {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_many_connections_took_is_given_back() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (connections, rounds) =
        if std::env::var_os("EXEUNT_SOAK").is_some() { (10_000, 10) } else { (500, 4) };
    let (probe, address) = Probe::serve(&["0.0.0.0:0"]);
    let process = probe.id();
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if limit < connections + 100 {
        eprintln!("SKIPPED: {connections} connections need more than {limit} open files (ulimit -n)");
        return;
    }
    let base = descriptors(process);
    let (mut before, mut grown) = (0, 0);
    for round in 0..=rounds {
        // Another address each time, so that ports in TIME_WAIT are no shortage.
        let address = SocketAddr::from(([127, 0, 1, round + 1], address.port()));
        let mut clients: Vec<TcpStream> = (0..connections).map(|_| support::client(address)).collect();
        for client in &mut clients {
            client.write_all(GET.as_bytes()).unwrap();
        }
        for client in &mut clients {
            read_to(client, "hello");
        }
        assert!(descriptors(process) as u64 >= connections);
        let most = memory(process);
        drop(clients);
        until("all descriptors given back", || descriptors(process) <= base);
        let now = memory(process);
        if round == 0 {
            before = now;
        }
        grown = now.saturating_sub(before);
        eprintln!("round {round}: {} KiB with all open, {} KiB without", most >> 10, now >> 10);
    }
    assert!(grown < 1 << 20, "{grown} bytes more than after the first round");
    probe.send(Signal::TERM);
    assert_eq!(probe.end().0.code(), Some(0));
}

#[test]
fn without_descriptors_clients_wait_and_the_loop_sleeps() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut manager = Manager::new(hello);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let mut clients: Vec<_> = (0..20).map(|_| asking(address(&listener), GET)).collect();
    let whole = getrlimit(Resource::Nofile);
    let few = descriptors(std::process::id()) as u64 + 3;
    setrlimit(Resource::Nofile, Rlimit { current: Some(few), maximum: whole.maximum }).unwrap();
    let began = Instant::now();
    let mut passes = 0;
    while began.elapsed() < Duration::from_millis(300) {
        manager.poll(Duration::from_millis(300)).unwrap();
        passes += 1;
    }
    let served = manager.connections().len() - 1;
    setrlimit(Resource::Nofile, whole).unwrap();
    assert!(served < 20, "{served} of 20 were accepted");
    assert!(passes < 100, "{passes} passes: it turns in a circle");
    let handle = manager.handle();
    poll_until(&mut manager, "the others", || handle.connections().len() == 21);
    let polled = Polled::of(manager);
    for client in &mut clients {
        read_to(client, "hello");
    }
    drop(polled);
}

#[test]
fn a_file_larger_than_memory_is_served_in_constant_memory() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let size: u64 = if std::env::var_os("EXEUNT_SOAK").is_some() { 5_000_000_000 } else { 300_000_000 };
    let folder = tempfile::tempdir().unwrap();
    fs::File::create(folder.path().join("sparse")).unwrap().set_len(size).unwrap();
    let (probe, address) = Probe::serve(&["127.0.0.1:0", "25000", folder.path().to_str().unwrap()]);
    // What comes with the first file, whatever its size.
    fs::write(folder.path().join("first"), [0; 100_000]).unwrap();
    let last = |path: &str| format!("GET /files/{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    asking(address, last("first")).read_to_end(&mut Vec::new()).unwrap();
    let (before, mut most, mut came) = (memory(probe.id()), 0, 0);
    let mut client = asking(address, last("sparse"));
    let mut piece = vec![0; 1 << 20];
    for at in 0_u64.. {
        match client.read(&mut piece).unwrap() {
            0 => break,
            bytes => came += bytes as u64,
        }
        if at == 0 {
            let head = piece.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            came -= head as u64;
        }
        if at % 16 == 0 {
            most = most.max(memory(probe.id()));
        }
    }
    eprintln!("{size} bytes: {} KiB before, {} KiB at most", before >> 10, most >> 10);
    assert_eq!(came, size);
    assert!(most < before + (1 << 20), "{before} bytes before, {most} meanwhile");
    probe.send(Signal::TERM);
    assert_eq!(probe.end().0.code(), Some(0));
}

#[test]
fn a_thousand_connections_on_tls_leave_no_descriptor() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let polled = Polled::new(echo);
    let how = Listen::new().tls(certificates::localhost().tls());
    let address = polled.listen_with("tls://127.0.0.1:0", how);
    let ours = std::process::id();
    let before = descriptors(ours);
    for _ in 0..10 {
        let clients: Vec<_> = (0..100)
            .map(|turn| {
                let mut client = certificates::tls_client(address);
                match turn % 4 {
                    // Before the handshake, in it, and behind it: torn, or whole.
                    0 => {}
                    1 => _ = client.conn.write_tls(&mut client.sock).unwrap(),
                    ends => {
                        client.write_all(b"x").unwrap();
                        client.read_exact(&mut [0]).unwrap();
                        if ends == 2 {
                            client.conn.send_close_notify();
                            client.flush().unwrap();
                        }
                    }
                }
                client
            })
            .collect();
        assert!(descriptors(ours) >= before + 100);
        drop(clients);
        until("the ends", || polled.handle.connections().len() == 1);
    }
    until("descriptors", || descriptors(ours) <= before);
}
