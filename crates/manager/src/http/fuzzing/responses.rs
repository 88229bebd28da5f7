//! Responses, as a client gets them.

use bytes::Bytes;
use std::io;
use std::time::Instant;

use crate::Limits;
use crate::core::Core;
use crate::session::{Answer, Client, Next, Protocol, Session, Step};

/// What the first byte chooses from: all that is asked, one behind the other.
const ASKED: [&str; 4] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
];

/// Small, so that inputs pass them.
const HEAD: usize = 1024;
const BODY: usize = 256;

/// Responses, one behind the other, up to the end of the connection: however they are cut into reads, and whether bodies are
/// told in pieces or not, they are the same; and a client never has more of them than it has asked for.
pub fn responses(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let asked = ASKED[usize::from(*first) % ASKED.len()];
    for streams in [false, true] {
        let whole = follow(asked, [bytes], streams);
        for size in [1, 7] {
            let cut = follow(asked, bytes.chunks(size), streams);
            assert_eq!(whole, cut, "{size} bytes at a time, streams: {streams}");
        }
        let most = asked.matches("HTTP/1.1").count();
        assert!(whole.responses.len() <= most);
        assert!(whole.failed || whole.switched || whole.responses.len() == most || bytes.len() < 2);
    }
    let (collected, streamed) = (follow(asked, [bytes], false), follow(asked, [bytes], true));
    assert_eq!(collected.responses, streamed.responses);
}

/// What came of a stream of bytes.
#[derive(Debug, PartialEq, Eq, Default)]
struct Followed {
    responses: Vec<(u16, Vec<u8>)>,
    switched: bool,
    failed: bool,
    /// The content so far of a body that is told in pieces.
    pieces: Vec<u8>,
}

fn follow<'a>(asked: &str, reads: impl IntoIterator<Item = &'a [u8]>, streams: bool) -> Followed {
    let limits = Limits { head_bytes: HEAD, body_bytes: BODY, ..Limits::default() };
    let core = Core::new(None, limits, Err(io::ErrorKind::Unsupported));
    let now = Instant::now();
    let client = Client::new("a".to_owned(), now);
    let mut session = Session::new(Protocol::Client(Box::new(client)), None, None);
    session.send(&core, asked.as_bytes()).expect("an open connection takes what is written");
    let mut followed = Followed::default();
    for read in reads {
        if !goes_on(&core, &mut session, &mut followed, now, streams) {
            break;
        }
        if let Some(step) = session.arrived(&core, now, read) {
            tell(&core, &mut session, &mut followed, step, streams);
        }
    }
    if goes_on(&core, &mut session, &mut followed, now, streams) {
        session.ended();
        goes_on(&core, &mut session, &mut followed, now, streams);
    }
    // Of what is not whole, more or less has been told.
    followed.pieces.clear();
    followed
}

/// Whether more is read.
fn goes_on(core: &Core, session: &mut Session, followed: &mut Followed, now: Instant, streams: bool) -> bool {
    let sent = session.to_send().len();
    session.sent(now, sent);
    loop {
        match session.next(core, now) {
            Next::Tell(step) => tell(core, session, followed, step, streams),
            Next::Read | Next::Wait => {
                followed.switched |= !session.is_asking();
                return session.is_asking();
            }
            _ => return false,
        }
    }
}

fn tell(core: &Core, session: &mut Session, followed: &mut Followed, step: Step, streams: bool) {
    let whole = match step {
        Step::Answer(Answer::Head(_)) => {
            if streams {
                session.stream_body(BODY as u64, None).expect("it is told with the head");
            }
            if let Some(step) = session.answer_announced(core) {
                tell(core, session, followed, step, streams);
            }
            return;
        }
        Step::Answer(Answer::Whole(response)) => {
            assert!(response.bytes().starts_with(response.head_bytes()));
            Some((response.status(), response.body().clone()))
        }
        Step::Answer(Answer::Piece(piece, response)) => {
            followed.pieces.extend_from_slice(&piece);
            response.map(|response| (response.status(), Bytes::from(std::mem::take(&mut followed.pieces))))
        }
        _ => {
            followed.failed = true;
            return;
        }
    };
    if let Some((status, body)) = whole {
        assert!(body.len() <= BODY);
        followed.responses.push((status, body.to_vec()));
        session.has_told_answer();
    }
}
