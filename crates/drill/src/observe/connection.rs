use super::http::{AnswerReader, Step};
use super::{Answer, CROSSED_SILENCE, Connect, End};
use crate::load::Watch;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::socket_error;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, TcpStream};

/// Taken from the kernel at a time.
const CHUNK: usize = 8 * 1024;

/// One raw connection to the server, with what its past says about its requests.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    reader: AnswerReader,
    answered: u32,
    last_byte: Instant,
    /// A look or a send met the reset; the kernel reports it only once.
    reset: bool,
}

/// What a connect came to.
#[derive(Debug)]
pub(crate) enum Opened {
    Connection(Connection),
    /// Everything else that the server is answerable for.
    Not(Connect),
    /// The client's own shortage (ports, descriptors): no fact about the server.
    OwnTrouble(io::Error),
}

/// What a look at a kept connection shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    Silent,
    Fin,
    Reset,
    /// Bytes that nobody asked for.
    Bytes,
}

/// How a request left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) bytes: usize,
    pub(crate) silence: Duration,
    pub(crate) fin_before: bool,
}

/// Nothing more comes: how the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) end: End,
    /// The server's FIN was read: what it said is whole, if it may end so.
    eof: bool,
}

impl Connection {
    /// Connects; a SYN that nobody answers ends with the watch.
    pub(crate) async fn open(address: SocketAddr, watch: &mut Watch) -> Opened {
        Self::open_with(address, None, watch).await
    }

    /// The same with a buffer for what is received of about so many bytes, half of what the kernel then takes
    /// (tcp(7)): who sends more has to wait until it is read.
    pub(crate) async fn open_with(address: SocketAddr, buffer: Option<u32>, watch: &mut Watch) -> Opened {
        let connecting = async {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            if let Some(buffer) = buffer {
                socket.set_recv_buffer_size(buffer)?;
            }
            socket.connect(address).await
        };
        let connected = tokio::select! {
            biased;
            connected = connecting => connected,
            () = watch.connects_over() => return Opened::Not(Connect::Unanswered),
        };
        let stream = match connected {
            Ok(stream) => stream,
            Err(error) => {
                return match error.kind() {
                    ErrorKind::ConnectionRefused => Opened::Not(Connect::Refused),
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Opened::Not(Connect::Reset),
                    ErrorKind::TimedOut => Opened::Not(Connect::Unanswered),
                    _ => Opened::OwnTrouble(error),
                };
            }
        };
        // With nobody listening, a connect whose source port happens to be the target's meets itself
        // (simultaneous open, RFC 9293 §3.5): that is nobody, too.
        if stream.local_addr().is_ok_and(|local| local == address) {
            return Opened::Not(Connect::Refused);
        }
        let last_byte = Instant::now();
        Opened::Connection(Self {
            stream,
            reader: AnswerReader::default(),
            answered: 0,
            last_byte,
            reset: false,
        })
    }

    /// Whole answers so far.
    pub(crate) fn answered(&self) -> u32 {
        self.answered
    }

    /// Whether an answer has its head, and not yet its end.
    pub(crate) fn in_body(&self) -> bool {
        self.reader.in_body()
    }

    /// From now on the bodies of answers are kept for [`body`](Self::body).
    pub(crate) fn keep_body(&mut self) {
        self.reader.keep_body();
    }

    /// What came of the body since the last call.
    pub(crate) fn body(&mut self) -> Vec<u8> {
        self.reader.body()
    }

