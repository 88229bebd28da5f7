//! The end of a process whose program does not come back (L19).

use crate::bounded::within;
use crate::core::Core;
use crate::machine::Phase;
use crate::report::Report;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// What happens if the stop is over and the program does not notice: if its main thread is stuck in something that
/// blocks, and never takes the [`Report`] from [`close`](crate::Lifecycle::close), say.
///
/// ```
/// # use exeunt_lifecycle::{Config, Force, Lifecycle, Report};
/// let farewell = |report: &Report| eprintln!("{report}");
/// let lifecycle = Lifecycle::install(Config::default().force(Force::ExitAfter(farewell)))?;
/// lifecycle.ready();
/// assert_eq!(lifecycle.close().exit_status(), 0); // the program has noticed: nothing is forced
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Clone, Copy, Default)]
#[non_exhaustive]
pub enum Force {
    /// Nothing: the program is told, and a library never ends the process.
    #[default]
    Notify,
    /// The process ends, with the report's exit status, half a second after the stop is over and its hooks are done
    /// with. No destructor runs. Exit handlers (atexit(3)) and stdout's last line have 5 s. For whoever owns the process.
    Exit,
    /// The same, after some last words. They have a second: what blocks in them, stderr that nobody reads say, does
    /// not keep the process.
    ExitAfter(fn(&Report)),
}

/// Watches over the end. Dismissed when it is dropped.
#[derive(Debug)]
pub(crate) struct LastResort {
    watch: Arc<AtomicU8>,
    thread: Thread,
    process: u32,
}

/// How long the program may take to notice that the stop is over. Generous, since it has nothing else to do.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long last words may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long the exit itself may take.
const EXIT: Duration = Duration::from_secs(5);

/// Longer than the report needs, which gives its followers and its file a time each.
const REPORT: Duration = Duration::from_secs(4);

// Whoever moves the watch from the first state ends the program.
const WATCHING: u8 = 0;
const DISMISSED: u8 = 1;
const ENDING: u8 = 2;

impl LastResort {
    /// Watches in a thread of its own, if it is to.
    pub(crate) fn watch(core: &Arc<Core>, force: Force) -> io::Result<Option<Self>> {
        let last_words = match force {
            Force::Notify => return Ok(None),
            Force::Exit => |_: &Report| {},
            Force::ExitAfter(last_words) => last_words,
        };
        let (core, watch) = (Arc::clone(core), Arc::new(AtomicU8::new(WATCHING)));
        let theirs = Arc::clone(&watch);
        let thread = thread::Builder::new().name("exeunt-last-resort".to_owned());
        let thread = thread.spawn(move || wait(&core, &theirs, last_words))?.thread().clone();
        Ok(Some(Self { watch, thread, process: std::process::id() }))
    }

    /// The program has noticed, and ends by itself.
    pub(crate) fn dismiss(&self) {
        if self.process != std::process::id() {
            // A forked child: the thread is not there.
            return;
        }
        let moved = self.watch.compare_exchange(WATCHING, DISMISSED, Ordering::SeqCst, Ordering::SeqCst);
        while moved == Err(ENDING) {
            thread::park();
        }
        self.thread.unpark();
    }
}

impl Drop for LastResort {
    fn drop(&mut self) {
        self.dismiss();
    }
}

#[expect(clippy::exit, reason = "whoever installed the lifecycle owns the process, and asked for it")]
fn wait(core: &Arc<Core>, watch: &AtomicU8, last_words: fn(&Report)) {
    core.wait_for(Phase::Stopped, None);
    core.hooks().wait();
    let begun = Instant::now();
    while watch.load(Ordering::SeqCst) == WATCHING {
        let left = PATIENCE.saturating_sub(begun.elapsed());
        if left.is_zero() {
            break;
        }
        thread::park_timeout(left);
    }
    if watch.compare_exchange(WATCHING, ENDING, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
        let report = within(REPORT, "exeunt-report", {
            let core = Arc::clone(core);
            move || Report::last(&core)
        });
        let report = report.unwrap_or_else(|| Report::of(core));
        let status = report.exit_status();
        // The very thing that the program is stuck in may be what its last words need: a lock, a pipe.
        within(LAST_WORDS, "exeunt-last-words", move || last_words(&report));
        // It flushes stdout, which may be a pipe that nobody reads, and runs whatever the program has left for its exit.
        _ = thread::Builder::new().name("exeunt-exit".to_owned()).spawn(move || {
            thread::sleep(EXIT);
            exeunt_sys::process::exit_now(status);
        });
        std::process::exit(status.into());
    }
}

impl fmt::Debug for Force {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Notify => "Notify",
            Self::Exit => "Exit",
            Self::ExitAfter(_) => "ExitAfter(..)",
        })
    }
}

/// Functions are compared by address, which the compiler may give to two that are alike.
impl PartialEq for Force {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ExitAfter(one), Self::ExitAfter(other)) => std::ptr::fn_addr_eq(*one, *other),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for Force {}
