//! The polling thread. It polls whatever happens, because a member that does not poll is removed from its group.
//!
//! When its records are not taken for 1 s, it pauses its partitions and polls on. It does not pause at once, because a pause drops what
//! librdkafka has prefetched, and fetching that again took five sixths of the time of reading a backlog (measured).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::message::BorrowedMessage;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::{AHEAD, Client, Read, lock, partition};
use crate::denial::Denial;
use crate::record::delivery;
use crate::settings::KafkaSettings;
use crate::topic_monitor::TopicMonitor;

/// How long one poll waits for a record, and so the longest until a stop is noticed.
const POLL: Duration = Duration::from_millis(100);
/// How long it waits for room before it pauses: longer than processing takes while the database answers, and short beside
/// `max.poll.interval.ms` (5 min).
const ROOM: Duration = Duration::from_secs(1);
/// How often it checks for room before it pauses.
const ROOM_CHECK: Duration = Duration::from_millis(1);
/// How long one poll waits while paused, and so how often it checks for room.
const POLL_FULL: Duration = Duration::from_millis(10);
/// How often it resumes all partitions, although none should be paused: in librdkafka a pause outlives a revocation, and a
/// resumption that crosses one of its own pauses is dropped (its #5591). Resuming a partition that is not paused has no effect.
const RESUME_AGAIN: Duration = Duration::from_secs(1);

/// The polling thread.
pub(super) struct Pump {
    client: Arc<Client>,
    settings: KafkaSettings,
    /// The version of the password that the client was made with.
    password: u64,
    monitor: TopicMonitor,
    sender: mpsc::Sender<Read>,
    stop: Arc<AtomicBool>,
    /// Records that were polled without room for them, of partitions that were assigned meanwhile.
    waiting: VecDeque<Read>,
    resumed_at: Instant,
}

impl Pump {
    pub(super) fn new(
        client: Arc<Client>,
        settings: KafkaSettings,
        monitor: TopicMonitor,
        sender: mpsc::Sender<Read>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let (password, waiting) = (settings.password_version(), VecDeque::new());
        Self { client, settings, password, monitor, sender, stop, waiting, resumed_at: Instant::now() }
    }

    pub(super) fn run(mut self) {
        while !self.is_over() {
            match self.client.poll(POLL) {
                Some(Ok(message)) => {
                    self.client.context().health.answered();
                    self.waiting.extend(self.read(&message));
                }
                Some(Err(error)) => {
                    let denial = error.rdkafka_error_code().and_then(Denial::from_code);
                    if let Some(Denial::Right) = denial {
                        // librdkafka reports this once, and not when the right is granted: only a new consumer finds out.
                        self.client.context().health.denied(Denial::Right, &error.to_string());
                        return;
                    }
                    if self.client.client().fatal_error().is_some() {
                        tracing::error!(%error, "the Kafka consumer has met a fatal error; it is replaced");
                        return;
                    }
                    tracing::debug!(%error, "the Kafka consumer cannot read; it tries again");
                    self.monitor.request_check();
                }
                None => {}
            }
            self.hand_over();
            if self.settings.password_version() != self.password {
                tracing::info!("the password of Kafka has changed; the consumer is replaced");
                return;
            }
            if self.resumed_at.elapsed() >= RESUME_AGAIN {
                self.resume();
            }
        }
    }

    /// `None` for an unknown topic, or a partition that is no longer assigned.
    fn read(&self, message: &BorrowedMessage<'_>) -> Option<Read> {
        let delivery = delivery(message)?;
        let assignment = *lock(&self.client.context().shared).assigned.get(&partition(&delivery))?;
        Some(Read { delivery, assignment })
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.sender.is_closed()
    }

    /// Hands the polled records over. While there is no room it fetches nothing more and keeps polling for the membership.
    fn hand_over(&mut self) {
        if self.try_hand_over() {
            return;
        }
        let full_since = Instant::now();
        while full_since.elapsed() < ROOM && !self.is_over() {
            thread::sleep(ROOM_CHECK);
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

    use super::super::{Reader, subscribe};
    use super::*;
    use crate::KafkaBroker;
    use crate::health::Health;
    use crate::settings::SettingNames;

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

    /// A cluster with a backlog of three times the prefetch.
    async fn backlog() -> (MockCluster<'static, DefaultProducerContext>, KafkaSettings) {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC.as_str(), PARTITIONS, 1).unwrap();
        let settings = KafkaSettings {
            session_timeout: Duration::from_secs(6),
            ..KafkaSettings::plaintext(cluster.bootstrap_servers())
        };
        let broker = KafkaBroker::new(settings.clone()).unwrap();
        broker.publish((0..BACKLOG as u128).map(record).collect()).await.unwrap();
        (cluster, settings)
    }

    fn read(settings: &KafkaSettings) -> (Reader, JoinHandle<()>) {
        subscribe(
            settings,
            &Health::new(SettingNames::LIBRDKAFKA, None),
            &TopicMonitor::default(),
            "test",
            &[TOPIC],
        )
        .unwrap()
    }

    async fn end(reader: Reader, thread: JoinHandle<()>) {
        drop(reader);
        tokio::task::spawn_blocking(|| thread.join()).await.unwrap().unwrap();
    }

    async fn in_time(work: impl Future<Output = ()>) {
        tokio::time::timeout(Duration::from_mins(3), work).await.expect("every record is delivered");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_backlog_that_is_processed_piece_by_piece_is_fetched_once() {
        let (_cluster, settings) = backlog().await;
        let (mut reader, thread) = read(&settings);
        let mut read = 0;
        in_time(async {
            while read < BACKLOG {
                // Take only when the thread holds as much as it may, or all that is left.
                while reader.received.len() < AHEAD.min(BACKLOG - read) {
                    tokio::task::yield_now().await;
                }
                read += reader.next(500).await.unwrap().len();
                reader.commit().await.unwrap();
            }
        })
        .await;
        // A machine that stalls for a second causes one.
        assert!(lock(&reader.shared).pauses < 3);
        end(reader, thread).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn partitions_that_were_revoked_while_paused_are_read_after_they_are_assigned_again() {
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
