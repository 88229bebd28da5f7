//! Signals with hooks, hooks at the end, and the end of stdin.

use crate::{FOR_EVER, alone, die_with_the_test, finish, nothing_is_left, ready, threads};
use exeunt_lifecycle::{Config, InstallError, Lifecycle, Phase, Report, Signal};
use std::io::{BufRead as _, Error};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

const REALTIME: Signal = Signal::new(37);

pub(crate) fn run(scenario: &str) -> ExitCode {
    die_with_the_test();
    // SIGQUIT leaves no core.
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(rustix::process::Resource::Core, none).unwrap();
    match scenario {
        "hooks" => serve(all_hooks()),
        "hup-stays" => serve(all_hooks().terminate_on_hup(false)),
        "hup-hangs" => serve(ending().before_hup(|_, _| hang("hup"))),
        "hup-sleeps" => hup_sleeps(),
        "hook-hangs" => serve(ending().on_signal(Signal::USER1, |_, _| hang("usr1"))),
        "hooks-panic" => serve(panics()),
        "hook-stops" => serve(ending().on_signal(Signal::USER1, |received, stop| {
            println!("first {}", stop.request_stop(format!("the hook of {}", received.signal)));
        })),
        "ending-hangs" => serve(ending().before_termination(|_| hang("ending")).before_termination(say)),
        "busy" => busy(ending()),
        "busy-shortly" => busy(ending().grace(Duration::from_millis(300))),
        "dropped" => dropped(),
        "closing" => closing(),
        "counts" => counts(),
        "re-raise" => serve(ending().re_raise(true)),
        "re-raise-busy" => busy(ending().re_raise(true)),
        "re-raise-failed" => re_raise_failed(),
        "several" => several(),
        "refused" => refused(),
        "later" => later(),
        "later-refused" => later_refused(),
        "stdin" => serve(ending().stop_on_stdin_end(true)),
        "stdin-twice" => stdin_twice(),
        "stdin-left" => stdin_left(),
        "stdin-unasked" => stdin_unasked(),
        "short" => short(),
        other => panic!("no scenario {other:?}"),
    }
}

fn base() -> Config {
    Config::default().grace(FOR_EVER)
}

fn ending() -> Config {
    base().before_termination(say)
}

fn say(report: &Report) {
    // Whoever does not wait for it is gone by then.
    thread::sleep(Duration::from_millis(30));
    println!("ending {:?}, {} hooks failed", report.verdict, report.hook_failures.len());
}

fn boom(what: &str) {
    panic!("{what}");
}

fn hang(what: &str) {
    println!("{what} hangs");
    thread::sleep(FOR_EVER);
}

fn all_hooks() -> Config {
    ending()
        .on_signal(Signal::USER1, |received, stop| println!("{} {}", received.signal, stop.phase()))
        .on_signal(Signal::USER2, |received, _| println!("{}", received.signal))
        .on_signal(Signal::USER2, |received, _| println!("{} again", received.signal))
        .on_signal(Signal::TERMINATE, |received, _| println!("{} too", received.signal))
        .before_hup(|received, stop| {
            // A stop that did not wait for us would be requested by then.
            thread::sleep(Duration::from_millis(30));
            println!("{} {}", received.signal, stop.is_requested());
        })
}

fn panics() -> Config {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    base()
        .on_signal(Signal::USER1, |_, _| match CALLS.fetch_add(1, Ordering::SeqCst) {
            0 => {
                println!("panics");
                panic!("at the first")
            }
            1 => {
                println!("failed");
                Err(Error::other("no disk"))
            }
            _ => {
                println!("well");
                Ok(())
            }
        })
        .before_hup(|_, _| boom("at the hang-up"))
        .before_termination(|_| boom("at the end"))
        .before_termination(say)
}

/// Stops when it is asked to.
fn serve(config: Config) -> ExitCode {
    let lifecycle = Lifecycle::install(config).unwrap();
    println!("ignored {:?}", lifecycle.ignored_signals());
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    println!("stopping");
    finish(lifecycle)
}

