//! The handle of one connection.

use crate::core::{Core, lock};
use crate::error::{AnswerError, ConnectionClosed, RequestError, SendError};
use crate::event::Event;
use crate::handle::Handle;
use crate::handler::{Handler, discard, guarded};
use crate::http::Ask;
use crate::session::{Leftover, Session, Turn};
use exeunt_listener::Address;
use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

mod body;
mod files;
mod tls;
mod ws;

/// A listener, an accepted connection, a connection that the program has made, or a UDP socket.
///
/// This is a handle: clone it, keep it, use it from any thread. It stays valid after its connection is gone, and says
/// so: questions answer no, buffers are empty, and what would send is an error. Two handles are equal if they are of the
/// same connection.
///
/// The handle that comes with [`Event::HttpHeaders`] and [`Event::HttpMessage`] is of that one request, too, and so are
/// its clones: what answers ([`reply`](Self::reply), [`chunk`](Self::chunk), [`sse`](Self::sse), [`send`](Self::send),
/// [`serve_dir`](Self::serve_dir)) does so through it until that request is answered, and is refused afterwards, so that
/// nothing said twice or late is taken for the answer to a later request. Other handles ([`Handle::connection`], other
/// events) answer the request that is there when they are used. In everything else, and in comparisons, all are the same.
///
/// What is written is buffered, and goes to the kernel when the handler has returned; written by another thread, in the
/// next pass of the loop, which is woken for it. (A datagram goes at once.)
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    /// The request that it answers; none: whichever there is.
    request: Option<NonZeroU64>,
}

pub(crate) struct Shared {
    id: u64,
    kind: Kind,
    accepted_by: Option<u64>,
    core: Weak<Core>,
    /// It is open, and has no handler of its own. Written with `session` locked, so that telling need not lock it.
    plain: AtomicBool,
    session: Mutex<Session>,
}

impl Drop for Shared {
    /// Whoever drops the last handle may be the thread that polls.
    fn drop(&mut self) {
        discard(self.session.get_mut().unwrap_or_else(PoisonError::into_inner).take_foreign());
    }
}

/// What sort of socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Listener,
    Stream,
    Datagram,
}

/// What it is.
impl Connection {
    /// Greater than 0, and never used again by the same manager.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// The id of the listener that has accepted it, if one has; the listener may be closed by now.
    #[must_use]
    pub fn accepted_by(&self) -> Option<u64> {
        self.shared.accepted_by
    }

    /// Whether it has not been closed yet.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lock().is_open()
    }

    /// Whether it accepts others.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.shared.kind == Kind::Listener && self.is_open()
    }

    /// Whether it was connected by the program, and not accepted.
    #[must_use]
    pub fn is_client(&self) -> bool {
        let session = self.lock();
        session.is_open() && session.is_client()
    }

    /// Whether it is on its way: `Connect` has not come yet.
    #[must_use]
    pub fn is_connecting(&self) -> bool {
        let session = self.lock();
        session.is_open() && session.is_connecting()
    }

    /// Whether it sends and receives datagrams.
    #[must_use]
    pub fn is_udp(&self) -> bool {
        self.shared.kind == Kind::Datagram && self.is_open()
    }

    /// Whether received bytes wait to be consumed.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.received_len() > 0
    }

    /// Whether bytes wait to be sent, in memory or in a file that is served.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        let session = self.lock();
        session.unsent_len() > 0 || session.source().is_some()
    }

    /// Whether the peer is not read at present, because its bytes are not consumed, or it does not read what it is sent.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let Some(core) = self.core() else { return false };
        let session = self.lock();
        session.is_open() && session.is_full(&core.limits)
    }

    /// Whether it closes once everything is sent: [`drain`](Self::drain) was called.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.lock().is_draining()
    }

    /// Whether it is closed, or will be by the next pass: [`close`](Self::close) was called.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.lock().is_closing()
    }

    /// Our address; of a listener, where it listens.
    #[must_use]
    pub fn local_address(&self) -> Option<Address> {
        self.lock().local().cloned()
    }

    /// The peer's address, where it has one; of a UDP socket, who sent the last datagram.
    #[must_use]
    pub fn remote_address(&self) -> Option<Address> {
        self.lock().remote().cloned()
    }

    /// The manager.
    #[must_use]
    pub fn manager(&self) -> Option<Handle> {
        self.core().map(|core| Handle::new(&core))
    }
}

