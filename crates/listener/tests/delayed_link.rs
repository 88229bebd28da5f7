//! Rule D3 where loopback cannot show it: over a link with 20 ms each way.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test's panic is its failure")]

mod link;

use std::{
    env, fs,
    io::{self, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    ops::AddAssign,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use exeunt_listener::{
    Accept, Address, CloseOptions, CloseReport, Connection, Listener, Method, Newcomers, Ownership, Step,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    thread::{CapabilitySet, capabilities, set_capabilities},
};
use socket2::{Domain, SockFilter, SockRef, Socket, Type};

use crate::link::{Link, SERVER_V4, SERVER_V6, over_a_link};

const CLIENTS: usize = 16;
const GREETING: &[u8] = b"welcome\n";
/// Longer than anything here can take, unless it is lost.
const FOREVER: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    AtOnce,
    UntilEmpty,
    FilterOnly,
    /// Ours, by a thread without any privilege.
    Ours,
    /// Ours, where the socket cannot be taken from its interface, so that new clients are filtered out.
    Filtered,
    /// Ours, closed by a thread of another network namespace, where `sock_diag` shows other sockets.
    FromElsewhere,
    /// Ours, where the kernel keeps no handshakes that it could show.
    WithCookies,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    answered: usize,
    refused: usize,
    lost: usize,
    /// Handshakes that a close waited for.
    waited_for: usize,
    slowest_close: Duration,
    slowest_refusal: Duration,
}

#[test]
fn nobody_is_lost_over_ipv4() {
    over_a_link("nobody_is_lost_over_ipv4", |link| compare(link, SERVER_V4));
}

#[test]
fn nobody_is_lost_over_ipv6() {
    over_a_link("nobody_is_lost_over_ipv6", |link| compare(link, SERVER_V6));
}

/// Runs all variants at the same time over the same link.
fn compare(link: &Link, server: IpAddr) {
    let closes = if env::var_os("EXEUNT_SOAK").is_some() { 100 } else { 20 };
    let local = SocketAddr::new(server, 0);
    let tallies = thread::scope(|scope| {
        // A filtered client is refused after a second, so several closes are under way at a time.
        let lanes = [
            (Variant::Ours, 2, closes / 2),
            (Variant::Filtered, 4, closes / 4),
            (Variant::AtOnce, 1, closes / 4),
            (Variant::UntilEmpty, 1, closes / 4),
            (Variant::FilterOnly, 1, closes / 4),
        ];
        let lanes = lanes.map(|(variant, width, closes)| {
            let run = move || lane(link, local, server, variant, closes);
            (variant, width * closes, (0..width).map(|_| scope.spawn(run)).collect::<Vec<_>>())
        });
        lanes.map(|(variant, closes, lanes)| {
            let mut total = Tally::default();
            for lane in lanes {
                total += lane.join().unwrap();
            }
            (variant, closes, total)
        })
    });
    for (variant, closes, tally) in tallies {
        eprintln!("{server} {variant:?}: {closes} closes, {tally:?}");
        if matches!(variant, Variant::Ours | Variant::Filtered) {
            assert_eq!(tally.lost, 0, "{variant:?} lost: {tally:?}");
            assert!(
                tally.waited_for >= closes,
                "hardly a handshake was under way, which proves nothing: {tally:?}"
            );
        } else {
            assert!(tally.lost > 0, "{variant:?} lost nobody, so this test could not fail: {tally:?}");
        }
    }
}

#[test]
fn nobody_is_lost_by_a_socket_of_both_families() {
    over_a_link("nobody_is_lost_by_a_socket_of_both_families", |link| {
        for server in [SERVER_V4, SERVER_V6] {
            let tally = lane(link, "[::]:0".parse().unwrap(), server, Variant::Ours, 4);
            eprintln!("both families, clients of {server}: 4 closes, {tally:?}");
            assert_eq!(tally.lost, 0, "{tally:?}");
            assert!(tally.waited_for >= 4, "{tally:?}");
        }
    });
}

#[test]
fn nobody_is_lost_where_sock_diag_cannot_be_trusted() {
    over_a_link("nobody_is_lost_where_sock_diag_cannot_be_trusted", |link| {
        on_server(link, || fs::write("/proc/sys/net/ipv4/tcp_syncookies", "1").unwrap());
        by_grace_alone(link, Variant::FromElsewhere);
        // In the link's own namespace.
        on_server(link, || fs::write("/proc/sys/net/ipv4/tcp_syncookies", "2").unwrap());
        by_grace_alone(link, Variant::WithCookies);
    });
}

fn by_grace_alone(link: &Link, variant: Variant) {
    let mut total = Tally::default();
    thread::scope(|scope| {
        let lane = || lane(link, SocketAddr::new(SERVER_V4, 0), SERVER_V4, variant, 1);
        let lanes: Vec<_> = (0..4).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().for_each(|lane| total += lane.join().unwrap());
    });
    eprintln!("{variant:?}: 4 closes, {total:?}");
    assert_eq!(total.lost, 0, "{total:?}");
}

#[test]
fn a_handshake_that_never_ends_costs_the_limit_and_no_more() {
    over_a_link("a_handshake_that_never_ends_costs_the_limit_and_no_more", |link| {
        let (listener, address) = with_half_open_client(link, Variant::Ours);
        let mut closing = listener.close(CloseOptions::default());
        assert!(matches!(closing.step(Instant::now()), Step::Wait { .. }));
        // The close has begun and cannot end yet, and a new client is refused already.
        let late = late_client(link, address).join().unwrap();
        assert_eq!(late.0, io::ErrorKind::ConnectionRefused);
        let report = closing.block(|_| panic!("nobody was to be accepted"));
        eprintln!("half open: {report}; a new client was refused after {:?}", late.1);
        assert_eq!((report.method, report.newcomers), (Method::Looked, Newcomers::Refused));
        assert_eq!((report.handshakes, report.limit_hit), (1, true));
        assert!(report.duration >= CloseOptions::default().limit, "{report:?}");
    });
}

#[test]
fn a_filtered_client_gets_no_answer_and_is_refused_later() {
    over_a_link("a_filtered_client_gets_no_answer_and_is_refused_later", |link| {
        let (listener, address) = with_half_open_client(link, Variant::Filtered);
        let closing = give_up(CapabilitySet::NET_RAW, || {
            let mut closing = listener.close(CloseOptions::default());
            assert!(matches!(closing.step(Instant::now()), Step::Wait { .. }));
            closing
        });
        let late = late_client(link, address);
        let report = closing.block(|_| panic!("nobody was to be accepted"));
        let (error, after) = late.join().unwrap();
        eprintln!("half open: {report}; a new client was refused after {after:?}");
        assert_eq!((report.method, report.newcomers), (Method::Looked, Newcomers::Unanswered));
        assert_eq!(error, io::ErrorKind::ConnectionRefused);
        // It tried a second time, a second later at the earliest (RFC 6298 §2); timers may be early by a tick.
        assert!(after >= Duration::from_millis(900), "refused after {after:?}");
    });
}

/// A listener with a client that believes to be connected, and that it never hears of again.
fn with_half_open_client(link: &Link, variant: Variant) -> (Listener, SocketAddr) {
    link.server.enter();
    let listener = listen(variant, SocketAddr::new(SERVER_V4, 0));
    let address = listener.local_address().as_socket_addr().unwrap();
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            link.client.enter();
            let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            client.bind(&"10.77.0.2:0".parse::<SocketAddr>().unwrap().into()).unwrap();
            link.mute(client.local_addr().unwrap().as_socket().unwrap().port());
            client.connect(&address.into()).unwrap();
        });
        client.join().unwrap();
    });
    (listener, address)
}

