//! The machine as tables, polled by hand.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A connection and the time of its acceptance; times are told in milliseconds since then.
struct Bench {
    connection: Connection,
    accepted: Instant,
}

impl Bench {
    fn new() -> Self {
        let accepted = Instant::now();
        Self { connection: Connection::new(Limits::default(), accepted), accepted }
    }

    fn on(&mut self, at: u64, input: Input<'_>) -> Option<Effect> {
        self.connection.on(self.accepted + ms(at), input)
    }

    fn wakes_at(&self) -> Option<u64> {
        self.connection.wake_at().map(|at| (at - self.accepted).as_millis() as u64)
    }

    /// A request comes and is answered, without a stop.
    fn exchange(&mut self, at: u64) {
        assert_eq!(self.on(at, Input::Bytes(GET)), None);
        assert_eq!(self.on(at, Input::HeadDone(Framing::None)), None);
        assert_eq!(self.on(at, Input::ResponseHead { stopping: false }), None);
        assert_eq!(self.on(at, Input::ResponseDone), None);
    }
}

#[test]
fn d2_a_head_not_yet_written_says_close_from_the_stop_request_on() {
    let mut bench = Bench::new();
    bench.exchange(1);
    bench.on(2, Input::Bytes(GET));
    bench.on(2, Input::HeadDone(Framing::None));
    assert_eq!(bench.on(3, Input::ResponseHead { stopping: true }), Some(Effect::SayClose));
}

#[test]
fn d2_draining_alone_is_enough_to_say_close() {
    let mut bench = Bench::new();
    bench.on(1, Input::Draining);
    bench.on(2, Input::Bytes(GET));
    bench.on(2, Input::HeadDone(Framing::None));
    assert_eq!(bench.on(3, Input::ResponseHead { stopping: false }), Some(Effect::SayClose));
}

#[test]
fn d4_a_request_in_the_grace_is_answered() {
    let mut bench = Bench::new();
    bench.exchange(1);
    bench.on(100, Input::Draining);
    assert_eq!(bench.on(349, Input::Bytes(&GET[..3])), None);
    assert_eq!(bench.on(350, Input::Tick), None, "a head has begun: the grace is over, the request is not");
    assert_eq!(bench.on(360, Input::Bytes(&GET[3..])), None);
    assert_eq!(bench.on(360, Input::HeadDone(Framing::None)), None);
    assert_eq!(bench.on(400, Input::ResponseHead { stopping: true }), Some(Effect::SayClose));
    assert_eq!(bench.on(400, Input::ResponseDone), None);
    assert_eq!(bench.on(400, Input::Finished), Some(Effect::Linger));
    assert_eq!(bench.on(401, Input::Eof), Some(Effect::Close));
}

#[test]
fn d5_the_grace_counts_from_the_latest_of_drain_acceptance_and_last_byte() {
    let drain_last = (Some(10), 1000, 1250);
    let byte_last = (Some(1100), 1000, 1350);
    let never_used = (None, 1000, 1250);
    for (exchange, drain, expected) in [drain_last, byte_last, never_used] {
        let mut bench = Bench::new();
        if let Some(at) = exchange.filter(|at| *at < drain) {
            bench.exchange(at);
        }
        bench.on(drain, Input::Draining);
        if let Some(at) = exchange.filter(|at| *at > drain) {
            bench.on(at, Input::Bytes(GET));
            bench.on(at, Input::HeadDone(Framing::None));
            bench.on(at, Input::ResponseHead { stopping: true });
            bench.on(at, Input::ResponseDone);
        }
        assert_eq!(bench.wakes_at(), Some(expected));
        assert_eq!(bench.on(expected - 1, Input::Tick), None, "too soon");
        assert_eq!(bench.on(expected, Input::Tick), Some(Effect::LastLook));
    }
    let mut accepted_later = Bench::new();
    accepted_later.on(0, Input::Draining);
    assert_eq!(accepted_later.wakes_at(), Some(250), "accepted from the queue: its own acceptance counts");
}