/// What the program keeps with it.
impl Connection {
    /// From now on this handler is told; with `None`, the manager's. On a listener: of the connections that it will
    /// accept, too.
    pub fn set_handler(&self, handler: Option<Handler>) {
        let before = self.end(|session| {
            if session.is_open() { std::mem::replace(&mut session.handler, handler) } else { handler }
        });
        drop(before);
    }

    /// Keeps something with the connection, in place of what was kept before; it stays after the close.
    pub fn set_data<T: Any + Send + Sync>(&self, data: T) {
        let before = self.lock().data.replace(Arc::new(data));
        drop(before);
    }

    /// What is kept with the connection, if it is of that type.
    #[must_use]
    pub fn data<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let data = self.lock().data.clone()?;
        data.downcast().ok()
    }

    /// Whether to be told [`Event::Poll`] in each pass. Each connection that asks is visited in each pass.
    pub fn poll_events(&self, yes: bool) {
        self.change(|session, _| session.poll_events = yes);
    }
}

/// Its buffers.
impl Connection {
    /// A copy of what was received and not consumed, `most` bytes of it. While a request is told, it is there as it came.
    #[must_use]
    pub fn received(&self, most: usize) -> Vec<u8> {
        self.lock().received(most)
    }

    /// How many bytes were received and not consumed.
    #[must_use]
    pub fn received_len(&self) -> usize {
        self.lock().received_len()
    }

    /// Takes that many bytes, or as many as there are, off the receive buffer of a raw connection; tells how many. HTTP
    /// connections consume their requests themselves.
    #[expect(clippy::must_use_candidate, reason = "most consume what they were told of")]
    pub fn consume(&self, bytes: usize) -> usize {
        self.change(|session, _| session.consume(bytes))
    }

    /// How large the receive buffer is at present, in bytes: no less than [`received_len`](Self::received_len). An idle
    /// connection keeps none.
    #[must_use]
    pub fn receive_capacity(&self) -> usize {
        self.lock().capacities().0
    }

    /// The same of the send buffer.
    #[must_use]
    pub fn send_capacity(&self) -> usize {
        self.lock().capacities().1
    }

    /// A copy of what waits to be sent, `most` bytes of it.
    #[must_use]
    pub fn unsent(&self, most: usize) -> Vec<u8> {
        self.lock().unsent(most)
    }

    /// How many bytes wait to be sent, in memory: of a file that is served, what is read already.
    #[must_use]
    pub fn unsent_len(&self) -> usize {
        self.lock().unsent_len()
    }
}

