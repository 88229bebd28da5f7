use super::Load;
use super::client::Next;
use crate::observe::Sight;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::sleep;

/// Every sixteenth connection wakes after the signal and sends, if it still looks open.
const WAKERS: u32 = 16;
/// Within this time of the signal.
const WAKES_WITHIN: Duration = Duration::from_millis(200);
/// So many make their first request at a time: what is drilled is the silence, not the rush.
const AT_ONCE: usize = 32;

/// Lets the crowd in a few at a time.
#[derive(Debug)]
pub(super) struct Door(Semaphore);

impl Door {
    pub(super) fn new() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

/// One request, then silence; a few wake after the signal.
pub(super) async fn idle(load: Rc<Load>, door: Rc<Door>, number: u32) {
    let mut watch = load.limits.watch();
    let mut connection = loop {
        let Ok(_turn) = door.0.acquire().await else { return };
        let (mut connection, begun) = match load.connect(&mut watch).await {
            Ok(connected) => connected,
            Err(Next::Retry) => continue,
            Err(Next::Leave) => return,
        };
        if !load.ask(&mut connection, &mut watch, Some(begun), true).await {
            return; // not kept: counted as missing from the silent
        }
        break connection;
    };

    load.stand();
    tokio::select! {
        biased;
        () = load.signal.wait() => {}
        _ = connection.disturbed() => {
            load.fall();
            return;
        }
        () = watch.over() => return,
    }
    if number.is_multiple_of(WAKERS) {
        let pause = load.random.borrow_mut().up_to(WAKES_WITHIN);
        sleep(pause).await;
        if connection.look() != Sight::Silent {
            return;
        }
        if !load.flight.is_zero() {
            sleep(load.flight).await;
        }
        if !load.ask(&mut connection, &mut watch, None, false).await {
            return;
        }
    }
    tokio::select! {
        _ = connection.disturbed() => {}
        () = watch.over() => {}
    }
}