#[test]
fn d5_what_the_last_look_finds_is_served() {
    let mut bench = Bench::new();
    bench.on(0, Input::Draining);
    assert_eq!(bench.on(250, Input::Tick), Some(Effect::LastLook));
    assert_eq!(bench.on(250, Input::Bytes(GET)), None);
    assert_eq!(bench.on(250, Input::NothingThere), None, "an answer that comes too late counts for nothing");
    assert_eq!(bench.on(250, Input::HeadDone(Framing::None)), None);
    assert!(bench.connection.is_busy());
}

#[test]
fn d5_a_look_that_finds_the_peers_end_ends_the_input() {
    let mut bench = Bench::new();
    bench.on(0, Input::Draining);
    assert_eq!(bench.on(250, Input::Tick), Some(Effect::LastLook));
    assert_eq!(bench.on(250, Input::Eof), Some(Effect::EndInput));
    assert_eq!(bench.on(250, Input::Finished), Some(Effect::Close));
}

#[test]
fn d5_a_silent_connection_closes_without_a_linger() {
    let mut bench = Bench::new();
    bench.exchange(5);
    bench.on(10, Input::Draining);
    assert_eq!(bench.on(260, Input::Tick), Some(Effect::LastLook));
    assert_eq!(bench.on(260, Input::NothingThere), Some(Effect::EndInput));
    assert_eq!(bench.on(260, Input::Finished), Some(Effect::Close));
    assert_eq!(bench.on(261, Input::Finished), None, "closed once");
}

#[test]
fn d5_a_head_begun_keeps_its_own_timeout_in_the_drain() {
    let mut bench = Bench::new();
    bench.on(0, Input::Draining);
    bench.on(100, Input::Bytes(b"GET /"));
    assert_eq!(bench.wakes_at(), Some(30_100));
    bench.on(20_000, Input::Bytes(b"slow"));
    assert_eq!(bench.wakes_at(), Some(30_100), "a trickle does not renew it");
    assert_eq!(bench.on(30_100, Input::Tick), Some(Effect::LastLook), "the rest may wait in the queue");
    assert_eq!(bench.on(30_100, Input::NothingThere), Some(Effect::EndInput));
}

#[test]
fn d5_a_body_that_arrives_behind_its_response_is_waited_for() {
    let post = b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n";
    for (rest, next) in [(&b"6789"[..], Some(4250)), (b"6789GET /", Some(34_000))] {
        let mut bench = Bench::new();
        bench.on(1, Input::Bytes(&[&post[..], b"12345"].concat()));
        bench.on(1, Input::HeadDone(Framing::Length(9)));
        bench.on(2, Input::ResponseHead { stopping: false });
        bench.on(2, Input::ResponseDone);
        bench.on(3, Input::Draining);
        assert_eq!(bench.wakes_at(), Some(75_002), "silent for as long as a kept connection may be");
        assert_eq!(bench.on(4000, Input::Bytes(rest)), None);
        assert_eq!(bench.wakes_at(), next, "the body is whole");
    }
}

#[test]
fn a_request_that_the_http_layer_had_already_outlives_a_look() {
    for looked in [&[][..], &[Input::NothingThere]] {
        let mut bench = Bench::new();
        bench.on(0, Input::Draining);
        bench.on(250, Input::Tick);
        looked.iter().for_each(|input| assert_eq!(bench.on(250, *input), Some(Effect::EndInput)));
        bench.on(250, Input::HeadDone(Framing::None));
        assert_eq!(bench.on(250, Input::NothingThere), None, "a request is there");
        bench.on(251, Input::ResponseHead { stopping: true });
        bench.on(251, Input::ResponseDone);
        assert_eq!(bench.on(251, Input::Finished), Some(Effect::Linger), "its response is owed");
    }
}

