//! The possible steps, and their effects.

use super::{COPIES, Flaw, KEYS, RELAYS, Relay, Relays, Row, State, Step};

/// A step. A message is identified by its key and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A transaction writes a message.
    Write(usize, usize),
    /// It commits.
    Commit(usize, usize),
    /// It rolls back.
    RollBack(usize, usize),
    /// A relay takes the free lease.
    TakeLease(usize),
    /// The lease expires. Its holder does not know.
    LeaseExpires,
    /// A relay finds that it has lost the lease.
    Notice(usize),
    /// A relay reads a row to send, one per key.
    Choose(usize, usize, usize),
    /// A relay sends the message that it chose, however long ago that was.
    Send(usize, usize),
    /// A copy is appended to the topic, without an acknowledgement.
    Arrive(usize, usize),
    /// A copy is appended to the topic, and a waiting relay gets the acknowledgement.
    Acknowledge(usize, usize, usize),
    /// A copy is lost.
    Lose(usize, usize),
    /// A relay stops waiting for an acknowledgement. The copy may still be appended.
    GiveUp(usize, usize),
    /// A relay archives the row of an acknowledged message. This needs no lease, because it records a fact.
    Archive(usize, usize),
    /// A relay crashes; its successor starts with an empty memory.
    Crash(usize),
}

impl Relays {
    /// Every step that is possible in this state.
    pub(super) fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        if state.lease.is_some() {
            actions.push(Action::LeaseExpires);
        }
        for key in 0..KEYS {
            for at in 0..self.length(key) {
                self.of_writers(state, key, at, actions);
                if in_flight(state, key, at) > 0 {
                    actions.extend([Action::Arrive(key, at), Action::Lose(key, at)]);
                }
            }
        }
        for (relay, now) in state.relays.iter().enumerate() {
            self.of_relay(state, relay, now, actions);
        }
    }

    fn of_writers(&self, state: &State, key: usize, at: usize, actions: &mut Vec<Action>) {
        match row(state, key, at) {
            Row::Absent => {
                // Numbers are assigned in order under the lock of the batch. A rolled-back number is assigned
                // again.
                let before = (0..at).map(|at| row(state, key, at));
                let may = match self.flaw {
                    Some(Flaw::NoLock) => before.into_iter().all(|row| row != Row::Absent),
                    _ => before.into_iter().all(|row| matches!(row, Row::Pending | Row::Sent)),
                };
                if may {
                    actions.push(Action::Write(key, at));
                }
            }
            Row::Open => actions.extend([Action::Commit(key, at), Action::RollBack(key, at)]),
            Row::Pending | Row::Sent => {}
        }
    }

    fn of_relay(&self, state: &State, relay: usize, now: &Relay, actions: &mut Vec<Action>) {
        let holds = state.lease == Some(relay);
        let works = now.believes || self.flaw == Some(Flaw::NoLease);
        if state.lease.is_none() && self.flaw != Some(Flaw::NoLease) {
            actions.push(Action::TakeLease(relay));
        }
        if now.believes && !holds {
            actions.push(Action::Notice(relay));
        }
        if *now != Relay::default() {
            actions.push(Action::Crash(relay));
        }
        for (key, hand) in now.current.iter().enumerate() {
            match *hand {
                None if works => {
                    let rows = (0..self.length(key)).filter(|at| self.may_be_chosen(state, key, *at));
                    actions.extend(rows.map(|at| Action::Choose(relay, key, at)));
                }
                // Without checking the lease: a process may be suspended between the check and the send.
                Some((at, Step::Chosen)) if in_flight(state, key, at) < COPIES => {
                    actions.push(Action::Send(relay, key));
                }
                None | Some((_, Step::Chosen)) => {}
                Some((at, Step::Sending)) => {
                    actions.push(Action::GiveUp(relay, key));
                    if in_flight(state, key, at) > 0 {
                        actions.push(Action::Acknowledge(relay, key, at));
                    }
                    if self.flaw == Some(Flaw::ArchivedWhenSent) {
                        actions.push(Action::Archive(relay, key));
                    }
                }
                Some((_, Step::Acked)) => actions.push(Action::Archive(relay, key)),
            }
        }
    }

    /// The claim of the relay: a pending row without an earlier pending row of its key. Rows of open
    /// transactions are invisible.
    fn may_be_chosen(&self, state: &State, key: usize, at: usize) -> bool {
        let is_visible =
            |row| row == Row::Pending || (row == Row::Open && self.flaw == Some(Flaw::BeforeCommit));
        let is_head = || !(0..at).any(|before| is_visible(row(state, key, before)));
        is_visible(row(state, key, at)) && (self.flaw == Some(Flaw::AnyRow) || is_head())
    }

    fn length(&self, key: usize) -> usize {
        self.messages.get(key).copied().unwrap_or_default()
    }

    /// The state after a step.
    pub(super) fn after(mut state: State, action: Action) -> State {
        match action {
            Action::Write(key, at) => set(&mut state, key, at, Row::Open),
            Action::Commit(key, at) => set(&mut state, key, at, Row::Pending),
            Action::RollBack(key, at) => set(&mut state, key, at, Row::Absent),
            Action::TakeLease(relay) => {
                state.lease = Some(relay);
                change(&mut state, relay, |relay| relay.believes = true);
            }
            Action::LeaseExpires => state.lease = None,
            Action::Notice(relay) => change(&mut state, relay, |relay| {
                relay.believes = false;
                for hand in &mut relay.current {
                    *hand = hand.filter(|(_, step)| *step != Step::Chosen);
                }
            }),
            Action::Choose(relay, key, at) => hold(&mut state, relay, key, Some((at, Step::Chosen))),
            Action::Send(relay, key) => {
                if let Some((at, _)) = held(&state, relay, key) {
                    hold(&mut state, relay, key, Some((at, Step::Sending)));
                    count(&mut state, key, at, 1);
                }
            }
            Action::Arrive(key, at) => arrive(&mut state, key, at),
            Action::Acknowledge(relay, key, at) => {
                arrive(&mut state, key, at);
                hold(&mut state, relay, key, Some((at, Step::Acked)));
            }
            Action::Lose(key, at) => count(&mut state, key, at, -1),
            Action::GiveUp(relay, key) => hold(&mut state, relay, key, None),
            Action::Archive(relay, key) => {
                if let Some((at, _)) = held(&state, relay, key) {
                    set(&mut state, key, at, Row::Sent);
                    hold(&mut state, relay, key, None);
                }
            }
            Action::Crash(relay) => {
                change(&mut state, relay, |relay| *relay = Relay::default());
                state.lease = state.lease.filter(|holder| *holder != relay);
            }
        }
        state
    }
}

