//! From `wakeup` in one thread to its event in another.

use crate::machine::pin;
use anyhow::{Context as _, Result};
use exeunt_manager::{Connection, Event, Manager};
use mio::{Events, Poll, Token, Waker};
use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Wakeups of each; the first tenth warms up.
const WAKEUPS: u32 = 3_000;

/// Between two, so that the loop sleeps.
const PAUSE: Duration = Duration::from_micros(500);

/// Latencies in order.
pub(crate) struct Latencies {
    ours: Vec<Duration>,
    bare: Vec<Duration>,
}

pub(crate) fn measure() -> Result<Latencies> {
    let base = Instant::now();
    let (seen, sees) = channel();
    let ours = Loop::manager(base, seen.clone())?;
    let bare = Loop::bare(base, seen)?;
    pin(1)?;
    let mut latencies = Latencies { ours: Vec::new(), bare: Vec::new() };
    for round in 0..WAKEUPS {
        let one = ours.wake(base, &sees)?;
        let other = bare.wake(base, &sees)?;
        if round >= WAKEUPS / 10 {
            latencies.ours.push(one);
            latencies.bare.push(other);
        }
    }
    latencies.ours.sort_unstable();
    latencies.bare.sort_unstable();
    Ok(latencies)
}

/// A thread on core 0 that waits, and how to wake it.
struct Loop(Box<dyn Fn(Duration) -> Result<()>>);

impl Loop {
    /// Its event says when it was sent, and so when it was seen.
    fn manager(base: Instant, seen: Sender<Duration>) -> Result<Self> {
        let seen = Mutex::new(seen);
        let mut manager = Manager::new(move |_: &Connection, event: Event<'_>| {
            if let (Event::Wakeup(_), Ok(seen)) = (event, seen.lock()) {
                // Nobody listens at the end.
                seen.send(base.elapsed()).ok();
            }
        });
        let listener = manager.listen("tcp://127.0.0.1:0")?;
        std::thread::spawn(move || -> Result<()> {
            pin(0)?;
            loop {
                manager.poll(None)?;
            }
        });
        Ok(Self(Box::new(move |sent| Ok(listener.wakeup(sent.as_nanos().to_le_bytes())?))))
    }

    fn bare(base: Instant, seen: Sender<Duration>) -> Result<Self> {
        let mut poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), Token(0))?);
        std::thread::spawn(move || -> Result<()> {
            pin(0)?;
            let mut events = Events::with_capacity(8);
            loop {
                poll.poll(&mut events, None)?;
                seen.send(base.elapsed())?;
            }
        });
        Ok(Self(Box::new(move |_| Ok(waker.wake()?))))
    }

    fn wake(&self, base: Instant, sees: &Receiver<Duration>) -> Result<Duration> {
        std::thread::sleep(PAUSE);
        let sent = base.elapsed();
        (self.0)(sent)?;
        let seen = sees.recv_timeout(Duration::from_secs(30)).context("a wakeup did not arrive")?;
        Ok(seen.saturating_sub(sent))
    }
}

fn percentile(latencies: &[Duration], percent: usize) -> f64 {
    let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
    latencies.get(index).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "from a wakeup to its event in a loop that waits")?;
        writeln!(
            f,
            "method: {} wakeups from a thread on core 1 to a loop on core 0, and as many by a bare mio::Waker, in turns, a\n\
             \x20       pause of {PAUSE:?} before each",
            self.ours.len()
        )?;
        let line = |latencies| (percentile(latencies, 50), percentile(latencies, 99));
        let (median, p99) = line(&self.ours);
        writeln!(f, "  ours        {median:6.1} us (median), {p99:.0} us (p99) (wanted: median under 50)")?;
        let (median, p99) = line(&self.bare);
        write!(f, "  bare waker  {median:6.1} us (median), {p99:.0} us (p99)")
    }
}
