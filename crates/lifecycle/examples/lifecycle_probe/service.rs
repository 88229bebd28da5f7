//! As a service manager's service.

use crate::{FOR_EVER, die_with_the_test, finish, ready};
use exeunt_lifecycle::{Config, Lifecycle, Phase, service};
use std::future::Future as _;
use std::io::{Error, Read as _};
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

pub(crate) fn run(scenario: &str) -> ExitCode {
    match scenario {
        // Below systemd, whose children outlive the thread that started them.
        "unit" => unit(),
        "unit-slow" => unit_slow(),
        "unit-shield" => shield(),
        "unit-preset" => preset(),
        "unit-store" => store(),
        other => {
            die_with_the_test();
            match other {
                "serve" => serve(),
                "start" => start(),
                "failed" => failed(),
                "refused" => refused(),
                "shield" => shield(),
                "stuck" => stuck(),
                "several" => several(),
                "second" => second(),
                other => panic!("no scenario {other:?}"),
            }
        }
    }
}

fn reloading() -> Config {
    Config::default().grace(FOR_EVER).terminate_on_hup(false).before_hup(|_, _| println!("reloads"))
}

/// A piece of work is finished when stdin ends.
fn serve() -> ExitCode {
    let lifecycle = Lifecycle::install(reloading()).unwrap();
    let scope = lifecycle.scope("http");
    let work = scope.track("request", "GET /slow");
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    println!("stopping");
    _ = std::io::stdin().read(&mut [0]);
    drop((work, scope));
    finish(lifecycle)
}

/// Never gets ready.
fn start() -> ExitCode {
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    println!("starting");
    lifecycle.stop().wait().unwrap();
    finish(lifecycle)
}

fn failed() -> ExitCode {
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    lifecycle.body_ended(Err(Error::from_raw_os_error(13)));
    finish(lifecycle)
}

fn refused() -> ExitCode {
    println!("{}", Lifecycle::install(Config::default()).unwrap_err());
    ExitCode::SUCCESS
}

/// A shield lasts until stdin ends, and a minute at most.
fn shield() -> ExitCode {
    let lifecycle = Lifecycle::install(Config::default().grace(Duration::from_secs(10))).unwrap();
    let shield = lifecycle.stop().shield(Duration::from_secs(60)).unwrap().named("payment");
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    println!("stopping");
    if std::env::args().nth(2).is_some_and(|scenario| scenario == "unit-shield") {
        thread::sleep(Duration::from_secs(6));
    } else {
        _ = std::io::stdin().read(&mut [0]);
    }
    drop(shield);
    finish(lifecycle)
}

/// The signal thread is stuck in a waker, the one thing of a program's that it calls.
fn stuck() -> ExitCode {
    struct Stuck;
    impl Wake for Stuck {
        fn wake(self: Arc<Self>) {
            println!("stuck");
            thread::sleep(FOR_EVER);
        }
    }
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    let stop = lifecycle.stop();
    let mut requested = pin!(stop.requested());
    let waker = Waker::from(Arc::new(Stuck));
    assert!(requested.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    ready(&lifecycle);
    thread::sleep(FOR_EVER);
    ExitCode::from(99)
}

/// One speaks for the process, and then the next.
fn several() -> ExitCode {
    let one = Lifecycle::install(Config::default()).unwrap();
    let silent = Lifecycle::install(Config::default()).unwrap();
    silent.ready();
    drop(silent.close());
    one.ready();
    drop(one.close());
    let mute = Lifecycle::install(Config::default().notify(false)).unwrap();
    mute.ready();
    let next = Lifecycle::install(Config::default()).unwrap();
    drop(next.close());
    ready(&mute);
    finish(mute)
}

/// The signal thread is there, and has nothing to do, when somebody comes who is watched.
fn second() -> ExitCode {
    let first = Lifecycle::install(Config::default().notify(false)).unwrap();
    println!("waits");
    // At rest, unless the machine is very slow.
    thread::sleep(Duration::from_millis(100));
    let second = Lifecycle::install(Config::default()).unwrap();
    // Readiness would wake it.
    println!("starting");
    first.stop().wait().unwrap();
    drop(first.close());
    finish(second)
}

/// Under systemd itself: reloads, and stops at once.
fn unit() -> ExitCode {
    let lifecycle = Lifecycle::install(reloading()).unwrap();
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    finish(lifecycle)
}

/// Takes six seconds to stop, and gets something done in each.
fn unit_slow() -> ExitCode {
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    let scope = lifecycle.scope("http");
    ready(&lifecycle);
    lifecycle.stop().wait().unwrap();
    for _ in 0..6 {
        let _request = scope.begin();
        thread::sleep(Duration::from_secs(1));
    }
    drop(scope);
    finish(lifecycle)
}

/// Leaves a listening socket with the manager, and says what came back of it.
fn store() -> ExitCode {
    let variable = |name| std::env::var(name).unwrap_or_default();
    match variable("LISTEN_FDS").as_str() {
        "" => {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            println!("stored {}", service::store("http", &[listener.as_fd()]).unwrap());
        }
        count => println!("back: {count} of {}", variable("LISTEN_FDNAMES")),
    }
    unit()
}

/// Has the grace of its unit, and says so in the time that a stop may take.
fn preset() -> ExitCode {
    let lifecycle = Lifecycle::install(Config::from_environment().unwrap()).unwrap();
    let _endless = lifecycle.scope("endless");
    ready(&lifecycle);
    let stop = lifecycle.stop();
    stop.wait_for(Phase::LameDuck, FOR_EVER).unwrap();
    println!("{:.1} s", stop.time_left().unwrap().as_secs_f64());
    finish(lifecycle)
}
