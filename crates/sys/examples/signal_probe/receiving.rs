//! Who has sent a datagram, by the kernel's word.

use exeunt_sys::datagram::receive;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

pub(crate) fn run(scenario: &str) {
    crate::die_with_the_test();
    match scenario {
        "one" => one(),
        other => panic!("no scenario {other:?}"),
    }
}

/// Says the name of its socket, and who has sent what comes there: itself, and then whoever reads the name.
fn one() {
    let name = std::env::args().nth(3).unwrap();
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    let on: libc::c_int = 1;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_PASSCRED);
    let size = libc::socklen_t::try_from(size_of_val(&on)).unwrap();
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), size) };
    assert_eq!(set, 0);
    UnixDatagram::unbound().unwrap().send_to_addr(b"me", &address).unwrap();
    let sender = receive(socket.as_fd(), &mut [0; 64]).unwrap().sender.unwrap();
    println!("{name}");
    println!("from myself {}", sender.pid.get() == std::process::id());
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 60_000) }, 1);
    let received = receive(socket.as_fd(), &mut [0; 64]).unwrap();
    println!("{} bytes, from {:?}", received.bytes, received.sender);
}
