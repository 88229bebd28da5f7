//! The machine as tables, polled by hand.

use super::*;
use crate::http2::frames::{CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM};
use proptest::prelude::*;
use std::time::Duration;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const WHOLE: u8 = END_HEADERS | END_STREAM;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A connection and the time at which it was made; times are told in milliseconds since then.
struct Bench {
    connection: Connection,
    made: Instant,
}

impl Bench {
    /// The preface has come.
    fn new() -> Self {
        let made = Instant::now();
        let mut bench = Self { connection: Connection::new(Limits::default(), made), made };
        bench.on(0, Input::Bytes(PREFACE));
        bench
    }

    fn on(&mut self, at: u64, input: Input<'_>) -> Option<Effect> {
        self.connection.on(self.made + Duration::from_millis(at), input)
    }

    fn wakes_at(&self) -> Option<u64> {
        self.connection.wake_at().map(|at| (at - self.made).as_millis() as u64)
    }

    /// A request without a body comes.
    fn ask(&mut self, at: u64, stream: u32) -> Option<Effect> {
        self.on(at, Input::Bytes(&frame(HEADERS, WHOLE, stream, b"head")))
    }

    /// Its response goes.
    fn answer(&mut self, at: u64, stream: u32) -> Option<Effect> {
        assert_eq!(self.on(at, Input::Written(&frame(HEADERS, END_HEADERS, stream, b"head"))), None);
        self.on(at, Input::Written(&frame(DATA, END_STREAM, stream, b"hello")))
    }

    fn used() -> Self {
        let mut bench = Self::new();
        bench.ask(1, 1);
        bench.answer(1, 1);
        bench
    }
}

#[test]
fn d2_the_stop_request_is_told_at_once_and_once() {
    let mut bench = Bench::used();
    assert_eq!(bench.on(5, Input::Stopping), Some(Effect::GoAway));
    assert_eq!(bench.on(6, Input::Draining), None);
    assert_eq!(bench.ask(7, 3), None, "what comes until the last GOAWAY is served");
    assert_eq!(bench.connection.open_streams(), 1);
}

#[test]
fn d2_a_connection_that_was_not_used_is_told_with_its_first_stream_or_at_the_drain() {
    let mut asked = Bench::new();
    assert_eq!(asked.on(5, Input::Stopping), None);
    assert_eq!(asked.on(6, Input::Bytes(&frame(4, 0, 0, b""))), None, "its SETTINGS");
    assert_eq!(asked.ask(7, 1), Some(Effect::GoAway));

    let mut silent = Bench::new();
    silent.on(5, Input::Stopping);
    assert_eq!(silent.on(6, Input::Draining), Some(Effect::GoAway));
}

#[test]
fn the_owner_may_want_it_gone_in_service() {
    let mut bench = Bench::used();
    assert_eq!(bench.on(5, Input::Leave), Some(Effect::GoAway));
    assert_eq!(bench.on(6, Input::Stopping), None);
}

#[test]
fn d2_a_stream_behind_the_last_goaway_is_not_waited_for() {
    let mut bench = Bench::used();
    bench.ask(2, 3);
    bench.on(3, Input::Draining);
    bench.ask(4, 5);
    assert_eq!(bench.connection.open_streams(), 2);
    bench.on(5, Input::Written(&frame(GOAWAY, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 0])));
    assert_eq!(bench.connection.open_streams(), 1, "the fifth crossed it");
    bench.ask(6, 7);
    assert_eq!(bench.connection.open_streams(), 1, "and the seventh came later");
}

#[test]
fn a_stream_is_open_until_its_end_is_written_or_reset() {
    for (ends, written) in [
        (frame(DATA, END_STREAM, 1, b"hello"), true),
        (frame(HEADERS, WHOLE, 1, b"trailers"), true),
        (frame(RST_STREAM, 0, 1, &[0; 4]), true),
        (frame(RST_STREAM, 0, 1, &[0; 4]), false),
    ] {
        let mut bench = Bench::new();
        bench.ask(1, 1);
        let tell = |bytes| if written { Input::Written(bytes) } else { Input::Bytes(bytes) };
        bench.on(2, tell(&ends[..ends.len() - 1]));
        assert_eq!(bench.connection.open_streams(), 1, "a byte is missing: {ends:?}");
        assert_eq!(bench.wakes_at(), if written { None } else { Some(30_002) });
        bench.on(3, tell(&ends[ends.len() - 1..]));
        assert_eq!(bench.connection.open_streams(), 0, "{ends:?}");
        assert_eq!(bench.wakes_at(), Some(75_003));
    }
}

