//! From the start-up to the report.

use crate::app::App;
use crate::error::Error;
use crate::exit::Exit;
use crate::not_started::NotStarted;
use exeunt_lifecycle::{Config, Force, InstallError, Lifecycle, Phase, Report, Scope, Tracked};
use futures_util::FutureExt as _;
use std::any::Any;
use std::panic::AssertUnwindSafe;

/// A whole program: owns the runtime, starts it up with `body`, and sees its stop through.
///
/// ```
/// fn main() -> exeunt::Exit {
///     exeunt::main(async |app| {
///         println!("hello");
///         app.ready();
/// #       app.done();
///         Ok(()) // until a stop signal
///     })
/// }
/// ```
///
/// - Signals are handled before anything else happens. SIGHUP, SIGINT, SIGQUIT and SIGTERM request the stop, unless
///   [`main_with`] is told otherwise; the environment has the last word (`docs/environment.md`).
/// - `body` is the start-up. That it returns means that the program is [ready](Lifecycle::ready), if it has not said
///   so before. The program then lives until a stop is requested: by a signal, by [`Stop::request_stop`], by
///   something that fails.
/// - While it runs, the body is work like any other: nothing closes under it. A stop does not interrupt it; at the
///   drain deadline it is dropped where it awaits, and reported as cut.
/// - An error of the body is the cause of a stop, with exit status 1. After a stop request it is none: then the
///   start-up was told to give up. A panic is a failure at any time.
/// - Nothing that blocks for ever keeps the program from ending: no blocking job, nor a body that never awaits. In the
///   latter case the process is ended half a second after the stop is over, from another thread.
///
/// What is said on stderr, and when, is told at [`Exit`].
///
/// [`Stop::request_stop`]: exeunt_lifecycle::Stop::request_stop
#[track_caller]
pub fn main<F>(body: F) -> Exit
where
    F: AsyncFnOnce(&App) -> Result<(), Error>,
{
    main_with(Config::default(), body)
}

/// [`main`](fn@main), with this configuration under what the environment says.
///
/// ```
/// # use exeunt::Config;
/// # use std::time::Duration;
/// fn main() -> exeunt::Exit {
///     exeunt::main_with(Config::default().lame_duck(Duration::from_secs(5)), async |app| {
///         app.task("work", async |stop| stop.requested().await);
/// #       app.done();
///         Ok(())
///     })
/// }
/// ```
#[track_caller]
pub fn main_with<F>(config: Config, body: F) -> Exit
where
    F: AsyncFnOnce(&App) -> Result<(), Error>,
{
    program(config, body).unwrap_or_else(Exit::not_started)
}

/// A program inside a runtime of one's own: handles the signals, starts up with `body`, sees the stop through, and
/// tells how it went. [`main`](fn@main) says what the body is.
///
/// Reads no environment: `Config::from_environment()?` does.
///
/// ```
/// # use exeunt::{Config, Verdict};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let report = exeunt::run(Config::from_environment()?, async |app| {
///     app.task("work", async |stop| {
///         stop.request_stop("all is done");
///     });
///     Ok(())
/// })
/// .await?;
/// assert_eq!((report.cause.unwrap().to_string(), report.verdict), ("all is done".to_owned(), Verdict::Clean));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// The lifecycle cannot be installed; the body has not run.
///
/// # Cancel safety
///
/// Dropping the future ends the stop at once, as dropping a [`Lifecycle`] does.
pub async fn run<F>(config: Config, body: F) -> Result<Report, InstallError>
where
    F: AsyncFnOnce(&App) -> Result<(), Error>,
{
    let admin = config.admin_address().map(str::to_owned);
    let app = App::new(Lifecycle::install(config)?);
    let (scope, work) = body_work(&app);
    start_up(&app, scope, work, admin, body).await;
    Ok(app.into_lifecycle().finished().await)
}

#[track_caller]
fn program<F>(config: Config, body: F) -> Result<Exit, NotStarted>
where
    F: AsyncFnOnce(&App) -> Result<(), Error>,
{
    // Before the runtime has threads: a signal in between would end the program as if it had no lifecycle.
    let (lifecycle, admin) = install(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(NotStarted::Runtime)?;
    let app = App::new(lifecycle);
    let (scope, work) = body_work(&app);
    runtime.block_on(async {
        start_up(&app, scope, work, admin, body).await;
        app.stop().reached(Phase::Stopped).await;
    });
    let exit = Exit::stopped(app.into_lifecycle());
    // A blocking job may never return.
    runtime.shutdown_background();
    Ok(exit)
}

/// A lifecycle for who owns the process, and where its admin listener is to be.
pub(crate) fn install(config: Config) -> Result<(Lifecycle, Option<String>), NotStarted> {
    let config = config.with_environment()?.force(Force::ExitAfter(last_words));
    let admin = config.admin_address().map(str::to_owned);
    Ok((Lifecycle::install(config)?, admin))
}

/// The main thread is stuck, and will not tell.
fn last_words(report: &Report) {
    Exit::told(report.clone()).tell();
}

/// The body is counted, and named by the place that it was given to us at.
#[track_caller]
pub(crate) fn body_work(app: &App) -> (Scope, Tracked) {
    let scope = app.scope(BODY);
    let work = scope.track("start-up", BODY);
    (scope, work)
}

/// Drives the body to its end, or to the drain deadline.
async fn start_up<F>(app: &App, scope: Scope, work: Tracked, admin: Option<String>, body: F)
where
    F: AsyncFnOnce(&App) -> Result<(), Error>,
{
    let body = async |app: &App| {
        open_admin(app, admin)?;
        body(app).await
    };
    let outcome = tokio::select! {
        // The body first: what is ready at the deadline is not cut.
        biased;
        outcome = AssertUnwindSafe(body(app)).catch_unwind() => outcome,
        () = scope.cut_requested() => {
            return work.cut();
        }
    };
    match outcome {
        Ok(Ok(())) => {
            // Counted out first, so that who sees the program run finds its start-up over. An error is told first: with
            // nothing left to wait for, the end could come before it.
            drop((work, scope));
            app.body_ended(Ok::<(), Error>(()));
        }
        Ok(Err(error)) => app.body_ended(Err(error)),
        Err(panic) => _ = app.stop().fail(BODY, panicked(&*panic)),
    }
}

/// Opens the admin listener that the configuration asks for, before anything else starts.
#[cfg(feature = "server")]
fn open_admin(app: &App, address: Option<String>) -> Result<(), Error> {
    address.map_or(Ok(()), |address| app.open_admin(&address).map(drop))
}

#[cfg(not(feature = "server"))]
fn open_admin(_: &App, address: Option<String>) -> Result<(), Error> {
    match address {
        None => Ok(()),
        Some(address) => Err(format!(
            "there can be no admin listener on {address} (EXEUNT_ADMIN): this program was built without the feature server"
        )
        .into()),
    }
}

/// The name that the report gives to the body.
pub(crate) const BODY: &str = "main";

pub(crate) fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    match text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)) {
        Some(text) => format!("panicked: {text}"),
        None => "panicked".to_owned(),
    }
}
