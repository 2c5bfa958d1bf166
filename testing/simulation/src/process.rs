//! One process of the engine, which takes one turn at a time, and can crash and be started again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use engine::ports::{Broker, Clock, Subscription};
use engine::relay::Relay;
use engine::{Crash, CrashPoint, Engine, Leases, Settings, Shards, consumer, ingest, inquiry, prune, timers};
use futures::FutureExt as _;
use store::{Access, Faults, Store};

use crate::Sabotage;
use crate::bus::Bus;
use crate::chance::{Chance, Fault};
use crate::client::Client;
use crate::clock::SimulatedClock;
use crate::content::Content;
use crate::operator::Operator;
use crate::peers::Statuses;

/// What all processes share and what survives each of them.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The source of randomness and faults.
    pub chance: Chance,
    /// The simulated clock.
    pub clock: SimulatedClock,
    /// The bus.
    pub bus: Bus,
    /// The Content Service.
    pub content: Content,
    /// What the lifecycle service answers.
    pub lifecycle: Statuses,
    /// The rules of all processes.
    pub rules: domain::Settings,
    /// The deliberate defect, if there is one.
    pub sabotage: Option<Sabotage>,
}

/// One step of the engine or of something at its ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// A caller sends a request.
    Client,
    /// Ingest stores texts at the Content Service.
    Ingest,
    /// The relay sends messages to the bus.
    Send,
    /// The bus delivers or loses a record in flight.
    Deliver,
    /// The relay receives the answers of the bus.
    Land,
    /// The relay records the answers in the database.
    Record,
    /// The consumer processes records.
    Consume,
    /// The operator retries or skips a parked message.
    Operator,
    /// Due timers fire.
    Timers,
    /// Leases are renewed.
    Leases,
    /// Expired rows are pruned.
    Prune,
}

/// A process, from its start to its crash.
#[derive(Debug)]
pub struct Process {
    environment: Environment,
    /// The engine, on a database with injected faults.
    pub engine: Arc<Engine>,
    relay: Relay,
    leases: Leases,
    shards: Shards,
    ingest: ingest::IngestState,
    timers: timers::TimersState,
    inquiries: timers::TimersState,
    ingest_after: Duration,
    reader: Option<Box<dyn Subscription>>,
    crashed: Arc<AtomicBool>,
}

