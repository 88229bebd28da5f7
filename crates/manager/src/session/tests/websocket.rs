//! A WebSocket on memory (rules M17 and D6).

use super::super::Session;
use super::bench::Bench;
use crate::Limits;
use crate::core::Core;
use crate::websocket::{Role, WsOp, write};
use bytes::BytesMut;
use std::time::Duration;

mod any_order;
mod closing;
mod pausing;
mod stopping;
mod talking;

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Upgrades, and says nothing.
fn silent(session: &mut Session, core: &Core, told: &str) {
    if told.starts_with("message") {
        session.ws_upgrade(core, &[], 1).unwrap();
        session.ws_opened();
    }
}

/// Upgrades, and answers each message with itself.
fn echo(session: &mut Session, core: &Core, told: &str) {
    silent(session, core, told);
    if let Some(text) = told.strip_prefix("text ") {
        _ = session.ws_send(core, WsOp::Text, text.as_bytes());
    }
}

fn opened(limits: Limits, program: fn(&mut Session, &Core, &str)) -> Bench {
    let mut bench = Bench::with_limits(limits, program);
    bench.arrives(UPGRADE);
    assert_eq!(bench.statuses(), [101]);
    assert!(bench.session.is_websocket() && bench.reads);
    bench.wire.clear();
    bench.told.clear();
    bench
}

fn plain() -> Bench {
    opened(Limits::default(), silent)
}

fn by(role: Role, op: WsOp, payload: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    write(&mut bytes, role, op, payload);
    bytes.to_vec()
}

/// A frame of the peer's.
fn frame(op: WsOp, payload: impl AsRef<[u8]>) -> Vec<u8> {
    by(Role::Client, op, payload.as_ref())
}

/// A frame of ours.
fn ours(op: WsOp, payload: impl AsRef<[u8]>) -> Vec<u8> {
    by(Role::Server, op, payload.as_ref())
}

fn close(code: u16) -> Vec<u8> {
    frame(WsOp::Close, code.to_be_bytes())
}

fn our_close(code: u16) -> Vec<u8> {
    ours(WsOp::Close, code.to_be_bytes())
}

fn cuts(bench: &Bench) -> Vec<String> {
    let report = bench.core.account().report(Duration::ZERO);
    report.cut.iter().map(|cut| format!("{} {} {}", cut.kind, cut.name, cut.age.as_millis())).collect()
}
