//! TLS as the session knows of it: what flows when, and which times hold.

use super::any_order::{Happens, anything, ends, happens, limits};
use super::bench::{Bench, End, echo, silent};
use crate::Limits;
use crate::core::{Core, Stage};
use crate::http::Ask;
use crate::session::Session;
use crate::tls::{Role, StartTlsError, Tls, TlsInfo};
use proptest::prelude::*;

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

fn starts(session: &mut Session) -> Result<(), StartTlsError> {
    session.may_start_tls()?;
    let opening = Tls::new().skip_verification().opening(Role::Client("localhost"), false).unwrap();
    session.start_tls(opening)
}

fn info() -> TlsInfo {
    TlsInfo {
        version: "TLSv1.3",
        cipher_suite: String::new(),
        protocol: None,
        server_name: None,
        peer_certificates: Vec::new(),
    }
}

impl Bench {
    fn starts_tls(&mut self) -> &mut Self {
        self.does(|session, _| starts(session).unwrap())
    }

    fn is_secured(&mut self) -> &mut Self {
        let now = self.time();
        self.does(|session, _| session.secured(now, info()))
    }
}

#[test]
fn before_a_byte_has_gone_or_come_nothing_goes_in_plain() {
    for expects in [false, true] {
        let mut bench = Bench::raw(Limits::default(), silent);
        bench.window = 0;
        bench.does(|session, core| {
            if expects {
                session.expect_tls();
            }
            session.send(core, b"before ").unwrap();
            starts(session).unwrap();
            session.send(core, b"behind").unwrap();
        });
        bench.window = usize::MAX;
        bench.does(|_, _| {});
        assert_eq!((bench.told.as_slice(), bench.wire.as_slice()), (&["secure".to_owned()][..], &b""[..]));
        assert!(bench.session.is_tls() && bench.reads);
        assert_eq!(bench.session.tls_info(), None);
        bench.is_secured();
        assert_eq!(bench.wire, b"before behind");
        assert!(bench.session.tls_info().is_some());
    }
}

#[test]
fn what_is_expected_to_be_tls_waits_for_it() {
    let mut bench = Bench::raw(Limits::default(), silent);
    bench.does(|session, core| {
        session.expect_tls();
        session.send(core, b"secret").unwrap();
    });
    assert!(bench.session.owes_tls() && bench.session.is_tls() && !bench.reads);
    assert_eq!((bench.wire.len(), bench.session.unsent_len()), (0, 6));
    bench.does(|session, _| session.close());
    assert!(!bench.session.owes_tls());
    assert_eq!(bench.end, Some(End::Reset));
}

#[test]
fn behind_bytes_in_plain_what_was_written_goes_first() {
    let mut bench = Bench::raw(Limits::default(), silent);
    bench.arrives("STARTTLS and what follows");
    bench.window = 0;
    bench.does(|session, core| {
        session.consume(8);
        session.send(core, b"go on").unwrap();
        starts(session).unwrap();
        session.send(core, b"secret").unwrap();
    });
    bench.window = 2;
    bench.does(|_, _| {});
    assert_eq!((bench.wire.as_slice(), bench.told.len()), (&b"go"[..], 0), "not before all of it has gone");
    bench.window = usize::MAX;
    bench.does(|_, _| {});
    assert_eq!((bench.wire.as_slice(), bench.told.as_slice()), (&b"go on"[..], &["secure".to_owned()][..]));
    assert_eq!(bench.session.received(100), b"", "it is the handshake's");
    bench.is_secured();
    assert_eq!(bench.wire, b"go onsecret");
    bench.arrives("protected");
    assert_eq!(bench.session.received(100), b"protected");
}

