//! How long many idle connections take to stop.

use super::servers::Kind;
use super::start;
use crate::MANY;
use crate::load::Load;
use crate::ratio::median;
use anyhow::Result;
use std::fmt;
use std::time::Duration;

const STOPS: usize = 10;

/// What a draining server waits for in silent connections (rule D5).
const IDLE_GRACE: Duration = Duration::from_millis(250);

/// Milliseconds from SIGTERM to the exit.
pub(crate) struct Times(Vec<f64>);

pub(crate) fn measure() -> Result<Times> {
    let mut times = Vec::new();
    for _ in 0..STOPS {
        let mut server = start(Kind::Ours)?;
        let _open = Load::connect(server.address, MANY, 0)?;
        times.push(server.stop()?.as_secs_f64() * 1e3);
    }
    Ok(Times(times))
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.0.iter().copied().fold(0.0, f64::max);
        writeln!(
            f,
            "from SIGTERM to the exit, with {MANY} idle kept connections; {STOPS} stops, the server on one core"
        )?;
        write!(
            f,
            "  median {:.0} ms, longest {longest:.0} ms, of which {} ms are idle_grace (wanted: {} ms at most)",
            median(self.0.iter().copied()),
            IDLE_GRACE.as_millis(),
            (IDLE_GRACE + Duration::from_millis(500)).as_millis()
        )
    }
}
