use super::Load;
use super::client::Next;
use crate::observe::{Observation, Subject};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The client's buffer, so that the server has to keep what is not read.
const BUFFER: u32 = 64 * 1024;
/// Between two reads of 8 KiB, until some time after the signal; then as quickly as they come.
const PAUSE: Duration = Duration::from_millis(20);
const SLOW_FOR: Duration = Duration::from_millis(500);

/// A large answer, read slowly: at the signal most of it is not out yet.
pub(super) async fn slow_reader(load: Rc<Load>) {
    let mut watch = load.limits.watch();
    let (mut connection, begun) = loop {
        match load.connect_with(Some(BUFFER), &mut watch).await {
            Ok(connected) => break connected,
            Err(Next::Retry) => {}
            Err(Next::Leave) => return,
        }
    };
    let slow_for = load.random.borrow_mut().up_to(SLOW_FOR);
    let sent = connection.send(&load.request, true).bytes;
    let mut standing = false;
    let (answer, end) = loop {
        if let Some(done) = connection.answer_step(&mut watch).await {
            break done;
        }
        if !standing && connection.in_body() {
            standing = true;
            load.stand();
        }
        if load.signal.at().is_none_or(|at| Instant::now() < at + slow_for) {
            tokio::select! {
                () = sleep(PAUSE) => {}
                () = watch.over() => {}
            }
        }
    };
    if standing {
        load.fall(); // it was not large enough
    }
    let seen = Observation { sent, answer, end, ..Observation::new(Subject::Request, begun) };
    load.enter(seen, true);
}
