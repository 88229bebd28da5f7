//! HTTP/2: hyper's part, and the drain machine beside it.

mod answer;
mod exchange;
mod io;
mod limits;
mod respond;
mod streams;
mod task;
mod tasks;

pub(crate) use exchange::Exchange;
pub use limits::Http2Limits;
pub(crate) use task::serve;
