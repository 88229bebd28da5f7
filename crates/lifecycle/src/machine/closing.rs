//! `Closing`: what was cut unwinds, exit work is done, components close one after the other.

use super::components::Components;
use super::deadline::{Deadline, EXIT_WORK};
use super::phase::Time;
use super::vocabulary::{ComponentId, Effect, GroupId, Late};
use std::collections::BTreeMap;

/// How far closing is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Closing {
    /// Whose components close; all and exit work if it is nobody's.
    within: Option<GroupId>,
    /// How long the components wait for what was cut.
    unwind: Option<Deadline>,
    current: Option<(ComponentId, Deadline)>,
    /// What groups within had begun to close by themselves.
    under_way: BTreeMap<ComponentId, Deadline>,
    /// Components are being closed: no more exit work is taken.
    components: bool,
    /// A forced end's time for exit work.
    forced: Option<Deadline>,
}

/// What closing comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something is awaited.
    Wait,
    /// A component closes; its time may be over at once.
    Begun,
    /// A component ran out of time, and the next may close.
    Late,
    /// Nothing more to wait for. Skipped: there was something left to close.
    Over { skipped: bool },
}

impl Closing {
    pub(crate) fn of(group: GroupId) -> Self {
        Self { within: Some(group), ..Self::default() }
    }

    /// A quarter of what is left is for work to unwind, since it may still use the components.
    pub(crate) fn begin(&mut self, now: Time, hard: Time, under_way: BTreeMap<ComponentId, Deadline>) {
        self.unwind = Some(Deadline::new(now.after(hard.since(now) / 4)));
        self.under_way = under_way;
    }

    /// What is being closed, for whoever takes over.
    pub(crate) fn into_under_way(self) -> impl Iterator<Item = (ComponentId, Deadline)> {
        self.current.into_iter().chain(self.under_way)
    }

    pub(crate) fn takes_exit_work(&self) -> bool {
        !self.components
    }

    /// The end is forced: only exit work is still done, in a time of its own.
    pub(crate) fn force(&mut self, now: Time, components: &mut Components, effects: &mut Vec<Effect>) {
        self.forced.get_or_insert(Deadline::new(now.after(EXIT_WORK)));
        self.components = true;
        for id in components.in_order(self.within) {
            if !components.is_exit_work(id) {
                self.skip(id, components, effects);
            }
        }
    }

    /// Nothing is done any more, exit work included.
    pub(crate) fn abandon(&mut self, components: &mut Components, effects: &mut Vec<Effect>) -> bool {
        let left = components.in_order(self.within);
        for id in &left {
            self.skip(*id, components, effects);
        }
        !left.is_empty()
    }

    /// Its close is over. False: it was not being closed any more.
    pub(crate) fn closed(&mut self, id: ComponentId, components: &mut Components) -> bool {
        let closing = self.current.take_if(|(current, _)| *current == id).is_some()
            || self.under_way.remove(&id).is_some();
        closing && components.remove(id)
    }

    pub(crate) fn step(
        &mut self,
        now: Time,
        hard: &mut Deadline,
        is_busy: bool,
        components: &mut Components,
        effects: &mut Vec<Effect>,
    ) -> Step {
        let forced = self.forced.is_some();
        let limit = self.forced.as_mut().unwrap_or(hard);
        let over = limit.is_due(now);
        if !self.under_way.is_empty() {
            let late =
                self.under_way.iter_mut().find_map(|(id, until)| (until.is_due(now) || over).then_some(*id));
            let Some(id) = late else { return Step::Wait };
            effects.push(Effect::AbandonClose(id, Late::Timeout));
            components.remove(id);
            self.under_way.remove(&id);
            return Step::Late;
        }
        if let Some((id, until)) = &mut self.current {
            if !until.is_due(now) && !over {
                return Step::Wait;
            }
            effects.push(Effect::AbandonClose(*id, Late::Timeout));
            components.remove(*id);
            self.current = None;
            return Step::Late;
        }
        let Some((id, timeout, is_last)) = components.next_to_close(self.within) else {
            return if over || forced || !is_busy { Step::Over { skipped: false } } else { Step::Wait };
        };
        if over {
            return Step::Over { skipped: self.abandon(components, effects) };
        }
        // Once and for all: asked again much later, it would grant a pass.
        self.unwind.take_if(|unwind| unwind.is_due(now));
        if is_busy && self.unwind.is_some() && !forced {
            return Step::Wait;
        }
        let left = limit.takes_effect().since(now);
        let span = match timeout {
            Some(timeout) => timeout.min(left),
            // One that hangs leaves time to the next.
            None if is_last => left,
            None => left / 2,
        };
        let until = now.after(span);
        self.components |= !components.is_exit_work(id);
        self.current = Some((id, Deadline::new(until)));
        effects.push(Effect::Close(id, until));
        Step::Begun
    }

    /// When to [`step`](Self::step) next if nothing happens.
    pub(crate) fn next_due(&self, hard: &Deadline, waits_to_unwind: bool) -> Time {
        let limit = self.forced.as_ref().unwrap_or(hard).takes_effect();
        let current = self.current.as_ref().map(|(_, until)| until.takes_effect());
        let under_way = self.under_way.values().map(Deadline::takes_effect).min();
        let closes = current.is_some() || under_way.is_some();
        let unwind = self.unwind.as_ref().filter(|_| waits_to_unwind && !closes);
        [current, under_way, unwind.map(Deadline::takes_effect)].into_iter().flatten().fold(limit, Time::min)
    }

    fn skip(&mut self, id: ComponentId, components: &mut Components, effects: &mut Vec<Effect>) {
        let closing = self.current.take_if(|(current, _)| *current == id).is_some()
            || self.under_way.remove(&id).is_some();
        if closing {
            effects.push(Effect::AbandonClose(id, Late::Stop));
        } else {
            effects.push(Effect::Skip(id));
        }
        components.remove(id);
    }
}
