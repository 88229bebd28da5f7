//! Code of the program, where the lifecycle calls or drops it: it panics, blocks for ever, or calls the lifecycle.

use crate::{FOR_EVER, die_with_the_test};
use exeunt_lifecycle::{Config, Lifecycle, Report, Signal, Stop};
use rustix::process::{Signal as Raw, getpid, kill_process};
use std::future::Future;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;
use std::{fmt, io};

pub(crate) fn run(scenario: &str) -> ExitCode {
    die_with_the_test();
    thread::spawn(limit);
    let report = match scenario {
        "subscriber-panics" => subscriber_panics(base()),
        "subscriber-panics-forced" => subscriber_panics(base().max_attempts(1)),
        "subscriber-blocks" => subscriber_blocks(base().grace(Duration::from_millis(50)), 1),
        "subscriber-blocks-forced" => subscriber_blocks(base(), 3),
        "hup" => hup(),
        "on-change-panics" => on_change_panics(),
        "exit-work-refused" => exit_work_refused(),
        "late-start" => late_start(),
        "late-start-blocks" => late_start_blocks(),
        "errors-ask" => errors(Asks),
        "errors-panic" => errors(|_| Panics),
        "drop-blocks" => drop_blocks(),
        "drop-panics" => drop_panics(),
        "hooks-drop" => hooks_drop(),
        "given-up-hooks-drop" => given_up_hooks_drop(),
        "waker-panics" => waker_panics(),
        "waker-asks" => waker_asks(),
        "owns-another" => owns_another(),
        "holds-itself" => holds_itself(),
        "work-fails" => work_fails(),
        "no-threads" => no_threads(),
        other => panic!("no scenario {other:?}"),
    };
    println!("{report}");
    ExitCode::from(report.exit_status())
}

/// What hangs fails.
#[expect(clippy::exit, reason = "the main thread is stuck, and nothing else ends it")]
fn limit() {
    thread::sleep(Duration::from_secs(60));
    println!("it hangs");
    std::process::exit(99);
}

/// Only what is tested ends such a stop.
fn base() -> Config {
    Config::default().grace(FOR_EVER).hard_limit(FOR_EVER)
}

fn install(config: Config) -> Lifecycle {
    let lifecycle = Lifecycle::install(config).unwrap();
    lifecycle.ready();
    lifecycle
}

fn kill(signal: Raw) {
    kill_process(getpid(), signal).unwrap();
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

const OPEN: fn() -> io::Result<()> = || Ok(());

/// Whoever asks the lifecycle when it is dropped, woken or shown.
#[derive(Clone)]
struct Asks(Stop);

impl Asks {
    fn ask(&self) {
        _ = self.0.time_left();
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        self.ask();
    }
}

impl Wake for Asks {
    fn wake(self: Arc<Self>) {
        self.ask();
        println!("woken");
    }
}

impl fmt::Debug for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asks")
    }
}

impl fmt::Display for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ask();
        f.write_str("asked")
    }
}

impl std::error::Error for Asks {}

#[derive(Debug)]
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("while it wakes")
    }
}

impl fmt::Display for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("while it is told")
    }
}

impl std::error::Error for Panics {}

/// The drop of a clone says where it is, and never returns; the first is gone without a word.
struct Blocks(bool);

impl Clone for Blocks {
    fn clone(&self) -> Self {
        Self(true)
    }
}

static BLOCKED: AtomicBool = AtomicBool::new(false);

/// Waits until somebody is in such a drop.
fn until_blocked() {
    while !BLOCKED.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(1));
    }
}

impl Blocks {
    fn new() -> Self {
        Self(false)
    }

    fn armed() -> Self {
        Self(true)
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        if self.0 {
            println!("dropped on {}", thread::current().name().unwrap_or_default());
            BLOCKED.store(true, Ordering::SeqCst);
            hang();
        }
    }
}

#[derive(Clone)]
struct DropPanics;

impl Drop for DropPanics {
    fn drop(&mut self) {
        panic!("while it is dropped")
    }
}

fn hang() {
    loop {
        thread::park();
    }
}

/// Calls this for each event, on whichever thread.
struct Subscriber(fn());

