//! The consumer: a thread that polls, and a handle that takes the records.
//!
//! An offset is committed when everything before it was processed, and once more when a partition is revoked.

mod pump;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use contract::Topic;
use engine::ports::{BrokerError, Delivery, Subscription};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::background::drop_in_background;
use super::health::{ClientHealth, Health};
use super::settings::KafkaSettings;
use super::topic_monitor::TopicMonitor;
use pump::Pump;

/// Records polled and not yet taken.
const AHEAD: usize = 4_000;

type Client = BaseConsumer<Positions>;
type Partition = (Topic, i32);

/// A record, with the assignment under which it was read. After a partition was revoked and assigned again, records of the two
/// assignments are not adjacent.
#[derive(Debug, Clone)]
struct Read {
    delivery: Delivery,
    assignment: u64,
}

/// Joins the group and starts the polling thread.
pub(crate) fn subscribe(
    settings: &KafkaSettings,
    health: &Health,
    monitor: &TopicMonitor,
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
    let pump = Pump::new(Arc::clone(&client), settings.clone(), monitor.clone(), sender, Arc::clone(&stop));
    let thread = thread::Builder::new()
        .name(format!("kafka {group}"))
        .spawn(move || pump.run())
        .map_err(|_| KafkaError::Canceled)?;
    let reader =
        Reader { client: Some(client), shared, received, stop, handed_out: Vec::new(), again: false };
    Ok((reader, thread))
}

/// The assigned partitions, and how far each was processed.
#[derive(Debug, Default)]
struct Shared {
    /// Assigned partitions, each with the number of its assignment.
    assigned: HashMap<Partition, u64>,
    /// How many assignments there have been.
    assignments: u64,
    /// The next offset of each assigned partition of which something was processed.
    processed: HashMap<Partition, i64>,
    /// How often fetching was paused.
    pauses: u32,
}

impl Shared {
    fn assign(&mut self, partitions: Vec<Partition>) {
        self.assignments += 1;
        let assignment = self.assignments;
        self.assigned.extend(partitions.into_iter().map(|partition| (partition, assignment)));
    }

    /// Whether its partition is assigned, and has been since the record was read.
    fn is_ours(&self, read: &Read) -> bool {
        self.assigned.get(&partition(&read.delivery)) == Some(&read.assignment)
    }
}

/// Follows the rebalances of the group.
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
                shared.assign(known_partitions(partitions));
                engine::metrics::partitions(shared.assigned.len());
            }
            Rebalance::Revoke(partitions) => self.revoke(client, partitions),
            Rebalance::Error(error) => tracing::warn!(%error, "the consumer group could not rebalance"),
        }
    }
}

impl Positions {
    /// Commits the offsets of revoked partitions, so that the next owner begins where we ended.
    fn revoke(&self, client: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        let mut shared = lock(&self.shared);
        let mut last = Vec::new();
        for partition in known_partitions(partitions) {
            if let Some(next) = shared.processed.remove(&partition) {
                last.push((partition, next));
            }
            shared.assigned.remove(&partition);
        }
        engine::metrics::partitions(shared.assigned.len());
        drop(shared);
        if let Some(last) = offsets(&last)
            && let Err(error) = client.commit(&last, CommitMode::Sync)
        {
            tracing::debug!(%error, "the last offset of a revoked partition could not be committed; its records will be delivered again");
        }
    }
}

