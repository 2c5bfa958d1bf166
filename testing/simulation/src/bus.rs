//! An event bus with partitions, consumer groups, records under way, and faults.

mod reader;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use contract::Topic;
use engine::ports::{Broker, BrokerError, Delivery, Record, RecordPosition, SendError, Subscription};
use futures::channel::oneshot;
use futures::future::BoxFuture;
use uuid::Uuid;

use crate::Sabotage;
use crate::chance::{Chance, Fault};
use crate::clock::SimulatedClock;
use reader::Reader;

/// Partitions of every topic.
const PARTITIONS: i64 = 3;

/// A partition of a topic.
pub type Place = (Topic, i64);

/// What a record is about, for the checks: a neighbour knows, and the engine is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The engine sent it.
    Ours,
    /// It is news about this batch.
    Batch(Uuid),
    /// It is news about nothing that the engine has.
    Nobody,
    /// Nobody can read it.
    Poison,
}

/// A record on the bus.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The record.
    pub record: Record,
    /// What it is about.
    pub about: About,
}

/// A record that was sent and not answered.
struct Flight {
    record: Record,
    reply: oneshot::Sender<Result<RecordPosition, SendError>>,
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flight({})", self.record.event_id)
    }
}

/// The bus. Clones share it.
#[derive(Debug, Clone)]
pub struct Bus {
    chance: Chance,
    clock: SimulatedClock,
    sabotage: Option<Sabotage>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    logs: BTreeMap<Place, Vec<Entry>>,
    /// Every record in the order in which it came.
    history: Vec<(Place, usize)>,
    flights: Vec<Flight>,
    /// Records that nobody waits for any more: their sender gave up or died. Each gets onto the bus some time, or never.
    adrift: Vec<Record>,
    /// Of each event that has arrived, whether the bus refuses it: always, until somebody sees to it.
    refuses: BTreeMap<Uuid, bool>,
    has_refused: bool,
    committed: BTreeMap<Place, usize>,
    /// The farthest place that was ever committed.
    dealt_with: BTreeMap<Place, usize>,
    group: Group,
    away_until: Duration,
    held_back: Option<Record>,
}

/// The readers of the engine's group, which share the partitions.
#[derive(Debug, Default)]
struct Group {
    members: Vec<u64>,
    joined: u64,
    /// Rises whenever partitions change hands.
    generation: u64,
    turned: usize,
}

impl Group {
    fn join(&mut self) -> u64 {
        self.joined += 1;
        self.members.push(self.joined);
        self.generation += 1;
        self.joined
    }

    fn leave(&mut self, member: u64) {
        self.members.retain(|other| *other != member);
        self.generation += 1;
    }

    /// Partitions change hands, where there are several.
    fn turn(&mut self) {
        self.turned += 1;
        self.generation += 1;
    }

    fn reads(&self, member: u64, (_, partition): Place) -> bool {
        let at = usize::try_from(partition).unwrap_or_default() + self.turned;
        at.checked_rem(self.members.len()).and_then(|at| self.members.get(at)) == Some(&member)
    }
}

