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
    Accept, Address, CloseOptions, CloseReport, Connection, Listener, Method, Ownership, Step,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
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
    Ours,
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
        // A close by D3 takes its clients a second, until they are refused; so several are under way at a time.
        let lanes = [
            (Variant::Ours, 4, closes / 4),
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
        if variant == Variant::Ours {
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
    let tally = lane(link, SocketAddr::new(SERVER_V4, 0), SERVER_V4, variant, 4);
    eprintln!("{variant:?}: 4 closes, {tally:?}");
    assert_eq!(tally.lost, 0, "{tally:?}");
}

#[test]
fn a_handshake_that_never_ends_costs_the_limit_and_a_new_client_is_refused() {
    over_a_link("a_handshake_that_never_ends_costs_the_limit_and_a_new_client_is_refused", |link| {
        thread::scope(|scope| {
            let listener = on_server(link, || Listener::bind(&SocketAddr::new(SERVER_V4, 0).into()).unwrap());
            let address = listener.local_address().as_socket_addr().unwrap();
            scope
                .spawn(move || {
                    link.client.enter();
                    let half_open = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                    half_open.bind(&"10.77.0.2:0".parse::<SocketAddr>().unwrap().into()).unwrap();
                    link.mute(half_open.local_addr().unwrap().as_socket().unwrap().port());
                    // It believes to be connected; the server never hears of it.
                    half_open.connect(&address.into()).unwrap();
                })
                .join()
                .unwrap();
            link.server.enter();
            let mut closing = listener.close(CloseOptions::default());
            assert!(matches!(closing.step(Instant::now()), Step::Wait { .. }));
            let late = scope.spawn(move || {
                link.client.enter();
                let begun = Instant::now();
                (TcpStream::connect_timeout(&address, FOREVER).unwrap_err().kind(), begun.elapsed())
            });
            let report = closing.block(|_| panic!("nobody was to be accepted"));
            eprintln!("half open: {report:?}");
            assert_eq!((report.method, report.handshakes, report.limit_hit), (Method::Looked, 1, true));
            assert!(
                (Duration::from_secs(2)..Duration::from_secs(4)).contains(&report.duration),
                "{report:?}"
            );
            let (error, after) = late.join().unwrap();
            assert_eq!(error, io::ErrorKind::ConnectionRefused);
            // Its first SYN went unanswered, so it waited for its second (RFC 6298 §2: one second) at least.
            assert!(after >= Duration::from_millis(900), "refused after {after:?}");
        });
    });
}

#[test]
fn who_is_accepted_under_the_filter_inherits_it_and_is_served_all_the_same() {
    over_a_link("who_is_accepted_under_the_filter_inherits_it_and_is_served_all_the_same", |link| {
        let mut inherited = 0;
        for _ in 0..3 {
            let tally = round(link, SocketAddr::new(SERVER_V4, 0), SERVER_V4, &mut |listener, serve| {
                let report = listener.close(CloseOptions::default()).block(|connection| {
                    // ENOENT if there is none (socket(7)); the greeting after it shows that the other way round,
                    // the connections whose filter stays, are served too, as all of the lanes above are.
                    inherited += usize::from(SockRef::from(&connection).detach_filter().is_ok());
                    serve(connection);
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
        total += round(link, local, server, &mut |listener, serve| close(link, variant, listener, serve));
    }
    total
}

type Serve<'a> = &'a mut dyn FnMut(Connection);

/// Clients connect, are greeted and connect again, until the server closes and they are refused.
fn round(
    link: &Link,
    local: SocketAddr,
    server: IpAddr,
    close: &mut (dyn FnMut(Listener, Serve<'_>) -> Option<CloseReport> + Send),
) -> Tally {
    let greeted = AtomicUsize::new(0);
    thread::scope(|scope| {
        let listener = on_server(link, || Listener::bind(&Address::from(local)).unwrap());
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
        Variant::Ours => {
            let report = listener.close(CloseOptions::default()).block(serve);
            assert_eq!((report.method, &report.ownership), (Method::Looked, &Ownership::Sole), "{report:?}");
            assert!(!report.limit_hit && report.failure.is_none(), "{report:?}");
            return Some(report);
        }
        Variant::FromElsewhere | Variant::WithCookies => {
            if variant == Variant::FromElsewhere {
                link.client.enter();
            }
            let report = listener.close(CloseOptions::default()).block(serve);
            assert_eq!((report.method, report.looks), (Method::Waited, 0), "{report:?}");
            assert!(report.duration >= CloseOptions::default().handshake_grace, "{report:?}");
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
        let Ok(mut stream) = TcpStream::connect_timeout(&server, FOREVER) else {
            tally.refused += 1;
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
    }
}