/// Tries to connect, and tells what became of it and after how long.
fn late_client(link: &Link, address: SocketAddr) -> thread::JoinHandle<(io::ErrorKind, Duration)> {
    let client = link.client.clone();
    thread::spawn(move || {
        client.enter();
        let begun = Instant::now();
        (TcpStream::connect_timeout(&address, FOREVER).unwrap_err().kind(), begun.elapsed())
    })
}

#[test]
fn who_is_accepted_under_the_filter_inherits_it_and_is_served_all_the_same() {
    over_a_link("who_is_accepted_under_the_filter_inherits_it_and_is_served_all_the_same", |link| {
        let mut inherited = 0;
        let local = SocketAddr::new(SERVER_V4, 0);
        for _ in 0..3 {
            let tally = round(link, Variant::Filtered, local, SERVER_V4, &mut |listener, serve| {
                let report = give_up(CapabilitySet::NET_RAW, || {
                    listener.close(CloseOptions::default().limit(FOREVER)).block(|connection| {
                        // An error if there is none. Everybody else's stays on, in the tests above.
                        inherited += usize::from(SockRef::from(&connection).detach_filter().is_ok());
                        serve(connection);
                    })
                });
                Some(report)
            });
            assert_eq!(tally.lost, 0, "{tally:?}");
        }
        assert!(inherited > 0);
    });
}

/// Closes again and again by one variant, and adds up.
fn lane(link: &Link, local: SocketAddr, server: IpAddr, variant: Variant, closes: usize) -> Tally {
    let mut total = Tally::default();
    for _ in 0..closes {
        total +=
            round(link, variant, local, server, &mut |listener, serve| close(link, variant, listener, serve));
    }
    total
}

type Serve<'a> = &'a mut dyn FnMut(Connection);

