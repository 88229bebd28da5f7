//! A lifecycle in the places that only unsafe code leads to.

use crate::{die_with_the_test, in_child};
use exeunt_lifecycle::{Config, Forked, InstallError, Lifecycle, Phase, Signal};
use exeunt_sys::signal::{Registered, register};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub(crate) fn run(scenario: &str) {
    die_with_the_test();
    match scenario {
        "terminal" => terminal(),
        "escalation" => escalation(),
        "fork" => fork(),
        #[cfg(target_os = "linux")]
        "children-forked" => children_forked(),
        #[cfg(target_os = "linux")]
        "children-kept" => children_kept(),
        "chain" => chain(),
        "stale" => stale(),
        "masked" => masked(),
        "hooks-forked" => hooks_forked(),
        "hooks-chained" => hooks_chained(),
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

/// What the log says of attempts, up to the end.
fn escalation() {
    tracing_subscriber::fmt().with_ansi(false).init();
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    let scope = lifecycle.scope("stubborn");
    println!("ready");
    lifecycle.stop().wait().unwrap();
    println!("status {}", lifecycle.close().exit_status());
    drop(scope);
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

/// In a forked child, the children of its parent are nobody's.
#[cfg(target_os = "linux")]
fn children_forked() {
    use exeunt_lifecycle::ChildError;
    use std::process::Command;
    let lifecycle = Lifecycle::install(Config::default().subreaper(true)).unwrap();
    let sleep = || {
        let mut command = Command::new("sleep");
        command.arg("3600");
        command
    };
    let child = lifecycle.child("child", sleep()).start().unwrap();
    let pool = lifecycle.children("pool", 2, move |_| sleep()).start().unwrap();
    let status = in_child(|| {
        let started = lifecycle.child("grandchild", Command::new("true")).start();
        assert!(matches!(started, Err(ChildError::Forked { .. })));
        let started = lifecycle.children("grandchildren", 2, |_| Command::new("true")).start();
        assert!(matches!(started, Err(ChildError::Forked { .. })));
        assert_eq!((child.wait(), child.exit(), child.stop()), (Err(Forked), None, Err(Forked)));
        child.kill();
        assert!(child.signal(Signal::TERMINATE).is_err());
        assert_eq!((pool.ids(), pool.restarts(), pool.stop()), (Vec::new(), 0, Err(Forked)));
    });
    assert_eq!(libc::WEXITSTATUS(status), 99, "it came to its end");
    assert!(child.is_alive() && pool.ids().len() == 2);
    assert_eq!(lifecycle.close().exit_status(), 0);
    assert!(!child.is_alive() && pool.ids().is_empty());
}

/// A forked child keeps a copy of every descriptor: what the parent closes is open all the same.
#[cfg(target_os = "linux")]
fn children_kept() {
    use std::process::Command;
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    let mut command = Command::new("sleep");
    command.arg("3600");
    let child = lifecycle.child("child", command).capture_stderr().start().unwrap();
    let keeper = unsafe { libc::fork() };
    if keeper == 0 {
        die_with_the_test();
        loop {
            unsafe { libc::pause() };
        }
    }
    child.stop().unwrap();
    let before = processor();
    std::thread::sleep(Duration::from_millis(500));
    let used = processor() - before;
    unsafe { libc::kill(keeper, libc::SIGKILL) };
    unsafe { libc::waitpid(keeper, std::ptr::null_mut(), 0) };
    assert!(used < Duration::from_millis(20), "{used:?} of processor time in half an idle second");
    assert_eq!(lifecycle.close().exit_status(), 0);
}

/// What this process has used.
#[cfg(target_os = "linux")]
fn processor() -> Duration {
    let mut spent = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut spent) }, 0);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap())
}

/// With all hooks and all signals, a forked child dies as if we were not there, and calls no hook.
fn hooks_forked() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let count = || _ = CALLS.fetch_add(1, Ordering::SeqCst);
    let signals = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2];
    let mut config = Config::default()
        .before_hup(move |_, _| count())
        .before_termination(move |_| count())
        .stop_on_stdin_end(true);
    for signal in signals {
        config = config.on_signal(Signal::new(signal), move |_, _| count());
    }
    let lifecycle = Lifecycle::install(config.terminate_on_hup(false)).unwrap();
    // Hooks have a thread and a lock, which may be held at a fork.
    unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) };
    for signal in signals {
        let status = in_child(|| {
            unsafe { libc::kill(libc::getpid(), signal) };
        });
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == signal, "status {status:#x}");
    }
    while CALLS.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    let mut lifecycle = Some(lifecycle);
    for how in ["close", "drop", "hook"] {
        let status = in_child(|| {
            let before = CALLS.load(Ordering::SeqCst);
            let lifecycle = lifecycle.take().unwrap();
            match how {
                "close" => assert!(lifecycle.close().cause.is_none()),
                "drop" => drop(lifecycle),
                _ => {
                    let added = lifecycle.on_signal(Signal::new(libc::SIGALRM), |_, _| {});
                    assert!(matches!(added, Err(InstallError::Forked)), "{added:?}");
                    std::mem::forget(lifecycle);
                }
            }
            assert_eq!(CALLS.load(Ordering::SeqCst), before);
            unsafe { libc::_exit(7) };
        });
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "{how}: status {status:#x}");
    }
    assert_eq!(CALLS.load(Ordering::SeqCst), 1, "a child's signal reached the parent");
    drop(lifecycle.take().unwrap());
    assert_eq!(CALLS.load(Ordering::SeqCst), 2, "the end hook");
}

/// The embedder's functions are called beside stops and hooks while a lifecycle asks for it, and are back afterwards.
fn hooks_chained() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    extern "C" fn count(signal: libc::c_int) {
        CALLS.fetch_or(1 << signal, Ordering::SeqCst);
    }
    let count: extern "C" fn(libc::c_int) = count;
    let signals = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2];
    for signal in signals {
        unsafe { libc::signal(signal, count as libc::sighandler_t) };
    }
    let called = || {
        for signal in signals {
            unsafe { libc::raise(signal) };
        }
        CALLS.swap(0, Ordering::SeqCst)
    };
    let all = signals.iter().fold(0, |all, signal| all | 1 << signal);
    let user2 = 1 << libc::SIGUSR2;
    for chain in [false, true] {
        let config = Config::default().chain(chain).max_attempts(100);
        let config = config.before_hup(|_, _| {}).on_signal(Signal::USER1, |_, _| {});
        let lifecycle = Lifecycle::install(config).unwrap();
        let scope = lifecycle.scope("holds the stop up");
        assert_eq!(called(), if chain { all } else { user2 }, "what nobody asked for is not touched");
        assert!(lifecycle.on_signal(Signal::USER2, |_, _| {}).unwrap());
        assert_eq!(called(), if chain { all } else { 0 });
        drop(scope);
        assert_eq!(lifecycle.close().exit_status(), 0);
        assert_eq!(called(), all, "restored");
    }
}
