//! Who is told when, in paused time.

use super::*;
use exeunt_drain::Tell;
use exeunt_lifecycle::{Config, Lifecycle};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::time::{Instant, sleep};

/// A lifecycle with 20 s to drain, in which something is in flight.
fn lifecycle(config: Config) -> (Lifecycle, exeunt_lifecycle::Scope) {
    let lifecycle = Lifecycle::on_runtime(config).unwrap();
    lifecycle.ready();
    let scope = lifecycle.scope("http");
    (lifecycle, scope)
}

fn spread(tell: Tell, seconds: u64) -> Telling {
    Telling { tell, spread: Duration::from_secs(seconds) }
}

/// When each of these was told, in whole seconds from the stop request.
async fn told_after(stop: &Stop, streams: Vec<Draining>) -> Vec<u64> {
    let begun = Instant::now();
    stop.request_stop("the test wants it");
    let waits = streams.into_iter().map(|draining| async move {
        draining.begun().await;
        assert!(draining.is_draining(), "told");
        begun.elapsed().as_secs()
    });
    futures_util::future::join_all(waits).await
}

#[tokio::test(start_paused = true)]
async fn d6_streams_are_told_when_the_drain_begins_and_not_in_a_lame_duck() {
    let (lifecycle, _scope) = lifecycle(Config::default().lame_duck(Duration::from_secs(3)));
    let stop = lifecycle.stop();
    let draining = Streams::new(stop.clone(), Telling::default()).draining();
    assert!(!draining.is_draining() && draining.begun().now_or_never().is_none());
    assert_eq!((draining.deadline(), draining.time_left()), (None, None));
    assert_eq!(told_after(&stop, vec![draining.clone()]).await, [3]);
    assert_eq!(draining.time_left().unwrap().as_secs_f64().round(), 17.0, "of the 20 that the drain has");
    assert_eq!(draining.deadline(), stop.drain_deadline());
    sleep(Duration::from_millis(251)).await;
    assert!(draining.begun().now_or_never().is_some(), "again, at once");
}

#[tokio::test(start_paused = true)]
async fn d6_tellings_are_spread_in_the_order_of_accept() {
    let (lifecycle, _scope) = lifecycle(Config::default());
    let stop = lifecycle.stop();
    let streams = Streams::new(stop.clone(), spread(Tell::AtOnce, 10));
    let four = (0..4).map(|_| streams.draining()).collect();
    assert_eq!(told_after(&stop, four).await, [0, 6, 2, 8]);
    // Whoever comes late, with a number whose moment has passed, is told at once.
    assert!((0..5).map(|_| streams.draining()).any(|draining| draining.begun().now_or_never().is_some()));
}

#[tokio::test(start_paused = true)]
async fn d6_streams_may_be_told_before_the_deadline() {
    let (lifecycle, _scope) = lifecycle(Config::default());
    let stop = lifecycle.stop();
    let streams = Streams::new(stop.clone(), spread(Tell::BeforeDeadline(Duration::from_secs(5)), 0));
    let early = streams.draining();
    let told = told_after(&stop, vec![streams.draining()]);
    let look = async {
        sleep(Duration::from_secs(14)).await;
        assert_eq!(stop.phase(), Phase::Draining);
        assert!(!early.is_draining(), "not yet told");
    };
    assert_eq!(futures_util::future::join(told, look).await.0, [15]);
}

#[tokio::test(start_paused = true)]
async fn d6_whoever_is_not_told_by_then_is_told_when_closing_begins() {
    let (lifecycle, scope) = lifecycle(Config::default());
    let stop = lifecycle.stop();
    let streams = Streams::new(stop.clone(), spread(Tell::BeforeDeadline(Duration::from_secs(5)), 0));
    let draining = streams.draining();
    let end = async {
        stop.reached(Phase::Draining).await;
        drop(scope); // nothing is in flight any more: `Closing` begins
    };
    assert_eq!(futures_util::future::join(told_after(&stop, vec![draining]), end).await.0, [0]);
}

#[tokio::test(start_paused = true)]
async fn d6_a_stream_ends_when_it_is_told_and_is_dropped_then() {
    let (lifecycle, _scope) = lifecycle(Config::default());
    let draining = Streams::new(lifecycle.stop(), Telling::default()).draining();
    let source = Arc::new(());
    let held = Arc::clone(&source);
    let endless = stream::repeat_with(move || Arc::strong_count(&held));
    let mut events = draining.until(endless);
    assert_eq!(events.next().await, Some(2));
    assert_eq!(events.next().await, Some(2));
    lifecycle.stop().request_stop("the test wants it");
    for _ in 0..6 {
        assert_eq!(events.next().await, Some(2), "there is always one more");
        tokio::time::advance(Duration::from_millis(51)).await;
    }
    assert_eq!(events.next().await, None, "though there is always one more");
    assert_eq!(Arc::strong_count(&source), 1);
    assert_eq!(events.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn d6_what_is_ready_when_a_stream_is_told_still_comes() {
    let (lifecycle, _scope) = lifecycle(Config::default());
    let draining = Streams::new(lifecycle.stop(), Telling::default()).draining();
    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
    let mut messages = draining.until(stream::poll_fn(move |cx| receive.poll_recv(cx)));
    // More than a task's turn allows of such a channel.
    for message in 0..1_000 {
        send.send(message).unwrap();
    }
    assert_eq!(messages.next().await, Some(0));
    lifecycle.stop().request_stop("the test wants it");
    assert_eq!((&mut messages).count().await, 999);
    assert!(send.is_closed(), "nobody hears what comes later");
}

#[tokio::test(start_paused = true)]
async fn d6_a_stream_that_is_silent_ends_when_it_is_told() {
    let (lifecycle, _scope) = lifecycle(Config::default());
    let draining = Streams::new(lifecycle.stop(), Telling::default()).draining();
    let mut events = draining.until(stream::pending::<u8>());
    assert!(events.next().now_or_never().is_none());
    let next = tokio::spawn(async move { events.next().await });
    tokio::task::yield_now().await;
    lifecycle.stop().request_stop("the test wants it");
    assert_eq!(next.await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_by_itself_ends() {
    let (lifecycle, _scope) = lifecycle(Config::default());
    let draining = Streams::new(lifecycle.stop(), Telling::default()).draining();
    assert_eq!(draining.until(stream::iter([1, 2])).collect::<Vec<_>>().await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn whoever_keeps_it_longer_than_the_lifecycle_is_told() {
    let (lifecycle, scope) = lifecycle(Config::default());
    let draining =
        Streams::new(lifecycle.stop(), spread(Tell::BeforeDeadline(Duration::ZERO), 10)).draining();
    drop((scope, lifecycle));
    draining.begun().await;
    assert!(draining.begun().now_or_never().is_some());
    assert!(draining.is_draining());
}
