//! The admin listener of a program.

use crate::app::App;
use crate::error::Error;
use exeunt_server::Admin;
use exeunt_server::listener::Address;

impl App {
    /// Answers `/livez`, `/readyz` and, with the feature `prometheus`, `/metrics` on an address of its own, all through the
    /// stop and until everything else is closed. Returns where that is.
    ///
    /// The environment has the last word: `EXEUNT_ADMIN` (or [`Config::admin`](crate::Config::admin)) says another address,
    /// and then the listener is there from the beginning, also in a program that never calls this. Called once more, this
    /// returns where the listener is. For other paths, statuses or metrics, make an [`Admin`] and
    /// [`start`](Admin::start) it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # use exeunt::Config;
    /// # use std::io::Write as _;
    /// let report = exeunt::run(Config::default(), async |app| {
    ///     let address = app.admin("127.0.0.1:0")?; // "127.0.0.1:9000", say
    ///     # let ask = move || -> std::io::Result<String> {
    ///     #     let mut stream = std::net::TcpStream::connect(address.to_string())?;
    ///     #     stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    ///     #     std::io::read_to_string(stream) };
    ///     app.ready();
    ///     # let answer = tokio::task::spawn_blocking(ask).await??;
    ///     # assert!(answer.ends_with("ready\n"), "{answer}");
    ///     # app.done();
    ///     Ok(())
    /// })
    /// .await?;
    /// assert_eq!(report.exit_status(), 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The address cannot be had; or a stop was requested.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime. The body of a program is inside one, but for `main_blocking`.
    pub fn admin(&self, address: &str) -> Result<Address, Error> {
        match self.admin_address().get() {
            Some(open) => Ok(open.clone()),
            None => self.open_admin(address),
        }
    }

    pub(crate) fn open_admin(&self, address: &str) -> Result<Address, Error> {
        let admin = Admin::bind(address)?;
        #[cfg(feature = "prometheus")]
        let admin = with_recorder(admin);
        let local = admin.local_address().clone();
        admin.start(self)?;
        Ok(self.admin_address().get_or_init(|| local).clone())
    }
}

/// A program with a recorder of its own shows that where it likes to.
#[cfg(feature = "prometheus")]
fn with_recorder(admin: Admin) -> Admin {
    match exeunt_server::prometheus() {
        Ok(render) => admin.metrics(render),
        Err(error) => {
            tracing::warn!(%error, "the admin listener shows no metrics");
            admin
        }
    }
}
