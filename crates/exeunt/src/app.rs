//! What a start-up works with.

use exeunt_lifecycle::Lifecycle;
use std::ops::Deref;
#[cfg(feature = "server")]
use std::sync::OnceLock;

/// The program, as its start-up sees it: its [`Lifecycle`], and what only a program has.
///
/// ```
/// # use exeunt::{App, Error};
/// /// What all programs of this house start with.
/// async fn start(app: &App) -> Result<(), Error> {
///     app.task("work", async |stop| stop.requested().await); // `App` has all that `Lifecycle` has
///     Ok(())
/// }
///
/// fn main() -> exeunt::Exit {
///     exeunt::main(async |app| {
///         start(app).await?;
/// #       app.done();
///         Ok(())
///     })
/// }
/// ```
#[derive(Debug)]
pub struct App {
    lifecycle: Lifecycle,
    /// Where the admin listener listens.
    #[cfg(feature = "server")]
    admin: OnceLock<exeunt_server::listener::Address>,
}

impl App {
    pub(crate) fn new(lifecycle: Lifecycle) -> Self {
        Self {
            lifecycle,
            #[cfg(feature = "server")]
            admin: OnceLock::new(),
        }
    }

    /// Where the admin listener listens, once there is one.
    #[cfg(feature = "server")]
    pub(crate) fn admin_address(&self) -> &OnceLock<exeunt_server::listener::Address> {
        &self.admin
    }

    pub(crate) fn into_lifecycle(self) -> Lifecycle {
        self.lifecycle
    }
}

impl App {
    /// The program has done what it was started for, and ends: requests the stop. For jobs that are over by
    /// themselves.
    ///
    /// ```
    /// fn main() -> exeunt::Exit {
    ///     let exit = exeunt::main_blocking(|app| {
    ///         println!("{}", 6 * 7);
    ///         app.done();
    ///         Ok(())
    ///     });
    ///     assert_eq!(exit.status(), 0);
    ///     exit
    /// }
    /// ```
    pub fn done(&self) {
        self.stop().request_stop("the program was done");
    }
}

impl Deref for App {
    type Target = Lifecycle;

    fn deref(&self) -> &Lifecycle {
        &self.lifecycle
    }
}
