//! What becomes of console events.

use exeunt_sys::signal::{
    Inbox, Origin, Record, Registered, Registration, SignalError, end_by, is_forked, register, unblock,
};
use std::mem::transmute;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{FALSE, TRUE};
use windows_sys::Win32::System::Console::{
    CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT,
    SetConsoleCtrlHandler,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
use windows_sys::core::{BOOL, s};

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
const SIGBREAK: i32 = 21;

pub(crate) fn run(scenario: &str) {
    // Whatever hangs must not hang the tests.
    thread::spawn(|| {
        thread::sleep(Duration::from_secs(120));
        std::process::exit(98);
    });
    match scenario {
        "report" => report(),
        "refused" => refused(),
        "burst" => burst(),
        "wait" => wait(),
        "chain" => chain(),
        "chain-held" => chain_held(),
        "restore" => restore(),
        "restore-default" => restore_default(),
        "drop-held" => drop_held(),
        "logoff" => logoff(),
        "unregistered" => unregistered(),
        "end-by" => panic!("{}", end_by(SIGINT)),
        other => panic!("no scenario {other:?}"),
    }
}

/// Says what arrives, until stdin says something, and then ends with a status of its own.
fn report() {
    let _all = [SIGINT, SIGTERM, SIGBREAK].map(handled);
    thread::spawn(|| {
        loop {
            for record in inbox().wait(None) {
                println!("{} {:?}", record.signal, record.origin);
            }
        }
    });
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    std::process::exit(7);
}

fn refused() {
    for signal in [1, 3] {
        assert!(matches!(register(signal), Ok(Registered::Ignored)));
        assert!(end_by(signal).raw_os_error().is_some());
    }
    for signal in [0, 9, -1, 22] {
        let error = register(signal).unwrap_err();
        assert!(matches!(error, SignalError::Refused { signal: named, .. } if named == signal), "{error:?}");
        assert!(end_by(signal).raw_os_error().is_some());
    }
    let _handler = handled(SIGTERM);
    assert!(matches!(register(SIGTERM), Err(SignalError::Taken { signal: SIGTERM })));
    assert!(!is_forked());
    unblock(SIGTERM).unwrap();
}

/// Many at once, before anybody reads.
fn burst() {
    let _handler = handled(SIGINT);
    let threads = [(); 8].map(|()| thread::spawn(|| (0..250).for_each(|_| drop(event(CTRL_C_EVENT).join()))));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(take().len(), 2_000);
}

fn wait() {
    let inbox = inbox();
    assert_eq!(inbox.wait(Some(Duration::ZERO)), []);
    let begun = Instant::now();
    assert_eq!(inbox.wait(Some(Duration::from_millis(50))), []);
    assert!(begun.elapsed() >= Duration::from_millis(50), "it came early");
    // A wake before the wait ends it as well, and only one.
    inbox.wake();
    assert_eq!(inbox.wait(None), []);
    let waiting = thread::spawn(|| inbox.wait(None));
    let _handler = handled(SIGBREAK);
    event(CTRL_BREAK_EVENT).join().unwrap();
    let [record] = waiting.join().unwrap().try_into().unwrap();
    assert_eq!((record.signal, record.origin), (SIGBREAK, Origin::Kernel));
    assert!(record.at >= begun && record.at <= Instant::now());
    assert_eq!(inbox.wait(Some(Duration::from_millis(10))), []);
    drop(event(CTRL_BREAK_EVENT));
    assert_eq!(inbox.wait(Some(Duration::MAX)).len(), 1);
}

/// A previous handler is called when asked to chain, and only then.
fn chain() {
    foreign();
    let handler = handled(SIGINT);
    let sent = |ours: usize, theirs: u32| {
        event(CTRL_C_EVENT).join().unwrap();
        assert_eq!((take().len(), COUNT.swap(0, Ordering::SeqCst)), (ours, theirs));
    };
    sent(1, 0);
    handler.chain(true);
    sent(1, 1);
    handler.chain(false);
    sent(1, 0);
    handler.chain(true);
    drop(handler);
    sent(0, 1);
    // Chaining was the dropped registration's wish.
    let handler = handled(SIGINT);
    sent(1, 0);
    drop(handler);
}

/// Of the events that Windows ends a process after, the previous handler hears when ours is given up.
fn chain_held() {
    foreign();
    let handler = handled(SIGTERM);
    handler.chain(true);
    let held = event(CTRL_CLOSE_EVENT);
    assert_eq!(take_one().origin, Origin::Close);
    assert_eq!(COUNT.load(Ordering::SeqCst), 0, "ours returned");
    drop(handler);
    held.join().unwrap();
    assert_eq!(COUNT.load(Ordering::SeqCst), 1);
}

/// What was before ours is as it was.
fn restore() {
    foreign();
    for round in 1..=3 {
        drop([SIGINT, SIGBREAK, SIGTERM].map(handled));
        for sent in [CTRL_C_EVENT, CTRL_BREAK_EVENT, CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT]
        {
            event(sent).join().unwrap();
        }
        assert_eq!((take().len(), COUNT.load(Ordering::SeqCst)), (0, 5 * round));
    }
    // A handler that was put over ours stays, and is asked first.
    let handler = handled(SIGINT);
    assert_ne!(unsafe { SetConsoleCtrlHandler(Some(over), TRUE) }, FALSE);
    event(CTRL_C_EVENT).join().unwrap();
    drop(handler);
    event(CTRL_C_EVENT).join().unwrap();
    assert_eq!((take().len(), COUNT.load(Ordering::SeqCst)), (0, 2 * 100 + 15));
}

/// The default ends the process.
fn restore_default() {
    drop(handled(SIGINT));
    drop(handled(SIGINT));
    println!("ready");
    _ = event(CTRL_C_EVENT).join();
    panic!("survived an event that nobody handles");
}

/// An event that does not return stands in nobody's way, whatever Windows keeps locked meanwhile.
fn drop_held() {
    let (interrupt, end) = (handled(SIGINT), handled(SIGTERM));
    let held = event(CTRL_SHUTDOWN_EVENT);
    assert_eq!(take_one().origin, Origin::Shutdown);
    drop((interrupt, end));
    // And a lifecycle that is installed now is not kept from it.
    drop(handled(SIGTERM));
    drop(handled(SIGINT));
    assert!(!held.is_finished(), "the handler returned, and Windows would have ended us");
}

/// A logoff that is not to be taken is nothing.
fn logoff() {
    let handler = handled(SIGTERM);
    handler.logoff(false);
    event(CTRL_LOGOFF_EVENT).join().unwrap();
    assert_eq!(take(), []);
    handler.logoff(true);
    let _held = event(CTRL_LOGOFF_EVENT);
    assert_eq!(take_one().origin, Origin::Logoff);
}

/// One number is registered, and the event of another comes.
fn unregistered() {
    foreign();
    let _handler = handled(SIGTERM);
    event(CTRL_C_EVENT).join().unwrap();
    event(CTRL_BREAK_EVENT).join().unwrap();
    assert_eq!((take().len(), COUNT.load(Ordering::SeqCst)), (0, 2));
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Puts the foreign handler in place.
fn foreign() {
    unsafe extern "system" fn taken(_: u32) -> BOOL {
        COUNT.fetch_add(1, Ordering::SeqCst);
        TRUE
    }
    assert_ne!(unsafe { SetConsoleCtrlHandler(Some(taken), TRUE) }, FALSE);
}

unsafe extern "system" fn over(_: u32) -> BOOL {
    COUNT.fetch_add(100, Ordering::SeqCst);
    TRUE
}

/// What Windows does for an event, on a thread of its own.
fn event(event: u32) -> JoinHandle<u32> {
    let routine = unsafe { GetProcAddress(GetModuleHandleA(s!("kernel32.dll")), s!("CtrlRoutine")) }.unwrap();
    let routine = unsafe {
        transmute::<unsafe extern "system" fn() -> isize, extern "system" fn(usize) -> u32>(routine)
    };
    thread::spawn(move || routine(event as usize))
}

fn handled(signal: i32) -> Registration {
    match register(signal) {
        Ok(Registered::Handled(registration)) => {
            assert_eq!(registration.signal(), signal);
            registration
        }
        other => panic!("{other:?}"),
    }
}

fn inbox() -> &'static Inbox {
    Inbox::open().unwrap()
}

/// What has arrived.
fn take() -> Vec<Record> {
    inbox().wait(Some(Duration::ZERO))
}

/// What arrives next.
fn take_one() -> Record {
    loop {
        if let Some(record) = inbox().wait(None).first() {
            return *record;
        }
    }
}
