//! One run: a stage with faults, then one without.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use domain::{Phase, PhaseSet, SingleEssayRoad, Stage};
use engine::News;
use invariants::Invariant;

use crate::Sabotage;
use crate::bus::Bus;
use crate::chance::{Chance, Fault, Tally};
use crate::check::{Check, EndState, Findings};
use crate::client::{Client, SERVED};
use crate::clock::SimulatedClock;
use crate::content::Content;
use crate::operator::Operator;
use crate::peers::{Peers, Statuses};
use crate::process::{Environment, Turn};
use crate::processes::Processes;
use crate::watchdog;

/// The simulated time after the last fault within which everything must end: long enough for the time-outs of
/// registration and of every phase, in several runs of a batch.
const CONVERGENCE: Duration = Duration::from_hours(24);
/// Rounds of the second stage, at most.
const MAX_ROUNDS: usize = 2_000;
/// The step of the clock while something moves.
const STEP: Duration = Duration::from_millis(500);
/// The step of the clock while nothing moves and nothing is due: longer than any back-off of the engine (chosen).
const POLL: Duration = Duration::from_secs(11);
/// Rounds without a change, although a message is not blocked, after which that is a violation. Each advances
/// the clock by about `POLL`, so back-offs of the engine are over by then.
const MAX_IDLE_ROUNDS: usize = 20;
/// Share of the runs that have two processes, in percent.
const SHARED_PERCENT: u8 = 20;
/// Period of lease renewal.
const RENEWAL: Duration = Duration::from_secs(2);

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// What the checker has found.
    pub findings: Findings,
    /// The number of times that each fault happened.
    pub tally: Tally,
    /// The number of turns taken.
    pub turns: u64,
    /// The simulated time.
    pub simulated: Duration,
    /// A hash of everything on the bus, for comparing two runs.
    pub digest: u64,
}

struct Run {
    seed: u64,
    environment: Environment,
    client: Client,
    operator: Operator,
    peers: Peers,
    check: Check,
    processes: Processes,
    calm: bool,
    turns: u64,
    trace: bool,
}

/// Makes the run of a seed, with its database in the empty folder `folder`.
///
/// # Errors
/// When the database cannot be used: a defect of the simulation or of the machine, not of the engine.
pub async fn simulate(seed: u64, folder: &Path, sabotage: Option<Sabotage>, trace: bool) -> Result<Outcome> {
    let chance = Chance::from_seed(seed);
    let clock = SimulatedClock::default();
    let calm = chance.percent(30);
    if calm {
        // With these faults, the end of an essay would depend on timing.
        chance.disable(&[Fault::ContentRefused, Fault::ResultLost, Fault::DeadlinePasses]);
    }
    let bus = Bus::new(chance.clone(), clock.clone(), sabotage);
    let content = Content::new(chance.clone(), clock.clone(), sabotage);
    let rules = draw_rules(&chance);
    let lifecycle = Statuses::new(chance.clone());
    let manner = (calm, rules.els_retries);
    let peers = Peers::new(chance.clone(), bus.clone(), clock.clone(), lifecycle.clone(), manner);
    let client = Client::new(chance.clone(), calm);
    let operator = Operator::new(chance.clone(), calm);
    let environment = Environment { chance, clock, bus, content, lifecycle, rules, sabotage };
    let file = folder.join("bos.db");
    let is_shared = environment.chance.percent(SHARED_PERCENT);
    let processes = Processes::start(&file, &environment, if is_shared { 2 } else { 1 }).await?;
    let check = Check::new(&file, is_shared)?;
    let mut run = Run { seed, environment, client, operator, peers, check, processes, calm, turns: 0, trace };
    run.with_faults().await?;
    run.without_faults().await?;
    run.end().await
}

/// The rules of a run. What differs among installations is drawn.
fn draw_rules(chance: &Chance) -> domain::Settings {
    let by_lifecycle = chance.percent(30);
    domain::Settings {
        served: PhaseSet::from_iter(SERVED),
        els_retries: chance.percent(70),
        asks_lifecycle: chance.percent(50),
        single_essay_road: if by_lifecycle { SingleEssayRoad::Lifecycle } else { SingleEssayRoad::Request },
        ..domain::Settings::default()
    }
}

impl Run {
    async fn with_faults(&mut self) -> Result<()> {
        let turns = self.environment.chance.between(100, 500);
        self.environment.chance.set_faults(true);
        for _ in 0..turns {
            self.pass_time();
            self.processes.start_due(self.turns).await?;
            self.keep_leases().await?;
            let turn = self.draw_turn();
            self.take_turn(turn).await?;
            if self.is_broken() {
                break;
            }
            if let Some(dead) = self.processes.crashed() {
                self.crash(dead).await?;
            } else if self.environment.chance.injects(Fault::Crash) {
                self.crash(self.processes.pick_running()).await?;
            }
        }
        self.environment.chance.set_faults(false);
        Ok(())
    }

