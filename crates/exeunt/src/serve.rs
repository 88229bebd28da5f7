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
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # use exeunt::{Config, Server};
    /// # use std::io::Write as _;
    /// use axum::{Router, routing::get};
    ///
    /// let server = Server::bind("127.0.0.1:0")?;
    /// let mut client = std::net::TcpStream::connect(server.local_address().to_string())?;
    /// client.write_all(b"GET / HTTP/1.1\r\nhost: example.org\r\n\r\n")?;
    /// let answer = std::thread::spawn(move || std::io::read_to_string(client));
    /// let report = exeunt::run(Config::default(), async |app| {
    ///     app.serve("http", server.service(Router::new().route("/", get(async || "hello"))));
    ///     app.done(); // and yet the request was sent, and is answered
    ///     Ok(())
    /// })
    /// .await?;
    /// let answer = answer.join().unwrap()?;
    /// assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"), "{answer}");
    /// assert_eq!(report.exit_status(), 0);
    /// # Ok(())
    /// # }
    /// ```
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
