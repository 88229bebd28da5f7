//! gRPC by tonic: its services beside an axum router on one port, its readiness, and its calls in a stop.
#![cfg(feature = "tonic")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod support;

use axum::Router;
use axum::routing::get;
use exeunt_lifecycle::{Config, Lifecycle, Phase, Report, Stop};
use exeunt_server::{GrpcHealth, Server};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use support::{patient, soon};
use tokio::sync::Semaphore;
use tonic::codegen::async_trait;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, ServiceUnknown, Serving};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// An axum router with gRPC services among its routes, served.
struct Shop {
    lifecycle: Lifecycle,
    stop: Stop,
    address: SocketAddr,
}

impl Shop {
    fn open(config: Config) -> Self {
        let lifecycle = Lifecycle::on_runtime(config).unwrap();
        let stop = lifecycle.stop();
        let health = GrpcHealth::new(stop.clone()).service("shop.Orders").into_service();
        let router = Router::new()
            .route("/", get(async || "hello"))
            .route_service("/grpc.health.v1.Health/{*method}", health);
        Self::serve(lifecycle, router)
    }

    fn serve(lifecycle: Lifecycle, router: Router) -> Self {
        let server = Server::bind("127.0.0.1:0").unwrap().limits(patient());
        let address = server.local_address().as_socket_addr().unwrap();
        tokio::spawn(server.service(router).run(&lifecycle));
        Self { stop: lifecycle.stop(), lifecycle, address }
    }

    async fn client(&self) -> HealthClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        HealthClient::new(soon(endpoint.connect()).await.unwrap())
    }

    async fn ended(self) -> Report {
        soon(self.lifecycle.finished()).await
    }
}

fn asked(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn d1_readiness_is_grpcs_and_watchers_are_told() {
    let config = Config::default().lame_duck(Duration::from_secs(600)).grace(Duration::from_secs(1200));
    let shop = Shop::open(config);
    let mut client = shop.client().await;
    let mut watch = soon(client.watch(asked("shop.Orders"))).await.unwrap().into_inner();
    assert_eq!(soon(watch.message()).await.unwrap().unwrap().status(), NotServing, "it is starting");
    let check = soon(client.check(asked(""))).await.unwrap().into_inner();
    assert_eq!(check.status(), NotServing);
    shop.lifecycle.ready();
    assert_eq!(soon(watch.message()).await.unwrap().unwrap().status(), Serving);
    for service in ["", "shop.Orders"] {
        assert_eq!(soon(client.check(asked(service))).await.unwrap().into_inner().status(), Serving);
    }
    shop.stop.request_stop("the test wants it");
    assert_eq!(soon(watch.message()).await.unwrap().unwrap().status(), NotServing);
    assert_eq!(shop.stop.phase(), Phase::LameDuck);
}

#[tokio::test]
async fn a_service_that_nobody_knows_is_not_found() {
    let shop = Shop::open(Config::default());
    let mut client = shop.client().await;
    let status = soon(client.check(asked("bank.Accounts"))).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
    let mut watch = soon(client.watch(asked("bank.Accounts"))).await.unwrap().into_inner();
    assert_eq!(soon(watch.message()).await.unwrap().unwrap().status(), ServiceUnknown);
}

#[tokio::test]
async fn watchers_do_not_hold_the_stop_up() {
    let shop = Shop::open(Config::default());
    shop.lifecycle.ready();
    let mut client = shop.client().await;
    let mut watches = Vec::new();
    for service in ["", "bank.Accounts"] {
        let mut watch = soon(client.watch(asked(service))).await.unwrap().into_inner();
        soon(watch.message()).await.unwrap();
        watches.push(watch);
    }
    shop.stop.request_stop("the test wants it");
    for watch in &mut watches {
        while let Some(told) = soon(watch.message()).await.unwrap() {
            assert_eq!(told.status(), NotServing);
        }
    }
    let report = shop.ended().await;
    assert_eq!((report.exit_status(), report.scopes[0].cut.len()), (0, 0), "{report}");
}

#[tokio::test]
async fn an_axum_router_answers_http_1_beside_it() {
    let shop = Shop::open(Config::default());
    let mut peer = support::Peer::from(tokio::net::TcpStream::connect(shop.address).await.unwrap());
    peer.get("/").await;
    assert_eq!(peer.response().await.1, "hello");
    soon(shop.client().await.check(asked(""))).await.unwrap();
}

/// A service of the program's, whose calls end when they are let go.
struct Slow {
    begun: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

#[async_trait]
impl Health for Slow {
    type WatchStream = futures_util::stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        self.begun.add_permits(1);
        self.go.acquire().await.unwrap().forget();
        Ok(Response::new(HealthCheckResponse { status: Serving.into() }))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("nobody watches"))
    }
}

#[tokio::test]
async fn d8_calls_in_flight_are_finished_or_unavailable() {
    for (config, permits, expected) in [
        (Config::default(), 1, Ok(Serving)),
        (Config::default().grace(Duration::from_millis(500)), 0, Err(Code::Unavailable)),
    ] {
        let lifecycle = Lifecycle::on_runtime(config).unwrap();
        let (begun, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let slow = HealthServer::new(Slow { begun: Arc::clone(&begun), go: Arc::clone(&go) });
        let shop =
            Shop::serve(lifecycle, Router::new().route_service("/grpc.health.v1.Health/{*method}", slow));
        let mut client = shop.client().await;
        let call = tokio::spawn(async move { client.check(asked("")).await });
        soon(begun.acquire()).await.unwrap().forget();
        shop.stop.request_stop("the test wants it");
        soon(shop.stop.reached(Phase::Draining)).await;
        go.add_permits(permits);
        let outcome = soon(call).await.unwrap();
        assert_eq!(
            outcome.map(|answer| answer.into_inner().status()).map_err(|status| status.code()),
            expected
        );
        assert_eq!(shop.ended().await.scopes[0].cut.len(), 1 - permits);
    }
}
