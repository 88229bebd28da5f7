//! The built-in site: what `exeunt drill` stops when no command is given.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use std::convert::Infallible;
use std::time::Duration;

/// The longest that `/slow` may be asked to take.
const SLOWEST: Duration = Duration::from_secs(60);

const INDEX: &str = include_str!("site.html");

/// `/` is a page; `/slow?ms=N` answers after N milliseconds, at most a minute.
pub(crate) async fn answer<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match request.uri().path() {
        "/" => page(StatusCode::OK, "text/html; charset=utf-8", INDEX.into()),
        "/slow" => match pause(request.uri().query()) {
            Some(pause) => {
                tokio::time::sleep(pause).await;
                text(StatusCode::OK, format!("waited {} ms\n", pause.as_millis()))
            }
            None => text(
                StatusCode::BAD_REQUEST,
                format!("ask for /slow?ms=N, with N from 0 to {}\n", SLOWEST.as_millis()),
            ),
        },
        _ => text(StatusCode::NOT_FOUND, "this site has / and /slow?ms=N, /livez and /readyz\n".to_owned()),
    })
}

fn pause(query: Option<&str>) -> Option<Duration> {
    let milliseconds = query?.split('&').find_map(|pair| pair.strip_prefix("ms="))?;
    let pause = Duration::from_millis(milliseconds.parse().ok()?);
    (pause <= SLOWEST).then_some(pause)
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    page(status, "text/plain; charset=utf-8", text.into())
}

fn page(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_number_of_milliseconds_up_to_a_minute() {
        let table = [
            (Some("ms=0"), Some(0)),
            (Some("ms=500"), Some(500)),
            (Some("a=b&ms=60000"), Some(60_000)),
            (Some("ms=60001"), None),
            (Some("ms=-1"), None),
            (Some("ms="), None),
            (Some("m=5"), None),
            (None, None),
        ];
        for (query, expected) in table {
            assert_eq!(pause(query), expected.map(Duration::from_millis), "{query:?}");
        }
    }
}
