//! Servers that speak something else than HTTP.

use crate::app::App;
use exeunt_lifecycle::{Outcome, Phase, Stop};
use exeunt_server::Acceptor;
use exeunt_server::listener::{CloseOptions, Connection, Listener};
use std::sync::Arc;

impl App {
    /// Accepts connections from now until the drain, each a task that `serve` makes of it and of the [`Stop`] that
    /// tells it to finish; then closes the listener without losing anyone who waits in its queue (rule D3). `name` is
    /// the report's.
    ///
    /// A connection that fails is in the report, and the others go on; a listener that becomes useless stops the
    /// program.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # use exeunt::Config;
    /// # use std::io::Write as _;
    /// use exeunt::server::listener::{Connection, Listener};
    ///
    /// let listener = Listener::bind(&"127.0.0.1:0".parse()?)?;
    /// let client = std::net::TcpStream::connect(listener.local_address().to_string())?;
    /// let answer = std::thread::spawn(move || std::io::read_to_string(client));
    /// let report = exeunt::run(Config::default(), async |app| {
    ///     app.accept("hello", listener, |connection, _stop| async move {
    ///         let Connection::Tcp { mut stream, .. } = connection else { return Ok(()) };
    ///         stream.write_all(b"hello")
    ///     });
    ///     app.done(); // and yet the client has connected, and is served
    ///     Ok(())
    /// })
    /// .await?;
    /// assert_eq!((&*answer.join().unwrap()?, report.exit_status()), ("hello", 0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime. The body of a program is inside one.
    #[track_caller]
    pub fn accept<S, F>(&self, name: impl Into<String>, listener: Listener, serve: S)
    where
        S: Fn(Connection, Stop) -> F + Send + Sync + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        let name = name.into();
        let (connections, serve) = (self.tasks(name.clone()), Arc::new(serve));
        let admit = move |connection: Connection| {
            let (serve, peer) = (Arc::clone(&serve), connection.peer());
            let peer = peer.map_or_else(|| "connection".to_owned(), |peer| peer.to_string());
            connections.spawn(peer, async move |stop| serve(connection, stop).await);
        };
        self.task(name, async move |stop| {
            let acceptor = Acceptor::new(listener)?;
            loop {
                tokio::select! {
                    // The stop first: under load there is always somebody to accept.
                    biased;
                    () = stop.reached(Phase::Draining) => break,
                    accepted = acceptor.accept() => admit(accepted?),
                }
            }
            acceptor.close(CloseOptions::default(), admit).await;
            Ok::<_, std::io::Error>(())
        });
    }
}