/// Clients connect, are greeted and connect again, until the server closes and they are refused.
fn round(
    link: &Link,
    variant: Variant,
    local: SocketAddr,
    server: IpAddr,
    close: &mut (dyn FnMut(Listener, Serve<'_>) -> Option<CloseReport> + Send),
) -> Tally {
    let greeted = AtomicUsize::new(0);
    thread::scope(|scope| {
        let listener = on_server(link, || listen(variant, local));
        let target = SocketAddr::new(server, listener.local_address().port().unwrap());
        let greeted = &greeted;
        let serving = scope.spawn(move || {
            link.server.enter();
            let mut serve = |connection: Connection| {
                let Connection::Tcp { mut stream, .. } = connection else { panic!("not TCP") };
                stream.write_all(GREETING).unwrap();
                greeted.fetch_add(1, Ordering::SeqCst);
            };
            while greeted.load(Ordering::SeqCst) < 3 * CLIENTS {
                match listener.accept() {
                    Accept::Connection(connection) => serve(connection),
                    Accept::Nothing => wait_for_clients(&listener),
                    other => panic!("{other:?}"),
                }
            }
            close(listener, &mut serve)
        });
        let clients: Vec<_> =
            (0..CLIENTS).map(|number| scope.spawn(move || visit(link, target, number))).collect();
        let mut total = Tally::default();
        for client in clients {
            total += client.join().unwrap();
        }
        if let Some(report) = serving.join().unwrap() {
            total.waited_for = report.handshakes;
            total.slowest_close = report.duration;
        }
        total
    })
}

fn close(link: &Link, variant: Variant, listener: Listener, serve: Serve<'_>) -> Option<CloseReport> {
    let until_empty = |listener: &Listener, serve: Serve<'_>| {
        while let Accept::Connection(connection) = listener.accept() {
            serve(connection);
        }
    };
    match variant {
        Variant::AtOnce => {}
        Variant::UntilEmpty => until_empty(&listener, serve),
        Variant::FilterOnly => {
            SockRef::from(&listener).attach_filter(&no_bare_syn()).unwrap();
            until_empty(&listener, serve);
        }
        ours => {
            let lost = match ours {
                Variant::Filtered => CapabilitySet::NET_RAW,
                Variant::WithCookies => CapabilitySet::empty(),
                _ => CapabilitySet::all(),
            };
            if ours == Variant::FromElsewhere {
                link.client.enter();
            }
            // Longer than the defaults, so that a busy machine makes a close slow rather than lossy.
            let options = CloseOptions::default().limit(FOREVER).handshake_grace(Duration::from_secs(2));
            let grace = options.handshake_grace;
            let report = give_up(lost, || listener.close(options).block(serve));
            let newcomers = match ours {
                Variant::Filtered | Variant::WithCookies => Newcomers::Unanswered,
                _ => Newcomers::Refused,
            };
            let method = match ours {
                Variant::FromElsewhere | Variant::WithCookies => Method::Waited,
                _ => Method::Looked,
            };
            assert_eq!(
                (report.method, report.newcomers, &report.ownership),
                (method, newcomers, &Ownership::Sole)
            );
            assert!(!report.limit_hit && report.failure.is_none(), "{report:?}");
            if method == Method::Waited {
                assert!(report.duration >= grace, "{report:?}");
            }
            return Some(report);
        }
    }
    drop(listener);
    None
}

fn visit(link: &Link, server: SocketAddr, number: usize) -> Tally {
    link.client.enter();
    // Spread over one turn of 80 ms, so that at any moment some handshakes are under way in either direction.
    thread::sleep(Duration::from_millis(number as u64 * 5));
    let mut tally = Tally::default();
    loop {
        let begun = Instant::now();
        let Ok(mut stream) = TcpStream::connect_timeout(&server, FOREVER) else {
            tally.refused += 1;
            tally.slowest_refusal = begun.elapsed();
            return tally;
        };
        stream.set_read_timeout(Some(FOREVER)).unwrap();
        let mut heard = Vec::new();
        if stream.read_to_end(&mut heard).is_ok() && heard == GREETING {
            tally.answered += 1;
        } else {
            tally.lost += 1;
            return tally;
        }
    }
}

fn listen(variant: Variant, local: SocketAddr) -> Listener {
    if variant != Variant::Filtered {
        return Listener::bind(&Address::from(local)).unwrap();
    }
    let socket = Socket::new(Domain::for_address(local), Type::STREAM, None).unwrap();
    socket.bind_device(Some(b"wire")).unwrap();
    socket.bind(&local.into()).unwrap();
    socket.listen(1024).unwrap();
    Listener::adopt_sole(socket).unwrap()
}

/// Runs `body` in this thread without these privileges.
fn give_up<T>(privileges: CapabilitySet, body: impl FnOnce() -> T) -> T {
    let before = capabilities(None).unwrap();
    let mut without = before;
    without.effective.remove(privileges);
    set_capabilities(None, without).unwrap();
    let result = body();
    set_capabilities(None, before).unwrap();
    result
}

fn on_server<T: Send>(link: &Link, make: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let maker = scope.spawn(|| {
            link.server.enter();
            make()
        });
        maker.join().unwrap()
    })
}

fn wait_for_clients(listener: &Listener) {
    let timeout = Timespec { tv_sec: 1, tv_nsec: 0 };
    poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&timeout)).unwrap();
}

/// ldb [13]; and #0x12; jeq #0x02, 0, 1; ret #0; ret #-1
fn no_bare_syn() -> [SockFilter; 5] {
    [(0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, u32::MAX)]
        .map(|(code, jt, jf, k)| SockFilter::new(code, jt, jf, k))
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.lost += other.lost;
        self.waited_for += other.waited_for;
        self.slowest_close = self.slowest_close.max(other.slowest_close);
        self.slowest_refusal = self.slowest_refusal.max(other.slowest_refusal);
    }
}
