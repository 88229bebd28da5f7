//! HTTP/1.1: hyper's part, and the drain machine beside it.

mod answer;
mod exchange;
mod io;
mod respond;
mod stream;
mod strict;
mod task;
mod tunnel;
mod upgrade;
mod upgradeable;

pub(crate) use exchange::Exchange;
pub(crate) use task::serve;