impl Bus {
    /// An empty one.
    pub fn new(chance: Chance, clock: SimulatedClock, sabotage: Option<Sabotage>) -> Self {
        Self { chance, clock, sabotage, inner: Arc::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a neighbour's record on the bus.
    pub fn append(&self, record: Record, about: About) -> RecordPosition {
        self.inner().append(record, about)
    }

    /// The record at a place.
    pub fn entry(&self, place: Place, at: usize) -> Option<Entry> {
        self.inner().logs.get(&place).and_then(|log| log.get(at)).cloned()
    }

    /// Records beyond the first `seen`, in the order in which they came.
    pub fn since(&self, seen: usize) -> Vec<(Place, usize, Entry)> {
        let inner = self.inner();
        let new = inner.history.iter().skip(seen);
        let new = new.filter_map(|(place, at)| Some((*place, *at, inner.logs.get(place)?.get(*at)?.clone())));
        new.collect()
    }

    /// How long the log of each partition of these topics is.
    pub fn ends(&self, topics: &[Topic]) -> Vec<(Place, usize)> {
        let inner = self.inner();
        let logs = inner.logs.iter().filter(|((topic, _), _)| topics.contains(topic));
        logs.map(|(place, log)| (*place, log.len())).collect()
    }

    /// The farthest places that the engine ever committed.
    pub fn dealt_with(&self) -> BTreeMap<Place, usize> {
        self.inner().dealt_with.clone()
    }

    /// Whether the engine's group has committed everything that it reads.
    pub fn is_read(&self) -> bool {
        let inner = self.inner();
        let read = |(place, log): (&Place, &Vec<Entry>)| {
            !Topic::READ.contains(&place.0) || inner.committed.get(place) == Some(&log.len())
        };
        inner.logs.iter().all(read)
    }

    /// Records under way.
    pub fn under_way(&self) -> usize {
        self.inner().flights.len()
    }

    /// The events under way that somebody waits for, and that may get onto the bus.
    pub fn in_flight(&self) -> Vec<Uuid> {
        let inner = self.inner();
        let live = inner.flights.iter().filter(|flight| !flight.reply.is_canceled());
        let events = live.map(|flight| flight.record.event_id);
        events.filter(|event| inner.refuses.get(event) != Some(&true)).collect()
    }

    /// Somebody has seen to it that the bus takes this event.
    pub fn take_from_now_on(&self, event: Uuid) {
        self.inner().refuses.insert(event, false);
    }

    /// Whether it has ever refused an event for good.
    pub fn refuses_any(&self) -> bool {
        self.inner().has_refused
    }

    /// Whether the bus refuses a record that arrives. What it took once it takes again.
    fn refuses(&self, event: Uuid) -> bool {
        let known = self.inner().refuses.get(&event).copied();
        known.unwrap_or_else(|| {
            let refuses = self.chance.strikes(Fault::SendRefused);
            let mut inner = self.inner();
            inner.refuses.insert(event, refuses);
            inner.has_refused |= refuses;
            refuses
        })
    }

    /// It is back, whatever it said.
    pub fn heal(&self) {
        self.inner().away_until = Duration::ZERO;
    }

    /// One record that is under way arrives, or does not; and now and then one that nobody waits for.
    pub fn settle(&self) {
        let chance = &self.chance;
        if chance.percent(10) {
            self.wash_up();
        }
        let under_way = self.under_way();
        if under_way == 0 {
            return;
        }
        let at = if chance.strikes(Fault::SendReorder) { chance.below(under_way) } else { 0 };
        let Flight { record, reply } = self.inner().flights.remove(at);
        if reply.is_canceled() {
            self.inner().adrift.push(record);
            return;
        }
        let answer = if chance.strikes(Fault::SendFails) {
            Err(SendError::Failed { code: "simulated" })
        } else if chance.strikes(Fault::SendTimeout) {
            Err(TIMEOUT)
        } else if self.refuses(record.event_id) {
            Err(SendError::Refused { code: REFUSED })
        } else if chance.strikes(Fault::SendExecuted) {
            self.append(record, About::Ours);
            Err(TIMEOUT)
        } else if chance.strikes(Fault::SendLate) {
            self.inner().adrift.push(record);
            Err(TIMEOUT)
        } else {
            Ok(self.take(record))
        };
        // Whoever waited may have died.
        let _ = reply.send(answer);
    }

    /// One of the records that nobody waits for any more gets onto the bus, or is lost. False when there is none.
    pub fn wash_up(&self) -> bool {
        let adrift = self.inner().adrift.len();
        if adrift == 0 {
            return false;
        }
        let record = self.inner().adrift.remove(self.chance.below(adrift));
        if self.chance.percent(70) && !self.refuses(record.event_id) {
            self.append(record, About::Ours);
        }
        true
    }

    fn take(&self, mut record: Record) -> RecordPosition {
        let nowhere = RecordPosition { partition: 0, offset: 0 };
        match self.sabotage {
            Some(Sabotage::LosesAcknowledged) if self.chance.percent(10) => return nowhere,
            Some(Sabotage::InventsEvents) if self.chance.percent(10) => {
                record.event_id = self.chance.uuid();
            }
            Some(Sabotage::ChangesBytes) => {
                record.value.push(if self.chance.percent(50) { b' ' } else { b'\n' });
            }
            Some(Sabotage::Overtakes) if record.topic == Topic::SpellcheckInitiate => {
                // Acknowledged, and on the bus only after the next record of its ordering key.
                self.inner().held_back = Some(record);
                return nowhere;
            }
            _ => {}
        }
        let held_back = {
            let mut inner = self.inner();
            let next =
                |held: &mut Record| held.key == record.key && record.topic == Topic::BatchPipelineCompleted;
            inner.held_back.take_if(next)
        };
        if self.chance.strikes(Fault::SendDuplicate) {
            self.append(record.clone(), About::Ours);
        }
        let placed = self.append(record, About::Ours);
        if let Some(held_back) = held_back {
            self.append(held_back, About::Ours);
        }
        placed
    }

    fn is_away(&self) -> bool {
        let now = self.clock.elapsed();
        if self.chance.strikes(Fault::SendAway) {
            let wait = Duration::from_millis(self.chance.between(100, 20_000));
            self.inner().away_until = now + wait;
        }
        self.inner().away_until > now
    }
}

/// The code with which the bus refuses.
pub const REFUSED: &str = "simulated_refusal";
const TIMEOUT: SendError = SendError::Unavailable { code: "broker_timeout" };

impl Inner {
    fn append(&mut self, record: Record, about: About) -> RecordPosition {
        let partition = partition(&record.key);
        let place = (record.topic, partition);
        let log = self.logs.entry(place).or_default();
        let at = log.len();
        log.push(Entry { record, about });
        self.history.push((place, at));
        RecordPosition { partition, offset: i64::try_from(at).unwrap_or(i64::MAX) }
    }
}

/// By the key alone, as every partitioner does it.
fn partition(key: &str) -> i64 {
    key.bytes().map(i64::from).sum::<i64>() % PARTITIONS
}

#[async_trait]
impl Broker for Bus {
    fn send(&self, record: Record) -> BoxFuture<'static, Result<RecordPosition, SendError>> {
        if self.is_away() {
            return Box::pin(async { Err(SendError::Unavailable { code: "broker_unreachable" }) });
        }
        let (reply, answer) = oneshot::channel();
        self.inner().flights.push(Flight { record, reply });
        Box::pin(async move { answer.await.unwrap_or(Err(TIMEOUT)) })
    }

    async fn publish(&self, records: Vec<Record>) -> Result<(), BrokerError> {
        for record in records {
            self.append(record, About::Ours);
        }
        Ok(())
    }

    async fn subscribe(
        &self,
        _: &'static str,
        topics: Vec<Topic>,
    ) -> Result<Box<dyn Subscription>, BrokerError> {
        Ok(Box::new(Reader::new(self.clone(), topics)))
    }

    async fn fetch(&self, _: Topic, _: Vec<RecordPosition>) -> Result<Vec<Delivery>, BrokerError> {
        Err(BrokerError { doing: "fetch", source: "nobody's database is restored here".into() })
    }
}