/// Never has done.
fn busy(config: Config) -> ExitCode {
    let lifecycle = Lifecycle::install(config).unwrap();
    let scope = lifecycle.scope("stubborn");
    ready(&lifecycle);
    let code = finish(lifecycle);
    drop(scope);
    code
}

/// Both deadlines pass while the process is stopped in its hook.
fn hup_sleeps() -> ExitCode {
    let config = ending().grace(Duration::from_secs(1)).before_hup(|_, _| {
        println!("hup sleeps");
        thread::sleep(Duration::from_millis(500));
    });
    let lifecycle = Lifecycle::install(config).unwrap();
    let scope = lifecycle.scope("reader");
    let stop = lifecycle.stop();
    let work = scope.begin();
    let worker = thread::spawn(move || {
        stop.wait().unwrap();
        std::io::stdin().lock().read_line(&mut String::new()).unwrap();
        assert!(!scope.is_cut(), "no pass over what was ready");
        drop(work);
    });
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    let code = finish(lifecycle);
    worker.join().unwrap();
    code
}

fn dropped() -> ExitCode {
    let lifecycle = Lifecycle::install(ending()).unwrap();
    let _scope = lifecycle.scope("cut");
    drop(lifecycle);
    println!("dropped");
    ExitCode::from(u8::from(!alone()))
}

/// Closing takes a while, since what was cut does not unwind.
fn closing() -> ExitCode {
    let lifecycle = Lifecycle::install(all_hooks().grace(Duration::from_secs(5))).unwrap();
    let scope = lifecycle.scope("stubborn");
    let stop = lifecycle.stop();
    let waiter = thread::spawn(move || {
        stop.wait_for(Phase::Closing, FOR_EVER).unwrap();
        println!("closing");
    });
    ready(&lifecycle);
    let code = finish(lifecycle);
    waiter.join().unwrap();
    drop(scope);
    code
}

/// Each delivery of a real-time signal is one, however many wait.
fn counts() -> ExitCode {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let count = |_, _: &_| {
        // Long enough for many to wait behind the first.
        match CALLS.fetch_add(1, Ordering::SeqCst) {
            0 => thread::sleep(Duration::from_millis(100)),
            699 => println!("700"),
            _ => {}
        }
    };
    let config = base().on_signal(REALTIME, count).on_signal(Signal::USER1, count);
    let config = config.before_termination(|_| println!("ending"));
    let code = serve(config);
    println!("calls {}", CALLS.load(Ordering::SeqCst));
    code
}

fn re_raise_failed() -> ExitCode {
    let lifecycle = Lifecycle::install(ending().re_raise(true)).unwrap();
    let scope = lifecycle.scope("database");
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    lifecycle.stop().fail("database", "no disk");
    drop(scope);
    finish(lifecycle)
}

/// Different signals and hooks at once, and one outlives the other.
fn several() -> ExitCode {
    let one = base().signals([Signal::TERMINATE]).on_signal(Signal::USER1, |_, _| println!("one"));
    let other = base()
        .signals([Signal::HANGUP])
        .before_hup(|_, _| println!("other hangs up"))
        .on_signal(Signal::TERMINATE, |_, _| println!("other hears"))
        .on_signal(Signal::USER1, |_, _| println!("other"));
    let (one, other) = (Lifecycle::install(one).unwrap(), Lifecycle::install(other).unwrap());
    println!("ready");
    one.stop().wait().unwrap();
    assert!(!other.stop().is_requested());
    println!("{}", one.close().exit_status());
    other.stop().wait().unwrap();
    println!("{}", other.close().exit_status());
    nothing_is_left()
}

/// What cannot be handled is an error, and leaves nothing behind.
fn refused() -> ExitCode {
    let kill = Signal::new(9);
    let config = all_hooks().on_signal(kill, |_, _| boom("handled"));
    let error = Lifecycle::install(config).unwrap_err();
    assert!(matches!(error, InstallError::Signal { signal, .. } if signal == kill), "{error:?}");
    nothing_is_left()
}

