//! Servers of a program.

use crate::app::App;
use exeunt_server::{BoxError, Health, HttpService, Server};

impl App {
    /// Serves from now until the drain is over, with `/livez` and `/readyz` before the service ([`Health`]). `name` is
    /// the report's.
    ///
    /// Connections are accepted at once, and `/readyz` says 503 until the program is ready. Components that the
    /// service uses are to be started before it; they close after its last response. A server whose socket becomes
    /// useless is a failure, and the cause of a stop.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime. The body of a program is inside one.
    pub fn serve<S, B>(&self, name: impl Into<String>, server: Server<S>)
    where
        S: HttpService<B> + Sync,
        B: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let stop = self.stop();
        let server = server.named(name).map(|service| Health::new(service, stop));
        // Its failure reaches the lifecycle from inside; nobody else waits for it.
        drop(tokio::spawn(server.run(self)));
    }
}
