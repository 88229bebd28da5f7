//! Servers of a program.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's panic is its failure")]

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use exeunt::{App, Config, Error, Phase, Server};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tokio::sync::mpsc;

/// Status line and body of an answer.
async fn ask(address: String, path: &'static str) -> String {
    let asking = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split("\r\n").next().unwrap().to_owned() + answer.rsplit("\r\n").next().unwrap()
    });
    asking.await.unwrap()
}

async fn run(body: impl AsyncFnOnce(&App) -> Result<(), Error>) -> exeunt::Report {
    exeunt::run(Config::default().signals([]), body).await.unwrap()
}

#[tokio::test]
async fn readiness_follows_the_program() {
    let report = run(async |app| {
        let server = Server::bind("127.0.0.1:0")?.service(Router::new());
        let address = server.local_address().to_string();
        app.serve("site", server);
        assert_eq!(ask(address.clone(), "/livez").await, "HTTP/1.1 200 OKalive\n");
        assert_eq!(ask(address.clone(), "/readyz").await, "HTTP/1.1 503 Service Unavailablenot ready\n");
        app.ready();
        assert_eq!(ask(address.clone(), "/readyz").await, "HTTP/1.1 200 OKready\n");
        app.done();
        Ok(())
    });
    assert_eq!(report.await.exit_status(), 0);
}

#[tokio::test]
async fn requests_are_answered_before_the_components_close_and_counted_by_the_servers_name() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let handled = tell.clone();
    let mut client = None;
    let report = run(async |app| {
        let start = async { Ok::<_, Error>(()) };
        app.component("database", start, async move |()| tell.send("closed").unwrap()).await?;
        let stop = app.stop();
        let handler = async move || {
            stop.request_stop("in the middle of it");
            stop.reached(Phase::Draining).await;
            // Long enough for a database that closes too soon.
            tokio::time::sleep(Duration::from_millis(50)).await;
            handled.send("handled").unwrap();
            "done"
        };
        let server = Server::bind("127.0.0.1:0")?.service(Router::new().route("/", get(handler)));
        client = Some(tokio::spawn(ask(server.local_address().to_string(), "/")));
        app.serve("site", server);
        Ok(())
    });
    let report = report.await;
    assert_eq!(client.unwrap().await.unwrap(), "HTTP/1.1 200 OKdone");
    assert_eq!(report.exit_status(), 0, "{report}");
    assert_eq!((told.recv().await, told.recv().await), (Some("handled"), Some("closed")), "{report}");
    assert!(report.scopes.iter().any(|scope| scope.name == "site"), "{report}");
}

#[tokio::test]
async fn axum_finds_its_own_connect_info() {
    let who = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string();
    let report = run(async |app| {
        let server = Server::bind("127.0.0.1:0")?.connect_info(ConnectInfo::<SocketAddr>);
        let server = server.service(Router::new().route("/", get(who)));
        let address = server.local_address().to_string();
        app.serve("site", server);
        assert_eq!(ask(address, "/").await, "HTTP/1.1 200 OK127.0.0.1");
        app.done();
        Ok(())
    });
    assert_eq!(report.await.exit_status(), 0);
}

#[tokio::test]
async fn the_admin_listener_that_the_configuration_names_is_there_before_the_body_and_closes_last() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let config = Config::default().signals([]).admin(&free);
    let admin = free.clone();
    let report = exeunt::run(config, async |app| {
        assert_eq!(ask(admin.clone(), "/readyz").await, "HTTP/1.1 503 Service Unavailablenot ready\n");
        // The operator has the last word.
        assert_eq!(app.admin("127.0.0.1:1")?.to_string(), admin);
        let start = async { Ok::<_, Error>(()) };
        let asked = admin.clone();
        app.component("database", start, async move |()| {
            assert_eq!(ask(asked, "/livez").await, "HTTP/1.1 200 OKalive\n");
        })
        .await?;
        app.ready();
        assert_eq!(ask(admin.clone(), "/readyz").await, "HTTP/1.1 200 OKready\n");
        app.done();
        Ok(())
    });
    let report = report.await.unwrap();
    let closed: Vec<_> = report.components.iter().map(|component| &*component.name).collect();
    assert_eq!((report.exit_status(), closed), (0, vec!["database", "admin"]), "{report}");
    TcpStream::connect(free).unwrap_err();
}

#[tokio::test]
async fn an_admin_listener_that_cannot_be_had_fails_the_start() {
    let config = Config::default().signals([]).admin("192.0.2.1:9");
    let report = exeunt::run(config, async |_| panic!("the body is not begun")).await.unwrap();
    assert_eq!(report.exit_status(), 1);
    assert!(report.failures[0].error.contains("192.0.2.1:9"), "{report}");
}