#[test]
fn a_limit_past_the_end_of_time_is_none() {
    let limits = Limits { idle: Duration::MAX, ..Limits::default() };
    assert_eq!(Connection::new(limits, Instant::now()).wake_at(), None);
}

#[test]
fn a_response_is_torn_between_its_head_and_its_end() {
    let mut bench = Bench::new();
    bench.on(1, Input::Bytes(GET));
    let mut torn = |input| {
        bench.on(1, input);
        bench.connection.is_torn()
    };
    assert!(!torn(Input::HeadDone(Framing::None)));
    assert!(torn(Input::ResponseHead { stopping: false }));
    assert!(!torn(Input::ResponseDone));
}

#[test]
fn d5_part_of_a_further_request_is_a_head_begun() {
    let mut bench = Bench::new();
    bench.on(1, Input::Bytes(&[GET, b"GET /next"].concat()));
    bench.on(1, Input::HeadDone(Framing::None));
    bench.on(2, Input::ResponseHead { stopping: false });
    bench.on(3, Input::ResponseDone);
    bench.on(4, Input::Draining);
    assert_eq!(bench.wakes_at(), Some(30_003));
}

#[test]
fn in_service_a_silent_connection_is_closed_after_the_idle_limit() {
    let mut bench = Bench::new();
    bench.exchange(1000);
    assert_eq!(bench.wakes_at(), Some(76_000));
    assert_eq!(bench.on(76_000, Input::Tick), Some(Effect::LastLook));
}

#[test]
fn a_request_in_progress_waits_for_no_clock() {
    let mut bench = Bench::new();
    bench.on(1, Input::Bytes(GET));
    bench.on(1, Input::HeadDone(Framing::None));
    bench.on(2, Input::Draining);
    assert_eq!(bench.wakes_at(), None);
}

#[test]
fn d7_the_linger_ends_by_eof_time_or_bytes() {
    type End = (&'static str, u64, Input<'static>, Option<Effect>);
    const SOME: &[u8] = &[0; 40_000];
    let table: [&[End]; 4] = [
        &[("the peer closed", 10, Input::Eof, Some(Effect::Close))],
        &[
            ("too soon", 2001, Input::Tick, None),
            ("after two seconds", 2002, Input::Tick, Some(Effect::Close)),
        ],
        &[
            ("40 of 64 KiB", 5, Input::Bytes(SOME), None),
            ("80 of 64 KiB", 6, Input::Bytes(SOME), Some(Effect::Close)),
        ],
        &[("the drain deadline", 5, Input::Cut, Some(Effect::Close))],
    ];
    for ends in table {
        let mut bench = Bench::new();
        bench.on(1, Input::Bytes(GET));
        bench.on(1, Input::HeadDone(Framing::None));
        bench.on(2, Input::ResponseHead { stopping: true });
        bench.on(2, Input::ResponseDone);
        assert_eq!(bench.on(2, Input::Finished), Some(Effect::Linger));
        for (name, at, input, expected) in ends {
            assert_eq!(bench.on(*at, *input), *expected, "{name}");
        }
    }
}

#[test]
fn d7_a_peer_that_has_closed_is_not_waited_for() {
    let mut bench = Bench::new();
    bench.exchange(1);
    bench.on(2, Input::Eof);
    assert_eq!(bench.on(2, Input::Finished), Some(Effect::Close));
}

#[test]
fn d8_the_deadline_answers_503_or_aborts_or_closes() {
    let mut pending = Bench::new();
    pending.on(1, Input::Bytes(GET));
    pending.on(1, Input::HeadDone(Framing::None));
    assert_eq!(pending.on(2, Input::Cut), Some(Effect::Answer503));
    assert_eq!(pending.on(2, Input::ResponseHead { stopping: false }), Some(Effect::SayClose));
    assert_eq!(pending.on(2, Input::ResponseDone), None);
    assert_eq!(pending.on(2, Input::Finished), Some(Effect::Linger), "the 503 must arrive, too");

    let mut begun = Bench::new();
    begun.on(1, Input::Bytes(GET));
    begun.on(1, Input::HeadDone(Framing::None));
    begun.on(1, Input::ResponseHead { stopping: false });
    assert_eq!(begun.on(2, Input::Cut), Some(Effect::Abort));
    assert_eq!(begun.on(3, Input::Cut), None, "cut once");

    let mut silent = Bench::new();
    assert_eq!(silent.on(2, Input::Cut), Some(Effect::Close));
}