#[test]
fn where_it_may_begin() {
    type Made = fn() -> Bench;
    let untouched: [(&str, Made); 3] = [
        ("http", || Bench::http(echo)),
        ("raw", || Bench::raw(Limits::default(), silent)),
        ("client", || Bench::client(Limits::default(), silent)),
    ];
    for (what, made) in untouched {
        let mut bench = made();
        assert!(starts(&mut bench.session).is_ok(), "{what}");
        assert_eq!(starts(&mut bench.session), Err(StartTlsError::Begun), "{what}");
        bench.does(|_, _| {});
        assert_eq!(starts(&mut bench.session), Err(StartTlsError::Begun), "{what}");
        bench.is_secured();
        assert_eq!(starts(&mut bench.session), Err(StartTlsError::Begun), "{what}");
        bench.does(|session, _| session.close());
        assert!(matches!(starts(&mut bench.session), Err(StartTlsError::Closed(_))), "{what}");
    }
    let mut spoken = Bench::http(echo);
    spoken.arrives("GET");
    assert_eq!(starts(&mut spoken.session), Err(StartTlsError::Spoken));
    // A request that has gone in plain is answered in plain.
    let mut asked = Bench::client(Limits::default(), silent);
    asked.does(|session, core| session.send(core, GET.as_bytes()).unwrap());
    assert_eq!(starts(&mut asked.session), Err(StartTlsError::Spoken));
}

#[test]
fn a_handshake_has_its_time_and_the_other_times_begin_behind_it() {
    for made in [Bench::http as fn(_) -> Bench, |program| Bench::raw(Limits::default(), program)] {
        let mut bench = made(silent);
        bench.at(1000).starts_tls();
        assert_eq!(bench.wakes_at(), Some(11_000));
        let now = bench.instant(9000);
        bench.session.stirs(now);
        assert_eq!(bench.wakes_at(), Some(11_000), "however much is said meanwhile");
        bench.ticks_at(10_999);
        assert_eq!(bench.end, None);
        bench.ticks_at(11_000);
        assert!(bench.told.iter().any(|told| told.contains("was not done in time")), "{:?}", bench.told);
        assert_eq!(bench.end, Some(End::Closed));
    }
    let mut bench = Bench::http(echo);
    bench.at(9000).starts_tls();
    bench.at(15_000).is_secured();
    assert_eq!(bench.wakes_at(), Some(90_000), "75 s of silence");
    bench.arrives(GET);
    assert_eq!(bench.statuses(), [200]);
}

#[test]
fn a_stop_waits_for_a_handshake_that_is_begun_and_not_for_silence() {
    for made in [Bench::http as fn(_) -> Bench, |program| Bench::raw(Limits::default(), program)] {
        let mut silent_one = made(silent);
        silent_one.starts_tls().at(1000).hears_of_drain().enters(Stage::Draining);
        assert_eq!(silent_one.wakes_at(), Some(1250));
        silent_one.ticks_at(1250);
        assert_eq!(silent_one.end, Some(End::Closed));

        let mut bench = made(silent);
        bench.starts_tls().at(1000).hears_of_drain().enters(Stage::Draining);
        let now = bench.instant(1100);
        bench.session.stirs(now);
        assert_eq!(bench.wakes_at(), Some(10_000), "a handshake keeps its own time");
        bench.at(2000).is_secured();
        assert_eq!(bench.wakes_at(), Some(2250), "silence begins behind it");
    }
}

#[test]
fn a_drain_delivers_what_was_written_behind_the_handshake_or_ends_at_once() {
    let mut bench = Bench::raw(Limits::default(), silent);
    bench.starts_tls().does(|session, core| {
        session.send(core, b"goodbye").unwrap();
        session.drain(core);
    });
    assert!(bench.reads && bench.end.is_none() && !bench.lingers);
    bench.is_secured();
    assert_eq!((bench.wire.as_slice(), bench.lingers), (&b"goodbye"[..], true));

    let mut bench = Bench::raw(Limits::default(), silent);
    bench.starts_tls().does(Session::drain);
    assert!(bench.lingers, "nothing is owed");
}

