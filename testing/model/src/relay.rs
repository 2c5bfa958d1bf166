//! Outbox → bus, by two relays.
//!
//! A transaction puts a message into the outbox under the batch's lock; a relay chooses the first row of each key, sends it,
//! and deletes it when the bus has acknowledged it. A lease keeps one relay away while the other works. At any moment
//! a transaction may roll back, the lease may run out, a copy may get lost, arrive without an answer, or arrive long after
//! its sender gave up or died, and a relay may crash.

mod actions;
#[cfg(test)]
mod tests;

use stateright::{Model, Property};

pub use actions::Action;

/// Ordering keys.
pub const KEYS: usize = 2;
/// Messages of one key, at most.
pub const LONGEST: usize = 3;
/// Relays.
pub const RELAYS: usize = 2;
/// Copies of one message on their way at once, at most. This bounds the states, not the number of copies that may be sent.
const COPIES: u8 = 2;

/// A rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Nobody asks for a lease: both relays work all the time. Not a flaw, as the checker shows: safety never rests on it.
    NoLease,
    /// Any row is sent, also one behind another of its key.
    AnyRow,
    /// Two transactions may write messages of one key at once.
    NoLock,
    /// A message is sent when it is written, before its transaction commits.
    BeforeCommit,
    /// A row is deleted when it is sent, before the bus has acknowledged it.
    DeletedWhenSent,
}

/// How much there is to send, and by which rules.
#[derive(Debug, Clone, Copy)]
pub struct Relays {
    /// Messages of each key.
    pub messages: [usize; KEYS],
    /// What is left out.
    pub flaw: Option<Flaw>,
}

/// What the database knows of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Row {
    /// Nothing: not written, or rolled back.
    #[default]
    Absent,
    /// A transaction has written it and not ended.
    Open,
    /// Committed and to be sent.
    Pending,
    /// Archived as sent.
    Sent,
}

/// What a relay does with a message in its hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Read from the outbox.
    Chosen,
    /// Given to the bus, not answered.
    Sending,
    /// Acknowledged by the bus; the row is still there.
    Acked,
}

/// A relay's memory. A crash empties it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Relay {
    /// It believes that the lease is its own.
    pub believes: bool,
    /// The message of each key that it has in hand; one at a time.
    pub hands: [Option<(usize, Step)>; KEYS],
}

/// Everything: database, relays, bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct State {
    /// The database: messages by key and number.
    pub rows: [[Row; LONGEST]; KEYS],
    /// The database: who holds the lease. One that ran out and one whose holder died are alike: anybody may take it.
    pub lease: Option<usize>,
    /// The processes.
    pub relays: [Relay; RELAYS],
    /// Copies on their way to the bus, whoever sent them, and whether or not that relay still lives.
    pub under_way: [[u8; LONGEST]; KEYS],
    /// The topic: for each message, its place among the first occurrences of its key; 0 when it is not there.
    pub topic: [[u8; LONGEST]; KEYS],
}

impl State {
    fn messages(&self) -> impl Iterator<Item = (Row, u8, u8)> {
        let places = self.rows.iter().flatten().zip(self.under_way.iter().flatten());
        places.zip(self.topic.iter().flatten()).map(|((row, under_way), place)| (*row, *under_way, *place))
    }

    fn loses_nothing(&self) -> bool {
        self.messages().all(|(row, _, place)| row != Row::Sent || place > 0)
    }

    fn keeps_order(&self) -> bool {
        self.topic.iter().all(|key| {
            let places = key.iter().filter(|place| **place > 0);
            places.is_sorted()
        })
    }

    fn has_no_phantom(&self) -> bool {
        self.messages().all(|(row, _, place)| place == 0 || matches!(row, Row::Pending | Row::Sent))
    }

    fn is_about_to_repeat(&self) -> bool {
        self.messages().any(|(_, under_way, place)| under_way > 0 && place > 0)
    }

    fn has_two_believers(&self) -> bool {
        self.relays.iter().all(|relay| relay.believes)
    }

    fn comes_from_beyond(&self, by: impl Fn(&Relay, usize, usize) -> bool) -> bool {
        let keys = self.under_way.iter().enumerate();
        let mut messages =
            keys.flat_map(|(key, all)| all.iter().enumerate().map(move |(at, n)| (key, at, *n)));
        messages.any(|(key, at, n)| n > 0 && !self.relays.iter().any(|relay| by(relay, key, at)))
    }
}

impl Model for Relays {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(Self::after(*state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what is archived is on the topic", |_, state: &State| state.loses_nothing()),
            Property::always("first occurrences of a key ascend", |_, state: &State| state.keeps_order()),
            Property::always("what is on the topic was committed", |_, state: &State| state.has_no_phantom()),
            Property::sometimes("everything is sent", |model: &Self, state: &State| {
                let sent = |(key, messages): (usize, &usize)| {
                    let rows = state.rows.get(key).into_iter().flatten();
                    rows.filter(|row| **row == Row::Sent).count() == *messages
                };
                model.messages.iter().enumerate().all(sent)
            }),
            Property::sometimes("a copy is under way of what is there", |_, state: &State| {
                state.is_about_to_repeat()
            }),
            Property::sometimes("a lease changed hands and its old holder works on", |_, state: &State| {
                state.has_two_believers()
            }),
            Property::sometimes("a copy is under way that nobody waits for", |_, state: &State| {
                state.comes_from_beyond(|relay, key, at| {
                    relay.hands.get(key).copied().flatten() == Some((at, Step::Sending))
                })
            }),
        ]
    }
}
