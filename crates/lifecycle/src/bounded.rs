//! What may block for ever, and is not waited for so long: terminals, pipes, network file systems.

use crate::foreign::foreign;
use crate::runner::detached;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Runs `act` in a thread of its own, and waits for what it gives, `patience` at most, in real time; `None` if that
/// was not enough, or if it panicked. Then the thread is left to itself.
///
/// Where no thread can be had it runs here, without a bound: that there is none is likelier than that it blocks, too.
pub(crate) fn within<R: Send + 'static>(
    patience: Duration,
    thread: &str,
    act: impl FnOnce() -> R + Send + 'static,
) -> Option<R> {
    let (say, hear) = channel();
    // Nobody may wait any more when it is over.
    match detached(thread, Box::new(move || _ = say.send(act()))) {
        Ok(()) => hear.recv_timeout(patience).ok(),
        Err((job, _)) => {
            foreign(job).ok()?;
            hear.try_recv().ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::within;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    const ENOUGH: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_done_in_time_gives_its_result() {
        assert_eq!(within(ENOUGH, "quick", || 7), Some(7));
    }

    #[test]
    fn what_blocks_is_left_to_itself_and_what_panics_is_over() {
        let (let_go, held) = channel::<()>();
        assert_eq!(within(Duration::from_millis(1), "stuck", move || held.recv().is_ok()), None);
        drop(let_go);
        assert_eq!(within(ENOUGH, "panics", || -> u32 { panic!("on purpose") }), None);
    }
}
