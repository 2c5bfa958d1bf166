//! One run from its seed to its end: first with faults, then without.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use domain::{Phase, Stage};
use engine::News;

use crate::Sabotage;
use crate::bus::Bus;
use crate::chance::{Chance, Fault, Tally};
use crate::check::{Check, Ends, Findings, Invariant};
use crate::client::Client;
use crate::clock::SimulatedClock;
use crate::content::Content;
use crate::installation::{Surroundings, Turn};
use crate::neighbours::Neighbours;
use crate::operator::Operator;
use crate::processes::Processes;
use crate::watchdog;

/// Everything must have ended so long after the last fault: every phase and the registration of several runs take their whole
/// time.
const PATIENCE: Duration = Duration::from_hours(24);
/// Rounds of the second stage, at most.
const ROUNDS: usize = 2_000;
/// The longest step of the clock while something is on its way.
const SHORT: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_secs(11);
/// Rounds in which nothing moves although something could, because somebody makes a pause; each is about as long as the poll.
const PAUSES: usize = 20;
/// How many runs have two processes, in percent.
const SHARED: u8 = 20;
/// How often leases are renewed.
const RENEWAL: Duration = Duration::from_secs(2);

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// How the invariants fared.
    pub findings: Findings,
    /// The faults that happened.
    pub tally: Tally,
    /// Turns taken.
    pub turns: u64,
    /// Time that passed in it.
    pub simulated: Duration,
    /// A hash of everything that got onto the bus, for telling two runs apart.
    pub digest: u64,
}

struct Story {
    seed: u64,
    around: Surroundings,
    client: Client,
    operator: Operator,
    neighbours: Neighbours,
    check: Check,
    processes: Processes,
    calm: bool,
    turns: u64,
    trace: bool,
}

/// Runs a seed on a database in `folder`, which is empty.
///
/// # Errors
/// When the database cannot be used: a defect of the simulation or of the machine, never of what is simulated.
pub async fn tell(seed: u64, folder: &Path, sabotage: Option<Sabotage>, trace: bool) -> Result<Outcome> {
    let chance = Chance::of(seed);
    let clock = SimulatedClock::default();
    let calm = chance.percent(30);
    if calm {
        // With these, results or their absence would depend on when something happens.
        chance.spare(&[Fault::ContentRefused, Fault::ResultLost, Fault::DeadlinePasses]);
    }
    let bus = Bus::new(chance.clone(), clock.clone(), sabotage);
    let content = Content::new(chance.clone(), clock.clone(), sabotage);
    let neighbours = Neighbours::new(chance.clone(), bus.clone(), clock.clone());
    let client = Client::new(chance.clone(), calm);
    let operator = Operator::new(chance.clone(), calm);
    let around = Surroundings { chance, clock, bus, content, sabotage };
    let file = folder.join("bos.db");
    let is_shared = around.chance.percent(SHARED);
    let processes = Processes::start(&file, &around, if is_shared { 2 } else { 1 }).await?;
    let check = Check::new(&file, is_shared)?;
    let mut story =
        Story { seed, around, client, operator, neighbours, check, processes, calm, turns: 0, trace };
    story.with_faults().await?;
    story.without_faults().await?;
    story.end().await
}

impl Story {
    async fn with_faults(&mut self) -> Result<()> {
        let turns = self.around.chance.between(100, 500);
        self.around.chance.set_faults(true);
        for _ in 0..turns {
            self.pass_time();
            self.processes.start_due(self.turns).await?;
            self.keep_leases().await?;
            let turn = self.draw();
            self.take(turn).await?;
            if self.is_broken() {
                break;
            }
            if let Some(dead) = self.processes.dead() {
                self.crash(dead).await?;
            } else if self.around.chance.strikes(Fault::Crash) {
                self.crash(self.processes.any()).await?;
            }
        }
        self.around.chance.set_faults(false);
        Ok(())
    }

    /// Whether a promise is broken: what comes after that tells nothing.
    fn is_broken(&self) -> bool {
        !self.check.findings.violations.is_empty()
    }

