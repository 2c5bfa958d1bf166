//! The reading side: a thread that polls, and a handle that takes.
//!
//! The thread polls whatever happens, because a member that does not poll is put out of its group. When its records are not
//! taken for a while, it pauses its partitions and polls on; not at once, because a pause throws away what librdkafka has
//! fetched ahead, and fetching that again took five sixths of the time in which a backlog could be read. A position is
//! committed when everything before it is dealt with, and once more when a partition is taken away.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use contract::Topic;
use engine::Traceparent;
use engine::ports::{BrokerError, Delivery, Subscription};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, Message as _, Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::denial::Denial;
use super::health::{ClientHealth, Health};
use super::lookout::Topics;
use super::settings::KafkaSettings;

/// Records read and not yet taken.
const AHEAD: usize = 4_000;
/// The longest the thread waits for a record, and so for the word to stop.
const POLL: Duration = Duration::from_millis(100);
/// How long it waits for room before it pauses: longer than any turn takes while the database answers, and short beside the
/// time that a member may go without polling.
const ROOM: Duration = Duration::from_secs(1);
/// How often it looks whether there is room before it pauses.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(1);
/// How often it looks, by polling, while it has paused.
const POLL_FULL: Duration = Duration::from_millis(10);

type Client = BaseConsumer<Positions>;
type Partition = (String, i32);

/// Joins the group and reads.
pub(super) fn subscribe(
    settings: &KafkaSettings,
    health: &Health,
    looked_after: &Topics,
    group: &'static str,
    topics: &[Topic],
) -> Result<(Reader, JoinHandle<()>), KafkaError> {
    let positions = Positions { health: health.client(), shared: Arc::default() };
    let shared = Arc::clone(&positions.shared);
    let client: Client = settings.consumer(group).create_with_context(positions)?;
    let names: Vec<&str> = topics.iter().map(|topic| topic.as_str()).collect();
    client.subscribe(&names)?;
    let (sender, received) = mpsc::channel(AHEAD);
    let stop = Arc::new(AtomicBool::new(false));
    let client = Arc::new(client);
    let pump = Pump {
        client: Arc::clone(&client),
        topics: looked_after.clone(),
        sender,
        stop: Arc::clone(&stop),
        waiting: VecDeque::new(),
    };
    let thread = thread::Builder::new()
        .name(format!("kafka {group}"))
        .spawn(move || pump.run())
        .map_err(|_| KafkaError::Canceled)?;
    let reader =
        Reader { client: Some(client), shared, received, stop, handed_out: Vec::new(), again: false };
    Ok((reader, thread))
}

/// Which partitions are ours, and how far they are dealt with.
#[derive(Debug, Default)]
struct Shared {
    assigned: HashSet<Partition>,
    /// The next offset of each partition of ours of which something was dealt with.
    dealt_with: HashMap<Partition, i64>,
    /// How often nothing more was fetched for a while.
    pauses: u32,
}

/// Follows what the group decides.
#[derive(Debug)]
struct Positions {
    health: ClientHealth,
    shared: Arc<Mutex<Shared>>,
}

impl ClientContext for Positions {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.health.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.health.error(error, reason);
    }

    fn stats(&self, figures: Statistics) {
        self.health.stats(figures);
    }
}

impl ConsumerContext for Positions {
    fn pre_rebalance(&self, client: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                let mut shared = lock(&self.shared);
                shared.assigned.extend(names(partitions));
                engine::metrics::partitions(shared.assigned.len());
            }
            Rebalance::Revoke(partitions) => self.give_back(client, partitions),
            Rebalance::Error(error) => tracing::warn!(%error, "kafka could not share the partitions out"),
        }
    }
}

impl Positions {
    /// Whoever has these partitions next begins where we ended.
    fn give_back(&self, client: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        let mut shared = lock(&self.shared);
        let mut last = Vec::new();
        for partition in names(partitions) {
            if let Some(next) = shared.dealt_with.remove(&partition) {
                last.push((partition.clone(), next));
            }
            shared.assigned.remove(&partition);
        }
        engine::metrics::partitions(shared.assigned.len());
        drop(shared);
        if let Some(last) = offsets(&last)
            && let Err(error) = client.commit(&last, CommitMode::Sync)
        {
            tracing::debug!(%error, "the last position of a partition could not be committed; its records come again");
        }
    }
}