    /// What has come behind the answers: after an upgrade, the first of the new protocol.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        self.reader.take_rest()
    }

    /// Looks without waiting and without taking anything out of the queue.
    pub(crate) fn look(&mut self) -> Sight {
        if self.reset {
            return Sight::Reset;
        }
        if self.reader.has_rest() {
            return Sight::Bytes;
        }
        let mut byte = [0_u8; 1];
        match recv(&self.stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, 0)) => Sight::Fin,
            Ok(_) => Sight::Bytes,
            Err(Errno::AGAIN | Errno::INTR) => Sight::Silent,
            Err(_) => {
                self.reset = true;
                Sight::Reset
            }
        }
    }

    /// Waits until the server ends the connection or sends what nobody asked for.
    pub(crate) async fn disturbed(&mut self) -> Sight {
        loop {
            if self.stream.readable().await.is_err() {
                return Sight::Reset;
            }
            let mut byte = [0_u8; 1];
            // A read, not a look: only a read that would block clears tokio's readiness.
            match self.stream.try_read(&mut byte) {
                Ok(0) => return Sight::Fin,
                Ok(_) => return Sight::Bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => {
                    self.reset = true;
                    return Sight::Reset;
                }
            }
        }
    }

    /// Waits until there is something to read, an end included, and leaves it there. Cancel safe.
    pub(crate) async fn stirs(&self) {
        _ = self.stream.peek(&mut [0]).await;
    }

    /// Sends, whatever a look would show, and notes whether the server's FIN was there already.
    ///
    /// `looked`: the caller has looked just now and found silence; a second look could only tell the same.
    /// The look before the send is exact on loopback, where a FIN travels in no time. A FIN that came
    /// between the two is told by what came of our bytes: they met a closed socket, and the kernel
    /// reports a reset behind a FIN as EPIPE, any other as ECONNRESET.
    pub(crate) fn send(&mut self, request: &[u8], looked: bool) -> Sent {
        let before = !looked && self.look() == Sight::Fin;
        let at = Instant::now();
        let silence = at.duration_since(self.last_byte);
        // A socket with an empty buffer takes these few hundred bytes at once or never.
        let bytes = send(&self.stream, request, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        self.reset |= bytes.is_err();
        // Nobody needs to know on a busy connection, where every system call thins the load.
        let behind = !before && silence >= CROSSED_SILENCE && self.pending_error() == Some(Errno::PIPE);
        Sent { at, bytes: bytes.unwrap_or(0), silence, fin_before: before || behind }
    }

    /// Sends what belongs to a request or a stream that has begun; nothing is noted but a reset.
    pub(crate) fn send_more(&mut self, bytes: &[u8]) {
        let sent = send(&self.stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        self.reset |= sent.is_err();
    }

    /// The error that the socket holds. Asking for it takes it away, so that it is noted here.
    fn pending_error(&mut self) -> Option<Errno> {
        let error = socket_error(&self.stream).ok()?.err();
        self.reset |= error.is_some();
        error
    }

    /// Reads one answer to its end, to the connection's end, or to the end of the watch.
    pub(crate) async fn answer(&mut self, watch: &mut Watch) -> (Answer, End) {
        loop {
            if let Some(done) = self.answer_step(watch).await {
                return done;
            }
        }
    }

    /// Reads a piece of an answer, 8 KiB at most; the answer, once it is over. Cancel safe.
    pub(crate) async fn answer_step(&mut self, watch: &mut Watch) -> Option<(Answer, End)> {
        if let Some(answer) = self.parsed(false) {
            return Some((answer, if self.reset { End::Reset } else { End::Open }));
        }
        match self.bytes(watch).await {
            Ok(bytes) => {
                self.reader.push(&bytes);
                None
            }
            Err(ended) => {
                let whole = if ended.eof { self.parsed(true) } else { None };
                Some((whole.unwrap_or_else(|| self.begun()), ended.end))
            }
        }
    }

    /// What comes next, whatever it means: to the connection's end, or to the end of the watch. Cancel safe.
    pub(crate) async fn bytes(&mut self, watch: &mut Watch) -> Result<Vec<u8>, Ended> {
        loop {
            match self.read() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let ready = tokio::select! {
                        biased;
                        ready = self.stream.readable() => ready.is_ok(),
                        // What the kernel holds at this instant decides, not what the runtime got round to.
                        () = watch.over() => {
                            let read = self.recv();
                            return self.taken(read);
                        }
                    };
                    if !ready {
                        return Err(Ended { end: End::Reset, eof: false });
                    }
                }
                read => return self.taken(read),
            }
        }
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut buffer = [0_u8; CHUNK];
        let count = self.stream.try_read(&mut buffer)?;
        Ok(buffer.get(..count).unwrap_or_default().to_vec())
    }

    /// Past tokio's readiness.
    fn recv(&self) -> io::Result<Vec<u8>> {
        let mut buffer = [0_u8; CHUNK];
        let (_, count) = retry_on_intr(|| recv(&self.stream, &mut buffer, RecvFlags::DONTWAIT))?;
        Ok(buffer.get(..count).unwrap_or_default().to_vec())
    }

    fn taken(&mut self, read: io::Result<Vec<u8>>) -> Result<Vec<u8>, Ended> {
        match read {
            Ok(bytes) if bytes.is_empty() => {
                // After a FIN a read keeps saying "end", even if a reset followed: only the socket's error tells.
                _ = self.pending_error();
                Err(Ended { end: if self.reset { End::Reset } else { End::Fin }, eof: true })
            }
            Ok(bytes) => {
                self.last_byte = Instant::now();
                Ok(bytes)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(Ended { end: End::Open, eof: false }),
            Err(_) => Err(Ended { end: End::Reset, eof: false }),
        }
    }

    fn parsed(&mut self, eof: bool) -> Option<Answer> {
        let bytes = self.reader.begun();
        match self.reader.step(eof) {
            Step::More => None,
            Step::Whole { status, says_close } => {
                self.answered += 1;
                Some(Answer::Whole { status, says_close })
            }
            Step::Garbage(why) => Some(Answer::Garbage { bytes, why }),
        }
    }

    /// An answer that is not over.
    pub(crate) fn begun(&self) -> Answer {
        match self.reader.begun() {
            0 => Answer::Nothing,
            bytes => Answer::Part { bytes },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Limits;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream as Peer};

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

    async fn pair(limits: &Limits) -> (Connection, Peer, Watch) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut watch = limits.watch();
        let opened = Connection::open(listener.local_addr().unwrap(), &mut watch).await;
        let Opened::Connection(connection) = opened else { panic!("{opened:?}") };
        (connection, listener.accept().unwrap().0, watch)
    }

    #[tokio::test]
    async fn a_whole_answer_leaves_the_connection_open() {
        let (mut connection, mut peer, mut watch) = pair(&Limits::default()).await;
        assert_eq!(connection.send(b"GET", false).bytes, 3);
        peer.write_all(ANSWER).unwrap();
        let whole = Answer::Whole { status: 200, says_close: false };
        assert_eq!(connection.answer(&mut watch).await, (whole, End::Open));
        assert_eq!((connection.answered(), connection.look()), (1, Sight::Silent));
    }

    #[tokio::test]
    async fn fin_and_reset_are_told_apart() {
        let (mut connection, mut peer, mut watch) = pair(&Limits::default()).await;
        connection.send(b"GET", false);
        peer.read_exact(&mut [0; 3]).unwrap();
        drop(peer);
        assert_eq!(connection.answer(&mut watch).await, (Answer::Nothing, End::Fin));

        let (mut connection, peer, mut watch) = pair(&Limits::default()).await;
        connection.send(b"GET", false);
        drop(peer); // with unread bytes: a reset
        assert_eq!(connection.answer(&mut watch).await, (Answer::Nothing, End::Reset));
    }

    #[tokio::test]
    async fn a_short_answer_is_a_part() {
        let (mut connection, mut peer, mut watch) = pair(&Limits::default()).await;
        connection.send(b"GET", false);
        peer.read_exact(&mut [0; 3]).unwrap();
        peer.write_all(&ANSWER[..30]).unwrap();
        drop(peer);
        assert_eq!(connection.answer(&mut watch).await, (Answer::Part { bytes: 30 }, End::Fin));
    }

    #[tokio::test]
    async fn a_fin_before_the_send_is_noted() {
        let (mut connection, _peer, _) = pair(&Limits::default()).await;
        assert!(!connection.send(b"GET", false).fin_before);

        let (mut connection, peer, mut watch) = pair(&Limits::default()).await;
        drop(peer);
        assert_eq!(connection.look(), Sight::Fin);
        assert!(connection.send(b"GET", false).fin_before);
        let (answer, end) = connection.answer(&mut watch).await;
        assert_eq!((answer, end), (Answer::Nothing, End::Reset));
    }

    #[tokio::test]
    async fn the_end_of_the_watch_takes_a_last_look() {
        let limits = Limits::default();
        let (mut connection, mut peer, mut watch) = pair(&limits).await;
        connection.send(b"GET", false);
        peer.write_all(ANSWER).unwrap();
        limits.end();
        let whole = Answer::Whole { status: 200, says_close: false };
        assert_eq!(connection.answer(&mut watch).await, (whole, End::Open));
        connection.send(b"GET", false);
        assert_eq!(connection.answer(&mut watch).await, (Answer::Nothing, End::Open));
    }

    #[tokio::test]
    async fn a_closed_port_refuses() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let opened = Connection::open(address, &mut Limits::default().watch()).await;
        assert!(matches!(opened, Opened::Not(Connect::Refused)), "{opened:?}");
    }

    #[tokio::test]
    async fn a_connect_that_meets_itself_is_refused() {
        // A port of the clients' range, even, as connect() prefers them: within one sweep of the range the
        // kernel chooses it as the source port of a connect to itself.
        let listeners: Vec<_> = (0..50).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses = listeners.iter().map(|listener| listener.local_addr().unwrap());
        let address = addresses.into_iter().find(|address| address.port() % 2 == 0);
        drop(listeners);
        let address = address.unwrap_or_else(|| "127.0.0.1:40000".parse().unwrap());
        let mut watch = Limits::default().watch();
        for _ in 0..40_000 {
            let opened = Connection::open(address, &mut watch).await;
            assert!(matches!(opened, Opened::Not(Connect::Refused)), "{opened:?}");
        }
    }
}