    /// Whose turn it is; none is the neighbours'. Seldom of somebody who has nothing to do.
    fn draw(&self) -> Option<Turn> {
        let under_way = self.around.bus.under_way() > 0;
        let unread = !self.around.bus.is_read();
        let tempting = !self.calm && self.check.states().any(|(_, seen)| seen.is_half_done);
        let weigh = |is_busy, weight| if is_busy { weight } else { 1 };
        let turns = [
            (None, weigh(!self.neighbours.is_quiet(), 30)),
            (Some(Turn::Client), if tempting { 20 } else { 5 }),
            (Some(Turn::Ingest), 8),
            (Some(Turn::Send), 8),
            (Some(Turn::Settle), weigh(under_way, 20)),
            (Some(Turn::Land), 6),
            (Some(Turn::Record), 6),
            (Some(Turn::Consume), weigh(unread, 12)),
            (Some(Turn::Timers), 3),
            (Some(Turn::Prune), 1),
            (Some(Turn::Operator), if self.check.parked() > 0 { 3 } else { 0 }),
        ];
        let mut at = self.around.chance.below(turns.iter().map(|(_, weight)| weight).sum());
        for (turn, weight) in turns {
            if at < weight {
                return turn;
            }
            at -= weight;
        }
        None
    }

    /// Renews the leases, as each process does every few seconds.
    async fn keep_leases(&mut self) -> Result<()> {
        for at in self.processes.all() {
            if self.processes.renews(at, RENEWAL) {
                self.take_at(at, Some(Turn::Leases)).await?;
                self.processes.note_shared();
            }
        }
        Ok(())
    }

    fn pass_time(&self) {
        let chance = &self.around.chance;
        let millis = if chance.strikes(Fault::DeadlinePasses) {
            chance.between(60_000, 2_000_000)
        } else if chance.percent(30) {
            chance.between(1, 900)
        } else {
            0
        };
        self.around.clock.advance(Duration::from_millis(millis));
    }

    /// Takes a turn, whichever process has it, and looks at what it changed.
    async fn take(&mut self, turn: Option<Turn>) -> Result<bool> {
        self.take_at(self.processes.any(), turn).await
    }

    /// Takes a turn of every process.
    async fn take_each(&mut self, turn: Turn) -> Result<bool> {
        let mut is_changed = false;
        for at in self.processes.all() {
            is_changed |= self.take_at(at, Some(turn)).await?;
        }
        Ok(is_changed)
    }

    /// Takes a turn of the process at a place.
    async fn take_at(&mut self, at: usize, turn: Option<Turn>) -> Result<bool> {
        self.turns += 1;
        let Some(installation) = self.processes.get(at) else { return Ok(false) };
        if turn == Some(Turn::Client) {
            self.client.look(self.check.states());
        }
        let outcome = if let Some(turn) = turn {
            let taken = installation.take(turn, &mut self.client, &mut self.operator);
            let taken = watchdog::watch(&self.around.chance, taken).await;
            let stuck = taken.as_ref().err();
            self.check.findings.hold(Invariant::Turn, stuck.is_none(), || {
                format!("turn {}, {turn:?}, {}", self.turns, stuck.map_or("", String::as_str))
            });
            taken.unwrap_or(Ok(()))
        } else {
            self.neighbours.turn();
            Ok(())
        };
        if self.trace {
            let name = turn.map_or_else(|| "Neighbours".to_owned(), |turn| format!("{turn:?}"));
            let time = self.around.clock.elapsed();
            let error = outcome.as_ref().err().map(|error| format!(": {error:#}")).unwrap_or_default();
            eprintln!("{:>5} {:>10.3} s  {at} {name}{error}", self.turns, time.as_secs_f64());
        }
        let others = (&mut self.neighbours, &mut self.client);
        self.check.look(self.processes.store()?, &self.around.bus, others).await
    }

    async fn crash(&mut self, at: usize) -> Result<()> {
        if self.trace {
            eprintln!("      crash of {at}");
        }
        self.processes.crash(at, self.turns).await?;
        self.check.look_for(&self.client.acknowledged())
    }

