//! `grpc.health.v1` (rule D1), for programs that speak gRPC by tonic.

use exeunt_lifecycle::{Phase, Stop};
use futures_util::stream::{self, BoxStream};
use std::sync::Arc;
use tonic::codegen::async_trait;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// gRPC's own readiness, which balancers and clients ask for and watch: `SERVING` in the phase `Running`, `NOT_SERVING` before
/// it and from the stop request on.
///
/// Watchers are told of each change. Their streams end when `Draining` begins, so that they do not hold the stop up.
///
/// ```
/// # use exeunt_server::lifecycle::{Config, Lifecycle};
/// use exeunt_server::GrpcHealth;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let lifecycle = Lifecycle::on_runtime(Config::default())?;
/// // A tonic service like any other: in axum, `.route_service("/grpc.health.v1.Health/{*method}", health)`.
/// let health = GrpcHealth::new(lifecycle.stop()).service("shop.Orders").into_service();
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GrpcHealth {
    stop: Stop,
    services: Arc<[String]>,
}

impl GrpcHealth {
    /// Answers for the lifecycle that `stop` belongs to, under the empty name, which stands for the whole server.
    #[must_use]
    pub fn new(stop: Stop) -> Self {
        Self { stop, services: Arc::default() }
    }

    /// Also under the name of this service, such as `shop.Orders`; tonic has it as `NamedService::NAME`. Other names are
    /// unknown.
    #[must_use]
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.services = self.services.iter().cloned().chain([name.into()]).collect();
        self
    }

    /// As a tonic service.
    #[must_use]
    pub fn into_service(self) -> HealthServer<Self> {
        HealthServer::new(self)
    }

    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.iter().any(|known| known == service)
    }

    fn status(&self) -> ServingStatus {
        let serving = self.stop.phase() == Phase::Running && !self.stop.is_requested();
        if serving { ServingStatus::Serving } else { ServingStatus::NotServing }
    }
}

#[async_trait]
impl Health for GrpcHealth {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let HealthCheckRequest { service } = request.into_inner();
        if !self.knows(&service) {
            return Err(Status::not_found(format!("no service is called {service:?} here")));
        }
        Ok(Response::new(response(self.status())))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let known = self.knows(&request.into_inner().service);
        let watch = Watch { health: self.clone(), known, told: None };
        Ok(Response::new(Box::pin(stream::unfold(watch, Watch::next))))
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

/// Somebody who is told of each change.
struct Watch {
    health: GrpcHealth,
    known: bool,
    told: Option<ServingStatus>,
}

impl Watch {
    /// What to tell next, when there is news. `None`: the drain has begun.
    async fn next(mut self) -> Option<(Result<HealthCheckResponse, Status>, Self)> {
        loop {
            let status = if self.known { self.health.status() } else { ServingStatus::ServiceUnknown };
            if self.told != Some(status) {
                self.told = Some(status);
                return Some((Ok(response(status)), self));
            }
            let stop = &self.health.stop;
            match status {
                ServingStatus::Serving => stop.requested().await,
                ServingStatus::NotServing if stop.phase() < Phase::Running && !stop.is_requested() => {
                    tokio::select! {
                        () = stop.reached(Phase::Running) => {}
                        () = stop.requested() => {}
                    }
                }
                _ => {
                    stop.reached(Phase::Draining).await;
                    return None;
                }
            }
        }
    }
}