/// The polling thread.
struct Pump {
    client: Arc<Client>,
    topics: Topics,
    sender: mpsc::Sender<Delivery>,
    stop: Arc<AtomicBool>,
    /// Records that came although there was no room: of partitions that were assigned meanwhile.
    waiting: VecDeque<Delivery>,
}

impl Pump {
    fn run(mut self) {
        while !self.is_over() {
            match self.client.poll(POLL) {
                Some(Ok(message)) => {
                    self.client.context().health.answered();
                    if let Some(delivery) = delivery(&message) {
                        self.waiting.push_back(delivery);
                    }
                }
                Some(Err(error)) => {
                    let denial = error.rdkafka_error_code().and_then(Denial::of);
                    if let Some(Denial::Right) = denial {
                        // librdkafka says so once, and not when it is over: only another reader finds out.
                        self.client.context().health.denied(Denial::Right, &error.to_string());
                        return;
                    }
                    if self.client.client().fatal_error().is_some() {
                        tracing::error!(%error, "kafka has given a reader up; another one takes its place");
                        return;
                    }
                    tracing::debug!(%error, "kafka cannot read just now");
                    self.topics.doubt();
                }
                None => {}
            }
            self.hand_over();
        }
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.sender.is_closed()
    }

    /// Gives away what came. While there is no room nothing more is fetched, and the group is told that we live.
    fn hand_over(&mut self) {
        if self.try_hand_over() {
            return;
        }
        let full_since = Instant::now();
        while full_since.elapsed() < ROOM && !self.is_over() {
            thread::sleep(LOOK_FOR_ROOM);
            if self.try_hand_over() {
                return;
            }
        }
        self.pause();
        lock(&self.client.context().shared).pauses += 1;
        engine::metrics::reader_paused();
        while !self.is_over() {
            if self.sender.capacity() >= AHEAD / 2 && self.try_hand_over() {
                break;
            }
            if let Some(Ok(message)) = self.client.poll(POLL_FULL) {
                // Of a partition that was assigned since the pause.
                self.waiting.extend(delivery(&message));
                self.pause();
            }
        }
        if let Ok(assigned) = self.client.assignment()
            && let Err(error) = self.client.resume(&assigned)
        {
            tracing::debug!(%error, "partitions could not be resumed");
        }
    }

    fn pause(&self) {
        if let Ok(assigned) = self.client.assignment()
            && let Err(error) = self.client.pause(&assigned)
        {
            tracing::debug!(%error, "partitions could not be paused");
        }
    }

    fn try_hand_over(&mut self) -> bool {
        while let Some(delivery) = self.waiting.pop_front() {
            match self.sender.try_send(delivery) {
                Ok(()) => {}
                Err(TrySendError::Full(delivery)) => {
                    self.waiting.push_front(delivery);
                    return false;
                }
                Err(TrySendError::Closed(_)) => return true,
            }
        }
        true
    }
}

/// A record as the engine takes it; none for one of a topic that was not asked for.
pub(super) fn delivery(message: &BorrowedMessage<'_>) -> Option<Delivery> {
    Some(Delivery {
        topic: message.topic().parse().ok()?,
        partition: i64::from(message.partition()),
        offset: message.offset(),
        key: message.key().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default(),
        value: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
        trace: message.headers().and_then(place),
    })
}

/// The place in a trace that the headers name.
fn place(headers: &impl Headers) -> Option<Traceparent> {
    let named = headers.iter().find(|header| header.key == Traceparent::HEADER)?;
    std::str::from_utf8(named.value?).ok()?.parse().ok()
}

