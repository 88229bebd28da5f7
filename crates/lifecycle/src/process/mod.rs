//! Child processes that are part of the program: started with a handshake, told, awaited, killed and reaped with it
//! (rules C1 to C10 in `docs/semantics.md`).
//!
//! `builder` has what a child is given, `launch` takes it to the thread, `life` decides what becomes of it, `charge` is for
//! whom it runs. `engine` is the thread that has them all, `running` one of them there, `spawn` how it comes to be: these
//! three are others on Windows, in `windows`.

mod backoff;
mod builder;
mod charge;
mod child;
#[cfg(unix)]
mod engine;
#[cfg(windows)]
#[path = "windows/engine.rs"]
mod engine;
mod error;
mod exit;
mod family;
mod launch;
mod life;
#[cfg(unix)]
mod notify;
mod pool;
#[cfg(windows)]
#[path = "windows/reach.rs"]
mod reach;
#[cfg(unix)]
mod reaping;
#[cfg(unix)]
mod running;
#[cfg(windows)]
#[path = "windows/running.rs"]
mod running;
#[cfg(unix)]
mod spawn;
#[cfg(windows)]
#[path = "windows/spawn.rs"]
mod spawn;
#[cfg(unix)]
mod stat;
#[cfg(unix)]
mod strangers;
mod tail;

pub use builder::{ChildBuilder, Readiness};
pub use child::Child;
pub use error::ChildError;
pub use exit::ChildExit;
pub use pool::{Children, ChildrenBuilder};
#[cfg(unix)]
pub(crate) use reaping::{CHILD, Reaping, someone_died};

/// SIGKILL and SIGCONT, which have these numbers on every Linux but MIPS' SIGCONT and SPARC's.
#[cfg(unix)]
const KILL: i32 = rustix::process::Signal::KILL.as_raw();
#[cfg(unix)]
const CONTINUE: i32 = rustix::process::Signal::CONT.as_raw();

/// What Windows has no number for.
#[cfg(windows)]
const KILL: i32 = 9;

/// Tests do as an old kernel does.
#[cfg(all(test, unix))]
static WITHOUT_PIDFDS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

#[cfg(all(test, unix))]
fn without_pidfds() -> bool {
    WITHOUT_PIDFDS.load(std::sync::atomic::Ordering::SeqCst)
}

#[cfg(all(not(test), unix))]
fn without_pidfds() -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::{ChildExit, WITHOUT_PIDFDS};
    use crate::{Config, Lifecycle, Signal};
    use std::process::Command;
    use std::sync::atomic::Ordering;

    #[test]
    fn c5_without_pidfds_a_thread_waits() {
        WITHOUT_PIDFDS.store(true, Ordering::SeqCst);
        let lifecycle = Lifecycle::install(Config::default()).unwrap();
        let sh = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            lifecycle.child("child", command).start().unwrap()
        };
        let (brief, long) = (sh("exit 7"), sh("exec sleep 3600"));
        assert_eq!(brief.wait(), Ok(ChildExit::Code(7)));
        let report = lifecycle.close();
        WITHOUT_PIDFDS.store(false, Ordering::SeqCst);
        assert_eq!(report.exit_status(), 0, "{report}");
        let terminated = ChildExit::Signal { signal: Signal::TERMINATE, core_dumped: false };
        assert_eq!(long.exit(), Some(terminated));
    }
}
