//! Bus → database, by two consumers of one group.
//!
//! A consumer takes a record from its partition, commits what it means together with the event's id in the inbox, and then
//! commits its position. At any moment the partition may be given to the other consumer (the first one goes on with what it has
//! in hand, and does not know), a consumer may crash, a transaction may fail, or commit and be reported as failed. One of the
//! records is on the topic twice, because its producer repeated it.

#[cfg(test)]
mod tests;

use stateright::{Model, Property};

/// The topic: at each position the event that is there. Event 0 was published twice.
const TOPIC: [usize; 4] = [0, 1, 0, 2];
/// Different events on it.
const EVENTS: usize = 3;
/// Consumers.
pub const CONSUMERS: usize = 2;

/// A rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The position is committed before the database.
    PositionFirst,
    /// No inbox is asked.
    NoInbox,
    /// The inbox is written in a transaction of its own, before the one that applies the event.
    InboxApart,
}

/// Two consumers, and by which rules.
#[derive(Debug, Clone, Copy)]
pub struct Consumers {
    /// What is left out.
    pub flaw: Option<Flaw>,
}

/// What a consumer does with a record in its hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Handed out by the bus; nothing is committed.
    Taken,
    /// The inbox has its id, and nothing more is committed: only where the inbox is written apart.
    Marked,
    /// The database has it.
    Applied,
}

/// A consumer's memory. A crash empties it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Consumer {
    /// The place from which it takes its next record.
    pub next: usize,
    /// The record in hand: its place, and how far it is.
    pub hand: Option<(usize, Step)>,
    /// The partition was taken away while the record was in hand: the bus refuses to commit its position.
    pub fenced: bool,
}

/// Everything: bus, database, consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct State {
    /// Whose the partition is.
    pub assigned: Option<usize>,
    /// The group's committed position: the place of the first record that is not dealt with.
    pub position: usize,
    /// The database: events in the inbox.
    pub inbox: [bool; EVENTS],
    /// The database: how often each event was applied; two stands for more.
    pub applied: [u8; EVENTS],
    /// The processes.
    pub consumers: [Consumer; CONSUMERS],
}

/// One thing that happens, to the consumer that is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The group gives it the partition.
    Rebalance(usize),
    /// It takes the next record.
    Take(usize),
    /// It commits the event to the database.
    Apply(usize),
    /// The same, and it is told that it failed.
    ApplyUnknown(usize),
    /// Its transaction fails, and it goes back to the last position.
    Fail(usize),
    /// It commits the position.
    Advance(usize),
    /// It dies; what starts in its place knows nothing.
    Crash(usize),
}

impl Consumers {
    /// What the transaction with the event of this place changes.
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

    /// A transaction commits; `is_told` says whether the consumer learns of it.
    fn apply(self, state: &mut State, consumer: &mut Consumer, is_told: bool) {
        let Some((place, step)) = consumer.hand else { return };
        let event = TOPIC.get(place).copied().unwrap_or_default();
        let is_marked = state.inbox.get(event).copied().unwrap_or_default();
        if self.flaw == Some(Flaw::InboxApart) {
            match step {
                Step::Taken if is_marked => consumer.hand = Some((place, Step::Applied)),
                Step::Taken => {
                    consumer.hand = Some((place, Step::Marked));
                    if let Some(known) = state.inbox.get_mut(event) {
                        *known = true;
                    }
                }
                Step::Marked | Step::Applied => {
                    consumer.hand = Some((place, Step::Applied));
                    if let Some(applied) = state.applied.get_mut(event) {
                        *applied = (*applied + 1).min(2);
                    }
                }
            }
            return;
        }
        self.commit(state, place);
        let has_position = self.flaw == Some(Flaw::PositionFirst);
        consumer.hand = (is_told && !has_position).then_some((place, Step::Applied));
        if !is_told {
            consumer.next = state.position;
        }
    }

    fn after(self, mut state: State, action: Action) -> State {
        let (Action::Rebalance(who)
        | Action::Take(who)
        | Action::Apply(who)
        | Action::ApplyUnknown(who)
        | Action::Fail(who)
        | Action::Advance(who)
        | Action::Crash(who)) = action;
        let Some(mut now) = state.consumers.get(who).copied() else { return state };
        match action {
            Action::Rebalance(_) => {
                for consumer in &mut state.consumers {
                    consumer.fenced |= consumer.hand.is_some();
                }
                now.fenced |= now.hand.is_some();
                now.next = state.position;
                state.assigned = Some(who);
            }
            Action::Take(_) => {
                now.hand = Some((now.next, Step::Taken));
                now.next += 1;
                if self.flaw == Some(Flaw::PositionFirst) {
                    state.position = now.next;
                }
            }
            Action::Apply(_) => self.apply(&mut state, &mut now, true),
            Action::ApplyUnknown(_) => self.apply(&mut state, &mut now, false),
            Action::Fail(_) => {
                now.hand = None;
                now.next = state.position;
            }
            Action::Advance(_) => {
                if let Some((place, _)) = now.hand.take().filter(|_| !now.fenced) {
                    state.position = place + 1;
                }
            }
            Action::Crash(_) => {
                now = Consumer::default();
                state.assigned = state.assigned.filter(|assigned| *assigned != who);
            }
        }
        now.fenced &= now.hand.is_some();
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
            match now.hand {
                None if is_assigned && now.next < TOPIC.len() => actions.push(Action::Take(who)),
                None => {}
                Some((_, Step::Applied)) => actions.push(Action::Advance(who)),
                Some((_, Step::Taken | Step::Marked)) => {
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
            Property::always("the position never leads the database", |_, state: &State| {
                let dealt_with = TOPIC.iter().take(state.position);
                dealt_with.into_iter().all(|event| state.applied.get(*event).is_some_and(|times| *times > 0))
            }),
            Property::sometimes("every event is applied and dealt with", |_, state: &State| {
                state.position == TOPIC.len() && state.applied.iter().all(|times| *times == 1)
            }),
            Property::sometimes("a record comes again that is applied", |_, state: &State| {
                state.consumers.iter().any(|consumer| {
                    let taken = consumer.hand.filter(|(_, step)| *step == Step::Taken);
                    let event = taken.and_then(|(place, _)| TOPIC.get(place));
                    event.is_some_and(|event| state.applied.get(*event).is_some_and(|times| *times > 0))
                })
            }),
            Property::sometimes("two consumers have the same record in hand", |_, state: &State| {
                let [one, two] = &state.consumers;
                one.hand.is_some() && one.hand.map(|hand| hand.0) == two.hand.map(|hand| hand.0)
            }),
        ]
    }
}
