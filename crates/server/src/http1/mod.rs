//! HTTP/1.1: hyper's part, and the drain machine beside it.

mod answer;
mod exchange;
mod io;
mod respond;
mod sniff;
mod stream;
mod strict;
mod task;
mod tunnel;
mod upgrade;
mod upgradeable;

pub(crate) use exchange::Exchange;
pub(crate) use respond::message;
pub(crate) use task::{Preface, serve};