/// The handle that takes what the thread has polled.
pub(crate) struct Reader {
    client: Option<Arc<Client>>,
    shared: Arc<Mutex<Shared>>,
    received: mpsc::Receiver<Read>,
    stop: Arc<AtomicBool>,
    /// Since the last commit.
    handed_out: Vec<Read>,
    /// Hand them out once more.
    again: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl Reader {
    /// Drops records of partitions that another member owns by now; that member reads them itself.
    fn keep_ours(&mut self) {
        let shared = lock(&self.shared);
        self.handed_out.retain(|read| shared.is_ours(read));
    }

    /// The handed-out deliveries from this index on.
    fn handed_out(&self, from: usize) -> Vec<Delivery> {
        self.handed_out.iter().skip(from).map(|read| read.delivery.clone()).collect()
    }
}

#[async_trait]
impl Subscription for Reader {
    async fn next(&mut self, limit: usize) -> Result<Vec<Delivery>, BrokerError> {
        if std::mem::take(&mut self.again) {
            self.keep_ours();
            if !self.handed_out.is_empty() {
                return Ok(self.handed_out(0));
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
            let new = self.handed_out(before);
            if !new.is_empty() {
                return Ok(new);
            }
        }
    }

    async fn commit(&mut self) -> Result<(), BrokerError> {
        let mut next: HashMap<Partition, i64> = HashMap::new();
        let mut shared = lock(&self.shared);
        for read in self.handed_out.drain(..).filter(|read| shared.is_ours(read)) {
            next.insert(partition(&read.delivery), read.delivery.offset + 1);
        }
        shared.processed.extend(next.clone());
        drop(shared);
        let next: Vec<_> = next.into_iter().collect();
        if let (Some(client), Some(next)) = (&self.client, offsets(&next)) {
            let committed = client.commit(&next, CommitMode::Async);
            committed.map_err(|error| BrokerError { doing: "commit an offset", source: Box::new(error) })?;
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
        // The polling thread holds the last handle, unless it has ended.
        if let Some(client) = self.client.take() {
            drop_in_background(client);
        }
    }
}

fn partition(delivery: &Delivery) -> Partition {
    (delivery.topic, i32::try_from(delivery.partition).unwrap_or(-1))
}

/// The partitions of known topics, which are all that were subscribed to.
fn known_partitions(list: &TopicPartitionList) -> Vec<Partition> {
    list.elements().iter().filter_map(|one| Some((one.topic().parse().ok()?, one.partition()))).collect()
}

/// The offsets in librdkafka's form; `None` when there is nothing to commit.
fn offsets(next: &[(Partition, i64)]) -> Option<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in next {
        // Fails only for an offset that no record can have.
        let _ = list.add_partition_offset(topic.as_str(), *partition, Offset::Offset(*offset));
    }
    (!next.is_empty()).then_some(list)
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const TOPIC: Topic = Topic::BatchPhaseOutcome;

    fn read(offset: i64, assignment: u64) -> Read {
        let (key, value) = (String::new(), Bytes::new());
        let delivery = Delivery { topic: TOPIC, partition: 0, offset, key, value, trace: None };
        Read { delivery, assignment }
    }

    #[tokio::test]
    async fn records_read_before_a_revocation_neither_count_nor_move_the_offset_after_the_next_assignment() {
        let (sender, received) = mpsc::channel(AHEAD);
        let shared = Arc::<Mutex<Shared>>::default();
        let mut reader = Reader {
            client: None,
            shared: Arc::clone(&shared),
            received,
            stop: Arc::default(),
            handed_out: Vec::new(),
            again: false,
        };
        let ours = vec![(TOPIC, 0)];
        let is_back = || {
            let mut shared = lock(&shared);
            shared.assigned.clear();
            shared.assign(ours.clone());
        };
        is_back();
        for offset in [10, 300] {
            sender.try_send(read(offset, 1)).unwrap();
        }
        let offsets = |deliveries: Vec<Delivery>| -> Vec<i64> {
            deliveries.into_iter().map(|delivery| delivery.offset).collect()
        };
        assert_eq!(offsets(reader.next(1).await.unwrap()), [10]);
        // Another member had the partition, and got as far as 20.
        is_back();
        sender.try_send(read(20, 2)).unwrap();
        reader.commit().await.unwrap();
        assert!(lock(&shared).processed.is_empty(), "10 was processed under the earlier assignment");
        assert_eq!(offsets(reader.next(2).await.unwrap()), [20], "300 is delivered again after it");
        reader.commit().await.unwrap();
        assert_eq!(lock(&shared).processed[&ours[0]], 21);
    }
}
