//! What becomes of signals.

use crate::{die_with_the_test, in_child};
use exeunt_sys::signal::{
    Inbox, Origin, Record, Registered, Registration, SignalError, end_by, nudge, register, unblock,
};
use libc::{SIGKILL, SIGTERM, SIGUSR1, SIGUSR2, c_int};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

pub(crate) fn run(scenario: &str) {
    die_with_the_test();
    match scenario {
        "report" => report(),
        "blocked" => blocked(),
        "other-thread" => other_thread(),
        "burst" => burst(),
        "together" => together(),
        "errno" => errno(),
        "ignored" => ignored(),
        "refused" => refused(),
        "chain" => chain(),
        "chain-on-main" => chain_on_main(),
        "renew" => renew(),
        "default-is-not-chained" => default_is_not_chained(),
        "restore-default" => restore_default(),
        "restore-function" => restore_function(),
        "covered" => covered(),
        "covered-default" => covered_default(),
        "fork-default" => fork_default(),
        "fork-function" => fork_function(),
        "masked" => masked(),
        "end-by-nothing" => end_by_nothing(),
        other if other.starts_with("end-by-") => end_by_blocked(other),
        other => panic!("no scenario {other:?}"),
    }
}

/// Says what arrives, until SIGUSR2 does.
fn report() {
    let _handlers = [libc::SIGINT, SIGTERM, SIGUSR2].map(handled);
    println!("ready");
    loop {
        for record in Inbox::open().unwrap().wait(None) {
            println!("{} {:?}", record.signal, record.origin);
            if record.signal == SIGUSR2 {
                return;
            }
        }
    }
}

/// The main thread sits in a system call and never comes out of it.
fn blocked() {
    let _handler = handled(SIGTERM);
    std::thread::spawn(|| {
        while Inbox::open().unwrap().wait(None).is_empty() {}
        println!("seen");
    });
    println!("ready");
    // Interrupted, this would be an error; only the end of stdin ends it.
    let mut byte = [0];
    let read = unsafe { libc::read(0, byte.as_mut_ptr().cast(), 1) };
    assert_eq!(read, 0, "{}", std::io::Error::last_os_error());
}

/// The signal is sent to a thread that spins in foreign code.
fn other_thread() {
    let _handler = handled(SIGUSR1);
    let spinning = std::thread::spawn(|| while COUNT.load(Ordering::Relaxed) == 0 {});
    use std::os::unix::thread::JoinHandleExt as _;
    assert_eq!(unsafe { libc::pthread_kill(spinning.as_pthread_t(), SIGUSR1) }, 0);
    assert_eq!(wait_for(1).first().unwrap().signal, SIGUSR1);
    COUNT.store(1, Ordering::Relaxed);
    spinning.join().unwrap();
}

/// Many times more than the pipe holds, before anybody reads.
fn burst() {
    let signal = libc::SIGRTMIN() + 3;
    let _handlers = [handled(signal), handled(SIGUSR1)];
    for _ in 0..20_000 {
        send_self(signal);
    }
    send_self(SIGUSR1);
    let records = wait_for(20_001);
    let count = |wanted| records.iter().filter(|record| record.signal == wanted).count();
    assert_eq!((count(signal), count(SIGUSR1)), (20_000, 1));
    // And the pipe works as before.
    send_self(SIGUSR1);
    assert_eq!(wait_for(1).len(), 1);
}

/// Many different signals are delivered at once to a thread whose alternative stack, Rust's own, is small.
fn together() {
    let signals: Vec<c_int> = (libc::SIGRTMIN()..=libc::SIGRTMAX()).collect();
    let _handlers: Vec<_> = signals.iter().map(|signal| handled(*signal)).collect();
    let raised = signals.clone();
    let thread = std::thread::spawn(move || {
        let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
        unsafe { libc::sigfillset(set.as_mut_ptr()) };
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut()) };
        for signal in raised {
            assert_eq!(unsafe { libc::raise(signal) }, 0);
        }
        unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), ptr::null_mut()) };
    });
    thread.join().unwrap();
    assert_eq!(wait_for(signals.len()).len(), signals.len());
}