impl tracing::Subscriber for Subscriber {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        (self.0)();
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

fn subscribe(at_event: fn()) {
    tracing::subscriber::set_global_default(Subscriber(at_event)).unwrap();
}

/// Everybody who waits is woken all the same.
fn subscriber_panics(config: Config) -> Report {
    subscribe(|| panic!("nobody reads the log"));
    block_on(async {
        let lifecycle = install(config);
        let (stop, scope) = (lifecycle.stop(), lifecycle.scope("http"));
        let told = tokio::spawn(async move {
            stop.requested().await;
            scope.drain_requested().await;
        });
        lifecycle.component("database", async { OPEN() }, async |()| println!("closed")).await.unwrap();
        kill(Raw::TERM);
        let report = lifecycle.finished().await;
        told.await.unwrap();
        report
    })
}

/// Neither deadlines nor signals wait for it, nor do event loops.
fn subscriber_blocks(config: Config, signals: usize) -> Report {
    subscribe(hang);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lifecycle = install(config);
    let (say, hear) = channel();
    let _watch = lifecycle.stop().on_change(move || _ = say.send(()));
    let _busy = lifecycle.scope("busy");
    // Of different kinds, since the kernel merges those that are alike.
    [Raw::TERM, Raw::INT, Raw::QUIT].into_iter().take(signals).for_each(kill);
    hear.recv().unwrap();
    runtime.block_on(lifecycle.finished())
}

/// The hooks of a hang-up never return, and the log panics over that.
fn hup() -> Report {
    subscribe(|| panic!("the terminal is gone"));
    let lifecycle = install(base().before_hup(|_, _| hang()));
    kill(Raw::HUP);
    lifecycle.wait()
}

fn on_change_panics() -> Report {
    block_on(async {
        let lifecycle = install(base());
        let _watch = lifecycle.stop().on_change(|| panic!("of an act"));
        let tenant = lifecycle.group("tenant");
        tenant.component("cache", async { OPEN() }, async |()| ()).await.unwrap();
        println!("tenant clean {}", tenant.close(FOR_EVER).await.is_clean());
        lifecycle.component("database", async { OPEN() }, async |()| println!("closed")).await.unwrap();
        kill(Raw::TERM);
        lifecycle.finished().await
    })
}

fn exit_work_refused() -> Report {
    let lifecycle = install(base());
    let stop = lifecycle.stop();
    let close = move |()| {
        let asks = Asks(stop.clone());
        println!("refused {}", stop.run_at_exit("flush", move || drop(asks)).is_err());
    };
    lifecycle.component_blocking("database", OPEN, close).start().unwrap();
    lifecycle.close()
}

/// What a start gives when it has been given up.
fn late_start() -> Report {
    let lifecycle = install(base());
    let (asks, (release, held)) = (Asks(lifecycle.stop()), channel::<()>());
    let (gone, dropped) = channel::<()>();
    let start = move || {
        _ = held.recv();
        Ok::<_, io::Error>((asks, gone))
    };
    let database = lifecycle.component_blocking("database", start, |_| ());
    println!("{}", database.start_timeout(Duration::from_millis(1)).start().is_err());
    drop(release);
    _ = dropped.recv();
    lifecycle.close()
}

fn late_start_blocks() -> Report {
    let lifecycle = install(base());
    let (release, held) = channel::<()>();
    let start = move || {
        _ = held.recv();
        Ok::<_, io::Error>(Blocks::armed())
    };
    let _busy = lifecycle.scope("busy");
    let database = lifecycle.component_blocking("database", start, |_| ());
    _ = database.start_timeout(Duration::from_millis(1)).start().err();
    drop(release);
    until_blocked();
    for signal in [Raw::TERM, Raw::INT, Raw::QUIT] {
        kill(signal);
    }
    lifecycle.wait()
}

/// Errors that are told by themselves: of a start, of a close, of the program.
fn errors<E: std::error::Error + Send + Sync + 'static>(
    error: impl Fn(Stop) -> E + Send + 'static,
) -> Report {
    let lifecycle = install(base());
    let (stop, error) = (lifecycle.stop(), Arc::new(Mutex::new(error)));
    let make = move || error.lock().unwrap()(stop.clone());
    let close = make.clone();
    lifecycle.component_blocking("closes badly", OPEN, move |()| Err::<(), _>(close())).start().unwrap();
    let start = make.clone();
    let starts = lifecycle.component_blocking("starts badly", move || Err::<(), _>(start()), |()| ());
    println!("{}", starts.start().is_err());
    lifecycle.stop().fail("fails badly", make());
    lifecycle.close()
}

