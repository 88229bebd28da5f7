use std::time::{Duration, Instant};

use super::{Action, Plan, Procedure};
use crate::close::{options::CloseOptions, report::Method};

/// What the kernel would answer to the action of that moment.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Seen(usize),
    Blind,
    Client,
    Nobody,
    NoDescriptors,
}
use Answer::{Blind, Client, NoDescriptors, Nobody, Seen};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Plays answers, each at its millisecond, and fails if one does not fit the action asked for.
fn play(plan: Plan, script: &[(u64, Answer)]) -> (Procedure, Instant) {
    let start = Instant::now();
    let mut procedure = Procedure::new(plan, start, &CloseOptions::default());
    for &(at, answer) in script {
        let now = start + ms(at);
        match (procedure.next(now), answer) {
            (Action::Look, Seen(count)) => procedure.looked(count),
            (Action::Look, Blind) => procedure.blind(),
            (Action::Accept, Client) => procedure.accepted(),
            (Action::Accept, Nobody) => procedure.emptied(now),
            (Action::Accept, NoDescriptors) => procedure.exhausted(now),
            (action, answer) => panic!("at {at} ms it wanted {action:?}, not {answer:?}"),
        }
    }
    (procedure, start)
}

fn closes_at(plan: Plan, script: &[(u64, Answer)]) -> Procedure {
    let (mut procedure, start) = play(plan, script);
    let last = script.last().map_or(0, |(at, _)| *at);
    assert_eq!(procedure.next(start + ms(last)), Action::Close, "{procedure:?}");
    procedure
}

fn waits_until(plan: Plan, script: &[(u64, Answer)], until: u64) {
    let (mut procedure, start) = play(plan, script);
    let last = script.last().map_or(0, |(at, _)| *at);
    assert_eq!(procedure.next(start + ms(last)), Action::Wait(start + ms(until)), "{procedure:?}");
}

#[test]
fn an_idle_listener_closes_after_two_quiet_rounds_a_millisecond_apart() {
    waits_until(Plan::Look, &[(0, Seen(0)), (0, Nobody)], 1);
    let done = closes_at(Plan::Look, &[(0, Seen(0)), (0, Nobody), (1, Seen(0)), (1, Nobody)]);
    assert_eq!((done.method(), done.looks, done.accepted, done.limit_hit), (Method::Looked, 2, 0, false));
}

#[test]
fn one_quiet_round_does_not_do_after_an_unquiet_one() {
    let script =
        [(0, Seen(0)), (0, Nobody), (1, Seen(1)), (1, Nobody), (3, Seen(0)), (3, Client), (3, Nobody)];
    waits_until(Plan::Look, &script, 4);
}

#[test]
fn a_handshake_seen_is_waited_for_and_accepted() {
    let script = [
        (0, Seen(2)),
        (0, Client),
        (0, Nobody),
        (1, Seen(1)),
        (1, Nobody),
        (3, Seen(0)),
        (3, Client),
        (3, Nobody),
        (4, Seen(0)),
        (4, Nobody),
    ];
    let done = closes_at(Plan::Look, &script);
    assert_eq!((done.looks, done.handshakes, done.accepted, done.limit_hit), (4, 2, 2, false));
}

#[test]
fn the_accept_comes_after_the_look_even_at_the_limit() {
    let (mut procedure, start) = play(Plan::Look, &[(0, Seen(1)), (0, Nobody), (2000, Seen(1))]);
    assert_eq!(procedure.next(start + ms(2000)), Action::Accept);
    procedure.accepted();
    procedure.emptied(start + ms(2000));
    assert_eq!(procedure.next(start + ms(2000)), Action::Close);
    assert!(procedure.limit_hit);
}

#[test]
fn handshakes_that_never_complete_end_at_the_limit() {
    let start = Instant::now();
    let mut procedure = Procedure::new(Plan::Look, start, &CloseOptions::default());
    let (mut now, mut longest) = (start, Duration::ZERO);
    loop {
        match procedure.next(now) {
            Action::Look => procedure.looked(7),
            Action::Accept => procedure.emptied(now),
            Action::Wait(until) => {
                longest = longest.max(until - now);
                now = until;
            }
            Action::Close => break,
        }
    }
    assert_eq!((now - start, longest, procedure.limit_hit), (ms(2000), ms(10), true));
    assert!((200..250).contains(&procedure.looks), "{}", procedure.looks);
}

#[test]
fn without_a_look_handshakes_get_their_grace() {
    waits_until(Plan::Look, &[(0, Blind), (0, Nobody)], 1);
    let script = [(0, Blind), (0, Nobody), (249, Client), (249, Nobody)];
    waits_until(Plan::Look, &script, 250);
    let done = closes_at(Plan::Look, &[(0, Blind), (0, Nobody), (250, Client), (250, Nobody)]);
    assert_eq!((done.method(), done.accepted, done.limit_hit), (Method::Waited, 1, false));
}

#[test]
fn a_look_that_fails_later_turns_to_the_grace() {
    let script = [(0, Seen(3)), (0, Nobody), (1, Blind), (1, Nobody)];
    waits_until(Plan::Look, &script, 3);
    let done = closes_at(Plan::Look, &[(0, Seen(3)), (0, Nobody), (1, Blind), (1, Nobody), (250, Nobody)]);
    assert_eq!((done.method(), done.looks), (Method::Waited, 1));
}

#[test]
fn a_queue_that_stays_open_is_emptied_twice_and_by_count() {
    let plan = Plan::Empty { at_most: 3 };
    let done = closes_at(plan, &[(0, Client), (0, Nobody), (1, Client), (1, Nobody)]);
    assert_eq!((done.method(), done.accepted, done.limit_hit), (Method::Emptied, 2, false));
    let done = closes_at(plan, &[(0, Client), (0, Client), (0, Client)]);
    assert_eq!((done.accepted, done.limit_hit), (3, true));
}

#[test]
fn without_descriptors_it_tries_until_the_limit() {
    for plan in [Plan::Look, Plan::Empty { at_most: 9 }] {
        let start = Instant::now();
        let mut procedure = Procedure::new(plan, start, &CloseOptions::default());
        let mut now = start;
        loop {
            match procedure.next(now) {
                Action::Look => procedure.looked(0),
                Action::Accept => procedure.exhausted(now),
                Action::Wait(until) => now = until,
                Action::Close => break,
            }
        }
        assert_eq!((now - start, procedure.limit_hit), (ms(2000), true));
    }
    let script = [(0, Seen(0)), (0, NoDescriptors), (1, Seen(0)), (1, Client), (1, Nobody)];
    waits_until(Plan::Look, &script, 2);
}
