//! Files on their way to a socket.

use crate::entry::Stream;
use crate::session::Source;
use rustix::io::{Errno, pread};

/// Of a file, at once, in bytes: then the others have their turn.
#[cfg(target_os = "linux")]
const SHARE: u64 = 1024 * 1024;

/// What became of a piece of a file.
pub(super) enum Pulled {
    /// So many bytes are with the kernel.
    Sent(u64),
    /// So many bytes were read.
    Read(usize),
    /// The kernel takes nothing at present.
    Full,
    /// The rest of it cannot be had: in words.
    Torn(String),
}

/// Sends the next of a file; or reads it, where the kernel does not carry it from the file to the socket by itself, or
/// there is no `stream` to which it goes as it is.
///
/// Either may wait for the disk.
pub(super) fn pull(stream: Option<&Stream>, source: &Source, scratch: &mut [u8]) -> Pulled {
    stream.and_then(|stream| send(stream, source)).unwrap_or_else(|| read(source, scratch))
}

/// sendfile(2): from the page cache to the socket, past our memory. None if it does not do that; of whatever is the matter
/// then, reading the file or writing to the socket will tell.
#[cfg(target_os = "linux")]
fn send(stream: &Stream, source: &Source) -> Option<Pulled> {
    let most = source.left().min(SHARE) as usize;
    loop {
        let mut from = source.from();
        return match rustix::fs::sendfile(stream, source.file(), Some(&mut from), most) {
            Ok(0) => Some(ended(source)),
            Ok(bytes) => Some(Pulled::Sent(bytes as u64)),
            Err(Errno::AGAIN) => Some(Pulled::Full),
            Err(Errno::INTR) => continue,
            Err(_) => None,
        };
    }
}

#[cfg(not(target_os = "linux"))]
fn send(_: &Stream, _: &Source) -> Option<Pulled> {
    None
}

fn read(source: &Source, scratch: &mut [u8]) -> Pulled {
    let most = usize::try_from(source.left()).unwrap_or(usize::MAX).min(scratch.len());
    loop {
        let piece = scratch.get_mut(..most).unwrap_or_default();
        return match pread(source.file(), piece, source.from()) {
            Ok(0) => ended(source),
            Ok(bytes) => Pulled::Read(bytes),
            Err(Errno::INTR) => continue,
            Err(error) => {
                let left = source.left();
                Pulled::Torn(format!("a file cannot be read on, with {left} bytes still to be sent: {error}"))
            }
        };
    }
}

fn ended(source: &Source) -> Pulled {
    let left = source.left();
    Pulled::Torn(format!("a file became shorter while it was sent: {left} bytes are missing"))
}
