//! The thread that polls, whatever happens, because a member that does not poll is put out of its group.
//!
//! When its records are not taken for a while, it pauses its partitions and polls on; not at once, because a pause throws
//! away what librdkafka has fetched ahead, and fetching that again took five sixths of the time in which a backlog could be
//! read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::message::BorrowedMessage;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::super::denial::Denial;
use super::super::lookout::Topics;
use super::super::record::delivery;
use super::{AHEAD, Client, Read, lock, partition};

/// The longest the thread waits for a record, and so for the word to stop.
const POLL: Duration = Duration::from_millis(100);
/// How long it waits for room before it pauses: longer than any turn takes while the database answers, and short beside the
/// time that a member may go without polling.
const ROOM: Duration = Duration::from_secs(1);
/// How often it looks whether there is room before it pauses.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(1);
/// How often it looks, by polling, while it has paused.
const POLL_FULL: Duration = Duration::from_millis(10);
/// How often it asks its partitions to go on, although none should be paused: to librdkafka a pause of ours outlives a
/// revocation, and it drops a resumption that crosses one of its own pauses (its #5591). One that is not paused stays as it is.
const RESUME_AGAIN: Duration = Duration::from_secs(1);

/// The polling thread.
pub(super) struct Pump {
    client: Arc<Client>,
    topics: Topics,
    sender: mpsc::Sender<Read>,
    stop: Arc<AtomicBool>,
    /// Records that came although there was no room: of partitions that were assigned meanwhile.
    waiting: VecDeque<Read>,
    resumed_at: Instant,
}

impl Pump {
    pub(super) fn new(
        client: Arc<Client>,
        topics: Topics,
        sender: mpsc::Sender<Read>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self { client, topics, sender, stop, waiting: VecDeque::new(), resumed_at: Instant::now() }
    }

    pub(super) fn run(mut self) {
        while !self.is_over() {
            match self.client.poll(POLL) {
                Some(Ok(message)) => {
                    self.client.context().health.answered();
                    self.waiting.extend(self.read(&message));
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
            if self.resumed_at.elapsed() >= RESUME_AGAIN {
                self.resume();
            }
        }
    }

    /// None where it is not asked for, or no longer ours.
    fn read(&self, message: &BorrowedMessage<'_>) -> Option<Read> {
        let delivery = delivery(message)?;
        let assignment = *lock(&self.client.context().shared).assigned.get(&partition(&delivery))?;
        Some(Read { delivery, assignment })
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
                self.waiting.extend(self.read(&message));
                self.pause();
            }
        }
        self.resume();
    }

    fn resume(&mut self) {
        self.resumed_at = Instant::now();
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
        while let Some(read) = self.waiting.pop_front() {
            match self.sender.try_send(read) {
                Ok(()) => {}
                Err(TrySendError::Full(read)) => {
                    self.waiting.push_front(read);
                    return false;
                }
                Err(TrySendError::Closed(_)) => return true,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread::JoinHandle;

    use contract::Topic;
    use engine::ports::{Broker as _, Record, Subscription as _};
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use uuid::Uuid;

    use super::super::super::KafkaBroker;
    use super::super::super::health::Health;
    use super::super::super::settings::KafkaSettings;
    use super::super::super::settings::tests::settings;
    use super::super::{Reader, subscribe};
    use super::*;
    use crate::config::words::KafkaSecurity;

    const TOPIC: Topic = Topic::BatchPhaseOutcome;
    const PARTITIONS: i32 = 6;
    const BACKLOG: usize = 3 * AHEAD;

    fn record(number: u128) -> Record {
        let event_id = Uuid::from_u128(number);
        Record {
            topic: TOPIC,
            key: event_id.to_string(),
            event_id,
            value: vec![b'v'; 100],
            headers: Vec::new(),
            at: None,
        }
    }

    /// A cluster with a backlog of several times what a reader has ahead.
    async fn backlog() -> (MockCluster<'static, DefaultProducerContext>, KafkaSettings) {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC.as_str(), PARTITIONS, 1).unwrap();
        let settings = KafkaSettings {
            bootstrap_servers: cluster.bootstrap_servers(),
            session_timeout: Duration::from_secs(6),
            ..settings(KafkaSecurity::Plaintext)
        };
        let broker = KafkaBroker::new(settings.clone()).unwrap();
        broker.publish((0..BACKLOG as u128).map(record).collect()).await.unwrap();
        (cluster, settings)
    }

    fn read(settings: &KafkaSettings) -> (Reader, JoinHandle<()>) {
        subscribe(settings, &Health::default(), &Topics::default(), "test", &[TOPIC]).unwrap()
    }

    async fn end(reader: Reader, thread: JoinHandle<()>) {
        drop(reader);
        tokio::task::spawn_blocking(|| thread.join()).await.unwrap().unwrap();
    }

    async fn in_time(work: impl Future<Output = ()>) {
        tokio::time::timeout(Duration::from_mins(3), work).await.expect("everything comes");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_backlog_that_is_dealt_with_piece_by_piece_is_fetched_once() {
        let (_cluster, settings) = backlog().await;
        let (mut reader, thread) = read(&settings);
        let mut read = 0;
        in_time(async {
            while read < BACKLOG {
                // The thread has all it may have in hand, or all that is left, each time that something is taken.
                while reader.received.len() < AHEAD.min(BACKLOG - read) {
                    tokio::task::yield_now().await;
                }
                read += reader.next(500).await.unwrap().len();
                reader.commit().await.unwrap();
            }
        })
        .await;
        // A machine that stands still for a second makes one.
        assert!(lock(&reader.shared).pauses < 3);
        end(reader, thread).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn partitions_that_were_taken_away_while_they_were_paused_are_read_when_they_are_back() {
        let (_cluster, settings) = backlog().await;
        let (mut reader, thread) = read(&settings);
        let shares = |reader: &Reader| lock(&reader.shared).assigned.len();
        in_time(async {
            while lock(&reader.shared).pauses == 0 {
                tokio::task::yield_now().await;
            }
            let (other, its_thread) = read(&settings);
            while (shares(&reader), shares(&other)) != (3, 3) {
                tokio::task::yield_now().await;
            }
            let mut found = HashSet::new();
            // Room enough to go on, with half of the partitions.
            while found.len() < AHEAD {
                let deliveries = reader.next(500).await.unwrap();
                found.extend(deliveries.into_iter().map(|one| (one.partition, one.offset)));
                reader.commit().await.unwrap();
            }
            end(other, its_thread).await;
            while found.len() < BACKLOG {
                let deliveries = reader.next(500).await.unwrap();
                found.extend(deliveries.into_iter().map(|one| (one.partition, one.offset)));
                reader.commit().await.unwrap();
            }
        })
        .await;
        end(reader, thread).await;
    }
}
