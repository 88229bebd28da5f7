use super::Load;
use super::client::Next;
use crate::observe::{Observation, Sent, Subject};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

/// The rest of a request follows within this time of the signal: longer than a silent connection would be left open
/// (250 ms), and shorter than anybody limits a head to.
const FOLLOWS_WITHIN: Duration = Duration::from_millis(500);

/// A request of which half is sent before the signal, and the rest after it. Every other on a connection that has
/// answered before, and half of all, where that can be asked for, with its body half sent, not its head.
pub(super) async fn half_sent(load: Rc<Load>, number: u32) {
    let mut watch = load.limits.watch();
    let (mut connection, begun) = loop {
        match load.connect(&mut watch).await {
            Ok(connected) => break connected,
            Err(Next::Retry) => {}
            Err(Next::Leave) => return,
        }
    };
    let mut begun = Some(begun);
    if number % 2 == 1 && !load.ask(&mut connection, &mut watch, begun.take(), true).await {
        return; // not kept: counted as missing from those that stand
    }
    let answered_before = connection.answered();
    let (request, at) = match &load.upload {
        Some(upload) if number % 4 >= 2 => (upload, upload.len() - upload.len() / 4),
        _ => {
            // Anywhere in the head, but its end.
            let last = load.request.len().saturating_sub(2) as u64;
            let at = 1 + load.random.borrow_mut().number() % last.max(1);
            (&load.request, usize::try_from(at).unwrap_or(1))
        }
    };
    let (first, rest) = request.split_at(at.min(request.len()));
    let Sent { at, bytes, silence, fin_before } = connection.send(first, false);
    load.stand();
    tokio::select! {
        biased;
        () = load.signal.wait() => {
            let pause = load.random.borrow_mut().up_to(FOLLOWS_WITHIN);
            sleep(pause).await;
        }
        // An end, or an answer to half a request: what it is worth is seen when the rest is sent.
        () = connection.stirs() => load.fall(),
        () = watch.over() => {}
    }
    connection.send_more(rest);
    let (answer, end) = connection.answer(&mut watch).await;
    let seen = Observation {
        answered_before,
        silence,
        fin_at_send: fin_before,
        sent: bytes + rest.len(),
        answer,
        end,
        ..Observation::new(Subject::HalfRequest, begun.unwrap_or(at))
    };
    load.enter(seen, answered_before == 0);
}
