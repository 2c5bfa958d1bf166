//! From phase to phase: the rules that end a phase, the lifecycle service, and a worker.
//!
//! Two essays go through two phases. The lifecycle service keeps the status of each essay and no record of a
//! command: a command moves the essays in the entry status of its phase, and skips the others silently. It may
//! forget a command for good, with the command's event id, and read any command again. A worker's results reach
//! us and the lifecycle service in any order and with any delay. With each result the lifecycle service
//! publishes a snapshot of the essays that have finished the phase, unless one of them is unfinished; a snapshot
//! may be lost, and may be read late and many times.

#[cfg(test)]
mod tests;

use stateright::{Model, Property};

/// Number of essays.
const ESSAYS: usize = 2;
/// Number of phases.
const PHASES: usize = 2;
/// How often a command is sent again at most.
const RESENDS: usize = 2;
/// How many commands are forgotten at most, and how many snapshots are lost.
const LOSSES: u8 = 2;

/// One bit per essay.
type Essays = u8;
/// Every essay.
const ALL: Essays = (1 << ESSAYS) - 1;

/// A rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A phase ends with the result of its last essay, not when every essay was named.
    EndsByResults,
    /// A command is not sent again.
    NoResend,
    /// A command is sent again under its event id.
    SameEventId,
    /// The lifecycle service is not asked when a snapshot does not come.
    NeverAsks,
}

/// The model, with the rule that is left out.
#[derive(Debug, Clone, Copy)]
pub struct Phases {
    /// The rule that is left out.
    pub flaw: Option<Flaw>,
}

/// A command on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Command {
    /// It was not sent.
    #[default]
    None,
    /// It names these essays.
    Sent(Essays),
    /// The lifecycle service has read it, and may read it again.
    Read(Essays),
    /// The lifecycle service was killed with it in hand, and skips its event id from then on.
    Forgotten,
}

/// The status of an essay at the lifecycle service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Status {
    /// It is registered, and no phase has begun.
    #[default]
    Ready,
    /// It waits for a result in a phase.
    Waiting(usize),
    /// It has finished a phase.
    Done(usize),
}

/// Everything: our state, the bus, the lifecycle service and the worker.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct State {
    /// Our phase; `PHASES` when all are over.
    pub phase: usize,
    /// Essays with a result in our phase.
    pub results: Essays,
    /// Essays that a snapshot of our phase has named.
    pub named: Essays,
    /// Commands by phase and event id: the first one and those sent again.
    pub commands: [[Command; 1 + RESENDS]; PHASES],
    /// The statuses of the essays.
    pub statuses: [Status; ESSAYS],
    /// Essays that the worker has finished in a phase.
    pub worked: [Essays; PHASES],
    /// Snapshots on the bus, by phase; each bit is a set of essays.
    pub snapshots: [u8; PHASES],
    /// What was forgotten or lost.
    pub losses: u8,
    /// A command was for essays that the lifecycle service had not finished in the phase before.
    pub too_early: bool,
    /// The answer of the lifecycle service ended a phase.
    pub asked: bool,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The lifecycle service reads a command, for the first time or again.
    Read(usize, usize),
    /// It forgets a command.
    Forget(usize, usize),
    /// The worker finishes an essay.
    Work(usize),
    /// The lifecycle service deals with the result of an essay.
    Hear(usize),
    /// We read the result of an essay.
    Result(usize),
    /// We read a snapshot.
    Snapshot(Essays),
    /// The snapshots of a phase that are on the bus are lost.
    Lose(usize),
    /// We send the command again for the essays without a result.
    Resend,
    /// We ask the lifecycle service, which has finished every essay.
    Ask,
}

const fn bit(essay: usize) -> Essays {
    1 << essay
}

impl State {
    fn status(&self, essay: usize) -> Status {
        self.statuses.get(essay).copied().unwrap_or_default()
    }

    fn command(&self, phase: usize, number: usize) -> Command {
        self.commands.get(phase).and_then(|of| of.get(number)).copied().unwrap_or_default()
    }

    fn set_command(&mut self, phase: usize, number: usize, command: Command) {
        if let Some(place) = self.commands.get_mut(phase).and_then(|of| of.get_mut(number)) {
            *place = command;
        }
    }

    /// The essays with this status.
    fn with(&self, wanted: Status) -> Essays {
        (0..ESSAYS).filter(|essay| self.status(*essay) == wanted).map(bit).sum()
    }

    fn has_worked(&self, phase: usize, essay: usize) -> bool {
        self.worked.get(phase).is_some_and(|essays| essays & bit(essay) != 0)
    }

    /// Goes on to the next phase.
    fn go_on(&mut self) {
        self.phase += 1;
        (self.results, self.named) = (0, 0);
        self.set_command(self.phase, 0, Command::Sent(ALL));
    }

    fn read(&mut self, phase: usize, essays: Essays) {
        for essay in (0..ESSAYS).filter(|essay| essays & bit(*essay) != 0) {
            let entry = phase.checked_sub(1).map_or(Status::Ready, Status::Done);
            match self.status(essay) {
                status if status == entry => {
                    if let Some(place) = self.statuses.get_mut(essay) {
                        *place = Status::Waiting(phase);
                    }
                }
                Status::Waiting(before) if before < phase => self.too_early = true,
                Status::Ready | Status::Waiting(_) | Status::Done(_) => {}
            }
        }
    }

