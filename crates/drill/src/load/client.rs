use super::{Load, Watch};
use crate::observe::{Answer, Connect, Connection, End, Observation, Opened, Sent, Sight, Subject};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Before another try after a refusal that came too early or a shortage of our own.
const BACK_OFF: Duration = Duration::from_millis(5);

/// Keeps its connection as long as the server lets it: look, fly, send, read.
pub(super) async fn keepalive(load: Rc<Load>, delay: Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
    let mut watch = load.limits.watch();
    let mut opening = true;
    loop {
        let (mut connection, begun) = match load.connect(&mut watch).await {
            Ok(connected) => connected,
            Err(Next::Retry) => continue,
            Err(Next::Leave) => return,
        };
        let mut begun = Some(begun);
        loop {
            if begun.is_none() {
                if load.closed.get() {
                    return;
                }
                if connection.look() != Sight::Silent {
                    break; // closed before we sent: a client simply connects anew
                }
                if !load.flight.is_zero() {
                    sleep(load.flight).await;
                }
            }
            let kept = load.ask(&mut connection, &mut watch, begun.take(), opening).await;
            opening = false;
            if !kept {
                break;
            }
        }
        // Where nothing is kept, this is the fresh load, and the ports must last here, too.
        if connection.answered() <= 1 {
            drop(connection);
            load.hold_back().await;
        }
    }
}

/// A new connection for each request, closed by the client after the whole answer (so that `TIME_WAIT` is ours).
pub(super) async fn fresh(load: Rc<Load>) {
    let mut watch = load.limits.watch();
    loop {
        let (mut connection, begun) = match load.connect(&mut watch).await {
            Ok(connected) => connected,
            Err(Next::Retry) => continue,
            Err(Next::Leave) => return,
        };
        load.ask(&mut connection, &mut watch, Some(begun), false).await;
        drop(connection);
        load.hold_back().await;
    }
}

/// Before another try.
pub(super) async fn back_off() {
    sleep(BACK_OFF).await;
}

/// What a client does that got no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Retry,
    Leave,
}

impl Load {
    /// Connects; a connect that failed is entered as a request that ended there.
    pub(super) async fn connect(&self, watch: &mut Watch) -> Result<(Connection, Instant), Next> {
        self.connect_with(None, watch).await
    }

    /// The same with a buffer of so many bytes for what is received.
    pub(super) async fn connect_with(
        &self,
        buffer: Option<u32>,
        watch: &mut Watch,
    ) -> Result<(Connection, Instant), Next> {
        if self.closed.get() {
            return Err(Next::Leave);
        }
        let begun = Instant::now();
        let failed = match Connection::open_with(self.address, buffer, watch).await {
            Opened::Connection(connection) => return Ok((connection, begun)),
            Opened::OwnTrouble(error) => {
                self.ledger.borrow_mut().own_trouble(&error);
                back_off().await;
                return Err(Next::Retry);
            }
            Opened::Not(connect) => connect,
        };
        let signal = self.signal.at();
        self.enter(Observation { connect: failed, ..Observation::new(Subject::Request, begun) }, true);
        match failed {
            Connect::Unanswered => Err(Next::Leave),
            Connect::Refused if signal.is_some() => Err(Next::Leave),
            Connect::Refused => {
                back_off().await;
                Err(Next::Retry)
            }
            Connect::Reset | Connect::Done => Err(Next::Retry),
        }
    }

    /// Sends a batch and reads its answers; answers whether the connection can be used again.
    ///
    /// `connected` is when its connect began, for the first batch of a connection.
    pub(super) async fn ask(
        &self,
        connection: &mut Connection,
        watch: &mut Watch,
        connected: Option<Instant>,
        opening: bool,
    ) -> bool {
        let looked = connected.is_some() || self.flight.is_zero();
        let Sent { at, bytes, silence, fin_before } = connection.send(&self.request, looked);
        let begun = connected.unwrap_or(at);
        let mut close_announced = false;
        let mut broken = None;
        for _ in 0..self.batch {
            let answered_before = connection.answered();
            let (answer, end) = match broken {
                Some(end) => (Answer::Nothing, end),
                None if close_announced => (Answer::Nothing, End::Open),
                None => connection.answer(watch).await,
            };
            let seen = Observation {
                answered_before,
                close_announced,
                silence,
                fin_at_send: fin_before,
                sent: bytes,
                answer,
                end,
                ..Observation::new(Subject::Request, begun)
            };
            self.enter(seen, opening);
            match answer {
                Answer::Whole { says_close, .. } => close_announced |= says_close,
                _ if close_announced => {}
                _ => broken = Some(end),
            }
        }
        !close_announced && broken.is_none()
    }

    pub(super) async fn hold_back(&self) {
        let pause = self.pause();
        if pause.is_zero() {
            // A client whose connects fail at once must not starve the others.
            tokio::task::yield_now().await;
        } else {
            sleep(pause).await;
        }
    }
}
