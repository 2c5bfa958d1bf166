//! The relay with a bus that is unavailable, refuses records, fails or answers late.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use contract::Topic;
use domain::Phase;
use engine::ports::{Broker, BrokerError, Clock, Delivery, Record, RecordPosition, SendError, Subscription};
use engine::relay::Relay;
use engine::{CrashPoint, Engine, Shards};
use futures::future::BoxFuture;
use store::{Lane, LowWaterMark, OutboxDepth, OutboxRow, PendingRow, Store};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::installation::crash_at;
use crate::manual_engine::{ManualEngine, start_time};

const UNAVAILABLE: Result<(), SendError> = Err(SendError::Unavailable { code: "broker_unreachable" });
const REFUSED: Result<(), SendError> = Err(SendError::Refused { code: "record_too_large" });
const FAILED: Result<(), SendError> = Err(SendError::Failed { code: "broker_error" });

/// A bus that keeps the records that it was sent, and gives the scripted answers, or success when none is left.
#[derive(Debug, Default)]
struct ScriptedBus {
    sent: Mutex<Vec<Record>>,
    answers: Mutex<VecDeque<Result<(), SendError>>>,
}

impl ScriptedBus {
    fn answers(&self, answers: impl IntoIterator<Item = Result<(), SendError>>) {
        self.answers.lock().unwrap().extend(answers);
    }

    fn sent(&self) -> Vec<Record> {
        self.sent.lock().unwrap().clone()
    }

    fn topics(&self) -> Vec<Topic> {
        self.sent().iter().map(|record| record.topic).collect()
    }
}

#[async_trait]
impl Broker for ScriptedBus {
    fn send(&self, record: Record) -> BoxFuture<'static, Result<RecordPosition, SendError>> {
        let mut sent = self.sent.lock().unwrap();
        sent.push(record);
        let position = RecordPosition { partition: 3, offset: i64::try_from(sent.len()).unwrap() };
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()));
        Box::pin(std::future::ready(answer.map(|()| position)))
    }

    async fn publish(&self, _: Vec<Record>) -> Result<(), BrokerError> {
        panic!("the relay only sends")
    }

    async fn subscribe(&self, _: &'static str, _: Vec<Topic>) -> Result<Box<dyn Subscription>, BrokerError> {
        panic!("the relay only sends")
    }

    async fn fetch(&self, _: Topic, _: Vec<RecordPosition>) -> Result<Vec<Delivery>, BrokerError> {
        panic!("the relay only sends")
    }
}

/// A relay with its shard, whose turns the test takes.
struct RelayFixture {
    manual: ManualEngine,
    bus: Arc<ScriptedBus>,
    relay: Relay,
    end: CancellationToken,
    leases: JoinHandle<()>,
}

impl RelayFixture {
    async fn new(manual: ManualEngine) -> Self {
        let (bus, end) = (Arc::new(ScriptedBus::default()), CancellationToken::new());
        let (shards, leases) = leased(&manual, end.clone()).await;
        let relay = Relay::new(Arc::clone(&manual.engine), Arc::<ScriptedBus>::clone(&bus), shards);
        Self { manual, bus, relay, end, leases }
    }

    async fn open(folder: &std::path::Path) -> Self {
        Self::new(ManualEngine::open(folder).await).await
    }

    /// Sends what may be sent, and records the outcomes. Returns how many were sent.
    async fn turn(&mut self) -> usize {
        let sent = self.relay.send().await.unwrap();
        while self.relay.has_in_flight() {
            self.relay.await_acks().await;
        }
        self.relay.record_outcomes().await.unwrap();
        sent
    }

    /// Takes turns until one sends: the leases must first be renewed at the clock's new time.
    async fn turn_that_sends(&mut self) -> usize {
        loop {
            match self.turn().await {
                0 => tokio::task::yield_now().await,
                sent => return sent,
            }
        }
    }

