//! What balancers are told (D1), and a lame duck that ends when they have heard (D2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod support;

use bytes::Bytes;
use exeunt_lifecycle::{Config, Lifecycle, Phase};
use exeunt_server::{Health, RequestBody, Server};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use support::{Answer, soon, whole};
use tower::ServiceExt as _;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn service<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("the service's own")))
}

/// Method and path in; status, `allow` and body out.
async fn ask<S, B>(service: &S, method: Method, path: &str) -> (u16, Option<String>, String)
where
    S: tower::Service<Request<()>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let request = Request::builder().method(method).uri(path).body(()).unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    let allow = response.headers().get("allow").map(|allow| allow.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, allow, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn d1_paths_and_the_status_of_the_drain_can_be_chosen() {
    let lifecycle = Lifecycle::on_runtime(Config::default().lame_duck(seconds(5))).unwrap();
    let plain = Health::new(tower::service_fn(service), lifecycle.stop());
    let chosen = plain.clone().liveness_at("/ping").readiness_at("/up").while_draining(StatusCode::NOT_FOUND);
    let alone = plain.clone().liveness_at("");
    let ready = async |up: u16, gone: u16| {
        assert_eq!(ask(&plain, Method::GET, "/readyz").await.0, up);
        assert_eq!(ask(&chosen, Method::GET, "/up").await.0, gone);
        assert_eq!(ask(&plain, Method::GET, "/livez").await, (200, None, "alive\n".to_owned()));
        assert_eq!(ask(&chosen, Method::GET, "/ping").await.0, 200);
    };
    // Nobody takes a server that starts for one that drains.
    ready(503, 503).await;
    lifecycle.ready();
    ready(200, 200).await;
    lifecycle.stop().request_stop("the test wants it");
    ready(503, 404).await;
    for (service, path) in [(&chosen, "/livez"), (&chosen, "/readyz"), (&alone, "/livez"), (&plain, "/")] {
        assert_eq!(ask(service, Method::GET, path).await.2, "the service's own", "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn d1_probes_ask_by_get_and_head() {
    let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
    lifecycle.ready();
    let health = Health::new(tower::service_fn(service), lifecycle.stop());
    for path in ["/livez", "/readyz"] {
        assert_eq!(ask(&health, Method::HEAD, path).await.0, 200);
        for method in [Method::POST, Method::OPTIONS, Method::DELETE] {
            let (status, allow, _) = ask(&health, method, path).await;
            assert_eq!((status, allow.as_deref()), (405, Some("GET, HEAD")), "{path}");
        }
    }
}

async fn hello(_: Request<RequestBody>) -> Result<Answer, &'static str> {
    Ok(whole("hello"))
}

/// While it runs, a paused clock stands still (tokio's `pause` on blocking tasks).
async fn get(address: SocketAddr, path: &'static str) -> String {
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    asked.await.unwrap()
}

/// How long the lame duck lasts if somebody asks for `path` one second after the stop request.
async fn lame_duck(path: &'static str) -> Duration {
    let config = Config::default().lame_duck(seconds(10)).lame_duck_quiet(seconds(2));
    let lifecycle = Lifecycle::on_runtime(config).unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address().as_socket_addr().unwrap();
    let service = Health::new(tower::service_fn(hello), lifecycle.stop());
    let server = tokio::spawn(server.service(service).run(&lifecycle));
    lifecycle.ready();
    lifecycle.stop().request_stop("the test wants it");
    tokio::time::advance(seconds(1)).await;
    let answer = get(address, path).await;
    assert!(answer.contains("connection: close"), "{answer}");
    let report = soon(lifecycle.finished()).await;
    soon(server).await.unwrap().unwrap();
    assert_eq!(report.exit_status(), 0, "{report}");
    report.time_in(Phase::LameDuck)
}

#[tokio::test(start_paused = true)]
async fn d2_a_request_keeps_the_lame_duck_up_for_its_quiet_time() {
    assert_eq!(lame_duck("/").await, seconds(3));
}

#[tokio::test(start_paused = true)]
async fn d2_a_probe_does_not() {
    assert_eq!(lame_duck("/readyz").await, seconds(2));
}
