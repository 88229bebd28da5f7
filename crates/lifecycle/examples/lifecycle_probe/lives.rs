//! Deadlines, failures, several lifecycles, and what is left of them.

use crate::{FOR_EVER, die_with_the_test, finish, nothing_is_left, ready, threads};
use exeunt_lifecycle::{Config, CutWork, InstallError, Lifecycle, Phase, Signal, Stop};
use std::io::Read as _;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

pub(crate) fn run(scenario: &str) -> ExitCode {
    die_with_the_test();
    match scenario {
        "serve" => serve(),
        "busy" => busy(FOR_EVER),
        "busy-shortly" => busy(Duration::from_millis(300)),
        "cut" => cut(),
        "fail" => fail(),
        "blocked-main" => blocked_main(),
        "stopped-process" => stopped_process(),
        "after-close" => after(|lifecycle| drop(lifecycle.close())),
        "after-drop" => after(drop),
        "refused" => refused(),
        "two" => two(),
        "stuck-runtime" => stuck_runtime(),
        other => panic!("no scenario {other:?}"),
    }
}

/// Threads work until the stop, and the rest is finished.
fn serve() -> ExitCode {
    let lifecycle = install(FOR_EVER);
    let ignored = lifecycle.ignored_signals();
    println!("ignored {ignored:?}");
    let workers = ["one", "two"].map(|name| {
        let scope = lifecycle.scope(name);
        thread::spawn(move || {
            while !scope.stop().is_requested() {
                let _work = scope.begin();
                thread::sleep(Duration::from_millis(1));
            }
        })
    });
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    finish(lifecycle)
}

/// Work that never ends.
fn busy(grace: Duration) -> ExitCode {
    let lifecycle = install(grace);
    let scope = lifecycle.scope("stubborn");
    let _work = scope.begin();
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    finish(lifecycle)
}

/// Work that ends when it is told to.
fn cut() -> ExitCode {
    let lifecycle = install(Duration::from_millis(300));
    let scope = lifecycle.scope("http");
    let (slow, quick) = (scope.begin(), scope.begin());
    let worker = thread::spawn(move || {
        let _quick = quick;
        assert!(!scope.is_cut());
        scope.stop().wait_for(Phase::Closing, FOR_EVER).unwrap();
        assert!(scope.is_cut(), "cut before Closing is seen");
        slow.cut(CutWork {
            name: "GET /slow".to_owned(),
            kind: "request",
            peer: Some("192.0.2.1:4711".to_owned()),
            age: Duration::from_millis(1_500),
            site: None,
        });
    });
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    let code = finish(lifecycle);
    worker.join().unwrap();
    code
}

fn fail() -> ExitCode {
    let lifecycle = install(FOR_EVER);
    let stop = lifecycle.stop();
    lifecycle.ready();
    let first = stop.fail("database", std::io::Error::other("no disk"));
    let second = stop.fail("cache", "gone too");
    println!("{first} {second}");
    finish(lifecycle)
}

/// Main sits in a read that nothing ends; the stop is seen elsewhere.
fn blocked_main() -> ExitCode {
    let lifecycle = install(FOR_EVER);
    let stop = lifecycle.stop();
    let watcher = thread::spawn(move || {
        stop.wait().unwrap();
        println!("seen");
    });
    ready(&lifecycle);
    let read = std::io::stdin().read(&mut [0]);
    assert_eq!(read.unwrap(), 0, "only the end of stdin ends the read");
    watcher.join().unwrap();
    finish(lifecycle)
}

/// Work that is finished by what arrives while the process is stopped.
fn stopped_process() -> ExitCode {
    let lifecycle = install(Duration::from_secs(1));
    let scope = lifecycle.scope("reader");
    let work = scope.begin();
    let worker = thread::spawn(move || {
        scope.stop().wait().unwrap();
        println!("draining");
        std::io::stdin().read_exact(&mut [0]).unwrap();
        if scope.is_cut() {
            work.cut(CutWork {
                name: "read".to_owned(),
                kind: "test",
                peer: None,
                age: Duration::ZERO,
                site: None,
            });
        }
    });
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    let code = finish(lifecycle);
    worker.join().unwrap();
    code
}

/// What is left of us when we have gone: nothing.
fn after(leave: impl FnOnce(Lifecycle)) -> ExitCode {
    let lifecycle = install(FOR_EVER);
    // Ours, the signals', and the one that tells.
    assert_eq!(threads(), 3);
    leave(lifecycle);
    nothing_is_left()
}

/// One signal can be handled and the other cannot.
fn refused() -> ExitCode {
    let config = Config::default().signals([Signal::TERMINATE, Signal::new(9)]);
    let error = Lifecycle::install(config).unwrap_err();
    assert!(matches!(error, InstallError::Signal { signal, .. } if signal == Signal::new(9)), "{error:?}");
    assert!(error.to_string().contains("SIGKILL cannot be handled"), "{error}");
    nothing_is_left()
}

/// Two lifecycles see the same signal, and one outlives the other.
fn two() -> ExitCode {
    let one = Lifecycle::install(Config::default().grace(FOR_EVER).signals([Signal::TERMINATE])).unwrap();
    let other = install(FOR_EVER);
    let last = install(FOR_EVER);
    let scope = last.scope("stubborn");
    println!("ready");
    let stops: [Stop; 3] = [&one, &other, &last].map(Lifecycle::stop);
    stops.iter().for_each(|stop| stop.wait().unwrap());
    println!("{}", one.close().attempts);
    println!("{}", other.close().attempts);
    // With the others gone, the handlers are still in place for the last.
    println!("closed");
    let report = last.close();
    drop(scope);
    println!("{report}");
    ExitCode::from(report.exit_status())
}

/// Every thread of the runtime is stuck, and the deadlines come all the same.
fn stuck_runtime() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let lifecycle = install(Duration::from_millis(300));
    let scope = lifecycle.scope("stuck");
    let stop = lifecycle.stop();
    thread::spawn(move || runtime.block_on(async { thread::sleep(FOR_EVER) }));
    ready(&lifecycle);
    assert!(stop.wait_for(Phase::Stopped, FOR_EVER).unwrap());
    drop(scope);
    finish(lifecycle)
}

fn install(grace: Duration) -> Lifecycle {
    Lifecycle::install(Config::default().grace(grace)).unwrap()
}
