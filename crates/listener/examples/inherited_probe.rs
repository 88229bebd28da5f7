//! Listens on what was passed on to it, for the tests: each argument is an address. Says what it has, and answers one
//! client of each with its address.

#![allow(clippy::print_stdout, reason = "stdout is for the test that runs it")]

use exeunt_listener::{Accept, Address, CloseOptions, Connection, Listener, Step, inherited};
use rustix::event::{PollFd, PollFlags, poll};
use std::error::Error;
use std::io::Write as _;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    println!("{}", inherited().map_or_else(|error| error.to_string(), |names| format!("{names:?}")));
    let addresses: Result<Vec<Address>, _> = std::env::args().skip(1).map(|text| text.parse()).collect();
    let mut listeners = Vec::new();
    for address in addresses? {
        match Listener::bind(&address) {
            Ok(listener) => listeners.push((address, listener)),
            Err(error) => println!("{error}; {}", error.hint().unwrap_or_default()),
        }
    }
    println!("{:?}", inherited().unwrap_or_default());
    for (address, listener) in listeners {
        let mut client = loop {
            match listener.accept() {
                Accept::Connection(Connection::Tcp { stream, .. }) => break stream,
                _ => _ = poll(&mut [PollFd::new(&listener, PollFlags::IN)], None)?,
            }
        };
        client.write_all(address.to_string().as_bytes())?;
        let mut closing = listener.close(CloseOptions::default());
        let report = loop {
            match closing.step(Instant::now()) {
                Step::Accepted(_) => {}
                Step::Wait { until } => std::thread::sleep(until.saturating_duration_since(Instant::now())),
                Step::Closed(report) => break report,
            }
        };
        println!("{:?}", report.ownership);
    }
    Ok(())
}
