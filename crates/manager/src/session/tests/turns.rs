//! Who looks at what was written down: nothing is overlooked, and nothing is told twice.

use super::super::Turn;
use super::bench::{Bench, silent};
use crate::Limits;

#[test]
fn what_others_write_down_is_told_once_and_never_in_vain() {
    let mut session = Bench::http(silent).session;
    assert_eq!(session.wants_turn(), Turn::Needed);
    assert_eq!(session.wants_turn(), Turn::Under, "it is in the inbox");
    session.begin_turn();
    assert_eq!(session.wants_turn(), Turn::Under, "who is at it will look");
    session.begin_turn();
    session.rest(&Limits::default());
    assert_eq!(session.wants_turn(), Turn::Needed, "nobody is at it any more");
}

#[test]
fn who_asks_for_passes_is_listed_once() {
    let mut session = Bench::http(silent).session;
    assert!(!session.becomes_polled() && !session.stays_polled());
    session.poll_events = true;
    assert!(session.becomes_polled());
    assert!(!session.becomes_polled(), "it is in the list");
    session.poll_events = false;
    session.poll_events = true;
    assert!(!session.becomes_polled() && session.stays_polled(), "it was never out of it");
    drop(session.gone());
    assert!(!session.stays_polled());
}
