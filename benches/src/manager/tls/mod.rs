//! What TLS costs: requests on kept connections, and handshakes, beside hyper on tokio-rustls.

mod load;
mod servers;

use super::{Kind, start_in};
use crate::Arguments;
use crate::turns::{Costs, Seat, take};
use anyhow::Result;
use load::Load;
use std::fmt;
use std::path::{Path, PathBuf};

pub(super) use servers::{hyper, manager};

/// One handshake costs as much as many requests.
const REQUESTS_PER_HANDSHAKE: u32 = 20;

/// Clients that connect at the same time.
const CONNECTING: usize = 8;

/// Where the servers find their certificate and its key.
fn certificate(dir: &Path) -> (PathBuf, PathBuf) {
    (dir.join("certificate.pem"), dir.join("key.pem"))
}

/// What came of it.
pub(crate) struct Comparison {
    pairs: u32,
    requests: u32,
    connections: u32,
    kept: Costs,
    handshakes: u32,
    fresh: Costs,
}

/// Runs both servers, with the same certificate, and lets them take turns.
pub(crate) fn compare(arguments: &Arguments) -> Result<Comparison> {
    let dir = tempfile::tempdir()?;
    let signed = rcgen::generate_simple_self_signed([load::NAME.to_owned()])?;
    let (certificate, key) = certificate(dir.path());
    std::fs::write(certificate, signed.cert.pem())?;
    std::fs::write(key, signed.signing_key.serialize_pem())?;
    let config = load::trusting(signed.cert.der())?;
    let servers = [
        ("ours", start_in(Kind::ManagerTls, dir.path())?),
        ("hyper on tokio-rustls", start_in(Kind::HyperTls, dir.path())?),
    ];
    let handshakes = arguments.requests.div_ceil(REQUESTS_PER_HANDSHAKE);
    let kept = take(arguments, arguments.requests, || {
        let seats = servers.iter().map(|(name, server)| {
            let mut load = Load::new(server.address, &config, arguments.connections as usize, false)?;
            Ok(Seat { name, server, turn: Box::new(move |requests| load.turn(requests)) })
        });
        seats.collect()
    })?;
    let fresh = take(arguments, handshakes, || {
        let seats = servers.iter().map(|(name, server)| {
            let mut load = Load::new(server.address, &config, CONNECTING, true)?;
            Ok(Seat { name, server, turn: Box::new(move |requests| load.turn(requests)) })
        });
        seats.collect()
    })?;
    Ok(Comparison {
        pairs: arguments.pairs,
        requests: arguments.requests,
        connections: arguments.connections,
        kept,
        handshakes,
        fresh,
    })
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "CPU time per request of the event loop over TLS, GET answered with 11 bytes from memory"
        )?;
        writeln!(
            f,
            "method: {} rounds of interleaved turns of {} requests over {} kept connections; rustls with ring on all sides,\n\
             \x20       {}, an ECDSA P-256 certificate; one thread of each server serves, on core 0, and one\n\
             \x20       sleeps; the client is on core 1, and never sleeps; CPU time from /proc/PID/task/*/schedstat;\n\
             \x20       ratio = geometric mean over the rounds, Student's t",
            self.pairs,
            self.requests,
            self.connections,
            load::SPOKEN
        )?;
        self.kept.tell(f, Some(1.053))?;
        writeln!(
            f,
            "\n\nthe same per connection: accepted, a full handshake (no resumption), one request, gone"
        )?;
        writeln!(
            f,
            "method: as above, turns of {} connections, {CONNECTING} at the same time",
            self.handshakes
        )?;
        self.fresh.tell(f, None)
    }
}
