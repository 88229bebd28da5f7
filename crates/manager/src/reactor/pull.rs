//! Files on their way to a socket (rule M19).

use crate::session::Source;
use crate::wire::Stream;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write as _;

    fn source(content: &[u8], from: u64, length: u64) -> Source {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        Source::new(file.into(), from, length).unwrap()
    }

    #[test]
    fn pieces_are_read_where_they_are_not_sent() {
        let mut scratch = [0; 4];
        for (from, length, expected) in [(0, 6, "abcd"), (2, 4, "cdef"), (3, 2, "de"), (5, 1, "f")] {
            let pulled = pull(None, &source(b"abcdefgh", from, length), &mut scratch);
            let Pulled::Read(bytes) = pulled else { panic!("{from}") };
            assert_eq!(&scratch[..bytes], expected.as_bytes());
        }
        let short = pull(None, &source(b"abc", 3, 7), &mut scratch);
        assert!(matches!(short, Pulled::Torn(why) if why.contains("7 bytes are missing")));
        let folder = Source::new(File::open("/").unwrap().into(), 0, 7).unwrap();
        let broken = pull(None, &folder, &mut scratch);
        assert!(matches!(broken, Pulled::Torn(why) if why.contains("cannot be read on")));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_the_kernel_does_not_send_is_read() {
        use mio::net::UnixStream;
        let (here, _there) = UnixStream::pair().unwrap();
        let stream = Stream::Unix(here);
        let mut scratch = [0; 4];
        assert!(matches!(pull(Some(&stream), &source(b"abcdefgh", 1, 6), &mut scratch), Pulled::Sent(6)));
        let short = pull(Some(&stream), &source(b"abc", 3, 7), &mut scratch);
        assert!(matches!(short, Pulled::Torn(why) if why.contains("7 bytes are missing")));
        // A terminal's driver knows no splice(2); neither does a socket as a file.
        let (file, mut writer) = std::os::unix::net::UnixStream::pair().unwrap();
        writer.write_all(b"abc").unwrap();
        let odd = Source::new(file.into(), 0, 3).unwrap();
        assert!(
            matches!(pull(Some(&stream), &odd, &mut scratch), Pulled::Torn(_)),
            "and cannot be read so either"
        );
        // What is the matter with a socket, writing tells.
        drop(_there);
        assert!(matches!(pull(Some(&stream), &source(b"abcdefgh", 1, 6), &mut scratch), Pulled::Read(4)));
    }
}