    /// Faults are over: everything has to come to its end.
    async fn without_faults(&mut self) -> Result<()> {
        self.around.bus.heal();
        self.around.content.heal();
        while let Some(dead) = self.processes.dead() {
            self.crash(dead).await?;
        }
        self.processes.start_all().await?;
        let healed_at = self.around.clock.elapsed();
        let mut idle = 0;
        for _ in 0..ROUNDS {
            let is_changed = self.round().await?;
            if self.is_broken() {
                return Ok(());
            }
            if !is_changed && self.is_quiet()? {
                // What arrives now finds everything done.
                if self.around.bus.wash_up() {
                    continue;
                }
                break;
            }
            idle = if is_changed { 0 } else { idle + 1 };
            if is_changed {
                self.around.clock.advance(SHORT);
            } else if self.decides(idle).await? {
                idle = 0;
            } else {
                self.ask_to_go_on();
                let step = self.until_due()?;
                self.around.clock.advance(step);
            }
            if self.around.clock.elapsed() > healed_at + PATIENCE {
                break;
            }
        }
        let took = self.around.clock.elapsed().saturating_sub(healed_at);
        let ends = Ends {
            client: &self.client,
            operator: &self.operator,
            neighbours: &self.neighbours,
            content: &self.around.content,
            calm: self.calm,
            took,
        };
        self.check.conclude(ends)
    }

    /// Nothing has moved for so many rounds: whatever else waits is on the bus, and only then somebody decides about a parked
    /// message. True when somebody did.
    async fn decides(&mut self, idle: usize) -> Result<bool> {
        if self.check.parked() == 0 {
            return Ok(false);
        }
        let free = self.check.free()?;
        if free > 0 && idle < PAUSES {
            return Ok(false);
        }
        self.check.hold_free(free);
        self.take(Some(Turn::Operator)).await
    }

    /// Everybody has a turn. True when anything has changed.
    async fn round(&mut self) -> Result<bool> {
        self.keep_leases().await?;
        let mut is_changed = false;
        if !self.client.is_answered() {
            is_changed |= self.take(Some(Turn::Client)).await?;
        }
        for turn in [Turn::Ingest, Turn::Send] {
            is_changed |= self.take_each(turn).await?;
        }
        for _ in 0..self.around.bus.under_way() {
            is_changed |= self.take(Some(Turn::Settle)).await?;
        }
        for turn in [Turn::Land, Turn::Record] {
            is_changed |= self.take_each(turn).await?;
        }
        for _ in 0..50 {
            if self.neighbours.is_quiet() {
                break;
            }
            is_changed |= self.take(None).await?;
        }
        if !self.around.bus.is_read() {
            is_changed |= self.take_each(Turn::Consume).await?;
        }
        is_changed |= self.take_each(Turn::Timers).await?;
        Ok(is_changed)
    }

    fn is_quiet(&self) -> Result<bool> {
        Ok(self.client.is_answered()
            && self.neighbours.is_quiet()
            && self.around.bus.under_way() == 0
            && self.around.bus.is_read()
            && self.check.is_quiet()?)
    }

    /// Nothing moves: what waits for the caller is asked to go on.
    fn ask_to_go_on(&mut self) {
        for (batch, seen) in self.check.states() {
            let news = match seen.stage {
                Stage::Ended { .. } => continue,
                _ if seen.paused => News::Resume,
                Stage::Storing { open: true, .. } => News::Close,
                Stage::Ready => News::StartRequested { phases: vec![Phase::Spellcheck] },
                Stage::Storing { .. } | Stage::Registering | Stage::Running(_) => continue,
            };
            self.client.wish(batch, news);
        }
    }

    /// How long until something is due; the engine's own pauses are not in its tables, and none is longer than the poll.
    fn until_due(&self) -> Result<Duration> {
        let due = self.check.next_due()?.map(|due| due - self.around.clock.time());
        let due = due.and_then(|due| due.to_std().ok()).unwrap_or(Duration::ZERO);
        let is_calm = self.calm || !self.client.is_answered();
        Ok(if due.is_zero() || is_calm { POLL } else { due + Duration::from_millis(1) })
    }

    async fn end(self) -> Result<Outcome> {
        let Self { processes, around, .. } = self;
        processes.stop().await;
        let mut hash = std::hash::DefaultHasher::new();
        for (place, at, entry) in around.bus.since(0) {
            std::hash::Hash::hash(&(place, at, entry.record.event_id, entry.record.value), &mut hash);
        }
        Ok(Outcome {
            seed: self.seed,
            findings: self.check.findings,
            tally: around.chance.tally(),
            turns: self.turns,
            simulated: around.clock.elapsed(),
            digest: std::hash::Hasher::finish(&hash),
        })
    }
}
