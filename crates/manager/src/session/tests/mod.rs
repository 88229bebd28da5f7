//! Connections on memory: tables of what comes, what the program is told, and what goes out.

mod answers;
mod any_order;
mod bench;
mod calls;
mod calls_end;
mod drain;
mod half_closed;
mod numbers;
mod raw;
mod refusals;
mod requests;
mod sources;
mod splits;
mod streaming;
mod times;
mod tls;
mod turns;
mod websocket;
mod ws_client;