#[test]
fn d8_a_peer_that_does_not_take_its_503_is_not_waited_for() {
    let mut bench = Bench::new();
    bench.on(1, Input::Bytes(GET));
    bench.on(1, Input::HeadDone(Framing::None));
    bench.on(10, Input::Cut);
    bench.on(10, Input::ResponseHead { stopping: true });
    assert_eq!(bench.wakes_at(), Some(2010));
    assert_eq!(bench.on(2009, Input::Tick), None);
    assert_eq!(bench.on(2010, Input::Tick), Some(Effect::Abort));
}

#[test]
fn d8_a_request_that_comes_after_the_deadline_gets_503() {
    let mut bench = Bench::new();
    bench.on(1, Input::Bytes(GET));
    bench.on(1, Input::HeadDone(Framing::None));
    bench.on(2, Input::Cut);
    bench.on(3, Input::HeadDone(Framing::None));
    assert_eq!(bench.on(3, Input::HeadDone(Framing::None)), Some(Effect::Answer503));
}

/// A request came and was answered with 101: the connection is the program's.
fn upgraded() -> Bench {
    let mut bench = Bench::new();
    bench.on(1, Input::Bytes(GET));
    bench.on(1, Input::HeadDone(Framing::None));
    assert_eq!(bench.on(2, Input::Upgraded), None);
    assert_eq!(bench.on(3, Input::ResponseDone), None);
    assert!(bench.connection.is_upgraded());
    bench
}

#[test]
fn d6_a_connection_that_the_program_has_is_neither_idle_nor_closed_in_the_drain() {
    let mut bench = upgraded();
    assert_eq!(bench.wakes_at(), None, "silence is the program's matter");
    assert_eq!(bench.on(100, Input::Draining), None);
    assert_eq!(bench.wakes_at(), None);
    assert_eq!(bench.on(900_000, Input::Tick), None);
    assert!(bench.connection.is_busy() && bench.connection.is_torn());
}

#[test]
fn d7_a_program_that_is_done_with_its_connection_has_its_last_bytes_delivered() {
    for stage in [None, Some(Input::Draining)] {
        let mut bench = upgraded();
        if let Some(stage) = stage {
            bench.on(10, stage);
        }
        assert_eq!(bench.on(20, Input::Finished), Some(Effect::Linger));
        assert!(!bench.connection.is_torn());
        assert_eq!(bench.wakes_at(), Some(2020));
        assert_eq!(bench.on(30, Input::Bytes(b"a late message")), None);
        assert_eq!(bench.on(40, Input::Eof), Some(Effect::Close));
    }
}

#[test]
fn d8_a_connection_that_the_program_still_has_at_the_deadline_is_aborted() {
    let mut bench = upgraded();
    bench.on(10, Input::Draining);
    assert_eq!(bench.on(20_000, Input::Cut), Some(Effect::Abort));
    assert_eq!(bench.on(20_001, Input::Finished), None);
}

#[test]
fn d8_at_the_deadline_no_connection_becomes_the_program_s() {
    let mut bench = Bench::new();
    bench.on(1, Input::Bytes(GET));
    bench.on(1, Input::HeadDone(Framing::None));
    assert_eq!(bench.on(2, Input::Cut), Some(Effect::Answer503));
    assert_eq!(bench.on(3, Input::Upgraded), None);
    assert!(!bench.connection.is_upgraded());
    assert_eq!(bench.on(3, Input::ResponseHead { stopping: true }), Some(Effect::SayClose));
}