/// A forced end skips what would block, and another lifecycle gets its signals.
fn drop_blocks() -> Report {
    let forced = install(base().max_attempts(1).signals([Signal::USER1]));
    let other = install(base());
    let start = || Ok::<_, io::Error>(Blocks::new());
    std::mem::forget(forced.component_blocking("database", start, |_| ()).start().unwrap());
    kill(Raw::USR1);
    // To close it first would close the database.
    let report = forced.wait();
    kill(Raw::TERM);
    println!("the other {}", other.wait().cause.unwrap());
    until_blocked();
    report
}

fn drop_panics() -> Report {
    let lifecycle = install(base().max_attempts(1));
    let start = || Ok::<_, io::Error>(DropPanics);
    std::mem::forget(lifecycle.component_blocking("database", start, |_| ()).start().unwrap());
    kill(Raw::TERM);
    lifecycle.wait()
}

/// What a hook owns is let go of at the end.
fn hooks_drop() -> Report {
    let owned = Blocks::armed();
    let lifecycle = install(base().max_attempts(1).on_signal(Signal::USER1, move |_, _| _ = &owned));
    kill(Raw::TERM);
    block_on(lifecycle.finished())
}

/// So is what a call of it owns that nobody waits for any more.
fn given_up_hooks_drop() -> Report {
    let (owned, (say, hear)) = (Blocks::armed(), channel());
    let config = base().on_signal(Signal::USER1, move |_, _| {
        _ = say.send(());
        hang();
    });
    let lifecycle = install(config.on_signal(Signal::USER1, move |_, _| _ = &owned));
    kill(Raw::USR1);
    hear.recv().unwrap();
    lifecycle.close()
}

/// Whoever awaits a start gives it up, and is woken by that.
fn waker_asks() -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _here = runtime.enter();
    let lifecycle = install(base());
    let start = std::future::pending::<io::Result<()>>();
    let mut database = Box::pin(lifecycle.component("database", start, async |()| ()));
    let waker = Waker::from(Arc::new(Asks(lifecycle.stop())));
    assert!(database.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(database);
    lifecycle.close()
}

/// Who waits for something else, and what is to be closed, does not notice.
fn waker_panics() -> Report {
    block_on(async {
        let lifecycle = install(base());
        let stop = lifecycle.stop();
        let mut requested = Box::pin(stop.requested());
        let waker = Waker::from(Arc::new(Panics));
        assert!(requested.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        lifecycle.component("database", async { OPEN() }, async |()| println!("closed")).await.unwrap();
        kill(Raw::TERM);
        lifecycle.finished().await
    })
}

fn owns_another() -> Report {
    let (one, other) = (install(base()), install(base()));
    one.on_progress(move |_| _ = other.stop());
    let report = one.close();
    // Were the other's locks held for ever, nobody could join.
    drop(install(base()));
    report
}

/// A follower with a handle of the lifecycle that it follows.
fn holds_itself() -> Report {
    let (held, gone): (Sender<()>, Receiver<()>) = channel();
    let lifecycle = install(base());
    let stop = lifecycle.stop();
    lifecycle.on_progress(move |_| _ = (&held, &stop));
    let report = lifecycle.close();
    println!("let go {}", gone.recv().is_err());
    report
}

/// What blocks is closed where no thread can be had any more.
fn no_threads() -> Report {
    let lifecycle = install(base());
    let close = |()| println!("database closed");
    lifecycle.component_blocking("database", OPEN, close).start().unwrap();
    lifecycle.stop().run_at_exit("save", || println!("saved")).unwrap();
    let one = rustix::process::Rlimit { current: Some(1), maximum: Some(1) };
    rustix::process::setrlimit(rustix::process::Resource::Nproc, one).unwrap();
    println!("a thread {}", thread::Builder::new().spawn(|| ()).is_ok());
    lifecycle.close()
}

/// Work that fails in ways that cannot be told: each failure is one, and stops the program if it is to.
fn work_fails() -> Report {
    subscribe(|| panic!("nobody reads the log"));
    let lifecycle = install(base());
    let pool = lifecycle.pool("pool").workers(1).start(|job: u32, _| match job {
        0 => Err(Panics),
        1 => std::panic::panic_any(DropPanics),
        _ => {
            println!("job {job}");
            Ok(())
        }
    });
    let pool = pool.unwrap();
    (0..3).for_each(|job| pool.push(job).unwrap());
    while pool.in_flight() > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    lifecycle.thread("poller", |_| Err::<(), _>("no route"));
    lifecycle.wait()
}
