//! The limits, from the attributes of a Python object.

use exeunt_manager as engine;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::time::Duration;

/// Sizes in bytes, times in seconds.
#[derive(Clone, Copy, FromPyObject)]
pub(crate) struct Limits {
    head_bytes: usize,
    head_seconds: f64,
    body_bytes: usize,
    body_stall_seconds: f64,
    idle_seconds: f64,
    idle_grace_seconds: f64,
    write_stall_seconds: f64,
    half_closed_seconds: f64,
    message_bytes: usize,
    ping_seconds: Option<f64>,
    close_seconds: f64,
    close_spread_seconds: f64,
    connections: usize,
}

impl Limits {
    pub(super) fn engine(&self) -> PyResult<engine::Limits> {
        let mut limits = engine::Limits::default();
        limits.head_bytes = self.head_bytes;
        limits.drain.head = seconds("head_seconds", self.head_seconds)?;
        limits.body_bytes = self.body_bytes;
        limits.body_stall = seconds("body_stall_seconds", self.body_stall_seconds)?;
        limits.drain.idle = seconds("idle_seconds", self.idle_seconds)?;
        limits.drain.idle_grace = seconds("idle_grace_seconds", self.idle_grace_seconds)?;
        limits.write_stall = seconds("write_stall_seconds", self.write_stall_seconds)?;
        limits.half_closed = seconds("half_closed_seconds", self.half_closed_seconds)?;
        // A task is to be cancelled as soon as nobody wants its answer.
        limits.probe_half_closed = true;
        limits.ws_message_bytes = self.message_bytes;
        limits.ws_ping = self.ping_seconds.map(|every| seconds("ping_seconds", every)).transpose()?;
        limits.ws_close = seconds("close_seconds", self.close_seconds)?;
        limits.ws_close_spread = seconds("close_spread_seconds", self.close_spread_seconds)?;
        limits.connections = self.connections;
        Ok(limits)
    }
}

fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(|error| {
        PyValueError::new_err(format!("{name} is {value}, which is no length of time in seconds: {error}"))
    })
}