#[test]
fn trailers_and_even_numbers_begin_no_stream() {
    let mut bench = Bench::new();
    bench.on(1, Input::Bytes(&frame(HEADERS, END_HEADERS, 5, b"head")));
    for stream in [5, 3, 8] {
        bench.ask(2, stream);
    }
    assert_eq!(bench.connection.open_streams(), 1);
}

#[test]
fn d9_a_head_has_its_time_however_many_pieces_it_comes_in() {
    let mut bench = Bench::new();
    bench.ask(1, 1);
    bench.on(10, Input::Bytes(&frame(HEADERS, END_STREAM, 3, b"he")));
    for at in [10_000, 20_000] {
        bench.on(at, Input::Bytes(&frame(CONTINUATION, 0, 3, b"a")));
        assert_eq!(bench.wakes_at(), Some(30_010), "though another stream is open");
    }
    assert_eq!(bench.on(30_010, Input::Tick), Some(Effect::LastLook));
    assert_eq!(bench.on(30_010, Input::Bytes(&frame(CONTINUATION, END_HEADERS, 3, b"d"))), None);
    assert_eq!(bench.wakes_at(), None, "it is whole");

    let headers = frame(HEADERS, WHOLE, 5, b"head");
    bench.on(40_000, Input::Bytes(&headers[..2]));
    bench.on(40_001, Input::Bytes(&headers[2..11]));
    assert_eq!(bench.wakes_at(), Some(70_000));
    assert_eq!(bench.on(70_000, Input::Tick), Some(Effect::LastLook));
    assert_eq!(bench.on(70_000, Input::NothingThere), Some(Effect::EndInput));
}

#[test]
fn d9_a_further_frame_that_is_begun_has_time_of_its_own() {
    let mut bench = Bench::new();
    let ping = frame(PING, 0, 0, &[0; 8]);
    bench.on(1000, Input::Bytes(&ping[..5]));
    bench.on(9000, Input::Bytes(&[&ping[5..], &ping[..5]].concat()));
    assert_eq!(bench.wakes_at(), Some(39_000));
    bench.on(9500, Input::Bytes(&ping[5..]));
    assert_eq!(bench.wakes_at(), Some(84_500));
}

#[test]
fn d9_a_body_that_trickles_is_no_head() {
    let mut bench = Bench::new();
    bench.on(1, Input::Bytes(&frame(HEADERS, END_HEADERS, 1, b"head")));
    bench.on(2, Input::Bytes(&frame(DATA, 0, 1, b"some")[..11]));
    assert_eq!(bench.wakes_at(), None);
}

#[test]
fn in_service_silence_is_told_and_then_ended() {
    let mut bench = Bench::used();
    assert_eq!(bench.wakes_at(), Some(75_001));
    assert_eq!(bench.on(75_001, Input::Tick), Some(Effect::GoAway));
    assert_eq!(bench.wakes_at(), Some(77_001));
    bench.on(77_001, Input::Tick);
    assert_eq!(bench.on(77_001, Input::NothingThere), Some(Effect::EndInput));
    assert_eq!(
        bench.on(77_002, Input::Finished),
        Some(Effect::Close),
        "who never answered is not waited for"
    );
}

#[test]
fn d5_a_ping_that_is_not_answered_has_the_time_of_a_linger() {
    let mut bench = Bench::used();
    bench.on(100, Input::Stopping);
    assert_eq!(bench.wakes_at(), Some(2100));
    bench.ask(1000, 3);
    assert_eq!(bench.wakes_at(), None, "a stream is open");
    bench.answer(3000, 3);
    assert_eq!(bench.wakes_at(), Some(5000));
    assert_eq!(bench.on(5000, Input::Tick), Some(Effect::LastLook));
    assert_eq!(bench.ask(5000, 5), None, "here is one more");
    bench.answer(5000, 5);
    assert_eq!(bench.wakes_at(), Some(7000));
}

#[test]
fn an_answer_to_a_ping_is_no_activity() {
    let mut bench = Bench::used();
    bench.on(50_000, Input::Bytes(&frame(PING, 1, 0, &[0; 8])));
    assert_eq!(bench.wakes_at(), Some(75_001));
    bench.on(60_000, Input::Bytes(&frame(PING, 0, 0, &[0; 8])));
    assert_eq!(bench.wakes_at(), Some(135_000), "a PING of the peer's own is");
}

