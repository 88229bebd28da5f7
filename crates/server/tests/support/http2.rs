//! A client of HTTP/2, by the crate `h2`.

use super::{House, soon};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, StatusCode};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub(crate) struct Client {
    pub(crate) requests: SendRequest<Bytes>,
    /// Ends with the connection.
    pub(crate) connection: JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    pub(crate) async fn connect(house: &House) -> Self {
        Self::over(TcpStream::connect(house.address()).await.unwrap()).await
    }

    pub(crate) async fn over(stream: TcpStream) -> Self {
        let (requests, connection) = soon(h2::client::handshake(stream)).await.unwrap();
        Self { requests, connection: tokio::spawn(connection) }
    }

    /// Sends a request; its body, if one is to come, goes by the second.
    pub(crate) async fn ask(&mut self, method: &str, path: &str) -> (ResponseFuture, SendStream<Bytes>) {
        let uri = format!("http://test{path}");
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        self.requests = soon(self.requests.clone().ready()).await.unwrap();
        self.requests.send_request(request, method == "GET").unwrap()
    }

    /// A request without a body, and its whole response.
    pub(crate) async fn get(&mut self, path: &str) -> (StatusCode, Vec<u8>) {
        let (response, _) = self.ask("GET", path).await;
        let response = soon(response).await.unwrap();
        let status = response.status();
        (status, whole(response.into_body()).await.unwrap().0)
    }
}

/// A body to its end, and the trailers behind it.
pub(crate) async fn whole(mut body: RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = soon(body.data()).await {
        let piece = piece?;
        // Of a stream that has ended there is none to release.
        _ = body.flow_control().release_capacity(piece.len());
        bytes.extend(piece);
    }
    Ok((bytes, soon(body.trailers()).await?))
}
