//! Programs that go wrong in one way each, for the tests.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a probe says what it does, and goes wrong on purpose"
)]

use exeunt::{App, Config, Error, Exit, ExitStatuses, Force, Lifecycle, Phase, Progress, Signal};
use std::future::pending;
use std::thread;
use std::time::Duration;

/// Short enough that a test can wait for its end, long enough that nothing reaches it by itself.
const SHORT: Duration = Duration::from_secs(1);

const FOR_EVER: Duration = Duration::from_secs(3600);

fn main() -> Exit {
    let scenario = std::env::args().nth(1).unwrap_or_default();
    let (scenario, grace) = match scenario.strip_suffix("-for-long") {
        Some(scenario) => (scenario, FOR_EVER),
        None => (scenario.as_str(), SHORT),
    };
    let config = Config::default().grace(grace);
    match scenario {
        "plain" => exeunt::main(plain),
        "lingers" => {
            let exit = exeunt::main(plain);
            println!("over");
            thread::sleep(SHORT);
            exit
        }
        "always-tell" => exeunt::main(plain).always_tell(),
        "re-raise" => exeunt::main_with(Config::default().re_raise(true), plain),
        "own-status-clean" => exeunt::main_with(own_statuses(config), plain),
        "own-status-failed" => {
            exeunt::main_with(own_statuses(config), async |_| Err("there is no shop".into()))
        }
        "own-status-cut" => exeunt::main_with(own_statuses(config), async |app| {
            app.ready();
            say_ready(())?;
            pending().await
        }),
        // Ended from another thread, since its own is stuck.
        "own-status-blocked" => exeunt::main_with(own_statuses(config), blocked),
        "hung-hook" => exeunt::main_with(
            Config::default().before_termination(|_| {
                println!("hook");
                thread::sleep(FOR_EVER);
            }),
            plain,
        ),
        "fails" => exeunt::main(async |_| Err("there is no shop".into())),
        "panics" => exeunt::main(async |_| panic!("no such shop")),
        "hung-start" => exeunt::main_with(config, hung_start),
        "hung-blocking-start" => exeunt::main_blocking_with(config, hung_blocking_start),
        "hung-body" => exeunt::main_with(config, async |_| {
            println!("waiting");
            pending().await
        }),
        "blocked-body" => exeunt::main_with(config, blocked),
        "blocked-job" => exeunt::main_blocking_with(config, |app| {
            app.ready();
            println!("ready");
            thread::sleep(FOR_EVER);
            Ok(())
        }),
        "shielded-job" => exeunt::main_blocking_with(config, |app| {
            let _shield = app.stop().shield(FOR_EVER)?;
            println!("ready");
            thread::sleep(FOR_EVER);
            Ok(())
        }),
        "tells-its-grace" => exeunt::main_with(config, async |app| {
            app.task("teller", async |stop| {
                stop.requested().await;
                println!("left {}", stop.time_left().map_or(0, |left| left.as_secs()));
            });
            say_ready(())
        }),
        "stuck-with-force" => stuck(config.force(Force::Exit)),
        "stuck-with-endless-words" => stuck(config.force(Force::ExitAfter(|_| {
            loop {
                thread::park();
            }
        }))),
        "stuck-with-notice" => stuck(config),
        // Stuck in whatever it says, in an `eprintln!` to a full pipe, say.
        "held-stderr" => exeunt::main_blocking_with(config, |app| {
            let _held = std::io::stderr().lock();
            app.ready();
            println!("ready");
            thread::sleep(FOR_EVER);
            Ok(())
        }),
        // What is in stdout's buffer is flushed at the exit, to somebody who does not read.
        "unflushed" => exeunt::main_blocking_with(config, |app| {
            print!("half a line");
            app.done();
            Ok(())
        }),
        "unflushed-and-stuck" => exeunt::main_blocking_with(config, |app| {
            print!("half a line");
            app.done();
            thread::sleep(FOR_EVER);
            Ok(())
        }),
        "unflushed-with-force" => {
            print!("half a line");
            let lifecycle = Lifecycle::install(config.force(Force::Exit)).unwrap();
            lifecycle.stop().request_stop("all is done");
            thread::sleep(FOR_EVER);
            Exit::of(lifecycle)
        }
        "slow-follower" => slow_follower(config.force(Force::Exit)),
        "panicking-job" => exeunt::main_blocking(|_| panic!("no such shop")),
        // Long enough for a busy machine to close the last one in what the hung one leaves.
        "hung-close" => exeunt::main_with(config.grace(Duration::from_secs(3)), hung_close),
        "slow-close" => exeunt::main_with(config, async |app| {
            outer(app).await?;
            component(app, "slow", Duration::from_millis(200)).await?;
            say_ready(())
        }),
        "endless-thread" => exeunt::main_with(config, async |app| {
            outer(app).await?;
            app.thread("endless", |_| thread::sleep(FOR_EVER));
            say_ready(())
        }),
        "endless-blocking" => exeunt::main_with(config, async |app| {
            outer(app).await?;
            app.blocking("endless", |_| thread::sleep(FOR_EVER));
            say_ready(())
        }),
        "untracked-blocking" => exeunt::main(async |app| {
            outer(app).await?;
            drop(tokio::task::spawn_blocking(|| thread::sleep(FOR_EVER)));
            say_ready(())
        }),
        "stubborn-task" => exeunt::main_with(config, async |app| {
            outer(app).await?;
            app.task("stubborn", async |_| pending::<()>().await);
            say_ready(())
        }),
        "failing-task" => exeunt::main(async |app| {
            outer(app).await?;
            app.task("reindex", async |_| panic!("the index is gone"));
            say_ready(())
        }),
        other => panic!("no such scenario: {other:?}"),
    }
}