fn errno() {
    let signal = libc::SIGRTMIN() + 3;
    let _handler = handled(signal);
    for _ in 0..10_000 {
        // The handler's write fails once the pipe is full.
        unsafe { *libc::__errno_location() = 1234 };
        unsafe { libc::kill(libc::getpid(), signal) };
        assert_eq!(unsafe { *libc::__errno_location() }, 1234);
    }
}

fn ignored() {
    assert!(matches!(register(SIGTERM), Ok(Registered::Ignored)));
    send_self(SIGTERM);
    assert_eq!(Inbox::open().unwrap().wait(Some(Duration::from_millis(1))), []);
    assert_eq!(disposition(SIGTERM), libc::SIG_IGN);
}

fn refused() {
    let faults = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP];
    for signal in [SIGKILL, libc::SIGSTOP, 0, -1, 65, 1000].into_iter().chain(faults) {
        let error = register(signal).unwrap_err();
        assert!(matches!(error, SignalError::Refused { signal: named, .. } if named == signal), "{error:?}");
    }
    let handler = handled(SIGTERM);
    assert_eq!(format!("{handler:?}"), "Registration { signal: 15, .. }");
    assert!(matches!(register(SIGTERM), Err(SignalError::Taken { signal: SIGTERM })));
}

fn chain() {
    // The second is plain like the first, the third is not.
    for (function, flags, counted) in [
        (count as *const () as usize, 0, &COUNT),
        (count_too as *const () as usize, 0, &COUNT_TOO),
        (count_info as *const () as usize, libc::SA_SIGINFO, &COUNT_INFO),
    ] {
        install(SIGTERM, function, flags);
        let handler = handled(SIGTERM);
        let sent = |expected: usize, records: usize| {
            send_self(SIGTERM);
            assert_eq!(counted.load(Ordering::SeqCst), expected);
            assert_eq!(wait_for(records).len(), records);
        };
        sent(0, 1);
        handler.chain(true);
        sent(1, 1);
        handler.chain(false);
        sent(1, 1);
    }
}

