//! Groups that close before the stop: who waits for them, and what becomes known of them.

use super::components::SHORTEST;
use super::{Core, Locked, State};
#[cfg(feature = "tokio")]
use crate::bell::Bell;
use crate::cause::Failure;
use crate::component::{ComponentReport, GroupReport};
use crate::kept::MOST_KEPT;
use crate::machine::{ComponentId, GroupId, Input, Time};
use crate::scope::CutWork;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A close of a group that is not over.
#[derive(Debug)]
pub(crate) struct GroupClose {
    group: GroupId,
    /// The group, and those within: no others will be.
    groups: BTreeSet<GroupId>,
    members: BTreeSet<ComponentId>,
    since: Time,
    report: GroupReport,
    closed: Arc<GroupClosed>,
}

/// What becomes of it, for whoever waits.
#[derive(Debug, Default)]
pub(crate) struct GroupClosed {
    report: OnceLock<GroupReport>,
    #[cfg(feature = "tokio")]
    bell: Bell,
}

impl GroupClosed {
    pub(super) fn ring(&self) {
        #[cfg(feature = "tokio")]
        self.bell.ring();
    }

    #[cfg(feature = "tokio")]
    pub(crate) async fn wait(&self) -> GroupReport {
        self.bell.wait(|| self.report.get().is_some()).await;
        self.report.get().cloned().unwrap_or_default()
    }
}

impl Core {
    /// Begins to close the group, if that has not begun.
    pub(crate) fn close_group(&self, group: GroupId, name: &str, within: Duration) -> Arc<GroupClosed> {
        let closed = Arc::<GroupClosed>::default();
        let begun = self.with(|locked| {
            let machine = &locked.state.machine;
            let close = GroupClose {
                group,
                groups: machine.groups_within(group),
                members: machine.members(group).into_iter().collect(),
                since: self.clock.now(),
                report: GroupReport { name: name.to_owned(), ..GroupReport::default() },
                closed: Arc::clone(&closed),
            };
            locked.state.group_closes.push(close);
            locked.apply(Input::CloseGroup { group, within: within.max(SHORTEST) });
        });
        if begun.is_none() {
            // In a forked child nothing closes (L17).
            _ = closed.report.set(GroupReport { name: name.to_owned(), ..GroupReport::default() });
        }
        closed
    }

    /// Blocks until it is over.
    pub(crate) fn wait_for_group(&self, closed: &GroupClosed) -> GroupReport {
        self.wait_until(None, |_| closed.report.get().is_some());
        closed.report.get().cloned().unwrap_or_default()
    }
}

impl Locked<'_> {
    /// Answers those who wait for a group that is over. When all effects of the inputs are carried out, since they
    /// say what became of it.
    pub(super) fn look_for_closed_groups(&mut self) {
        if self.state.group_closes.is_empty() {
            return;
        }
        let now = self.core.clock.now();
        let machine = &self.state.machine;
        let over = self.state.group_closes.extract_if(.., |close| machine.is_over(close.group));
        for close in over {
            let report = GroupReport { took: now.since(close.since), ..close.report };
            _ = close.closed.report.set(report);
            self.news.groups.push(close.closed);
            self.news.moved = true;
        }
    }
}

impl State {
    pub(super) fn tell_groups(&mut self, component: ComponentId, report: &ComponentReport) {
        for close in self.closes_of(component) {
            keep(&mut close.report.components, report, &mut close.report.left_out);
        }
    }

    pub(super) fn tell_groups_of_failure(&mut self, component: ComponentId, failure: &Failure) {
        for close in self.closes_of(component) {
            keep(&mut close.report.failures, failure, &mut close.report.left_out);
        }
    }

    pub(crate) fn tell_groups_of_cut(&mut self, group: GroupId, work: &CutWork) {
        for close in self.group_closes.iter_mut().filter(|close| close.groups.contains(&group)) {
            keep(&mut close.report.cut, work, &mut close.report.left_out);
        }
    }

    fn closes_of(&mut self, component: ComponentId) -> impl Iterator<Item = &mut GroupClose> {
        self.group_closes.iter_mut().filter(move |close| close.members.contains(&component))
    }
}

fn keep<T: Clone>(list: &mut Vec<T>, entry: &T, left_out: &mut u64) {
    if list.len() < MOST_KEPT {
        list.push(entry.clone());
    } else {
        *left_out += 1;
    }
}