/// One of its own for each way to end.
fn own_statuses(config: Config) -> Config {
    let statuses = ExitStatuses::default().failed(0).cut(75);
    config.exit_statuses(statuses.forced(76).forced_by(Signal::TERMINATE, 77)).max_attempts(2)
}

/// Sees its own stop, and does nothing about it.
fn stuck(config: Config) -> Exit {
    let lifecycle = Lifecycle::install(config).unwrap();
    println!("ready");
    let stopped = lifecycle.stop().wait_for(Phase::Stopped, FOR_EVER).unwrap();
    println!("stopped {stopped}");
    thread::sleep(2 * SHORT);
    println!("still here");
    Exit::of(lifecycle)
}

/// Has noticed, and is kept by somebody who is slow to hear it.
fn slow_follower(config: Config) -> Exit {
    let lifecycle = Lifecycle::install(config).unwrap();
    lifecycle.on_progress(|progress| {
        if matches!(progress, Progress::Stopped { .. }) {
            thread::sleep(SHORT);
        }
    });
    let report = lifecycle.close();
    println!("closed {}", report.exit_status());
    thread::sleep(SHORT);
    println!("still here");
    Exit::of(Lifecycle::install(Config::default()).unwrap())
}

async fn blocked(app: &App) -> Result<(), Error> {
    app.ready();
    println!("ready");
    // The very thread that runs the program.
    thread::sleep(FOR_EVER);
    Ok(())
}

async fn plain(app: &App) -> Result<(), Error> {
    outer(app).await?;
    say_ready(())
}

fn say_ready((): ()) -> Result<(), Error> {
    println!("ready");
    Ok(())
}

/// What must be closed, whatever else goes wrong.
async fn outer(app: &App) -> Result<(), Error> {
    component(app, "outer", Duration::ZERO).await
}

async fn component(app: &App, name: &'static str, close: Duration) -> Result<(), Error> {
    let start = async {
        println!("opened {name}");
        Ok::<_, Error>(())
    };
    let closer = async move |()| {
        if !close.is_zero() {
            println!("closing {name}");
            tokio::time::sleep(close).await;
        }
        println!("closed {name}");
    };
    Ok(app.component(name, start, closer).await?)
}

async fn hung_start(app: &App) -> Result<(), Error> {
    outer(app).await?;
    let start = async {
        println!("starting inner");
        pending::<Result<(), Error>>().await
    };
    app.component("inner", start, async |()| println!("closed inner")).await?;
    println!("started inner");
    component(app, "never", Duration::ZERO).await
}

fn hung_blocking_start(app: &App) -> Result<(), Error> {
    let open = |name| {
        move || {
            println!("opened {name}");
            Ok::<_, Error>(())
        }
    };
    app.component_blocking("outer", open("outer"), |()| println!("closed outer")).start()?;
    let hang = || -> Result<(), Error> {
        println!("starting inner");
        thread::sleep(FOR_EVER);
        Ok(())
    };
    app.component_blocking("inner", hang, |()| println!("closed inner")).start()?;
    app.component_blocking("never", open("never"), |()| println!("closed never")).start()?;
    say_ready(())
}

async fn hung_close(app: &App) -> Result<(), Error> {
    outer(app).await?;
    component(app, "hung", FOR_EVER).await?;
    component(app, "last", Duration::ZERO).await?;
    say_ready(())
}
