//! From the bus to the database: two consumers of one group.
//!
//! A consumer fetches a record from its partition, commits its effects together with its event id in the
//! inbox, and then commits the offset. At any moment the partition may be assigned to the other consumer (the
//! first one continues with the record in its memory and does not know), a consumer may crash, and a
//! transaction may fail, or commit and be reported as failed. One of the records is on the topic twice,
//! because its producer repeated it.

#[cfg(test)]
mod tests;

use stateright::{Model, Property};

/// The topic: the event at each offset. Event 0 was published twice.
const TOPIC: [usize; 4] = [0, 1, 0, 2];
/// Number of different events on the topic.
const EVENTS: usize = 3;
/// Number of consumers.
pub const CONSUMERS: usize = 2;

/// A rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The offset is committed before the database.
    OffsetFirst,
    /// The inbox is not read.
    NoInbox,
    /// The inbox is written in a transaction of its own, before the one that applies the event.
    InboxApart,
}

/// The model: two consumers and the rules that they follow.
#[derive(Debug, Clone, Copy)]
pub struct Consumers {
    /// The rule that is left out.
    pub flaw: Option<Flaw>,
}

/// The state of a consumer's current record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Fetched; nothing is committed.
    Fetched,
    /// The inbox has its id, and nothing else is committed; only with the flaw `InboxApart`.
    Marked,
    /// Committed to the database.
    Applied,
}

/// A consumer's memory. A crash clears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Consumer {
    /// The offset of the next record to fetch.
    pub next: usize,
    /// The current record: its offset and state.
    pub current: Option<(usize, Step)>,
    /// The partition was reassigned while a record was current: the bus refuses to commit its offset.
    pub fenced: bool,
}

/// The state of bus, database and consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct State {
    /// The consumer that the partition is assigned to.
    pub assigned: Option<usize>,
    /// The group's committed offset: the offset of the first record that is not processed.
    pub committed: usize,
    /// The database: events in the inbox.
    pub inbox: [bool; EVENTS],
    /// The database: how many times each event was applied; 2 stands for more.
    pub applied: [u8; EVENTS],
    /// The consumers.
    pub consumers: [Consumer; CONSUMERS],
}

/// A step of the named consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The group assigns the partition to it.
    Rebalance(usize),
    /// It fetches the next record.
    Fetch(usize),
    /// It commits the event to the database.
    Apply(usize),
    /// It commits the event, and the commit is reported as failed.
    ApplyUnknown(usize),
    /// Its transaction fails, and it seeks to the committed offset.
    Fail(usize),
    /// It commits the offset.
    CommitOffset(usize),
    /// It crashes; its successor starts with an empty memory.
    Crash(usize),
}

impl Consumers {
    /// Applies the transaction of the event at this offset.
    fn commit(self, state: &mut State, place: usize) {
        let Some(event) = TOPIC.get(place).copied() else { return };
        let (Some(known), Some(applied)) = (state.inbox.get_mut(event), state.applied.get_mut(event)) else {
            return;
        };
        if !*known || self.flaw == Some(Flaw::NoInbox) {
            *applied = (*applied + 1).min(2);
        }
        *known = true;
    }

    /// A transaction commits; `is_reported` says whether the consumer learns of it.
    fn apply(self, state: &mut State, consumer: &mut Consumer, is_reported: bool) {
        let Some((place, step)) = consumer.current else { return };
        let event = TOPIC.get(place).copied().unwrap_or_default();
        let is_marked = state.inbox.get(event).copied().unwrap_or_default();
        if self.flaw == Some(Flaw::InboxApart) {
            match step {
                Step::Fetched if is_marked => consumer.current = Some((place, Step::Applied)),
                Step::Fetched => {
                    consumer.current = Some((place, Step::Marked));
                    if let Some(known) = state.inbox.get_mut(event) {
                        *known = true;
                    }
                }
                Step::Marked | Step::Applied => {
                    consumer.current = Some((place, Step::Applied));
                    if let Some(applied) = state.applied.get_mut(event) {
                        *applied = (*applied + 1).min(2);
                    }
                }
            }
            return;
        }
        self.commit(state, place);
        let has_offset = self.flaw == Some(Flaw::OffsetFirst);
        consumer.current = (is_reported && !has_offset).then_some((place, Step::Applied));
        if !is_reported {
            consumer.next = state.committed;
        }
    }