#[test]
fn only_a_request_can_be_answered_by_an_upgrade() {
    let mut bench = Bench::new();
    bench.on(1, Input::Upgraded);
    assert!(!bench.connection.is_upgraded());
    bench.on(2, Input::HeadDone(Framing::None));
    bench.on(3, Input::ResponseHead { stopping: false });
    bench.on(4, Input::Upgraded);
    assert!(!bench.connection.is_upgraded(), "its answer has begun");
}

fn any_input() -> impl Strategy<Value = Input<'static>> {
    prop_oneof![
        Just(Input::Bytes(GET)),
        Just(Input::Bytes(b"GET")),
        Just(Input::HeadDone(Framing::None)),
        Just(Input::HeadDone(Framing::Length(7))),
        any::<bool>().prop_map(|stopping| Input::ResponseHead { stopping }),
        Just(Input::Upgraded),
        Just(Input::ResponseDone),
        Just(Input::Eof),
        Just(Input::Draining),
        Just(Input::Cut),
        Just(Input::Tick),
        Just(Input::NothingThere),
        Just(Input::Finished),
    ]
}

proptest! {
    /// Whatever happens in whatever order: one end at most, and nothing after it; a wish to wake lies ahead or is
    /// served by a tick; a stop never turns back.
    #[test]
    fn any_order_is_borne(inputs in prop::collection::vec((any_input(), 0_u64..40_000), 1..60)) {
        let mut bench = Bench::new();
        let (mut at, mut ended, mut stopping) = (0, false, false);
        for (input, later) in inputs {
            at += later;
            stopping |= matches!(input, Input::Draining | Input::Cut);
            let effect = bench.on(at, input);
            prop_assert!(!ended || !matches!(effect, Some(Effect::Close | Effect::Abort | Effect::Linger)), "ended twice");
            ended |= matches!(effect, Some(Effect::Close | Effect::Abort));
            if stopping && matches!(input, Input::ResponseHead { .. }) {
                prop_assert_eq!(effect, Some(Effect::SayClose));
            }
            if input == Input::Tick && !ended {
                prop_assert!(bench.wakes_at().is_none_or(|wake| wake > at), "a tick leaves no time behind");
            }
            if ended {
                prop_assert_eq!(bench.wakes_at(), None);
            }
        }
    }

    /// After the drain deadline the end is a matter of time alone, whatever was before and whatever else happens: the
    /// stop cannot hang on an HTTP layer, a program or a peer that does nothing, or the wrong thing.
    #[test]
    fn d8_after_the_deadline_ticks_bring_the_end(
        before in prop::collection::vec((any_input(), 0_u64..40_000), 0..30),
        after in prop::collection::vec(any_input(), 0..10),
    ) {
        let (mut bench, mut at) = (Bench::new(), 0);
        for (input, later) in before {
            at += later;
            bench.on(at, input);
        }
        bench.on(at, Input::Cut);
        for input in after {
            bench.on(at, input);
        }
        let mut ticks = 0;
        while let Some(wake) = bench.wakes_at() {
            prop_assert!(wake <= at + 2000, "{wake} for a cut at {at}");
            bench.on(wake, Input::Tick);
            ticks += 1;
            prop_assert!(ticks <= 2);
        }
        prop_assert_eq!(bench.connection.course, Course::Closed);
    }

    /// In the drain, with the program done and the peer silent, an HTTP layer that does what it is told to gets to the
    /// end, in the time that the limits give.
    #[test]
    fn d5_in_the_drain_silence_brings_the_end(
        before in prop::collection::vec((any_input(), 0_u64..40_000), 0..30),
    ) {
        let (mut bench, mut at) = (Bench::new(), 0);
        let mut finished = false;
        for (input, later) in before.into_iter().filter(|(input, _)| *input != Input::Cut) {
            at += later;
            let effect = bench.on(at, input);
            // What it is told to do at once, it does.
            finished |= input == Input::Finished || effect == Some(Effect::EndInput);
            if effect == Some(Effect::LastLook) {
                finished |= bench.on(at, Input::NothingThere) == Some(Effect::EndInput);
            }
        }
        let begun = at;
        bench.on(at, Input::Draining);
        if bench.connection.is_busy() {
            bench.on(at, Input::ResponseHead { stopping: true });
            bench.on(at, Input::ResponseDone);
            finished = true; // It said close.
        }
        // A peer's FIN ends what owes nothing.
        finished |= bench.connection.reading == Reading::Ended;
        let (mut next, mut wakes) = (finished.then_some(Input::Finished), 0);
        loop {
            let input = next.take().unwrap_or(Input::Tick);
            next = match bench.on(at, input) {
                Some(Effect::LastLook) => Some(Input::NothingThere),
                Some(Effect::EndInput) => Some(Input::Finished),
                _ => None,
            };
            if next.is_none() {
                let Some(wake) = bench.wakes_at() else { break };
                at = at.max(wake);
                wakes += 1;
                prop_assert!(wakes < 10, "it turns in a circle");
            }
        }
        prop_assert_eq!(bench.connection.course, Course::Closed);
        prop_assert!(at <= begun + 75_000 + 2000, "{at} after {begun}");
    }
}