    /// Stops the process.
    async fn close(self) {
        self.end.cancel();
        self.leases.await.unwrap();
        drop(self.relay);
        self.manual.close().await;
    }

    async fn depth(&self) -> OutboxDepth {
        self.manual.store.read(|tx| Box::pin(async move { tx.outbox_depth().await })).await.unwrap()
    }

    async fn heads(&self) -> Vec<PendingRow> {
        heads(&self.manual.store).await
    }
}

async fn heads(store: &Store) -> Vec<PendingRow> {
    let all = [LowWaterMark { shard: 0, low: 0 }];
    store.read(move |tx| Box::pin(async move { tx.outbox_heads(&all, 100, 100).await })).await.unwrap()
}

async fn leased(manual: &ManualEngine, end: CancellationToken) -> (Shards, JoinHandle<()>) {
    let engine: &Engine = &manual.engine;
    let clock: Arc<dyn Clock> = Arc::<engine::ports::ManualClock>::clone(&manual.clock);
    let (shards, leases) =
        Shards::lease(manual.store.clone(), "test".to_owned(), engine.settings(), clock, end);
    let leases = TaskTracker::new().spawn(leases);
    while shards.held().is_empty() {
        tokio::task::yield_now().await;
    }
    (shards, leases)
}

#[tokio::test]
async fn messages_of_a_class_are_sent_in_the_order_of_their_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = RelayFixture::open(folder.path()).await;
    let batch = fixture.manual.registering_batch(2, &[Phase::Spellcheck]).await;
    fixture.manual.apply(batch, engine::News::Registered).await;
    // The command waits behind the registration. The provisioned events have keys of their own.
    assert_eq!(fixture.turn().await, 3);
    let mut first = fixture.bus.topics();
    first.sort_by_key(|topic| topic.as_str());
    let provisioned = Topic::EssayContentProvisioned;
    assert_eq!(first, [Topic::BatchEssaysRegistered, provisioned, provisioned]);
    assert_eq!(fixture.turn().await, 1);
    assert_eq!(fixture.bus.topics().last(), Some(&Topic::SpellcheckInitiate));
    assert_eq!(fixture.turn().await, 0);
    assert_eq!(fixture.depth().await, OutboxDepth::default());
    assert!(fixture.bus.sent().iter().all(|record| record.key == batch.to_string()));
}

#[tokio::test]
async fn an_outage_of_the_bus_counts_no_attempt_and_pauses_the_relay() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = RelayFixture::open(folder.path()).await;
    fixture.manual.registering_batch(2, &[Phase::Spellcheck]).await;
    fixture.bus.answers([UNAVAILABLE, UNAVAILABLE, UNAVAILABLE]);
    assert_eq!(fixture.turn().await, 3);
    let outage = fixture.manual.engine.bus_outage().unwrap();
    assert_eq!((outage.code, outage.since), ("broker_unreachable", start_time()));
    assert_eq!(fixture.turn().await, 0, "the relay pauses");
    let depth = fixture.depth().await;
    assert_eq!((depth.pending, depth.parked), (3, 0));
    assert!(fixture.heads().await.iter().all(|row| row.attempts == 0));

    let before = fixture.bus.sent();
    fixture.manual.clock.advance(Duration::from_secs(1));
    fixture.turn_that_sends().await;
    let again = fixture.bus.sent().split_off(before.len());
    let ids = |records: &[Record]| {
        let mut ids: Vec<_> = records.iter().map(|r| (r.event_id, r.value.clone())).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&before), ids(&again), "the same ids and the same bytes");
    assert_eq!(fixture.manual.engine.bus_outage(), None);
    assert_eq!(fixture.depth().await, OutboxDepth::default());
}