#[test]
fn d7_what_was_written_last_has_its_time_to_arrive() {
    let mut idle = Bench::used();
    idle.on(10, Input::Draining);
    assert_eq!(idle.on(20, Input::Finished), Some(Effect::Linger));
    assert_eq!(idle.wakes_at(), Some(270), "it answered the PING: what was before that has arrived");
    assert_eq!(idle.on(270, Input::Tick), Some(Effect::Close));

    let mut owing = Bench::used();
    owing.ask(5, 3);
    owing.on(10, Input::Draining);
    owing.answer(15, 3);
    assert_eq!(owing.on(20, Input::Finished), Some(Effect::Linger));
    assert_eq!(owing.wakes_at(), Some(2020));
    assert_eq!(owing.on(30, Input::Bytes(&[0; 40_000])), None);
    assert_eq!(owing.on(31, Input::Bytes(&[0; 40_000])), Some(Effect::Close), "64 KiB are enough");

    let mut broken = Bench::new();
    assert_eq!(broken.on(20, Input::Finished), Some(Effect::Linger), "a GOAWAY that says why");
    assert_eq!(broken.wakes_at(), Some(2020));
    assert_eq!(broken.on(30, Input::Eof), Some(Effect::Close));

    let mut gone = Bench::used();
    gone.on(10, Input::Eof);
    assert_eq!(gone.on(20, Input::Finished), Some(Effect::Close));
}

#[test]
fn d8_the_deadline_cuts_streams_and_then_ends() {
    let mut bench = Bench::used();
    bench.ask(2, 3);
    bench.on(10, Input::Draining);
    assert_eq!(bench.on(100, Input::Cut), Some(Effect::CutStreams));
    assert_eq!(bench.on(100, Input::Cut), None, "once");
    assert_eq!(bench.answer(101, 3), Some(Effect::EndInput), "a PING's answer is not waited for");
    assert_eq!(bench.on(101, Input::Finished), Some(Effect::Linger), "the 503 must arrive, too");
    assert_eq!(bench.wakes_at(), Some(2100));
    assert_eq!(bench.on(2100, Input::Tick), Some(Effect::Close));

    let mut idle = Bench::used();
    idle.on(10, Input::Draining);
    assert_eq!(idle.on(100, Input::Cut), Some(Effect::Close));
}

#[test]
fn d7_the_deadline_eats_no_response_that_was_whole_before_it() {
    let mut unread = Bench::used();
    unread.ask(2, 3);
    unread.on(10, Input::Draining);
    unread.answer(90, 3);
    // It may lie in the kernel; the PING behind it is not answered.
    assert_eq!(unread.on(100, Input::Cut), Some(Effect::EndInput));
    assert_eq!(unread.on(101, Input::Finished), Some(Effect::Linger));
    assert_eq!(unread.wakes_at(), Some(2100));
    assert_eq!(unread.on(2100, Input::Tick), Some(Effect::Close));

    let mut lingering = Bench::used();
    lingering.ask(2, 3);
    lingering.on(10, Input::Draining);
    lingering.answer(80, 3);
    assert_eq!(lingering.on(90, Input::Finished), Some(Effect::Linger));
    assert_eq!(lingering.on(100, Input::Cut), None);
    assert_eq!(lingering.wakes_at(), Some(2090), "no longer than without the deadline");
    assert_eq!(lingering.on(200, Input::Eof), Some(Effect::Close));
}

#[test]
fn d8_a_peer_that_does_not_read_is_not_waited_for() {
    let mut bench = Bench::new();
    bench.ask(2, 1);
    bench.on(10, Input::Draining);
    bench.on(100, Input::Cut);
    assert_eq!(bench.wakes_at(), Some(2100));
    assert_eq!(bench.on(2100, Input::Tick), Some(Effect::Abort));

    let mut silent = Bench::used();
    silent.on(10, Input::Draining);
    silent.on(2010, Input::Tick);
    assert_eq!(silent.on(2010, Input::NothingThere), Some(Effect::EndInput));
    assert_eq!(silent.wakes_at(), Some(4010), "the HTTP layer cannot flush");
    assert_eq!(silent.on(4010, Input::Tick), Some(Effect::Abort));
}

