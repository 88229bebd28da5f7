//! Child processes that are part of the program: started with a handshake, told, awaited, killed and reaped with it
//! (rules C1 to C8 in `docs/semantics.md`).
//!
//! `builder` has what a child is given, `life` decides what becomes of it, `engine` is the thread that has them all,
//! `running` one of them there.

mod backoff;
mod builder;
mod child;
mod engine;
mod error;
mod exit;
mod life;
mod notify;
mod pool;
mod reaping;
mod running;
mod stat;
mod strangers;
mod tail;

pub use builder::{ChildBuilder, Readiness};
pub use child::Child;
pub use error::ChildError;
pub use exit::ChildExit;
pub use pool::{Children, ChildrenBuilder};
pub(crate) use reaping::{CHILD, Reaping, someone_died};

/// SIGKILL and SIGCONT, which have these numbers on every Linux but MIPS' SIGCONT and SPARC's.
const KILL: i32 = rustix::process::Signal::KILL.as_raw();
const CONTINUE: i32 = rustix::process::Signal::CONT.as_raw();

/// Tests do as an old kernel does.
#[cfg(test)]
static WITHOUT_PIDFDS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

#[cfg(test)]
fn without_pidfds() -> bool {
    WITHOUT_PIDFDS.load(std::sync::atomic::Ordering::SeqCst)
}

#[cfg(not(test))]
fn without_pidfds() -> bool {
    false
}

#[cfg(test)]
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