const _: () = assert!(RELAYS == 2, "a lease moves between two relays");

fn row(state: &State, key: usize, at: usize) -> Row {
    state.rows.get(key).and_then(|key| key.get(at)).copied().unwrap_or_default()
}

fn set(state: &mut State, key: usize, at: usize, row: Row) {
    if let Some(place) = state.rows.get_mut(key).and_then(|key| key.get_mut(at)) {
        *place = row;
    }
}

fn in_flight(state: &State, key: usize, at: usize) -> u8 {
    state.in_flight.get(key).and_then(|key| key.get(at)).copied().unwrap_or_default()
}

fn count(state: &mut State, key: usize, at: usize, by: i8) {
    if let Some(copies) = state.in_flight.get_mut(key).and_then(|key| key.get_mut(at)) {
        *copies = copies.saturating_add_signed(by);
    }
}

fn held(state: &State, relay: usize, key: usize) -> Option<(usize, Step)> {
    state.relays.get(relay).and_then(|relay| relay.current.get(key)).copied().flatten()
}

fn hold(state: &mut State, relay: usize, key: usize, what: Option<(usize, Step)>) {
    change(state, relay, |relay| {
        if let Some(hand) = relay.current.get_mut(key) {
            *hand = what;
        }
    });
}

fn change(state: &mut State, relay: usize, how: impl FnOnce(&mut Relay)) {
    if let Some(relay) = state.relays.get_mut(relay) {
        how(relay);
    }
}

/// Appends one copy to the topic: it ranks after everything of its key, unless it is there already.
fn arrive(state: &mut State, key: usize, at: usize) {
    count(state, key, at, -1);
    let Some(topic) = state.topic.get_mut(key) else { return };
    let last = topic.iter().copied().max().unwrap_or_default();
    if let Some(place) = topic.get_mut(at)
        && *place == 0
    {
        *place = last + 1;
    }
}
