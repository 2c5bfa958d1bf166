//! From the outbox to the bus: two relays.
//!
//! A transaction writes a message to the outbox under the lock of its batch. A relay chooses the first row of
//! each key, sends it, and archives it when the bus has acknowledged it. A lease keeps one relay from working
//! while the other does. At any moment a transaction may roll back, the lease may expire, a copy may be lost,
//! be appended without an acknowledgement, or be appended long after its sender gave up or crashed, and a
//! relay may crash.

mod actions;
#[cfg(test)]
mod tests;

use stateright::{Model, Property};

pub use actions::Action;

/// Number of ordering keys.
pub const KEYS: usize = 2;
/// Messages per key, at most.
pub const LONGEST: usize = 3;
/// Number of relays.
pub const RELAYS: usize = 2;
/// Copies of one message in flight at once, at most. This bounds the number of states, not the number of
/// copies sent.
const COPIES: u8 = 2;

/// A rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// No lease is needed: both relays work all the time. This is not a flaw, as the checker shows, because
    /// safety does not depend on the lease.
    NoLease,
    /// Any row is sent, even one that is not the first of its key.
    AnyRow,
    /// Two transactions may write messages of one key concurrently.
    NoLock,
    /// A message is sent when it is written, before its transaction commits.
    BeforeCommit,
    /// A row is archived when it is sent, before the bus has acknowledged it.
    ArchivedWhenSent,
}

/// The model: the messages to send and the rules that the relays follow.
#[derive(Debug, Clone, Copy)]
pub struct Relays {
    /// Number of messages of each key.
    pub messages: [usize; KEYS],
    /// The rule that is left out.
    pub flaw: Option<Flaw>,
}

/// The state of a message in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Row {
    /// Not written, or rolled back.
    #[default]
    Absent,
    /// Written in an open transaction.
    Open,
    /// Committed and waiting.
    Pending,
    /// Archived as sent.
    Sent,
}

/// The state of a message in a relay's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Read from the outbox.
    Chosen,
    /// Sent and not acknowledged.
    Sending,
    /// Acknowledged; the row is not yet archived.
    Acked,
}

/// A relay's memory. A crash clears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Relay {
    /// It believes that it holds the lease.
    pub believes: bool,
    /// The current message of each key, one at a time.
    pub current: [Option<(usize, Step)>; KEYS],
}

/// The state of database, relays and bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct State {
    /// The database: messages by key and number.
    pub rows: [[Row; LONGEST]; KEYS],
    /// The database: the holder of the lease. An expired lease and one whose holder crashed are alike: any
    /// relay may take it.
    pub lease: Option<usize>,
    /// The relays.
    pub relays: [Relay; RELAYS],
    /// Copies in flight, of any sender, alive or crashed.
    pub in_flight: [[u8; LONGEST]; KEYS],
    /// The topic: for each message, its rank among the first occurrences of its key; 0 when it is not on the
    /// topic.
    pub topic: [[u8; LONGEST]; KEYS],
}

impl State {
    fn messages(&self) -> impl Iterator<Item = (Row, u8, u8)> {
        let places = self.rows.iter().flatten().zip(self.in_flight.iter().flatten());
        places.zip(self.topic.iter().flatten()).map(|((row, in_flight), place)| (*row, *in_flight, *place))
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
        self.messages().any(|(_, in_flight, place)| in_flight > 0 && place > 0)
    }

    fn has_two_believers(&self) -> bool {
        self.relays.iter().all(|relay| relay.believes)
    }

    fn has_orphaned_copy(&self, by: impl Fn(&Relay, usize, usize) -> bool) -> bool {
        let keys = self.in_flight.iter().enumerate();
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
            Property::always("an archived message is on the topic", |_, state: &State| state.loses_nothing()),
            Property::always("first occurrences of a key ascend", |_, state: &State| state.keeps_order()),
            Property::always("a message on the topic was committed", |_, state: &State| {
                state.has_no_phantom()
            }),
            Property::sometimes("everything is sent", |model: &Self, state: &State| {
                let sent = |(key, messages): (usize, &usize)| {
                    let rows = state.rows.get(key).into_iter().flatten();
                    rows.filter(|row| **row == Row::Sent).count() == *messages
                };
                model.messages.iter().enumerate().all(sent)
            }),
            Property::sometimes("a copy of a message on the topic is in flight", |_, state: &State| {
                state.is_about_to_repeat()
            }),
            Property::sometimes("a relay works on after losing its lease", |_, state: &State| {
                state.has_two_believers()
            }),
            Property::sometimes("a copy is in flight that no relay waits for", |_, state: &State| {
                state.has_orphaned_copy(|relay, key, at| {
                    relay.current.get(key).copied().flatten() == Some((at, Step::Sending))
                })
            }),
        ]
    }
}
