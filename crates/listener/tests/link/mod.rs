//! Two network namespaces and a wire with a delay between them.
//!
//! Each end of the wire is a TUN device; a thread per direction carries the packets over, each after its delay and all
//! in order. That is what a network does and loopback does not: on loopback a handshake is complete before connect(2)
//! returns, so no close can ever meet one.

use std::{
    collections::VecDeque,
    env,
    fs::File,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsFd, AsRawFd as _},
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, unshare};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use tun_rs::{DeviceBuilder, SyncDevice};

pub(crate) const SERVER_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));
pub(crate) const SERVER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1));

/// A network of one host, with its end of the wire.
#[derive(Clone)]
pub(crate) struct Host {
    namespace: Arc<File>,
    wire: Arc<SyncDevice>,
}

/// A server host and a client host, joined by a wire.
pub(crate) struct Link {
    pub(crate) server: Host,
    pub(crate) client: Host,
    muted: Arc<AtomicU16>,
    stop: Arc<AtomicBool>,
    carriers: Vec<JoinHandle<()>>,
}

impl Link {
    /// A wire that takes `delay` each way.
    pub(crate) fn new(delay: Duration) -> io::Result<Self> {
        let server = Host::new("10.77.0.1", "10.77.0.2", "fd77::1")?;
        let client = Host::new("10.77.0.2", "10.77.0.1", "fd77::2")?;
        let (muted, stop) = (Arc::new(AtomicU16::new(0)), Arc::new(AtomicBool::new(false)));
        let carry = |from: &Host, to: &Host, muted: Arc<AtomicU16>| {
            let (from, to, stop) = (from.wire.clone(), to.wire.clone(), stop.clone());
            thread::spawn(move || carry(&from, &to, delay, &muted, &stop))
        };
        let nobody = Arc::new(AtomicU16::new(0));
        let carriers = vec![carry(&client, &server, muted.clone()), carry(&server, &client, nobody)];
        Ok(Self { server, client, muted, stop, carriers })
    }

    /// From now on, of what the client sends from this port only its SYNs arrive: its handshakes stay half open.
    pub(crate) fn mute(&self, port: u16) {
        self.muted.store(port, Ordering::SeqCst);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for carrier in self.carriers.drain(..) {
            let _ = carrier.join();
        }
    }
}

impl Host {
    fn new(address: &str, peer: &str, v6: &str) -> io::Result<Self> {
        let (address, peer, v6) = (address.to_owned(), peer.to_owned(), format!("{v6}/64"));
        // A namespace belongs to a thread; this one's ends with it, but for the file that we keep.
        let made = thread::spawn(move || -> io::Result<Self> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let namespace = Arc::new(File::open("/proc/thread-self/ns/net")?);
            let wire = DeviceBuilder::new().name("wire").mtu(1500).build_sync()?;
            wire.set_nonblocking(true)?;
            ip(&["link", "set", "lo", "up"])?;
            // A wire delays; it must not drop what it has no time to carry yet.
            ip(&["link", "set", "wire", "txqueuelen", "100000", "up"])?;
            ip(&["address", "add", &address, "peer", &peer, "dev", "wire"])?;
            ip(&["address", "add", &v6, "dev", "wire", "nodad"])?;
            Ok(Self { namespace, wire: Arc::new(wire) })
        });
        made.join().map_err(|_| io::Error::other("the thread that makes a namespace panicked"))?
    }

    /// Where other processes find its network, for `nsenter --net`.
    #[allow(dead_code, reason = "not every test starts some")]
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd()).into()
    }

    /// Moves the calling thread to this host.
    pub(crate) fn enter(&self) {
        move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }
}

fn ip(arguments: &[&str]) -> io::Result<()> {
    let run = Command::new("ip").args(arguments).output();
    let output = run.map_err(|error| io::Error::new(error.kind(), format!("`ip` cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("`ip {}` failed: {}", arguments.join(" "), said.trim())))
}

fn carry(from: &SyncDevice, to: &SyncDevice, delay: Duration, muted: &AtomicU16, stop: &AtomicBool) {
    let mut under_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut packet = vec![0; 2048];
    while !stop.load(Ordering::SeqCst) {
        let now = Instant::now();
        let next = under_way
            .front()
            .map_or(Duration::from_millis(50), |(due, _)| due.saturating_duration_since(now));
        let timeout = Timespec::try_from(next).unwrap();
        let _ = poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&timeout));
        let now = Instant::now();
        while let Ok(length) = from.recv(&mut packet) {
            let packet = &packet[..length];
            let port = muted.load(Ordering::SeqCst);
            if port == 0 || !is_muted(packet, port) {
                under_way.push_back((now + delay, packet.to_vec()));
            }
        }
        while under_way.front().is_some_and(|(due, _)| *due <= now) {
            let (_, packet) = under_way.pop_front().unwrap();
            to.send(&packet).unwrap();
        }
    }
}

fn is_muted(packet: &[u8], port: u16) -> bool {
    const SYN: u8 = 0x02;
    let segment = match packet[0] >> 4 {
        4 => &packet[usize::from(packet[0] & 0x0f) * 4..],
        _ => &packet[40..],
    };
    segment.len() >= 20 && segment[..2] == port.to_be_bytes() && segment[13] & SYN == 0
}

/// Runs `body` over a link, here if we may make one, or else in a user namespace. Says loudly when neither works.
pub(crate) fn over_a_link(test: &str, body: impl FnOnce(&Link)) {
    const INSIDE: &str = "EXEUNT_TEST_IN_USER_NAMESPACE";
    let why = match Link::new(Duration::from_millis(20)) {
        Ok(link) => return body(&link),
        Err(why) => why,
    };
    if why.kind() == io::ErrorKind::PermissionDenied && env::var_os(INSIDE).is_none() {
        let again = Command::new("unshare")
            .args(["--user", "--map-root-user"])
            .arg(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(INSIDE, "1")
            .status();
        if let Ok(status) = again {
            assert!(status.success(), "{test} failed in a user namespace");
            return;
        }
    }
    // Not `eprintln`, which the test harness would swallow.
    let _ = writeln!(io::stderr(), "SKIPPED: {test}: a link with a delay cannot be made here: {why}");
}