/// The function before ours runs on the main thread alone, and ends what that waits in.
fn chain_on_main() {
    use std::os::unix::thread::JoinHandleExt as _;
    install(SIGTERM, count_main as *const () as usize, 0);
    let handler = handled(SIGTERM);
    assert!(!nudge(SIGTERM), "nobody has asked for it");
    handler.chain(true);
    handler.on_main_thread(true);
    let elsewhere = std::thread::spawn(|| while COUNT.load(Ordering::SeqCst) < 2 {});
    let thread = elsewhere.as_pthread_t();
    let killer = std::thread::spawn(move || {
        assert_eq!(unsafe { libc::pthread_kill(thread, SIGTERM) }, 0);
    });
    // Nothing is ever written to it.
    let (pipe, _kept) = std::io::pipe().unwrap();
    let wait = |count| {
        let mut entry = libc::pollfd { fd: pipe.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        while COUNT.load(Ordering::SeqCst) < count {
            // It may have come just before.
            unsafe { libc::poll(&raw mut entry, 1, 1_000) };
        }
    };
    wait(1);
    killer.join().unwrap();
    assert_eq!(wait_for(1).len(), 1);
    let nudger = std::thread::spawn(|| assert!(nudge(SIGTERM)));
    wait(2);
    nudger.join().unwrap();
    elsewhere.join().unwrap();
    assert!(Inbox::open().unwrap().wait(Some(Duration::ZERO)).is_empty(), "a nudge was recorded");
    send_self(SIGTERM);
    assert_eq!((wait_for(1).len(), COUNT.load(Ordering::SeqCst)), (1, 3));
    install(SIGTERM, count as *const () as usize, 0);
    assert!(!nudge(SIGTERM), "it would reach somebody else");
}

extern "C" fn count_main(_: c_int) {
    assert_eq!(unsafe { libc::syscall(libc::SYS_gettid) }, libc::c_long::from(unsafe { libc::getpid() }));
    COUNT.fetch_add(1, Ordering::SeqCst);
}

/// Back over a function that was put over ours.
fn renew() {
    let mut handler = handled(SIGTERM);
    handler.chain(true);
    install(SIGTERM, count as *const () as usize, 0);
    send_self(SIGTERM);
    assert_eq!(COUNT.load(Ordering::SeqCst), 1);
    assert!(Inbox::open().unwrap().wait(Some(Duration::ZERO)).is_empty());
    assert!(handler.renew().unwrap());
    assert!(!handler.renew().unwrap());
    send_self(SIGTERM);
    assert_eq!((wait_for(1).len(), COUNT.load(Ordering::SeqCst)), (1, 2));
    drop(handler);
    send_self(SIGTERM);
    assert_eq!(COUNT.load(Ordering::SeqCst), 3, "what was before it was not restored");
}

fn default_is_not_chained() {
    let handler = handled(SIGTERM);
    handler.chain(true);
    send_self(SIGTERM);
    assert_eq!(wait_for(1).len(), 1);
}

fn restore_default() {
    drop(handled(SIGTERM));
    drop(handled(SIGTERM));
    println!("ready");
    send_self(SIGTERM);
    panic!("survived a signal that nobody handles");
}

fn restore_function() {
    install(SIGTERM, count as *const () as usize, 0);
    for round in 1..=3 {
        let handler = handled(SIGTERM);
        handler.chain(true);
        drop(handler);
        assert_eq!(disposition(SIGTERM), count as *const () as usize);
        send_self(SIGTERM);
        assert_eq!(COUNT.load(Ordering::SeqCst), round, "called once by the kernel, and not by us");
    }
    assert_eq!(Inbox::open().unwrap().wait(Some(Duration::ZERO)), []);
}

/// Somebody puts a handler over ours, which calls ours.
fn covered() {
    install(SIGTERM, count as *const () as usize, 0);
    let handler = handled(SIGTERM);
    let ours = disposition(SIGTERM);
    BELOW.store(ours, Ordering::SeqCst);
    install(SIGTERM, cover as *const () as usize, libc::SA_SIGINFO);
    send_self(SIGTERM);
    assert_eq!((COVERED.load(Ordering::SeqCst), COUNT.load(Ordering::SeqCst)), (1, 0));
    assert_eq!(wait_for(1).len(), 1);

    drop(handler);
    assert_eq!(disposition(SIGTERM), cover as *const () as usize, "theirs stays");
    send_self(SIGTERM);
    assert_eq!((COVERED.load(Ordering::SeqCst), COUNT.load(Ordering::SeqCst)), (2, 1), "ours passes it on");
    assert_eq!(Inbox::open().unwrap().wait(Some(Duration::ZERO)), []);

    let handler = handled(SIGTERM);
    handler.chain(true);
    send_self(SIGTERM);
    assert_eq!(
        (COVERED.load(Ordering::SeqCst), COUNT.load(Ordering::SeqCst)),
        (2, 2),
        "nobody calls in circles"
    );
    drop(handler);
    assert_eq!(disposition(SIGTERM), cover as *const () as usize, "theirs is restored");

    // They go, and put back what they found: ours, which is long gone.
    install(SIGTERM, ours, libc::SA_SIGINFO);
    let handler = handled(SIGTERM);
    handler.chain(true);
    send_self(SIGTERM);
    assert_eq!(COUNT.load(Ordering::SeqCst), 3, "ours is not its own predecessor");
    drop(handler);
    assert_eq!(disposition(SIGTERM), count as *const () as usize);
}

/// The default is not ours to put back in the place of whoever covered us.
fn covered_default() {
    let handler = handled(SIGTERM);
    BELOW.store(disposition(SIGTERM), Ordering::SeqCst);
    install(SIGTERM, cover as *const () as usize, libc::SA_SIGINFO);
    drop(handler);
    send_self(SIGTERM);
    assert_eq!(COVERED.load(Ordering::SeqCst), 1);
    assert_eq!(disposition(SIGTERM), cover as *const () as usize);
}

/// A forked child dies of what we handle, and we hear nothing of it.
fn fork_default() {
    let _handler = handled(SIGTERM);
    let status = in_child(|| {
        assert!(matches!(register(SIGUSR1), Err(SignalError::Forked)));
        send_self(SIGTERM);
        unsafe { libc::_exit(99) }
    });
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == SIGTERM, "status {status:#x}");
    assert_eq!(Inbox::open().unwrap().wait(Some(Duration::ZERO)), []);
    send_self(SIGTERM);
    assert_eq!(wait_for(1).len(), 1, "the parent still handles it");
}

