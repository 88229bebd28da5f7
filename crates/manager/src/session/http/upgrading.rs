//! The last answer that is HTTP: a 101.

use super::{Answer, Asked, Http};
use crate::core::Core;
use crate::error::AnswerError;
use crate::http::{Request, check};
use crate::session::Buffers;
use crate::websocket::{UpgradeError, accepts, check_fields};
use exeunt_lifecycle::Work;
use std::time::Instant;

/// What the next protocol begins with.
pub(crate) struct Upgraded {
    pub(crate) request: Request,
    /// When the request came.
    pub(crate) since: Instant,
    pub(crate) work: Option<Work>,
}

impl Http {
    /// Answers the request with 101, if it asks for a WebSocket; with 426 or 503 otherwise.
    pub(crate) fn upgrade(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
        headers: &[(&str, &str)],
    ) -> Result<Upgraded, UpgradeError> {
        let (Answer::Owed, Some(asked)) = (&self.answer, &self.asked) else {
            return Err(UpgradeError::Answered);
        };
        let request = asked.request.as_ref().or(buffers.told.as_ref()).filter(|_| asked.whole.is_some());
        let request = request.ok_or(UpgradeError::NotWhole)?.clone();
        headers.iter().try_for_each(|(name, value)| check(name, value))?;
        check_fields(headers)?;
        let accept = match accepts(&request) {
            // One that asks for nothing of the kind is told so, in a stop too.
            Err(why) => {
                self.refuse_upgrade(core, buffers, 426);
                return Err(UpgradeError::NoUpgrade { why });
            }
            Ok(accept) => accept,
        };
        let ours = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", &accept)];
        let fields = [&ours[..], headers].concat();
        if core.is_stopping() {
            self.refuse_upgrade(core, buffers, 503);
            return Err(UpgradeError::Stopping);
        }
        match self.reply(core, buffers, 101, &fields, b"") {
            Ok(()) => {}
            Err(AnswerError::Reply(error)) => return Err(error.into()),
            Err(_) => return Err(UpgradeError::Answered),
        }
        let Some(Asked { since, work, .. }) = self.asked.take() else { return Err(UpgradeError::Answered) };
        Ok(Upgraded { request, since, work })
    }

    fn refuse_upgrade(&mut self, core: &Core, buffers: &mut Buffers, status: u16) {
        const WHAT: [(&str, &str); 3] =
            [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")];
        let headers = if status == 426 { &WHAT[..] } else { &[] };
        // Cannot fail: an answer is owed, and the headers are ours.
        _ = self.reply(core, buffers, status, headers, b"");
    }
}
