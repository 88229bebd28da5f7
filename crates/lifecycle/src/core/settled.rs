//! What the report says of work is settled together with its verdict, under one lock: what comes later is after the
//! end, and neither contradicts the other.

use super::State;
use crate::follow::{Item, Progress};
use crate::machine::ScopeId;
use crate::report::ScopeReport;
use crate::scope::CutWork;
use std::collections::BTreeMap;

/// What there was at the very end.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) scopes: Vec<ScopeReport>,
    pub(crate) scopes_left_out: u64,
    /// Which of them are whose.
    places: BTreeMap<ScopeId, usize>,
}

impl State {
    pub(super) fn settle(&mut self) {
        let (scopes, scopes_left_out) = ScopeReport::all(self);
        let places = scopes.iter().enumerate().map(|(place, (id, _))| (*id, place)).collect();
        let scopes = scopes.into_iter().map(|(_, report)| report).collect();
        self.settled = Some(Settled { scopes, scopes_left_out, places });
    }

    /// Work was ended before it was finished.
    pub(crate) fn cut(&mut self, id: ScopeId, what: CutWork) {
        let Some(entry) = self.scopes.get_mut(&id) else { return };
        let (scope, group) = (entry.shared.name.clone(), entry.shared.group());
        match &mut self.settled {
            None => entry.cut.push(what.clone()),
            Some(settled) => {
                let place = settled.places.get(&id);
                let report = place.and_then(|place| settled.scopes.get_mut(*place));
                // What was left behind at the end may unwind before anybody looks; what has begun since is nothing.
                if !report.is_some_and(|report| report.cut_late(&what)) {
                    return;
                }
            }
        }
        self.tell_groups_of_cut(group, &what);
        self.follow.push(Item::News(Progress::Cut { scope, work: what }));
    }
}