/// In a forked child, the function that was there before acts.
fn fork_function() {
    install(SIGTERM, leave as *const () as usize, 0);
    let _handler = handled(SIGTERM);
    let status = in_child(|| {
        send_self(SIGTERM);
        unsafe { libc::_exit(99) }
    });
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "status {status:#x}");
    assert_eq!(Inbox::open().unwrap().wait(Some(Duration::ZERO)), []);
}

/// However the signal is handled, blocked or ignored.
fn end_by_blocked(scenario: &str) {
    let signal = scenario.trim_start_matches("end-by-").parse().unwrap();
    install(signal, count as *const () as usize, 0);
    let _handler = handled(signal);
    let mut all = MaybeUninit::uninit();
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
    }
    panic!("still here: {}", end_by(signal));
}

/// There is nothing to end by.
fn end_by_nothing() {
    assert_eq!(end_by(libc::SIGCHLD).kind(), std::io::ErrorKind::Other);
    assert_eq!(end_by(SIGKILL).raw_os_error(), Some(libc::EINVAL));
    assert_eq!(end_by(1_000).raw_os_error(), Some(libc::EINVAL));
}

/// Blocked in every thread but the one that waits.
fn masked() {
    let mut all = MaybeUninit::uninit();
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
    }
    let _handler = handled(SIGTERM);
    let waiting = std::thread::spawn(|| {
        unblock(SIGTERM).unwrap();
        wait_for(1)
    });
    send_self(SIGTERM);
    assert_eq!(waiting.join().unwrap().len(), 1);
}

static COUNT: AtomicUsize = AtomicUsize::new(0);
static COUNT_TOO: AtomicUsize = AtomicUsize::new(0);
static COUNT_INFO: AtomicUsize = AtomicUsize::new(0);
static COVERED: AtomicUsize = AtomicUsize::new(0);
static BELOW: AtomicUsize = AtomicUsize::new(0);
static DEPTH: AtomicI32 = AtomicI32::new(0);

extern "C" fn count(_: c_int) {
    COUNT.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn count_too(_: c_int) {
    COUNT_TOO.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn count_info(signal: c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    assert_eq!(unsafe { (*info).si_signo }, signal);
    COUNT_INFO.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn leave(_: c_int) {
    unsafe { libc::_exit(7) }
}

extern "C" fn cover(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    COVERED.fetch_add(1, Ordering::SeqCst);
    if DEPTH.fetch_add(1, Ordering::SeqCst) > 0 {
        unsafe { libc::_exit(98) }
    }
    let below = BELOW.load(Ordering::SeqCst);
    let below: extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void) =
        unsafe { std::mem::transmute(below) };
    below(signal, info, context);
    DEPTH.fetch_sub(1, Ordering::SeqCst);
}

pub(crate) fn handled(signal: c_int) -> Registration {
    match register(signal) {
        Ok(Registered::Handled(registration)) => {
            assert_eq!(registration.signal(), signal);
            registration
        }
        other => panic!("{other:?}"),
    }
}

fn install(signal: c_int, function: usize, flags: c_int) {
    let mut action = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    action.sa_sigaction = function;
    action.sa_flags = flags;
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) }, 0);
}

fn disposition(signal: c_int) -> usize {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    assert_eq!(unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) }, 0);
    unsafe { action.assume_init() }.sa_sigaction
}

pub(crate) fn send_self(signal: c_int) {
    assert_eq!(unsafe { libc::kill(libc::getpid(), signal) }, 0);
}

/// Waits until there are `count` records; more is more.
pub(crate) fn wait_for(count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(Inbox::open().unwrap().wait(None));
    }
    assert!(records.iter().all(|record| record.origin != Origin::Kernel));
    records
}