impl Process {
    /// Starts a process with this name. No fault is injected until it has started.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn start(store: &Store, name: String, environment: &Environment) -> Result<Self> {
        let open = Arc::new(AtomicBool::new(false));
        let of_engine = store.with_faults(store_faults(environment.chance.clone(), Arc::clone(&open)));
        let crashed = Arc::new(AtomicBool::new(false));
        let crash = crashes(environment.chance.clone(), Arc::clone(&crashed));
        let clock: Arc<dyn Clock> = Arc::new(environment.clock.clone());
        let settings = Settings::with_rules(environment.rules.clone());
        let engine = Engine::open(of_engine.clone(), settings, Arc::clone(&clock), None, crash).await?;
        let (shards, leases) = Leases::new(of_engine, name, engine.settings(), clock);
        let relay = Relay::new(Arc::clone(&engine), Arc::new(environment.bus.clone()), shards.clone());
        open.store(true, Ordering::Relaxed);
        Ok(Self {
            environment: environment.clone(),
            relay,
            leases,
            shards,
            ingest: ingest::IngestState::new(&engine),
            timers: timers::TimersState::default(),
            inquiries: timers::TimersState::default(),
            engine,
            ingest_after: Duration::ZERO,
            reader: None,
            crashed,
        })
    }

    /// Whether it has stopped at a crash point.
    pub fn has_crashed(&self) -> bool {
        self.crashed.load(Ordering::Relaxed)
    }

    /// The shards that it works on.
    pub fn shards(&self) -> Vec<i64> {
        self.shards.held()
    }

    /// Takes a turn. An error concerns this turn only; the next one tries again.
    ///
    /// # Errors
    /// When the engine reports one. It concerns this turn only.
    pub async fn take(&mut self, turn: Turn, client: &mut Client, operator: &mut Operator) -> Result<()> {
        match turn {
            Turn::Operator => operator.turn(&self.engine, &self.environment.bus).await?,
            Turn::Client => client.turn(&self.engine).await?,
            Turn::Ingest => self.ingest().await?,
            Turn::Send => {
                self.relay.send().await?;
            }
            Turn::Deliver => self.environment.bus.deliver_next(),
            // Polled once, so that it does not wait for an answer that has not arrived.
            Turn::Land => {
                let _ = self.relay.await_acks().now_or_never();
            }
            Turn::Record => self.relay.record_outcomes().await?,
            Turn::Consume => self.consume().await?,
            Turn::Timers if self.environment.sabotage == Some(Sabotage::ForgetsTimers) => {}
            Turn::Timers => {
                timers::fire(&self.engine, &self.shards.held(), &mut self.timers).await?;
                if self.environment.rules.asks_lifecycle {
                    let (lifecycle, held) = (&self.environment.lifecycle, self.shards.held());
                    inquiry::turn(&self.engine, lifecycle, &held, &mut self.inquiries).await?;
                }
            }
            Turn::Leases => self.leases.turn().await?,
            Turn::Prune => prune::sweep(&self.engine).await?,
        }
        Ok(())
    }

    async fn ingest(&mut self) -> Result<()> {
        let now = self.environment.clock.elapsed();
        if now >= self.ingest_after {
            let content = &self.environment.content;
            let taken = ingest::turn(&self.engine, content, &self.shards, &mut self.ingest).await;
            self.ingest_after = now + self.ingest.pause();
            taken?;
        }
        Ok(())
    }

    /// One turn of the consumer's loop. After a failure the next turn subscribes again and reads from the
    /// committed offsets.
    async fn consume(&mut self) -> Result<()> {
        let mut reader = if let Some(reader) = self.reader.take() {
            reader
        } else {
            let topics = contract::Topic::READ.to_vec();
            self.environment.bus.subscribe(consumer::CONSUMER, topics).await?
        };
        consumer::turn(&self.engine, reader.as_mut()).await?;
        self.reader = Some(reader);
        Ok(())
    }
}

fn store_faults(chance: Chance, open: Arc<AtomicBool>) -> Faults {
    Faults::new(move |access| {
        if !open.load(Ordering::Relaxed) {
            return None;
        }
        match access {
            Access::Read => chance.injects(Fault::ReadFails).then_some(store::Fault::Unavailable),
            Access::Unit if chance.injects(Fault::StoreAway) => Some(store::Fault::Unavailable),
            Access::Unit if chance.injects(Fault::StoreRolledBack) => Some(store::Fault::RolledBack),
            Access::Unit => chance.injects(Fault::CommitUnknown).then_some(store::Fault::CommitUnknown),
        }
    })
}

/// A crash at one of the engine's crash points. From then on the process does nothing more.
fn crashes(chance: Chance, crashed: Arc<AtomicBool>) -> Crash {
    Crash::armed(move |point| {
        if chance.injects(fault_of(point)) {
            crashed.store(true, Ordering::Relaxed);
        }
        crashed.load(Ordering::Relaxed)
    })
}

const fn fault_of(point: CrashPoint) -> Fault {
    match point {
        CrashPoint::BeforeAccept => Fault::CrashBeforeAccept,
        CrashPoint::Accepted => Fault::CrashAccepted,
        CrashPoint::TextStored => Fault::CrashTextStored,
        CrashPoint::BeforeWake => Fault::CrashBeforeWake,
        CrashPoint::BeforePublish => Fault::CrashBeforePublish,
        CrashPoint::Published => Fault::CrashPublished,
        CrashPoint::Polled => Fault::CrashPolled,
        CrashPoint::Consumed => Fault::CrashConsumed,
        CrashPoint::SetAside => Fault::CrashSetAside,
        CrashPoint::TimerFired => Fault::CrashTimerFired,
    }
}