    /// Whether an invariant is violated. The run ends then, because later violations may be consequences.
    fn is_broken(&self) -> bool {
        !self.check.findings.violations.is_empty()
    }

    /// Draws the next turn; `None` is the peers'. A turn that has nothing to do gets a low weight.
    fn draw_turn(&self) -> Option<Turn> {
        let in_flight = self.environment.bus.in_flight_count() > 0;
        let unread = !self.environment.bus.is_read();
        let tempting = !self.calm && self.check.states().any(|(_, seen)| seen.is_half_done);
        let weigh = |is_busy, weight| if is_busy { weight } else { 1 };
        let turns = [
            (None, weigh(!self.peers.is_quiet(), 30)),
            (Some(Turn::Client), if tempting { 20 } else { 5 }),
            (Some(Turn::Ingest), 8),
            (Some(Turn::Send), 8),
            (Some(Turn::Deliver), weigh(in_flight, 20)),
            (Some(Turn::Land), 6),
            (Some(Turn::Record), 6),
            (Some(Turn::Consume), weigh(unread, 12)),
            (Some(Turn::Timers), 3),
            (Some(Turn::Prune), 1),
            (Some(Turn::Operator), if self.check.parked() > 0 { 3 } else { 0 }),
        ];
        let mut at = self.environment.chance.below(turns.iter().map(|(_, weight)| weight).sum());
        for (turn, weight) in turns {
            if at < weight {
                return turn;
            }
            at -= weight;
        }
        None
    }

    /// Renews the leases that are due.
    async fn keep_leases(&mut self) -> Result<()> {
        for at in self.processes.all() {
            if self.processes.is_renewal_due(at, RENEWAL) {
                self.take_at(at, Some(Turn::Leases)).await?;
                self.processes.record_shared_shards();
            }
        }
        Ok(())
    }

    fn pass_time(&self) {
        let chance = &self.environment.chance;
        let millis = if chance.injects(Fault::DeadlinePasses) {
            chance.between(60_000, 2_000_000)
        } else if chance.percent(30) {
            chance.between(1, 900)
        } else {
            0
        };
        self.environment.clock.advance(Duration::from_millis(millis));
    }

    /// Takes a turn of a running process, drawn, and checks what it has changed.
    async fn take_turn(&mut self, turn: Option<Turn>) -> Result<bool> {
        self.take_at(self.processes.pick_running(), turn).await
    }

    /// Takes a turn of every process.
    async fn take_each(&mut self, turn: Turn) -> Result<bool> {
        let mut is_changed = false;
        for at in self.processes.all() {
            is_changed |= self.take_at(at, Some(turn)).await?;
        }
        Ok(is_changed)
    }

    /// Takes a turn of the process at an index.
    async fn take_at(&mut self, at: usize, turn: Option<Turn>) -> Result<bool> {
        self.turns += 1;
        let Some(process) = self.processes.get(at) else { return Ok(false) };
        if turn == Some(Turn::Client) {
            self.client.observe(self.check.states());
        }
        let outcome = if let Some(turn) = turn {
            let taken = process.take(turn, &mut self.client, &mut self.operator);
            let taken = watchdog::watch(&self.environment.chance, taken).await;
            let stuck = taken.as_ref().err();
            self.check.findings.check(Invariant::S4, stuck.is_none(), || {
                (format!("turn {}, {turn:?}", self.turns), stuck.cloned().unwrap_or_default())
            });
            taken.unwrap_or(Ok(()))
        } else {
            self.peers.turn();
            Ok(())
        };
        if self.trace {
            let name = turn.map_or_else(|| "Peers".to_owned(), |turn| format!("{turn:?}"));
            let time = self.environment.clock.elapsed();
            let error = outcome.as_ref().err().map(|error| format!(": {error:#}")).unwrap_or_default();
            eprintln!("{:>5} {:>10.3} s  {at} {name}{error}", self.turns, time.as_secs_f64());
        }
        let others = (&mut self.peers, &mut self.client);
        self.check.check_turn(self.processes.store()?, &self.environment.bus, others).await
    }

    async fn crash(&mut self, at: usize) -> Result<()> {
        if self.trace {
            eprintln!("      crash of {at}");
        }
        self.processes.crash(at, self.turns).await?;
        self.check.check_acknowledged(&self.client.acknowledged())
    }