    fn hear(&mut self, essay: usize) {
        let Status::Waiting(phase) = self.status(essay) else { return };
        if let Some(place) = self.statuses.get_mut(essay) {
            *place = Status::Done(phase);
        }
        if self.with(Status::Waiting(phase)) == 0 {
            let finished = self.with(Status::Done(phase));
            if let Some(snapshots) = self.snapshots.get_mut(phase) {
                *snapshots |= 1 << finished;
            }
        }
    }
}

impl Phases {
    fn after(self, mut state: State, action: Action) -> State {
        match action {
            Action::Read(phase, number) => {
                if let Command::Sent(essays) | Command::Read(essays) = state.command(phase, number) {
                    state.set_command(phase, number, Command::Read(essays));
                    state.read(phase, essays);
                }
            }
            Action::Forget(phase, number) => {
                state.set_command(phase, number, Command::Forgotten);
                state.losses += 1;
            }
            Action::Work(essay) => {
                if let Status::Waiting(phase) = state.status(essay)
                    && let Some(worked) = state.worked.get_mut(phase)
                {
                    *worked |= bit(essay);
                }
            }
            Action::Hear(essay) => state.hear(essay),
            Action::Result(essay) => {
                state.results |= bit(essay);
                if self.flaw == Some(Flaw::EndsByResults) && state.results == ALL {
                    state.go_on();
                }
            }
            Action::Snapshot(essays) => {
                state.results |= essays;
                state.named |= essays;
                if state.named == ALL {
                    state.go_on();
                }
            }
            Action::Lose(phase) => {
                state.losses += 1;
                if let Some(snapshots) = state.snapshots.get_mut(phase) {
                    *snapshots = 0;
                }
            }
            Action::Resend => {
                let phase = state.phase;
                let unsent = (1..=RESENDS).find(|number| state.command(phase, *number) == Command::None);
                if let Some(number) = unsent {
                    // Under the same event id it is the message that was read or forgotten.
                    let command = match self.flaw {
                        Some(Flaw::SameEventId) => Command::Forgotten,
                        _ => Command::Sent(ALL & !state.results),
                    };
                    state.set_command(phase, number, command);
                }
            }
            Action::Ask => {
                state.asked = true;
                state.go_on();
            }
        }
        state
    }
}

impl Model for Phases {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut state = State::default();
        state.set_command(0, 0, Command::Sent(ALL));
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for phase in 0..PHASES {
            for number in 0..=RESENDS {
                match state.command(phase, number) {
                    Command::Sent(_) => {
                        actions.push(Action::Read(phase, number));
                        if state.losses < LOSSES {
                            actions.push(Action::Forget(phase, number));
                        }
                    }
                    Command::Read(_) => actions.push(Action::Read(phase, number)),
                    Command::None | Command::Forgotten => {}
                }
            }
            let has_snapshot = state.snapshots.get(phase).is_some_and(|snapshots| *snapshots != 0);
            if has_snapshot && state.losses < LOSSES {
                actions.push(Action::Lose(phase));
            }
        }
        for essay in 0..ESSAYS {
            if let Status::Waiting(phase) = state.status(essay) {
                if state.has_worked(phase, essay) {
                    actions.push(Action::Hear(essay));
                } else {
                    actions.push(Action::Work(essay));
                }
            }
            if state.results & bit(essay) == 0 && state.has_worked(state.phase, essay) {
                actions.push(Action::Result(essay));
            }
        }
        if state.phase == PHASES {
            return;
        }
        let snapshots = state.snapshots.get(state.phase).copied().unwrap_or_default();
        for essays in (1..=ALL).filter(|essays| snapshots & (1 << essays) != 0) {
            actions.push(Action::Snapshot(essays));
        }
        if state.results != ALL && self.flaw != Some(Flaw::NoResend) {
            actions.push(Action::Resend);
        }
        let is_finished = state.with(Status::Done(state.phase)) == ALL;
        if state.results == ALL && is_finished && self.flaw != Some(Flaw::NeverAsks) {
            actions.push(Action::Ask);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.after(state.clone(), action)).filter(|next| next != state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "no command comes before the phase before it is finished",
                |_, state: &State| !state.too_early,
            ),
            Property::always("where nothing more can happen, every phase is over", |model: &Self, state| {
                let mut actions = Vec::new();
                model.actions(state, &mut actions);
                let is_stuck = actions.iter().all(|action| model.next_state(state, *action).is_none());
                state.phase == PHASES || !is_stuck
            }),
            Property::sometimes(
                "every phase is over although two commands were forgotten",
                |_, state: &State| {
                    let forgotten =
                        state.commands.iter().flatten().filter(|c| **c == Command::Forgotten).count();
                    state.phase == PHASES && forgotten == 2
                },
            ),
            Property::sometimes("every result has come and the outcome has not", |_, state: &State| {
                state.results == ALL && state.named == 0 && state.phase < PHASES
            }),
            Property::sometimes("the answer of the lifecycle service ended a phase", |_, state: &State| {
                state.asked
            }),
        ]
    }
}