    fn after(self, mut state: State, action: Action) -> State {
        let (Action::Rebalance(who)
        | Action::Fetch(who)
        | Action::Apply(who)
        | Action::ApplyUnknown(who)
        | Action::Fail(who)
        | Action::CommitOffset(who)
        | Action::Crash(who)) = action;
        let Some(mut now) = state.consumers.get(who).copied() else { return state };
        match action {
            Action::Rebalance(_) => {
                for consumer in &mut state.consumers {
                    consumer.fenced |= consumer.current.is_some();
                }
                now.fenced |= now.current.is_some();
                now.next = state.committed;
                state.assigned = Some(who);
            }
            Action::Fetch(_) => {
                now.current = Some((now.next, Step::Fetched));
                now.next += 1;
                if self.flaw == Some(Flaw::OffsetFirst) {
                    state.committed = now.next;
                }
            }
            Action::Apply(_) => self.apply(&mut state, &mut now, true),
            Action::ApplyUnknown(_) => self.apply(&mut state, &mut now, false),
            Action::Fail(_) => {
                now.current = None;
                now.next = state.committed;
            }
            Action::CommitOffset(_) => {
                if let Some((place, _)) = now.current.take().filter(|_| !now.fenced) {
                    state.committed = place + 1;
                }
            }
            Action::Crash(_) => {
                now = Consumer::default();
                state.assigned = state.assigned.filter(|assigned| *assigned != who);
            }
        }
        now.fenced &= now.current.is_some();
        if let Some(place) = state.consumers.get_mut(who) {
            *place = now;
        }
        state
    }
}

impl Model for Consumers {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (who, now) in state.consumers.iter().enumerate() {
            let is_assigned = state.assigned == Some(who);
            if !is_assigned {
                actions.push(Action::Rebalance(who));
            }
            if *now != Consumer::default() || is_assigned {
                actions.push(Action::Crash(who));
            }
            match now.current {
                None if is_assigned && now.next < TOPIC.len() => actions.push(Action::Fetch(who)),
                None => {}
                Some((_, Step::Applied)) => actions.push(Action::CommitOffset(who)),
                Some((_, Step::Fetched | Step::Marked)) => {
                    actions.extend([Action::Apply(who), Action::Fail(who)]);
                    if self.flaw.is_none() {
                        actions.push(Action::ApplyUnknown(who));
                    }
                }
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.after(*state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no event is applied twice", |_, state: &State| {
                state.applied.iter().all(|times| *times < 2)
            }),
            Property::always("the committed offset never leads the database", |_, state: &State| {
                let processed = TOPIC.iter().take(state.committed);
                processed.into_iter().all(|event| state.applied.get(*event).is_some_and(|times| *times > 0))
            }),
            Property::sometimes("every event is applied and its offset committed", |_, state: &State| {
                state.committed == TOPIC.len() && state.applied.iter().all(|times| *times == 1)
            }),
            Property::sometimes("an applied record is redelivered", |_, state: &State| {
                state.consumers.iter().any(|consumer| {
                    let fetched = consumer.current.filter(|(_, step)| *step == Step::Fetched);
                    let event = fetched.and_then(|(place, _)| TOPIC.get(place));
                    event.is_some_and(|event| state.applied.get(*event).is_some_and(|times| *times > 0))
                })
            }),
            Property::sometimes("two consumers have the same current record", |_, state: &State| {
                let [one, two] = &state.consumers;
                one.current.is_some()
                    && one.current.map(|current| current.0) == two.current.map(|current| current.0)
            }),
        ]
    }
}
