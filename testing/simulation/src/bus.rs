//! A simulated event bus with partitions, consumer groups, records in flight, and injected faults.

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

/// Number of partitions of every topic.
const PARTITIONS: i64 = 3;

/// A partition of a topic.
pub type TopicPartition = (Topic, i64);

/// What a record is about. Only the checker reads this; the engine does not see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The engine sent it.
    Ours,
    /// A peer's event about this batch.
    Batch(Uuid),
    /// A peer's event about a batch that the engine does not have.
    Foreign,
    /// It cannot be parsed.
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

/// A record that was sent and is not acknowledged.
struct InFlight {
    record: Record,
    reply: oneshot::Sender<Result<RecordPosition, SendError>>,
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InFlight({})", self.record.event_id)
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
    logs: BTreeMap<TopicPartition, Vec<Entry>>,
    /// Every record in the order in which it was appended.
    history: Vec<(TopicPartition, usize)>,
    in_flight: Vec<InFlight>,
    /// Records whose sender gave up or died. Each is appended at some later time, or never.
    late: Vec<Record>,
    /// For each event that has arrived, whether the bus refuses it. A refusal lasts until the operator ends
    /// it.
    refuses: BTreeMap<Uuid, bool>,
    has_refused: bool,
    committed: BTreeMap<TopicPartition, usize>,
    /// The highest offsets that were ever committed.
    highest_committed: BTreeMap<TopicPartition, usize>,
    group: Group,
    away_until: Duration,
    held_back: Option<Record>,
}

/// The readers of the engine's consumer group, which share the partitions.
#[derive(Debug, Default)]
struct Group {
    members: Vec<u64>,
    joined: u64,
    /// Increases with every rebalance.
    generation: u64,
    rebalances: usize,
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

    /// Moves the partitions to other members, where there are several.
    fn rebalance(&mut self) {
        self.rebalances += 1;
        self.generation += 1;
    }

    fn is_assigned(&self, member: u64, (_, partition): TopicPartition) -> bool {
        let at = usize::try_from(partition).unwrap_or_default() + self.rebalances;
        at.checked_rem(self.members.len()).and_then(|at| self.members.get(at)) == Some(&member)
    }
}

impl Bus {
    /// An empty bus.
    pub fn new(chance: Chance, clock: SimulatedClock, sabotage: Option<Sabotage>) -> Self {
        Self { chance, clock, sabotage, inner: Arc::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a peer's record.
    pub fn append(&self, record: Record, about: About) -> RecordPosition {
        self.inner().append(record, about)
    }

    /// The record at an offset.
    pub fn entry(&self, place: TopicPartition, at: usize) -> Option<Entry> {
        self.inner().logs.get(&place).and_then(|log| log.get(at)).cloned()
    }

    /// The records after the first `seen`, in the order in which they were appended.
    pub fn since(&self, seen: usize) -> Vec<(TopicPartition, usize, Entry)> {
        let inner = self.inner();
        let new = inner.history.iter().skip(seen);
        let new = new.filter_map(|(place, at)| Some((*place, *at, inner.logs.get(place)?.get(*at)?.clone())));
        new.collect()
    }

    /// The end offset of each partition of these topics.
    pub fn end_offsets(&self, topics: &[Topic]) -> Vec<(TopicPartition, usize)> {
        let inner = self.inner();
        let logs = inner.logs.iter().filter(|((topic, _), _)| topics.contains(topic));
        logs.map(|(place, log)| (*place, log.len())).collect()
    }

    /// The highest offsets that the engine ever committed.
    pub fn highest_committed(&self) -> BTreeMap<TopicPartition, usize> {
        self.inner().highest_committed.clone()
    }

    /// Whether the engine's group has committed everything that it reads.
    pub fn is_read(&self) -> bool {
        let inner = self.inner();
        let read = |(place, log): (&TopicPartition, &Vec<Entry>)| {
            !Topic::READ.contains(&place.0) || inner.committed.get(place) == Some(&log.len())
        };
        inner.logs.iter().all(read)
    }

    /// The number of records in flight.
    pub fn in_flight_count(&self) -> usize {
        self.inner().in_flight.len()
    }

    /// The events in flight whose sender still waits, and that the bus may accept.
    pub fn in_flight_events(&self) -> Vec<Uuid> {
        let inner = self.inner();
        let live = inner.in_flight.iter().filter(|record| !record.reply.is_canceled());
        let events = live.map(|sent| sent.record.event_id);
        events.filter(|event| inner.refuses.get(event) != Some(&true)).collect()
    }

    /// Makes the bus accept this event.
    pub fn accept_from_now_on(&self, event: Uuid) {
        self.inner().refuses.insert(event, false);
    }

    /// Whether the bus has ever refused an event for good.
    pub fn has_refused(&self) -> bool {
        self.inner().has_refused
    }

    /// Whether the bus refuses an arriving record. An event that was accepted once is accepted again.
    fn refuses(&self, event: Uuid) -> bool {
        let known = self.inner().refuses.get(&event).copied();
        known.unwrap_or_else(|| {
            let refuses = self.chance.injects(Fault::SendRefused);
            let mut inner = self.inner();
            inner.refuses.insert(event, refuses);
            inner.has_refused |= refuses;
            refuses
        })
    }

    /// Ends an outage.
    pub fn heal(&self) {
        self.inner().away_until = Duration::ZERO;
    }

    /// Delivers one record in flight, or loses it, as the faults decide; in 10 % of the calls it first
    /// delivers a late one.
    pub fn deliver_next(&self) {
        let chance = &self.chance;
        if chance.percent(10) {
            self.deliver_late();
        }
        let count = self.in_flight_count();
        if count == 0 {
            return;
        }
        let at = if chance.injects(Fault::SendReorder) { chance.below(count) } else { 0 };
        let InFlight { record, reply } = self.inner().in_flight.remove(at);
        if reply.is_canceled() {
            self.inner().late.push(record);
            return;
        }
        let answer = if chance.injects(Fault::SendFails) {
            Err(SendError::Failed { code: "simulated" })
        } else if chance.injects(Fault::SendTimeout) {
            Err(TIMEOUT)
        } else if self.refuses(record.event_id) {
            Err(SendError::Refused { code: REFUSED })
        } else if chance.injects(Fault::SendExecuted) {
            self.append(record, About::Ours);
            Err(TIMEOUT)
        } else if chance.injects(Fault::SendLate) {
            self.inner().late.push(record);
            Err(TIMEOUT)
        } else {
            Ok(self.accept(record))
        };
        // The sender may have died.
        let _ = reply.send(answer);
    }

    /// Delivers or loses one of the records whose sender no longer waits. False when there is none.
    pub fn deliver_late(&self) -> bool {
        let count = self.inner().late.len();
        if count == 0 {
            return false;
        }
        let record = self.inner().late.remove(self.chance.below(count));
        if self.chance.percent(70) && !self.refuses(record.event_id) {
            self.append(record, About::Ours);
        }
        true
    }

    fn accept(&self, mut record: Record) -> RecordPosition {
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
                // Acknowledged now, and appended only after the next record of its ordering key.
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
        if self.chance.injects(Fault::SendDuplicate) {
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
        if self.chance.injects(Fault::SendAway) {
            let wait = Duration::from_millis(self.chance.between(100, 20_000));
            self.inner().away_until = now + wait;
        }
        self.inner().away_until > now
    }
}

/// The error code of a refused record.
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

/// The partition depends on the key only, as with every partitioner.
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
        self.inner().in_flight.push(InFlight { record, reply });
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
        Err(BrokerError { doing: "fetch", source: "the simulation restores no database".into() })
    }
}
