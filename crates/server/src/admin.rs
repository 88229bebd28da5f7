//! The admin listener (rule D1).

use crate::alarm::now;
use crate::health::Render;
use crate::{Health, RequestBody, Server, ServerError};
use bytes::Bytes;
use exeunt_lifecycle::{Config, InstallError, Lifecycle, Phase, StartError, Stop};
use exeunt_listener::{Address, Listener};
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// `/livez`, `/readyz` and `/metrics` on an address of their own, which closes last.
///
/// Orchestrators and monitors ask here what clients should not: on another port, or on a Unix socket. It answers all
/// through the stop: behind the drain, when the servers have closed, and until all other
/// [components](exeunt_lifecycle::Group) are closed; so the last scrape sees how the drain went. What it takes is no
/// work of the program: nothing waits for it, it is not in the report, and that it breaks stops nothing.
///
/// ```
/// # use exeunt_server::{Admin, lifecycle::{Config, Lifecycle}};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let lifecycle = Lifecycle::install(Config::default())?;
/// let admin = Admin::bind("127.0.0.1:0")?.metrics(|| "shop_orders_total 7\n".to_owned());
/// let address = admin.local_address().to_string();
/// admin.start(&lifecycle)?;
/// # let ask = move || -> std::io::Result<String> {
/// #     let mut stream = std::net::TcpStream::connect(address)?;
/// #     std::io::Write::write_all(&mut stream, b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
/// #     std::io::read_to_string(stream) };
/// # let answer = tokio::task::spawn_blocking(ask).await??;
/// # assert!(answer.contains("version=0.0.4") && answer.ends_with("shop_orders_total 7\n"), "{answer}");
/// # lifecycle.stop().request_stop("the example is over");
/// # let report = lifecycle.finished().await;
/// assert_eq!((&*report.components[0].name, report.exit_status()), ("admin", 0));
/// # Ok(()) }
/// ```
pub struct Admin {
    server: Server,
    while_draining: StatusCode,
    render: Option<Render>,
}

impl Admin {
    /// Listens on this address, written as for [`Server::bind`]. Choose one that the world does not reach.
    ///
    /// # Errors
    ///
    /// As [`Server::bind`].
    pub fn bind(address: &str) -> Result<Self, ServerError> {
        Server::bind(address).map(Self::of)
    }

    /// Listens on a listener that exists.
    #[must_use]
    pub fn over(listener: Listener) -> Self {
        Self::of(Server::over(listener))
    }

    fn of(server: Server) -> Self {
        Self { server, while_draining: StatusCode::SERVICE_UNAVAILABLE, render: None }
    }

    /// Listens on this address, too.
    ///
    /// # Errors
    ///
    /// As [`Server::also_bind`].
    pub fn also_bind(mut self, address: &str) -> Result<Self, ServerError> {
        self.server = self.server.also_bind(address)?;
        Ok(self)
    }

    /// The status of `/readyz` from the stop request on: [`Health::while_draining`].
    #[must_use]
    pub fn while_draining(mut self, status: StatusCode) -> Self {
        self.while_draining = status;
        self
    }

    /// Answers `/metrics` with what `render` gives, in Prometheus' text: for a program that has a recorder of its own.
    /// Without one there is no such path, but for what [`prometheus`](Self::prometheus) puts there.
    #[must_use]
    pub fn metrics(mut self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.render = Some(Arc::new(render));
        self
    }

    /// Answers `/metrics` with what is recorded through the `metrics` facade, by a recorder that this installs for the
    /// process (feature `prometheus`). What was recorded before is not there, so make it early.
    ///
    /// # Errors
    ///
    /// The process has another recorder: give [`metrics`](Self::metrics) what renders that.
    #[cfg(feature = "prometheus")]
    pub fn prometheus(self) -> Result<Self, crate::OtherRecorder> {
        Ok(self.metrics(crate::prometheus()?))
    }

    /// Where it listens, with the port that the kernel chose; of several, the first.
    #[must_use]
    pub fn local_address(&self) -> &Address {
        self.server.local_address()
    }

    /// Serves from now until all that the lifecycle has to close is closed, as a component of it by the name `admin`.
    ///
    /// # Errors
    ///
    /// A stop was requested before: nothing further starts.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(self, lifecycle: &Lifecycle) -> Result<(), StartError> {
        let mut health = Health::new(tower::service_fn(nothing_here), lifecycle.stop());
        health = health.while_draining(self.while_draining);
        if let Some(render) = self.render {
            health = health.metrics_at("/metrics", move || render());
        }
        let server = self.server.named("admin").service(health);
        let outer = lifecycle.stop();
        let start = async move {
            // A lifecycle of its own: the program's drain would close it with the servers.
            let own = Lifecycle::on_runtime(own_life())?;
            own.ready();
            let stop = own.stop();
            tokio::spawn(server.idle_grace(IDLE_GRACE).run(&own));
            tokio::spawn(async move {
                tokio::select! {
                    report = own.finished() => if report.exit_status() != 0 {
                        tracing::warn!(%report, "the admin listener has not ended well");
                    },
                    // The program's stop went on without closing this, or its lifecycle was dropped.
                    () = outer.reached(Phase::Stopped) => {}
                }
            });
            Ok::<_, InstallError>(stop)
        };
        let program = lifecycle.stop();
        let close = async move |stop: Stop| {
            stop.request_stop("all else is closed");
            // A scrape that hangs is not to fail the program's stop: half of what is left is enough.
            let left = program.hard_deadline().map(|end| end.saturating_duration_since(now()));
            let patience = left.unwrap_or_default() / 2;
            _ = tokio::time::timeout(patience, stop.reached(Phase::Stopped)).await;
        };
        let component = lifecycle.component("admin", start, close).closes_last();
        // Its start never waits.
        match component.now_or_never() {
            Some(outcome) => outcome.map(drop),
            None => Ok(()),
        }
    }
}

/// What it is given at the end: time for a scrape that is under way.
fn own_life() -> Config {
    Config::default().grace(Duration::from_millis(500)).notify(false)
}

/// A monitor's kept connections are not to cost the stop a quarter of a second.
const IDLE_GRACE: Duration = Duration::from_millis(10);

async fn nothing_here(_: Request<RequestBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from("/livez, /readyz and, where there are any, /metrics\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("server", &self.server).finish_non_exhaustive()
    }
}
