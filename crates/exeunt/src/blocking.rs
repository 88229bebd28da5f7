//! Programs without a runtime.

use crate::app::App;
use crate::error::Error;
use crate::exit::Exit;
use crate::not_started::NotStarted;
use crate::run::{BODY, body_work, install, panicked};
use exeunt_lifecycle::Config;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A whole program without a runtime: [`main`](fn@crate::main), for programs of plain threads and for jobs.
///
/// ```
/// use std::time::Duration;
///
/// fn main() -> exeunt::Exit {
///     exeunt::main_blocking(|app| {
///         let shield = app.stop().shield(Duration::from_secs(4))?;
///         for number in 1..=3 {
///             shield.allow_break()?; // a stop comes here, and nowhere else
///             println!("transfer {number}");
///         }
///         app.done(); // without this, it would go on until a signal
///         Ok(())
///     })
/// }
/// ```
///
/// The difference is in the body: it cannot be ended from outside. One that does not return delays the end to the hard
/// deadline; half a second later the process is ended from another thread.
#[track_caller]
pub fn main_blocking<F>(body: F) -> Exit
where
    F: FnOnce(&App) -> Result<(), Error>,
{
    main_blocking_with(Config::default(), body)
}

/// [`main_blocking`], with this configuration under what the environment says.
///
/// ```
/// # use exeunt::Config;
/// # use std::time::Duration;
/// fn main() -> exeunt::Exit {
///     let config = Config::default().grace(Duration::from_secs(60));
///     exeunt::main_blocking_with(config, |app| {
///         app.thread("poller", |stop| while stop.sleep(Duration::from_secs(10)) {});
/// #       app.done();
///         Ok(())
///     })
/// }
/// ```
#[track_caller]
pub fn main_blocking_with<F>(config: Config, body: F) -> Exit
where
    F: FnOnce(&App) -> Result<(), Error>,
{
    program(config, body).unwrap_or_else(Exit::not_started)
}

#[track_caller]
fn program<F>(config: Config, body: F) -> Result<Exit, NotStarted>
where
    F: FnOnce(&App) -> Result<(), Error>,
{
    // Without a runtime nobody serves an admin listener.
    let (lifecycle, _) = install(config)?;
    let app = App::new(lifecycle);
    {
        let _counted = body_work(&app);
        match catch_unwind(AssertUnwindSafe(|| body(&app))) {
            Ok(outcome) => app.body_ended(outcome),
            Err(panic) => _ = app.stop().fail(BODY, panicked(&*panic)),
        }
    }
    Ok(Exit::stopped(app.into_lifecycle()))
}