#[test]
fn a_peer_that_does_not_take_what_goes_in_plain_has_the_time_of_a_stall() {
    let mut bench = Bench::raw(Limits::default(), silent);
    bench.arrives("x").window = 0;
    bench.does(|session, core| {
        session.send(core, b"go on").unwrap();
        starts(session).unwrap();
    });
    assert_eq!(bench.wakes_at(), Some(60_000));
    bench.ticks_at(60_000);
    assert_eq!(bench.end, Some(End::Reset));
}

#[test]
fn what_is_encrypted_is_not_changed_any_more() {
    for on_their_way in [false, true] {
        let mut bench = Bench::http(silent);
        bench.arrives(GET).window = 0;
        bench.does(|session, core| session.reply(core, 200, &[], b"hello").unwrap());
        bench.does(|session, core| {
            if on_their_way {
                session.on_their_way();
            }
            session.drain(core);
        });
        bench.window = usize::MAX;
        bench.does(|_, _| {});
        assert_eq!(bench.text().contains("Connection: close"), !on_their_way);
        assert!(bench.text().ends_with("hello"), "{}", bench.text());
    }
}

#[derive(Clone, Debug)]
enum Tlsly {
    Starts,
    Secured,
    Other(Happens),
}

fn anything_on_tls() -> impl Strategy<Value = Vec<Tlsly>> {
    let one = prop_oneof![
        1 => Just(Tlsly::Starts),
        1 => Just(Tlsly::Secured),
        6 => anything().prop_map(Tlsly::Other),
    ];
    prop::collection::vec(one, 0..40)
}

/// As the thread that polls does it: in the handshake there is nothing to be read but its own words.
fn one_life(mut bench: Bench, expects: bool, what: &[Tlsly]) {
    if expects {
        bench.session.expect_tls();
        bench.starts_tls();
    }
    let (mut now, mut shaking) = (0, expects);
    for what in what {
        let before = bench.wire.len();
        let begun = bench.told.iter().any(|told| told == "secure");
        match what {
            Tlsly::Starts => _ = bench.does_if_open(|session, _| _ = starts(session)),
            Tlsly::Secured if shaking && bench.end.is_none() => {
                shaking = false;
                bench.is_secured();
                continue;
            }
            Tlsly::Secured => {}
            Tlsly::Other(Happens::Arrives(_)) if shaking => {
                let now = bench.time();
                bench.session.stirs(now);
            }
            Tlsly::Other(Happens::PeerEnds) if shaking => {}
            Tlsly::Other(Happens::Tick { .. }) if shaking => {
                happens(&mut bench, &mut now, &Happens::Tick { finds: "" });
            }
            Tlsly::Other(other) => happens(&mut bench, &mut now, other),
        }
        shaking |= !begun && bench.told.iter().any(|told| told == "secure");
        assert!(!(begun && shaking) || bench.wire.len() == before, "it goes in plain");
    }
    ends(bench, now);
}

proptest! {
    #[test]
    fn any_order_is_borne_on_tls(what in anything_on_tls()) {
        for expects in [false, true] {
            one_life(Bench::raw(limits(), silent), expects, &what);
            one_life(Bench::with_limits(limits(), silent), expects, &what);
            one_life(Bench::client(limits(), silent), expects, &what);
        }
    }
}

#[test]
fn an_announced_end_makes_a_response_whole_though_a_reset_follows() {
    let ask = |session: &mut Session, core: &Core| {
        let ask = Ask { method: "POST", uri: "/a", headers: &[], body: b"more than goes" };
        session.request(core, ask).unwrap();
    };
    for (secured, told) in [(false, "error POST /a: the connection was reset"), (true, "response 200 whole")]
    {
        let mut bench = Bench::client(Limits::default(), silent);
        if secured {
            bench.starts_tls().is_secured();
        }
        bench.window = 0;
        bench.does(ask).arrives("HTTP/1.1 200 OK\r\n\r\nwhole").breaks(true).peer_ends();
        assert!(bench.told.iter().any(|line| line.starts_with(told)), "{:?}", bench.told);
        assert_eq!(
            bench.told.iter().filter(|line| line.starts_with("response")).count(),
            usize::from(secured)
        );
    }
}
