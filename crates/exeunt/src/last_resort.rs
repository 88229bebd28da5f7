//! The end of a program whose main thread does not come back (L19).

use crate::exit::Exit;
use exeunt_lifecycle::Stop;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Ends the process if the stop is over and the main thread does not say so in time: it is stuck in something that
/// blocks, such as a body that never awaits.
#[derive(Debug)]
pub(crate) struct LastResort {
    /// Whoever sets it first ends the program.
    claimed: Arc<AtomicBool>,
}

/// How long the main thread may take to notice that the stop is over. Generous, since it has nothing to do but that.
const PATIENCE: Duration = Duration::from_millis(500);

impl LastResort {
    /// Watches the stop from a thread of its own.
    pub(crate) fn watch(stop: Stop) -> io::Result<Self> {
        let claimed = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&claimed);
        thread::Builder::new().name("exeunt-last-resort".to_owned()).spawn(move || wait(&stop, &watched))?;
        Ok(Self { claimed })
    }

    /// The main thread is back, and ends the program by itself.
    pub(crate) fn dismiss(self) {
        if self.claimed.swap(true, Ordering::SeqCst) {
            // Too late: the process is ending.
            loop {
                thread::park();
            }
        }
    }
}

#[expect(clippy::exit, reason = "`exeunt::main` is a program's main, and may")]
fn wait(stop: &Stop, claimed: &AtomicBool) {
    let Ok(report) = stop.wait_for_report() else { return };
    thread::sleep(PATIENCE);
    if !claimed.swap(true, Ordering::SeqCst) {
        let exit = Exit::told(report);
        exit.tell();
        std::process::exit(exit.status().into());
    }
}