/// What it is told to do.
impl Connection {
    /// Sends bytes as they are. On an HTTP connection that owes an answer, they are the answer: its head is held back
    /// until it is whole, so that it can announce the end of the connection in a stop (rule D2).
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.try_change(|session, core| match session.has_answered(self.request) {
            true => Err(SendError::Answered),
            false => session.send(core, bytes.as_ref()),
        })?
    }

    /// Answers the request, or does nothing about it if there is none that could be answered. For handlers that could do
    /// nothing about an error; [`try_reply`](Self::try_reply) tells. An answer that is none (an illegal header), or that
    /// is larger than may be sent, becomes a 500.
    pub fn reply(&self, status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) {
        let Err(error) = self.try_reply(status, headers, body) else { return };
        tracing::error!(target: "exeunt::manager", connection = self.id(), %error, "an answer was not sent");
        if matches!(error, AnswerError::Reply(_) | AnswerError::Send(SendError::Full { .. })) {
            _ = self.try_reply(500, &[], "");
        }
    }

    /// Answers the request, now or later, from any thread.
    ///
    /// `Content-Length`, `Date` and `Connection` are ours. With the header `Transfer-Encoding: chunked` it begins an answer
    /// that [`chunk`](Self::chunk) goes on with; to an HTTP/1.0 client that one ends with the connection.
    ///
    /// On a connection that has asked nothing yet, an answer is sent all the same, and closes it; between requests, 408 and
    /// 503 are, which say that it closes (RFC 9110 §15.5.9 has the client's side of it). Anything else would be a second
    /// answer, and is refused; so is any, 503 too, while an answer is under way, which it would break into.
    ///
    /// # Errors
    ///
    /// Nothing is sent then; see [`AnswerError`].
    pub fn try_reply(
        &self,
        status: u16,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Result<(), AnswerError> {
        self.answer(|session, core| session.reply(core, status, headers, body.as_ref()))
    }

    /// Asks a server, on a connection that the program has made to an `http://` URL (or with
    /// [`Connect::http`](crate::Connect::http)). The answer is told with [`Event::HttpResponse`]. `uri` is what stands in the request
    /// line: path and query; see [`Url::uri`](crate::url::Url::uri).
    ///
    /// `Host` is added unless it is given, and `Content-Length`. With the header `Transfer-Encoding: chunked` it begins a
    /// request that [`chunk`](Self::chunk) goes on with. Several may be asked one behind the other; they are answered in
    /// that order. In place of this the program may write its requests itself, with [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// Nothing is sent then; see [`RequestError`].
    pub fn request(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Result<(), RequestError> {
        let ask = Ask { method, uri, headers, body: body.as_ref() };
        self.try_change(|session, core| session.request(core, ask))?
    }

    /// Sends one chunk of a chunked answer, or of a chunked request; an empty one ends it.
    ///
    /// # Errors
    ///
    /// See [`AnswerError`].
    pub fn chunk(&self, bytes: impl AsRef<[u8]>) -> Result<(), AnswerError> {
        self.answer(|session, core| session.chunk(core, bytes.as_ref()))
    }

    /// Sends a server-sent event, of type `event` unless that is empty. If the request has no answer yet, this begins it,
    /// as `text/event-stream`.
    ///
    /// # Errors
    ///
    /// See [`AnswerError`].
    pub fn sse(&self, event: &str, data: &str) -> Result<(), AnswerError> {
        self.answer(|session, core| session.sse(core, event, data))
    }

    /// Ends it in peace: what was written is delivered, then the peer sees the end, and `Close` comes. Nothing more is
    /// read, so that neither `Read` nor `HttpMessage` comes after this. A request that has no answer is answered with 503;
    /// an answer of which nothing has gone yet says that the connection ends behind it.
    ///
    /// A WebSocket says Close 1000, and waits for the peer's ([`Limits::ws_close`](crate::Limits::ws_close)).
    ///
    /// A listener stops accepting, and closes without losing anyone in its queue (rule D3): whom it still accepts is
    /// served. Does nothing on what is closed.
    pub fn drain(&self) {
        self.change(Session::drain);
    }

    /// Ends it at once: in the handler's own connection when the handler has returned, else by the next pass. What was
    /// written and has not gone is lost; the peer sees a reset then, as it does if an answer was begun and not ended, so
    /// that it takes no part for the whole. Does nothing on what is closed.
    pub fn close(&self) {
        self.change(|session, _| session.close());
    }

    /// Tells the handler [`Event::Error`] with this text, in this thread, before it returns.
    pub fn error(&self, text: &str) {
        if let (true, Some(core)) = (self.is_open(), self.core()) {
            self.tell(&core, Event::Error(text));
        }
    }

    /// Has the handler told [`Event::Wakeup`] with this payload, by the thread that polls. Wakeups arrive in the order in
    /// which they were sent, any number, of any size.
    ///
    /// # Errors
    ///
    /// It is closed.
    pub fn wakeup(&self, payload: impl Into<Vec<u8>>) -> Result<(), ConnectionClosed> {
        let core = self.core().filter(|_| self.is_open()).ok_or(ConnectionClosed)?;
        core.wakeup(self.id(), payload.into());
        Ok(())
    }
}

impl Connection {
    pub(crate) fn new(core: &Arc<Core>, kind: Kind, session: Session) -> Self {
        Self::build(core, kind, None, session)
    }

    /// One that a listener has accepted.
    pub(crate) fn accepted(core: &Arc<Core>, by: &Self, session: Session) -> Self {
        Self::build(core, Kind::Stream, Some(by.id()), session)
    }

    fn build(core: &Arc<Core>, kind: Kind, accepted_by: Option<u64>, session: Session) -> Self {
        let plain = AtomicBool::new(session.is_plain());
        let session = Mutex::new(session);
        let shared =
            Shared { id: core.next_id(), kind, accepted_by, core: Arc::downgrade(core), plain, session };
        let connection = Self { shared: Arc::new(shared), request: None };
        core.open().insert(connection.id(), connection.clone());
        connection
    }

    /// A handle of that request; without one, of whichever there is.
    pub(crate) fn of(&self, request: Option<NonZeroU64>) -> Self {
        Self { shared: Arc::clone(&self.shared), request }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Session> {
        lock(&self.shared.session)
    }

    /// Changes who is told, or that anybody is.
    pub(crate) fn end<T>(&self, change: impl FnOnce(&mut Session) -> T) -> T {
        let mut session = self.lock();
        let value = change(&mut session);
        self.shared.plain.store(session.is_plain(), Ordering::Release);
        value
    }

    /// Tells the last event, unless it was told, and takes the connection from those that are open.
    pub(crate) fn tell_end(&self, core: &Core, end: impl FnOnce(&mut Session) -> Leftover) {
        if self.is_open() {
            self.lock().close();
            self.tell(core, Event::Close);
        }
        // Dropped outside of the lock, since it may be foreign.
        drop(self.end(end));
        core.open().remove(&self.id());
    }

    /// The resolver's answer.
    pub(crate) fn resolved(&self, answer: io::Result<Vec<SocketAddr>>) {
        self.change(|session, _| session.resolved(answer));
    }

    pub(crate) fn kind(&self) -> Kind {
        self.shared.kind
    }

    /// Calls the handler, outside of all locks. A panic is written down, and ends the connection.
    pub(crate) fn tell(&self, core: &Core, event: Event<'_>) {
        let own = if self.shared.plain.load(Ordering::Acquire) {
            None
        } else {
            let session = self.lock();
            if !session.is_open() {
                return;
            }
            session.handler.clone()
        };
        let told = guarded(|| match (own, &core.handler) {
            (Some(own), _) => own(self, event),
            (None, Some(handler)) => handler(self, event),
            (None, None) => {}
        });
        if let Err(panic) = told {
            tracing::error!(target: "exeunt::manager", connection = self.id(), panic, "a handler panicked");
            core.account().panicked(panic);
            self.change(Session::panicked);
        }
    }

    fn core(&self) -> Option<Arc<Core>> {
        self.shared.core.upgrade()
    }

    /// Changes the session, and has the thread that polls look at it.
    fn change<T: Default>(&self, change: impl FnOnce(&mut Session, &Core) -> T) -> T {
        self.try_change(change).unwrap_or_default()
    }

    fn answer(
        &self,
        answer: impl FnOnce(&mut Session, &Core) -> Result<(), AnswerError>,
    ) -> Result<(), AnswerError> {
        self.try_change(|session, core| match session.has_answered(self.request) {
            true => Err(AnswerError::Answered),
            false => answer(session, core),
        })?
    }

    fn try_change<T>(&self, change: impl FnOnce(&mut Session, &Core) -> T) -> Result<T, ConnectionClosed> {
        let core = self.core().ok_or(ConnectionClosed)?;
        let (value, turn) = {
            let mut session = self.lock();
            if !session.is_open() {
                return Err(ConnectionClosed);
            }
            let value = change(&mut session, &core);
            (value, session.wants_turn())
        };
        if turn == Turn::Needed {
            core.touch(self);
        }
        Ok(value)
    }
}

impl PartialEq for Connection {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Connection {}

impl Hash for Connection {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        Arc::as_ptr(&self.shared).hash(hasher);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Connection");
        debug
            .field("id", &self.id())
            .field("kind", &self.kind())
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}