#[tokio::test]
async fn a_message_that_the_bus_refuses_blocks_its_key_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = RelayFixture::open(folder.path()).await;
    let batch = fixture.manual.registering_batch(1, &[Phase::Spellcheck]).await;
    fixture.manual.apply(batch, engine::News::Registered).await;
    let registration_first = fixture.heads().await[0].message.topic == Topic::BatchEssaysRegistered.as_str();
    fixture.bus.answers(if registration_first { [REFUSED, Ok(())] } else { [Ok(()), REFUSED] });
    assert_eq!(fixture.turn().await, 2);
    assert_eq!(fixture.turn().await, 0, "the command waits behind its registration");
    let depth = fixture.depth().await;
    assert_eq!((depth.pending, depth.parked), (1, 1));
    fixture.manual.registering_batch(1, &[Phase::Spellcheck]).await;
    assert_eq!(fixture.turn().await, 2, "another class is not blocked");
}

#[tokio::test]
async fn a_message_that_fails_is_retried_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = RelayFixture::open(folder.path()).await;
    fixture.manual.registering_batch(1, &[Phase::Spellcheck]).await;
    fixture.bus.answers([FAILED, FAILED]);
    assert_eq!(fixture.turn().await, 2);
    assert_eq!(fixture.turn().await, 0);
    fixture.manual.clock.advance(Duration::from_mins(1));
    let waiting = fixture.heads().await;
    assert_eq!(waiting.iter().map(|row| row.attempts).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(fixture.turn_that_sends().await, 2);
    assert_eq!(fixture.depth().await, OutboxDepth::default());
}

#[tokio::test]
async fn rows_of_another_process_are_sent_a_period_later_and_rows_of_this_one_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = RelayFixture::open(folder.path()).await;
    assert_eq!(fixture.turn().await, 0);
    fixture.manual.registering_batch(1, &[Phase::Spellcheck]).await;
    let ours = fixture.heads().await.remove(0).message;
    assert_eq!(fixture.turn().await, 2, "the relay was signalled");
    assert_eq!(fixture.turn().await, 0);

    let theirs = OutboxRow { event_id: Uuid::from_u128(7), ordering_key: "theirs".to_owned(), ..ours };
    let write = fixture.manual.store.unit(Lane::Task, move |tx| {
        let theirs = theirs.clone();
        Box::pin(async move { tx.enqueue(&[theirs]).await })
    });
    write.await.unwrap();
    assert_eq!(fixture.turn().await, 0, "no signal came");
    fixture.manual.clock.advance(Duration::from_millis(200));
    assert_eq!(fixture.turn_that_sends().await, 1);
}

#[tokio::test]
async fn a_crash_between_the_acknowledgement_and_its_record_sends_the_same_event_again() {
    let folder = tempfile::tempdir().unwrap();
    let crash = crash_at(CrashPoint::Published, CancellationToken::new());
    let mut crashing =
        RelayFixture::new(ManualEngine::open_at(folder.path(), start_time(), crash).await).await;
    crashing.manual.registering_batch(1, &[Phase::Spellcheck]).await;
    crashing.relay.send().await.unwrap();
    while crashing.relay.has_in_flight() {
        crashing.relay.await_acks().await;
    }
    assert!(crashing.relay.record_outcomes().await.is_err());
    let before = crashing.bus.sent();
    crashing.close().await;

    let mut next = RelayFixture::open(folder.path()).await;
    assert_eq!(next.turn().await, before.len());
    for (first, second) in before.iter().zip(next.bus.sent()) {
        assert_eq!((first.event_id, &first.value), (second.event_id, &second.value));
    }
    assert_eq!(next.depth().await, OutboxDepth::default());
}

#[tokio::test]
async fn nothing_is_sent_under_a_lease_that_may_expire_before_the_message_times_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = RelayFixture::open(folder.path()).await;
    fixture.manual.registering_batch(1, &[Phase::Spellcheck]).await;
    // The lease is not renewed any more: it lasts 15 s, of which 9 s must be left.
    fixture.end.cancel();
    fixture.leases.await.unwrap();
    fixture.manual.clock.advance(Duration::from_secs(7));
    assert_eq!(fixture.relay.send().await.unwrap(), 0);
    assert!(fixture.bus.sent().is_empty());
}
