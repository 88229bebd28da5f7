//! What is not served, and in what words.

use super::answer::{Answer, Body};
use crate::http::{self, Request};
use rustix::io::Errno;
use std::borrow::Cow;

/// What an error of the system is for the client. What is nobody's wish is written down.
pub(super) fn status_of(error: Errno, request: &Request) -> u16 {
    let status = status(error);
    if status >= 500 {
        tracing::warn!(target: "exeunt::manager", path = request.uri(), %error, "a file could not be served");
    }
    status
}

fn status(error: Errno) -> u16 {
    match error {
        // Links that lead out (EXDEV), or in a circle; sockets, devices without a driver.
        Errno::NOENT
        | Errno::NOTDIR
        | Errno::NAMETOOLONG
        | Errno::LOOP
        | Errno::XDEV
        | Errno::NXIO
        | Errno::NODEV
        | Errno::INVAL
        | Errno::ILSEQ => 404,
        Errno::ACCESS | Errno::PERM => 403,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => 503,
        _ => 500,
    }
}

/// An answer of one line, that says its status.
pub(super) fn brief<'a>(status: u16) -> Answer<'a> {
    let headers = vec![("Content-Type", Cow::Borrowed("text/plain; charset=utf-8"))];
    let line = http::status::line(status).unwrap_or_default();
    Answer { status, headers, body: Body::Here(format!("{line}\n").into_bytes()) }
}

/// The same, of a request that is not served.
pub(super) fn refusal<'a>(status: u16) -> Answer<'a> {
    let mut answer = brief(status);
    if status == 405 {
        answer.headers.push(("Allow", Cow::Borrowed("GET, HEAD")));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_have_their_status() {
        let table = [
            (
                404,
                &[Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::XDEV, Errno::NXIO, Errno::NAMETOOLONG][..],
            ),
            (403, &[Errno::ACCESS, Errno::PERM]),
            (503, &[Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN]),
            (500, &[Errno::IO, Errno::STALE, Errno::OVERFLOW]),
        ];
        for (status, errors) in table {
            for error in errors {
                assert_eq!(super::status(*error), status, "{error}");
            }
        }
    }
}