#[test]
fn a_request_told_as_a_whole_is_as_one_whose_bytes_are_told() {
    const POST: &[u8] = b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nabcde";
    const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let stories: &[&[(u64, Input<'static>)]] = &[
        &[(2, Input::ResponseHead { stopping: false }), (3, Input::ResponseDone), (80_000, Input::Tick)],
        &[
            (2, Input::Draining),
            (3, Input::ResponseHead { stopping: false }),
            (4, Input::ResponseDone),
            (260, Input::Tick),
        ],
        &[
            (2, Input::Cut),
            (3, Input::ResponseHead { stopping: true }),
            (4, Input::ResponseDone),
            (5, Input::Finished),
        ],
        &[(2, Input::ResponseHead { stopping: false }), (3, Input::Cut)],
        &[(2, Input::Eof), (3, Input::ResponseDone), (4, Input::Finished)],
        &[
            (3, Input::ResponseDone),
            (4, Input::Bytes(&GET[..3])),
            (40_000, Input::Tick),
            (40_001, Input::NothingThere),
        ],
    ];
    for (bytes, framing) in [(GET, Framing::None), (POST, Framing::Length(5)), (CHUNKED, Framing::Chunked)] {
        for story in stories {
            let (mut told, mut read) = (Bench::new(), Bench::new());
            // A line end that an earlier body did not count.
            told.on(0, Input::Bytes(b"\r\n"));
            read.on(1, Input::Bytes(bytes));
            assert_eq!(told.on(1, Input::Request(framing)), read.on(1, Input::HeadDone(framing)));
            for (at, input) in *story {
                assert_eq!(told.on(*at, *input), read.on(*at, *input), "{framing:?} {story:?} {input:?}");
                assert_eq!(told.wakes_at(), read.wakes_at(), "{framing:?} {story:?} {input:?}");
            }
        }
    }
}

#[test]
fn d5_empty_lines_are_silence() {
    let mut bench = Bench::new();
    bench.exchange(1);
    bench.on(1000, Input::Draining);
    for at in [1100, 1200] {
        assert_eq!(bench.on(at, Input::Bytes(b"\r\n")), None);
        assert_eq!(bench.wakes_at(), Some(1250));
    }
    assert_eq!(bench.on(1250, Input::Tick), Some(Effect::LastLook));
    assert_eq!(bench.on(1250, Input::Bytes(b"\r\n")), None, "nor is one that the last look finds a request");
    assert_eq!(bench.on(1250, Input::Tick), Some(Effect::LastLook));
    assert_eq!(bench.on(1250, Input::NothingThere), Some(Effect::EndInput));
}