    /// The second stage, without faults: everything has to end.
    async fn without_faults(&mut self) -> Result<()> {
        self.environment.bus.heal();
        self.environment.content.heal();
        while let Some(dead) = self.processes.crashed() {
            self.crash(dead).await?;
        }
        self.processes.start_all().await?;
        let healed_at = self.environment.clock.elapsed();
        let mut idle = 0;
        for _ in 0..MAX_ROUNDS {
            let is_changed = self.round().await?;
            if self.is_broken() {
                return Ok(());
            }
            if !is_changed && self.is_quiet()? {
                // A record that arrives now must change nothing.
                if self.environment.bus.deliver_late() {
                    continue;
                }
                break;
            }
            idle = if is_changed { 0 } else { idle + 1 };
            if is_changed {
                self.environment.clock.advance(STEP);
            } else if self.operator_decides(idle).await? {
                idle = 0;
            } else {
                self.ask_to_go_on();
                let step = self.until_due()?;
                self.environment.clock.advance(step);
            }
            if self.environment.clock.elapsed() > healed_at + CONVERGENCE {
                break;
            }
        }
        let took = self.environment.clock.elapsed().saturating_sub(healed_at);
        let end_state = EndState {
            client: &self.client,
            operator: &self.operator,
            peers: &self.peers,
            content: &self.environment.content,
            calm: self.calm,
            took,
        };
        self.check.check_end(end_state)
    }

    /// Lets the operator decide about a parked message, once everything that is not blocked has been sent.
    /// `idle` is the number of rounds without a change. True when a decision has changed something.
    async fn operator_decides(&mut self, idle: usize) -> Result<bool> {
        if self.check.parked() == 0 {
            return Ok(false);
        }
        let unblocked = self.check.count_unblocked()?;
        if unblocked > 0 && idle < MAX_IDLE_ROUNDS {
            return Ok(false);
        }
        self.check.check_unblocked(unblocked);
        self.take_turn(Some(Turn::Operator)).await
    }

    /// Gives each participant a turn. True when anything has changed.
    async fn round(&mut self) -> Result<bool> {
        self.keep_leases().await?;
        let mut is_changed = false;
        if !self.client.is_answered() {
            is_changed |= self.take_turn(Some(Turn::Client)).await?;
        }
        for turn in [Turn::Ingest, Turn::Send] {
            is_changed |= self.take_each(turn).await?;
        }
        for _ in 0..self.environment.bus.in_flight_count() {
            is_changed |= self.take_turn(Some(Turn::Deliver)).await?;
        }
        for turn in [Turn::Land, Turn::Record] {
            is_changed |= self.take_each(turn).await?;
        }
        for _ in 0..50 {
            if self.peers.is_quiet() {
                break;
            }
            is_changed |= self.take_turn(None).await?;
        }
        if !self.environment.bus.is_read() {
            is_changed |= self.take_each(Turn::Consume).await?;
        }
        is_changed |= self.take_each(Turn::Timers).await?;
        Ok(is_changed)
    }

    fn is_quiet(&self) -> Result<bool> {
        Ok(self.client.is_answered()
            && self.peers.is_quiet()
            && self.environment.bus.in_flight_count() == 0
            && self.environment.bus.is_read()
            && self.check.is_quiet()?)
    }

    /// Requests what batches wait for that only the caller can do.
    fn ask_to_go_on(&mut self) {
        for (batch, seen) in self.check.states() {
            let news = match seen.stage {
                Stage::Ended { .. } => continue,
                _ if seen.paused => News::Resume,
                Stage::Storing { open: true, .. } => News::Close,
                // The outcome is lost, and the next phase waits for it or for this.
                Stage::Running(_) if seen.is_outcome_overdue => News::Resume,
                Stage::Ready => News::StartRequested { phases: vec![Phase::Spellcheck] },
                Stage::Storing { .. } | Stage::Registering | Stage::Running(_) => continue,
            };
            self.client.request_command(batch, news);
        }
    }

    /// The time until something is due. Back-offs in the engine's memory are not in the tables; none is
    /// longer than `POLL`.
    fn until_due(&self) -> Result<Duration> {
        let due = self.check.next_due()?.map(|due| due - self.environment.clock.time());
        let due = due.and_then(|due| due.to_std().ok()).unwrap_or(Duration::ZERO);
        let is_calm = self.calm || !self.client.is_answered();
        Ok(if due.is_zero() || is_calm { POLL } else { due + Duration::from_millis(1) })
    }

    async fn end(self) -> Result<Outcome> {
        let Self { processes, environment, .. } = self;
        processes.stop().await;
        let mut hash = std::hash::DefaultHasher::new();
        for (place, at, entry) in environment.bus.since(0) {
            std::hash::Hash::hash(&(place, at, entry.record.event_id, entry.record.value), &mut hash);
        }
        Ok(Outcome {
            seed: self.seed,
            findings: self.check.findings,
            tally: environment.chance.tally(),
            turns: self.turns,
            simulated: environment.clock.elapsed(),
            digest: std::hash::Hasher::finish(&hash),
        })
    }
}
