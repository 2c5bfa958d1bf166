//! The engine on its database, moved one turn at a time, that can be stopped dead and started again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use domain::PhaseSet;
use engine::ports::{Broker, Clock, Subscription};
use engine::relay::Relay;
use engine::{Crash, CrashPoint, Engine, Leases, Settings, Shards, consumer, ingest, prune, timers};
use futures::FutureExt as _;
use store::{Access, Faults, Store};

use crate::Sabotage;
use crate::bus::Bus;
use crate::chance::{Chance, Fault};
use crate::client::{Client, SERVED};
use crate::clock::SimulatedClock;
use crate::content::Content;
use crate::operator::Operator;

/// What everybody shares, whatever dies.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Chance.
    pub chance: Chance,
    /// Time.
    pub clock: SimulatedClock,
    /// The bus.
    pub bus: Bus,
    /// The Content Service.
    pub content: Content,
    /// What is broken on purpose.
    pub sabotage: Option<Sabotage>,
}

/// One thing that the engine or somebody at its ports does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// A caller asks for something.
    Client,
    /// Texts go to the Content Service.
    Ingest,
    /// The relay hands messages to the bus.
    Send,
    /// A record that is under way arrives, or does not.
    Settle,
    /// The relay hears what the bus has to say.
    Land,
    /// The relay notes it.
    Record,
    /// The consumer deals with messages.
    Consume,
    /// An operator decides about a parked message.
    Operator,
    /// What is due is fired.
    Timers,
    /// Leases are renewed.
    Leases,
    /// What is past its time goes.
    Prune,
}

/// One life of the process.
#[derive(Debug)]
pub struct Installation {
    around: Surroundings,
    /// The engine, whose database has faults.
    pub engine: Arc<Engine>,
    relay: Relay,
    leases: Leases,
    shards: Shards,
    pause: ingest::Pause,
    ingest_after: Duration,
    reader: Option<Box<dyn Subscription>>,
    dead: Arc<AtomicBool>,
}

impl Installation {
    /// Starts a process of this name. Until it is open nothing goes wrong: what does stops it, and it is started again.
    pub async fn start(store: &Store, name: String, around: &Surroundings) -> Result<Self> {
        let open = Arc::new(AtomicBool::new(false));
        let of_engine = store.with_faults(store_faults(around.chance.clone(), Arc::clone(&open)));
        let dead = Arc::new(AtomicBool::new(false));
        let crash = crashes(around.chance.clone(), Arc::clone(&dead));
        let clock: Arc<dyn Clock> = Arc::new(around.clock.clone());
        let rules = domain::Settings {
            served: PhaseSet::from_iter(SERVED),
            els_retries: true,
            ..domain::Settings::default()
        };
        let settings = Settings::with_rules(rules);
        let engine = Engine::open(of_engine.clone(), settings, Arc::clone(&clock), None, crash).await?;
        let (shards, leases) = Leases::new(of_engine, name, engine.settings(), clock);
        let relay = Relay::new(Arc::clone(&engine), Arc::new(around.bus.clone()), shards.clone());
        open.store(true, Ordering::Relaxed);
        Ok(Self {
            around: around.clone(),
            relay,
            leases,
            shards,
            pause: ingest::Pause::none(&engine),
            engine,
            ingest_after: Duration::ZERO,
            reader: None,
            dead,
        })
    }

    /// Whether it has stopped at a crash point.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// The shards that it works.
    pub fn shards(&self) -> Vec<i64> {
        self.shards.now()
    }

    /// Takes a turn. An error is the turn's own and heals: the next one tries again.
    pub async fn take(&mut self, turn: Turn, client: &mut Client, operator: &mut Operator) -> Result<()> {
        match turn {
            Turn::Operator => operator.turn(&self.engine, &self.around.bus).await?,
            Turn::Client => client.turn(&self.engine).await?,
            Turn::Ingest => self.ingest().await?,
            Turn::Send => {
                self.relay.send().await?;
            }
            Turn::Settle => self.around.bus.settle(),
            // Nobody waits for an answer that is not there.
            Turn::Land => {
                let _ = self.relay.land().now_or_never();
            }
            Turn::Record => self.relay.record().await?,
            Turn::Consume => self.consume().await?,
            Turn::Timers if self.around.sabotage == Some(Sabotage::ForgetsTimers) => {}
            Turn::Timers => {
                timers::fire(&self.engine, &self.shards.now()).await?;
            }
            Turn::Leases => self.leases.turn().await?,
            Turn::Prune => prune::sweep(&self.engine).await?,
        }
        Ok(())
    }

    async fn ingest(&mut self) -> Result<()> {
        let now = self.around.clock.elapsed();
        if now >= self.ingest_after {
            let content = &self.around.content;
            let taken = ingest::turn(&self.engine, content, &self.shards, &mut self.pause).await;
            self.ingest_after = now + self.pause.time();
            taken?;
        }
        Ok(())
    }

    /// As the consumer's loop: after a failure it reads on from the last committed place.
    async fn consume(&mut self) -> Result<()> {
        let mut reader = if let Some(reader) = self.reader.take() {
            reader
        } else {
            let topics = contract::Topic::READ.to_vec();
            self.around.bus.subscribe(consumer::CONSUMER, topics).await?
        };
        consumer::turn(&self.engine, reader.as_mut()).await?;
        self.reader = Some(reader);
        Ok(())
    }
}

fn store_faults(chance: Chance, open: Arc<AtomicBool>) -> Faults {
    Faults::armed(move |access| {
        if !open.load(Ordering::Relaxed) {
            return None;
        }
        match access {
            Access::Read => chance.strikes(Fault::ReadFails).then_some(store::Fault::Away),
            Access::Unit if chance.strikes(Fault::StoreAway) => Some(store::Fault::Away),
            Access::Unit if chance.strikes(Fault::StoreRolledBack) => Some(store::Fault::RolledBack),
            Access::Unit => chance.strikes(Fault::CommitUnknown).then_some(store::Fault::CommitUnknown),
        }
    })
}

/// A crash at a point of the engine's: from then on nothing of this life goes on.
fn crashes(chance: Chance, dead: Arc<AtomicBool>) -> Crash {
    Crash::armed(move |point| {
        if chance.strikes(fault_of(point)) {
            dead.store(true, Ordering::Relaxed);
        }
        dead.load(Ordering::Relaxed)
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
