//! The reading side: a thread that polls, and a handle that takes.
//!
//! A position is committed when everything before it is dealt with, and once more when a partition is taken away.

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

use super::elsewhere;
use super::health::{ClientHealth, Health};
use super::lookout::Topics;
use super::settings::KafkaSettings;
use pump::Pump;

/// Records read and not yet taken.
const AHEAD: usize = 4_000;

type Client = BaseConsumer<Positions>;
type Partition = (Topic, i32);

/// A record, and the assignment of its partition that it came under: of a partition that was lost and came back, what came
/// before is no longer next to what comes after.
#[derive(Debug, Clone)]
struct Read {
    delivery: Delivery,
    assignment: u64,
}

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
    let pump = Pump::new(Arc::clone(&client), looked_after.clone(), sender, Arc::clone(&stop));
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
    /// Ours, each with the number of the assignment that made it so.
    assigned: HashMap<Partition, u64>,
    /// How many assignments there have been.
    assignments: u64,
    /// The next offset of each partition of ours of which something was dealt with.
    dealt_with: HashMap<Partition, i64>,
    /// How often nothing more was fetched for a while.
    pauses: u32,
}

impl Shared {
    fn assign(&mut self, partitions: Vec<Partition>) {
        self.assignments += 1;
        let assignment = self.assignments;
        self.assigned.extend(partitions.into_iter().map(|partition| (partition, assignment)));
    }

    /// Whether its partition is ours, and has been since it was read.
    fn is_ours(&self, read: &Read) -> bool {
        self.assigned.get(&partition(&read.delivery)) == Some(&read.assignment)
    }
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
                shared.assign(listed(partitions));
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
        for partition in listed(partitions) {
            if let Some(next) = shared.dealt_with.remove(&partition) {
                last.push((partition, next));
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

/// What the thread has read, for whoever deals with it.
pub(super) struct Reader {
    client: Option<Arc<Client>>,
    shared: Arc<Mutex<Shared>>,
    received: mpsc::Receiver<Read>,
    stop: Arc<AtomicBool>,
    /// Since the last commit.
    handed_out: Vec<Read>,
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
        self.handed_out.retain(|read| shared.is_ours(read));
    }

    /// What was handed out, from here on.
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
        // The polling thread is the last to hold the client, unless it has ended before.
        if let Some(client) = self.client.take() {
            elsewhere::let_go(client);
        }
    }
}

fn partition(delivery: &Delivery) -> Partition {
    (delivery.topic, i32::try_from(delivery.partition).unwrap_or(-1))
}

/// Those of topics that we know, and so of all that were subscribed to.
fn listed(list: &TopicPartitionList) -> Vec<Partition> {
    list.elements().iter().filter_map(|one| Some((one.topic().parse().ok()?, one.partition()))).collect()
}

/// The positions in librdkafka's form; none when there is nothing to commit.
fn offsets(next: &[(Partition, i64)]) -> Option<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in next {
        // Only an offset that no record can have is refused.
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
    async fn what_was_read_before_a_partition_was_lost_neither_counts_nor_moves_its_position_when_it_is_back()
    {
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
        // Somebody else had it and got as far as 20.
        is_back();
        sender.try_send(read(20, 2)).unwrap();
        reader.commit().await.unwrap();
        assert!(lock(&shared).dealt_with.is_empty(), "10 was dealt with for a member that we are no more");
        assert_eq!(offsets(reader.next(2).await.unwrap()), [20], "300 comes again, after it");
        reader.commit().await.unwrap();
        assert_eq!(lock(&shared).dealt_with[&ours[0]], 21);
    }
}