/// What the thread has read, for whoever deals with it.
pub(super) struct Reader {
    client: Option<Arc<Client>>,
    shared: Arc<Mutex<Shared>>,
    received: mpsc::Receiver<Delivery>,
    stop: Arc<AtomicBool>,
    /// Since the last commit.
    handed_out: Vec<Delivery>,
    /// They are to be handed out once more.
    again: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl Reader {
    /// Leaves out what belongs to another member by now: it reads that itself.
    fn keep_ours(&mut self) {
        let shared = lock(&self.shared);
        self.handed_out.retain(|delivery| shared.assigned.contains(&partition(delivery)));
    }
}

#[async_trait]
impl Subscription for Reader {
    async fn next(&mut self, limit: usize) -> Result<Vec<Delivery>, BrokerError> {
        if std::mem::take(&mut self.again) {
            self.keep_ours();
            if !self.handed_out.is_empty() {
                return Ok(self.handed_out.clone());
            }
        }
        loop {
            let before = self.handed_out.len();
            if self.received.recv_many(&mut self.handed_out, limit).await == 0 {
                let source = Box::new(KafkaError::Canceled);
                return Err(BrokerError { doing: "read", source });
            }
            if before == 0 {
                self.keep_ours();
            }
            let new: Vec<Delivery> = self.handed_out.iter().skip(before).cloned().collect();
            if !new.is_empty() {
                return Ok(new);
            }
        }
    }

    async fn commit(&mut self) -> Result<(), BrokerError> {
        let mut next: HashMap<Partition, i64> = HashMap::new();
        for delivery in self.handed_out.drain(..) {
            next.insert(partition(&delivery), delivery.offset + 1);
        }
        let mut shared = lock(&self.shared);
        next.retain(|partition, _| shared.assigned.contains(partition));
        shared.dealt_with.extend(next.clone());
        drop(shared);
        let next: Vec<_> = next.into_iter().collect();
        if let (Some(client), Some(next)) = (&self.client, offsets(&next)) {
            let committed = client.commit(&next, CommitMode::Async);
            committed.map_err(|error| BrokerError { doing: "keep a position", source: Box::new(error) })?;
        }
        Ok(())
    }

    async fn rewind(&mut self) -> Result<(), BrokerError> {
        self.again = true;
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The thread must be the last to hold the client: leaving the group takes time, which nobody here has.
        self.client = None;
    }
}

fn partition(delivery: &Delivery) -> Partition {
    (delivery.topic.as_str().to_owned(), i32::try_from(delivery.partition).unwrap_or(-1))
}

fn names(partitions: &TopicPartitionList) -> Vec<Partition> {
    partitions.elements().iter().map(|one| (one.topic().to_owned(), one.partition())).collect()
}

/// The positions in librdkafka's form; none when there is nothing to commit.
fn offsets(next: &[(Partition, i64)]) -> Option<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in next {
        // Only an offset that no record can have is refused.
        let _ = list.add_partition_offset(topic, *partition, Offset::Offset(*offset));
    }
    (!next.is_empty()).then_some(list)
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use engine::ports::{Broker as _, Record};
    use rdkafka::mocking::MockCluster;
    use uuid::Uuid;

    use super::super::KafkaBroker;
    use super::super::settings::tests::settings;
    use super::*;
    use crate::config::words::KafkaSecurity;

    const TOPIC: Topic = Topic::BatchPhaseOutcome;

    fn record(number: u128) -> Record {
        let event_id = Uuid::from_u128(number);
        Record {
            topic: TOPIC,
            key: event_id.to_string(),
            event_id,
            value: vec![b'v'; 100],
            headers: Vec::new(),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_backlog_that_is_dealt_with_piece_by_piece_is_fetched_once() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC.as_str(), 6, 1).unwrap();
        let settings = KafkaSettings {
            bootstrap_servers: cluster.bootstrap_servers(),
            session_timeout: Duration::from_secs(6),
            ..settings(KafkaSecurity::Plaintext)
        };
        let backlog = 3 * AHEAD;
        let broker = KafkaBroker::new(settings.clone()).unwrap();
        broker.publish((0..backlog as u128).map(record).collect()).await.unwrap();

        let (mut reader, thread) =
            subscribe(&settings, &Health::default(), &Topics::default(), "test", &[TOPIC]).unwrap();
        let mut read = 0;
        let piece_by_piece = async {
            while read < backlog {
                // The thread has all it may have in hand, or all that is left, each time that something is taken.
                while reader.received.len() < AHEAD.min(backlog - read) {
                    tokio::task::yield_now().await;
                }
                read += reader.next(500).await.unwrap().len();
                reader.commit().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_mins(1), piece_by_piece).await.expect("everything comes");
        // A machine that stands still for a second makes one.
        assert!(lock(&reader.shared).pauses < 3);
        drop(reader);
        tokio::task::spawn_blocking(|| thread.join()).await.unwrap().unwrap();
    }
}
