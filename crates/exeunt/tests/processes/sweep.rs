//! Signals at every point of a program's life.

use crate::program::{Blow, Ended, Program, To};
use rustix::process::Signal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// How many lives at once: most of each is waiting.
const LANES: usize = 12;

/// Strikes a program at many points of its life, alone and doubled, to the process and to its group, and checks what
/// it leaves each time.
///
/// At each of the first 300 milliseconds, in one way after the other; with `EXEUNT_SOAK` in all ways.
pub(crate) fn sweep(program: impl Fn() -> Program + Sync, check: impl Fn(&Ended) + Sync) {
    let soak = std::env::var_os("EXEUNT_SOAK").is_some();
    let ways = [(To::Process, false), (To::Group, false), (To::Process, true), (To::Group, true)];
    let mut blows = Vec::new();
    for at in 0..300 {
        for (number, (to, twice)) in (0..).zip(ways) {
            if !soak && at % 4 != number {
                continue;
            }
            let signal = if (at / 4) % 2 == 0 { Signal::TERM } else { Signal::INT };
            // All lengths up to that of a close, in no particular order.
            let again_after = twice.then(|| Duration::from_millis(at * 37 % 100));
            blows.push(Blow { after: Duration::from_millis(at), signal, to, again_after });
        }
    }
    let (total, left) = (blows.len(), Mutex::new(blows));
    let struck_in_time = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(blow) = { left.lock().unwrap().pop() } {
                    let ended = program().struck(blow);
                    if !ended.before_it_began() {
                        check(&ended);
                        struck_in_time.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let struck_in_time = struck_in_time.into_inner();
    assert!(struck_in_time * 2 > total, "only {struck_in_time} of {total} had begun when they were struck");
}
