//! HTTP/1.1: hyper's part, and the drain machine beside it.

mod answer;
mod exchange;
mod io;
mod respond;
mod strict;
mod task;

pub(crate) use exchange::Exchange;
pub(crate) use task::serve;
