//! One answer for each thing that accept(2) can say.

use std::{
    io,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rustix::io::Errno;

use crate::connection::Connection;

/// What [`Listener::accept`](crate::Listener::accept) came back with.
#[derive(Debug)]
pub enum Accept {
    /// A client.
    Connection(Connection),
    /// Nobody is waiting: watch for readability.
    Nothing,
    /// The process or the machine is out of descriptors or memory: try again after this long. The wait doubles from
    /// 5 ms to 1 s and starts anew with the next client. Readability does not help meanwhile, as the waiting clients
    /// keep the socket readable.
    BackOff(Duration),
    /// The socket is of no use any more, or never was.
    Failed(io::Error),
}

/// Doubling waits. Shared by whoever accepts from one listener; a race between two of them costs one wrong wait.
#[derive(Debug, Default)]
pub(crate) struct Backoff(AtomicU32);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_secs(1);

    fn next(&self) -> Duration {
        let turn = self.0.fetch_add(1, Ordering::Relaxed);
        Self::FIRST.saturating_mul(1 << turn.min(8)).min(Self::LONGEST)
    }

    fn reset(&self) {
        // Read first: the cache line stays shared between accepting threads while all is well.
        if self.0.load(Ordering::Relaxed) != 0 {
            self.0.store(0, Ordering::Relaxed);
        }
    }
}

/// Broken connections to step over in one call, so that a flood of them cannot hold the caller.
const SKIPS: usize = 64;

/// Takes the first that `next` has to offer, which is accept(2) or stands for it.
pub(crate) fn accept(mut next: impl FnMut() -> Result<Connection, Errno>, backoff: &Backoff) -> Accept {
    for _ in 0..SKIPS {
        match next() {
            Ok(connection) => {
                backoff.reset();
                return Accept::Connection(connection);
            }
            Err(error) => match Fault::of(error) {
                Fault::Skip => {}
                Fault::Empty => return Accept::Nothing,
                Fault::Exhausted => return Accept::BackOff(backoff.next()),
                Fault::Fatal => return Accept::Failed(error.into()),
            },
        }
    }
    Accept::BackOff(backoff.next())
}

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Skip,
    Empty,
    Exhausted,
    Fatal,
}

impl Fault {
    /// accept(2): an error that was pending on the new connection is reported by the call that would have returned it,
    /// and says nothing about the listener. EPERM is a firewall's.
    fn of(error: Errno) -> Self {
        if error == Errno::AGAIN {
            return Self::Empty;
        }
        match error {
            Errno::INTR
            | Errno::CONNABORTED
            | Errno::CONNRESET
            | Errno::TIMEDOUT
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::PERM => Self::Skip,
            #[cfg(target_os = "linux")]
            Errno::NONET => Self::Skip,
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => Self::Exhausted,
            _ => Self::Fatal,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, os::unix::net::UnixStream, time::Duration};

    use rustix::io::Errno;

    use super::{Accept, Backoff, Fault, accept};
    use crate::connection::Connection;

    #[test]
    fn broken_connections_are_stepped_over() {
        let backoff = Backoff::default();
        let client = Connection::Unix { stream: UnixStream::pair().unwrap().0 };
        let mut queue =
            VecDeque::from([Err(Errno::CONNABORTED), Err(Errno::INTR), Ok(client), Err(Errno::PROTO)]);
        let mut next = || queue.pop_front().unwrap_or(Err(Errno::AGAIN));
        assert!(matches!(accept(&mut next, &backoff), Accept::Connection(_)));
        assert!(matches!(accept(&mut next, &backoff), Accept::Nothing));
        assert!(matches!(accept(|| Err(Errno::INVAL), &backoff), Accept::Failed(_)));
    }

    #[test]
    fn a_flood_of_broken_connections_does_not_hold_the_caller() {
        assert!(matches!(accept(|| Err(Errno::CONNABORTED), &Backoff::default()), Accept::BackOff(_)));
    }

    #[test]
    fn the_wait_doubles_to_a_second_and_starts_anew_after_a_success() {
        let backoff = Backoff::default();
        let waits: Vec<u64> = (0..10).map(|_| backoff.next().as_millis() as u64).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.next(), Duration::from_millis(5));
    }

    #[test]
    fn every_error_of_accept_has_its_answer() {
        for (error, fault) in [
            (Errno::AGAIN, Fault::Empty),
            (Errno::CONNABORTED, Fault::Skip),
            (Errno::INTR, Fault::Skip),
            (Errno::PROTO, Fault::Skip),
            (Errno::PERM, Fault::Skip),
            (Errno::NETDOWN, Fault::Skip),
            (Errno::MFILE, Fault::Exhausted),
            (Errno::NFILE, Fault::Exhausted),
            (Errno::NOBUFS, Fault::Exhausted),
            (Errno::NOMEM, Fault::Exhausted),
            (Errno::BADF, Fault::Fatal),
            (Errno::INVAL, Fault::Fatal),
            (Errno::NOTSOCK, Fault::Fatal),
            (Errno::OPNOTSUPP, Fault::Fatal),
        ] {
            assert_eq!(Fault::of(error), fault, "{error:?}");
        }
    }
}