#[derive(Clone, Debug)]
enum Told {
    Read(Vec<u8>),
    Wrote(Vec<u8>),
    Plain(Input<'static>),
}

impl Told {
    fn input(&self) -> Input<'_> {
        match self {
            Self::Read(bytes) => Input::Bytes(bytes),
            Self::Wrote(bytes) => Input::Written(bytes),
            Self::Plain(input) => *input,
        }
    }
}

fn any_frames() -> impl Strategy<Value = Vec<u8>> {
    let any_frame = (0_u8..10, any::<u8>(), 0_u32..12, prop::collection::vec(any::<u8>(), 0..20))
        .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload));
    (any_frame, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(mut frame, torn, whole)| {
        if !whole {
            frame.truncate(torn.index(frame.len()));
        }
        frame
    })
}

fn any_told() -> impl Strategy<Value = Told> {
    prop_oneof![
        3 => any_frames().prop_map(Told::Read),
        3 => any_frames().prop_map(Told::Wrote),
        1 => prop::sample::select(vec![
            Input::Eof, Input::Leave, Input::Stopping, Input::Draining, Input::Cut, Input::Tick,
            Input::NothingThere, Input::Finished,
        ]).prop_map(Told::Plain),
    ]
}

proptest! {
    /// Whatever happens in whatever order: one end at most and nothing after it, GOAWAY once, and a tick leaves no time
    /// behind.
    #[test]
    fn any_order_is_borne(told in prop::collection::vec((any_told(), 0_u64..40_000), 1..60)) {
        let mut bench = Bench::new();
        let (mut at, mut ended, mut left) = (0, false, false);
        for (told, later) in told {
            at += later;
            let effect = bench.on(at, told.input());
            prop_assert!(!ended || effect.is_none(), "{effect:?} behind the end");
            prop_assert!(!left || effect != Some(Effect::GoAway), "told twice");
            ended |= matches!(effect, Some(Effect::Close | Effect::Abort));
            left |= effect == Some(Effect::GoAway);
            if told.input() == Input::Tick || ended {
                prop_assert!(bench.wakes_at().is_none_or(|wake| !ended && wake > at));
            }
        }
    }

    /// After the deadline the end is a matter of time alone: nobody can hold the stop.
    #[test]
    fn d8_after_the_deadline_ticks_bring_the_end(
        before in prop::collection::vec((any_told(), 0_u64..40_000), 0..30),
        after in prop::collection::vec(any_told(), 0..10),
    ) {
        let (mut bench, mut at) = (Bench::new(), 0);
        for (told, later) in before.into_iter().filter(|(told, _)| told.input() != Input::Cut) {
            at += later;
            bench.on(at, told.input());
        }
        bench.on(at, Input::Cut);
        for told in after {
            bench.on(at, told.input());
        }
        if let Some(wake) = bench.wakes_at() {
            prop_assert!(wake <= at + 2000, "{wake} for a cut at {at}");
            bench.on(wake, Input::Tick);
        }
        prop_assert_eq!(bench.connection.course, Course::Closed);
    }

    /// In the drain, with every stream answered and the peer silent, an owner that does what it is told gets to the end,
    /// in the time that the limits give.
    #[test]
    fn d5_in_the_drain_silence_brings_the_end(
        before in prop::collection::vec((any_told(), 0_u64..40_000), 0..30),
    ) {
        let (mut bench, mut at) = (Bench::new(), 0);
        for (told, later) in before.into_iter().filter(|(told, _)| told.input() != Input::Cut) {
            at += later;
            bench.on(at, told.input());
        }
        let begun = at;
        bench.on(at, Input::Draining);
        // Whatever is torn is made whole, and all that is open is reset.
        bench.connection.wire = Wire::new();
        let mut wakes = 0;
        while bench.connection.course != Course::Closed {
            let wake = bench.wakes_at();
            prop_assert!(wake.is_some() || bench.connection.course == Course::Looking);
            at = at.max(wake.unwrap_or(at));
            match bench.on(at, Input::Tick) {
                Some(Effect::LastLook) => _ = bench.on(at, Input::NothingThere),
                _ if bench.connection.course == Course::Looking => _ = bench.on(at, Input::NothingThere),
                _ => {}
            }
            wakes += 1;
            prop_assert!(wakes < 10, "it turns in a circle");
        }
        prop_assert!(at <= begun + 30_000 + 4000, "{at} after {begun}");
    }
}