/// Hooks that come when the lifecycle is there.
fn later() -> ExitCode {
    let lifecycle = Lifecycle::install(base()).unwrap();
    assert_eq!(threads(), 3, "no hook, no thread for hooks");
    let kill = Signal::new(9);
    let error = lifecycle.on_signal(kill, |_, _| boom("handled")).unwrap_err();
    assert!(matches!(error, InstallError::Signal { signal, .. } if signal == kill), "{error:?}");
    let handled = lifecycle.on_signal(Signal::USER1, |received, _| println!("{}", received.signal));
    println!("handled {}", handled.unwrap());
    let handled = lifecycle.on_signal(Signal::USER1, |_, stop| _ = stop.request_stop("the second hook"));
    assert!(handled.unwrap());
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    println!("status {}", lifecycle.close().exit_status());
    nothing_is_left()
}

/// One that cannot be handled costs the others nothing.
fn later_refused() -> ExitCode {
    let lifecycle = Lifecycle::install(ending()).unwrap();
    assert!(lifecycle.on_signal(Signal::new(9), |_, _| boom("handled")).is_err());
    assert!(lifecycle.on_signal(Signal::USER1, |_, _| boom("handled")).unwrap());
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    finish(lifecycle)
}

fn stdin_twice() -> ExitCode {
    let [one, other] = [(), ()].map(|()| Lifecycle::install(base().stop_on_stdin_end(true)).unwrap());
    println!("ready");
    one.stop().wait().unwrap();
    other.stop().wait().unwrap();
    println!("{}", one.close().cause.unwrap());
    // One that comes when stdin has ended already.
    let last = Lifecycle::install(base().stop_on_stdin_end(true)).unwrap();
    last.stop().wait().unwrap();
    println!("{}", last.close().cause.unwrap());
    println!("{}", other.close().cause.unwrap());
    ExitCode::from(u8::from(!alone()))
}

/// The reader ends with the lifecycle, though stdin does not.
fn stdin_left() -> ExitCode {
    let lifecycle = Lifecycle::install(base().stop_on_stdin_end(true)).unwrap();
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    drop(lifecycle.close());
    assert!(alone(), "somebody still reads");
    println!("read on");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    print!("{line}");
    ExitCode::SUCCESS
}

/// What nobody asked for does not read.
fn stdin_unasked() -> ExitCode {
    let lifecycle = Lifecycle::install(all_hooks()).unwrap();
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    print!("{line}");
    finish(lifecycle)
}

/// A short life: starts, works, closes. Whatever comes, whatever was begun is finished.
fn short() -> ExitCode {
    let config = base()
        .on_signal(Signal::USER1, |_, _| println!("usr1"))
        .before_hup(|_, _| {})
        .max_attempts(100)
        .before_termination(|report| {
            assert_eq!(report.exit_status(), 0);
            println!("ending");
        });
    let lifecycle = Lifecycle::install(config).unwrap();
    println!("installed");
    thread::sleep(Duration::from_millis(4));
    let (scope, stop) = (lifecycle.scope("work"), lifecycle.stop());
    lifecycle.ready();
    let worker = thread::spawn(move || {
        let (mut begun, mut finished) = (0, 0);
        while !scope.stop().is_requested() && begun < 8 {
            let work = scope.begin();
            begun += 1;
            thread::sleep(Duration::from_millis(1));
            finished += 1;
            drop(work);
        }
        thread::sleep(Duration::from_millis(3));
        println!("begun {begun} finished {finished}");
    });
    let asked = stop.wait_for(Phase::LameDuck, Duration::from_millis(10)).unwrap();
    let report = lifecycle.close();
    worker.join().unwrap();
    println!("closed {} {asked}", report.exit_status());
    ExitCode::from(report.exit_status())
}
