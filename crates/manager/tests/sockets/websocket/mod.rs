//! Connections that speak WebSocket, over real sockets (rule M17).

mod backlog;
mod clients;
mod draining;
mod foreign;
mod meddling;
mod peer;
mod serving;
