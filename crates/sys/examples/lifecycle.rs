//! A lifecycle in the places that only unsafe code leads to: `lifecycle SCENARIO`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a scenario's panic is its failure"
)]

use exeunt_lifecycle::{Config, Forked, InstallError, Lifecycle, Phase};
use exeunt_sys::signal::{Registered, register};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn main() {
    // A test that is killed must not leave us behind.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }, 0);
    match std::env::args().nth(1).unwrap_or_default().as_str() {
        "terminal" => terminal(),
        "fork" => fork(),
        "chain" => chain(),
        "stale" => stale(),
        "masked" => masked(),
        other => panic!("no scenario {other:?}"),
    }
}

/// Busy until somebody types a line.
fn terminal() {
    tracing_subscriber::fmt().with_ansi(false).init();
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    let scope = lifecycle.scope("typist");
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    drop(scope);
    println!("attempts {}", lifecycle.close().attempts);
}

/// In a forked child nothing of ours moves, locks or waits, and a signal acts as if we were not there.
fn fork() {
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    let (stop, scope) = (lifecycle.stop(), lifecycle.scope("parent"));
    let work = scope.begin();
    match unsafe { libc::fork() } {
        0 => {
            assert!(matches!(Lifecycle::install(Config::default()), Err(InstallError::Forked)));
            assert_eq!(stop.wait(), Err(Forked));
            assert_eq!(stop.wait_for(Phase::Stopped, Duration::from_secs(3_600)), Err(Forked));
            assert!(!stop.request_stop("from the child") && !stop.is_requested());
            lifecycle.ready();
            assert_eq!((stop.phase(), stop.time_left()), (Phase::Starting, None));
            drop((work, scope, lifecycle.scope("child")));
            let report = lifecycle.close();
            assert_eq!((report.cause.as_ref(), report.exit_status()), (None, 0));
            unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
            unsafe { libc::_exit(99) }
        }
        child => {
            let mut status = 0;
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert!(
                libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGTERM,
                "status {status:#x}"
            );
            assert!(!stop.is_requested(), "the child's signal reached the parent");
            unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
            stop.wait().unwrap();
            drop((work, scope));
            assert_eq!(lifecycle.close().exit_status(), 0);
        }
    }
}

/// The embedder's handler is called while a lifecycle asks for it, and at no other time.
fn chain() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    extern "C" fn count(_: libc::c_int) {
        CALLS.fetch_add(1, Ordering::SeqCst);
    }
    let count: extern "C" fn(libc::c_int) = count;
    unsafe { libc::signal(libc::SIGTERM, count as libc::sighandler_t) };
    let calls = || {
        unsafe { libc::raise(libc::SIGTERM) };
        CALLS.swap(0, Ordering::SeqCst)
    };
    let install = |chain| Lifecycle::install(Config::default().chain(chain).max_attempts(100)).unwrap();
    let quiet = install(false);
    let scope = quiet.scope("holds the stop up");
    assert_eq!(calls(), 0, "nobody asked");
    let chaining = install(true);
    assert_eq!(calls(), 1, "one of two asks");
    drop(chaining);
    assert_eq!(calls(), 0, "nobody asks any more");
    drop(scope);
    assert_eq!(quiet.close().exit_status(), 0);
    assert_eq!(calls(), 1, "restored");
}

/// A signal that nobody read, from before the lifecycle.
fn stale() {
    let Ok(Registered::Handled(handler)) = register(libc::SIGINT) else { panic!("not registered") };
    unsafe { libc::raise(libc::SIGINT) };
    drop(handler);
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    unsafe { libc::raise(libc::SIGTERM) };
    lifecycle.stop().wait().unwrap();
    let cause = lifecycle.close().cause.unwrap().to_string();
    assert!(cause.starts_with("SIGTERM"), "{cause}");
}

/// Started with every signal blocked, as some launchers do.
fn masked() {
    let mut all = std::mem::MaybeUninit::uninit();
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
    }
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
    let seen = lifecycle.stop().wait_for(Phase::LameDuck, Duration::from_secs(60));
    assert_eq!(seen, Ok(true), "nobody receives the signal");
    assert_eq!(lifecycle.close().attempts, 1);
}
