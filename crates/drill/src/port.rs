use crate::random::Random;
use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Below the range that Linux gives to clients (32768 to 60999): there, a client's own port could be the
/// server's.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// A TCP port on which nobody listens on 127.0.0.1 at this moment.
///
/// # Errors
///
/// None of many tries could be bound.
pub fn free_port() -> io::Result<u16> {
    let mut random = Random::new();
    let mut tries = 0;
    loop {
        let port = FIRST + (random.number() % u64::from(COUNT)) as u16;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) if tries == 100 => return Err(error),
            Err(_) => tries += 1,
        }
    }
}
