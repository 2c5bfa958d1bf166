//! What the relay makes of a bus that is away, refuses, fails or answers late.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use contract::Topic;
use domain::Phase;
use engine::ports::{Broker, BrokerError, Clock, Delivery, Placed, Record, SendError, Subscription};
use engine::relay::Relay;
use engine::{CrashPoint, Engine, Shards};
use futures::future::BoxFuture;
use store::{Lane, LowWaterMark, OutboxDepth, OutboxRow, PendingRow, Store};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::desk::{Desk, noon};
use crate::world::crash_at;

const AWAY: Result<(), SendError> = Err(SendError::Unavailable { code: "broker_unreachable" });
const REFUSED: Result<(), SendError> = Err(SendError::Refused { code: "record_too_large" });
const FAILED: Result<(), SendError> = Err(SendError::Failed { code: "broker_error" });

/// A bus that keeps what it was handed and answers as it was told, and with success when it was told nothing.
#[derive(Debug, Default)]
struct Scripted {
    handed: Mutex<Vec<Record>>,
    answers: Mutex<VecDeque<Result<(), SendError>>>,
}

impl Scripted {
    fn answers(&self, answers: impl IntoIterator<Item = Result<(), SendError>>) {
        self.answers.lock().unwrap().extend(answers);
    }

    fn handed(&self) -> Vec<Record> {
        self.handed.lock().unwrap().clone()
    }

    fn topics(&self) -> Vec<Topic> {
        self.handed().iter().map(|record| record.topic).collect()
    }
}

#[async_trait]
impl Broker for Scripted {
    fn send(&self, record: Record) -> BoxFuture<'static, Result<Placed, SendError>> {
        let mut handed = self.handed.lock().unwrap();
        handed.push(record);
        let placed = Placed { partition: 3, offset: i64::try_from(handed.len()).unwrap() };
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()));
        Box::pin(std::future::ready(answer.map(|()| placed)))
    }

    async fn publish(&self, _: Vec<Record>) -> Result<(), BrokerError> {
        panic!("a relay sends")
    }

    async fn subscribe(&self, _: &'static str, _: Vec<Topic>) -> Result<Box<dyn Subscription>, BrokerError> {
        panic!("a relay sends")
    }

    async fn fetch(&self, _: Topic, _: Vec<Placed>) -> Result<Vec<Delivery>, BrokerError> {
        panic!("a relay sends")
    }
}

/// A relay with its shard, moved by the test.
struct Bench {
    desk: Desk,
    bus: Arc<Scripted>,
    relay: Relay,
    end: CancellationToken,
    leases: JoinHandle<()>,
}

impl Bench {
    async fn of(desk: Desk) -> Self {
        let (bus, end) = (Arc::new(Scripted::default()), CancellationToken::new());
        let (shards, leases) = leased(&desk, end.clone()).await;
        let relay = Relay::new(Arc::clone(&desk.engine), Arc::<Scripted>::clone(&bus), shards);
        Self { desk, bus, relay, end, leases }
    }

    async fn open(folder: &std::path::Path) -> Self {
        Self::of(Desk::open(folder).await).await
    }

    /// Sends what may be sent, and records what came of it. How many were sent.
    async fn turn(&mut self) -> usize {
        let sent = self.relay.send().await.unwrap();
        while self.relay.is_waiting() {
            self.relay.land().await;
        }
        self.relay.record().await.unwrap();
        sent
    }

    /// The same, once the clock's new time has reached the leases.
    async fn turn_that_sends(&mut self) -> usize {
        loop {
            match self.turn().await {
                0 => tokio::task::yield_now().await,
                sent => return sent,
            }
        }
    }

    /// Ends this life.
    async fn close(self) {
        self.end.cancel();
        self.leases.await.unwrap();
        drop(self.relay);
        self.desk.close().await;
    }

    async fn depth(&self) -> OutboxDepth {
        self.desk.store.read(|tx| Box::pin(async move { tx.outbox_depth().await })).await.unwrap()
    }

    async fn heads(&self) -> Vec<PendingRow> {
        heads(&self.desk.store).await
    }
}

async fn heads(store: &Store) -> Vec<PendingRow> {
    let all = [LowWaterMark { shard: 0, low: 0 }];
    store.read(move |tx| Box::pin(async move { tx.outbox_heads(&all, 100, 100).await })).await.unwrap()
}

async fn leased(desk: &Desk, end: CancellationToken) -> (Shards, JoinHandle<()>) {
    let engine: &Engine = &desk.engine;
    let clock: Arc<dyn Clock> = Arc::<engine::ports::ManualClock>::clone(&desk.clock);
    let (shards, leases) =
        Shards::lease(desk.store.clone(), "test".to_owned(), engine.settings(), clock, end);
    let leases = TaskTracker::new().spawn(leases);
    while shards.now().is_empty() {
        tokio::task::yield_now().await;
    }
    (shards, leases)
}

#[tokio::test]
async fn a_class_s_messages_leave_in_the_order_of_their_key_and_its_texts_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    let batch = bench.desk.registering(2, &[Phase::Spellcheck]).await;
    bench.desk.news(batch, engine::News::Registered).await;
    // The command waits behind the registration; the texts wait behind nobody.
    assert_eq!(bench.turn().await, 3);
    let mut first = bench.bus.topics();
    first.sort_by_key(|topic| topic.as_str());
    let provisioned = Topic::EssayContentProvisioned;
    assert_eq!(first, [Topic::BatchEssaysRegistered, provisioned, provisioned]);
    assert_eq!(bench.turn().await, 1);
    assert_eq!(bench.bus.topics().last(), Some(&Topic::SpellcheckInitiate));
    assert_eq!(bench.turn().await, 0);
    assert_eq!(bench.depth().await, OutboxDepth::default());
    assert!(bench.bus.handed().iter().all(|record| record.key == batch.to_string()));
}

#[tokio::test]
async fn a_bus_that_is_away_costs_no_message_an_attempt_and_is_left_alone_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.desk.registering(2, &[Phase::Spellcheck]).await;
    bench.bus.answers([AWAY, AWAY, AWAY]);
    assert_eq!(bench.turn().await, 3);
    let trouble = bench.desk.engine.bus_trouble().unwrap();
    assert_eq!((trouble.code, trouble.since), ("broker_unreachable", noon()));
    assert_eq!(bench.turn().await, 0, "it is left alone");
    let depth = bench.depth().await;
    assert_eq!((depth.pending, depth.parked), (3, 0));
    assert!(bench.heads().await.iter().all(|row| row.attempts == 0));

    let before = bench.bus.handed();
    bench.desk.clock.advance(Duration::from_secs(1));
    bench.turn_that_sends().await;
    let again = bench.bus.handed().split_off(before.len());
    let ids = |records: &[Record]| {
        let mut ids: Vec<_> = records.iter().map(|r| (r.event_id, r.value.clone())).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&before), ids(&again), "the same ids and the same bytes");
    assert_eq!(bench.desk.engine.bus_trouble(), None);
    assert_eq!(bench.depth().await, OutboxDepth::default());
}

#[tokio::test]
async fn a_message_that_the_bus_will_never_take_holds_back_its_key_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    let batch = bench.desk.registering(1, &[Phase::Spellcheck]).await;
    bench.desk.news(batch, engine::News::Registered).await;
    let registration_first = bench.heads().await[0].message.topic == Topic::BatchEssaysRegistered.as_str();
    bench.bus.answers(if registration_first { [REFUSED, Ok(())] } else { [Ok(()), REFUSED] });
    assert_eq!(bench.turn().await, 2);
    assert_eq!(bench.turn().await, 0, "the command waits behind its registration");
    let depth = bench.depth().await;
    assert_eq!((depth.pending, depth.parked), (1, 1));
    bench.desk.registering(1, &[Phase::Spellcheck]).await;
    assert_eq!(bench.turn().await, 2, "another class goes on");
}

#[tokio::test]
async fn a_message_that_fails_for_a_reason_of_its_own_is_tried_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.desk.registering(1, &[Phase::Spellcheck]).await;
    bench.bus.answers([FAILED, FAILED]);
    assert_eq!(bench.turn().await, 2);
    assert_eq!(bench.turn().await, 0);
    bench.desk.clock.advance(Duration::from_mins(1));
    let waiting = bench.heads().await;
    assert_eq!(waiting.iter().map(|row| row.attempts).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(bench.turn_that_sends().await, 2);
    assert_eq!(bench.depth().await, OutboxDepth::default());
}

#[tokio::test]
async fn what_another_process_has_written_is_seen_a_period_later_and_what_this_one_has_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    assert_eq!(bench.turn().await, 0);
    bench.desk.registering(1, &[Phase::Spellcheck]).await;
    let ours = bench.heads().await.remove(0).message;
    assert_eq!(bench.turn().await, 2, "the bell has rung");
    assert_eq!(bench.turn().await, 0);

    let theirs = OutboxRow { event_id: Uuid::from_u128(7), ordering_key: "theirs".to_owned(), ..ours };
    let write = bench.desk.store.unit(Lane::Task, move |tx| {
        let theirs = theirs.clone();
        Box::pin(async move { tx.enqueue(&[theirs]).await })
    });
    write.await.unwrap();
    assert_eq!(bench.turn().await, 0, "nobody here has heard of it");
    bench.desk.clock.advance(Duration::from_millis(200));
    assert_eq!(bench.turn_that_sends().await, 1);
}

#[tokio::test]
async fn a_crash_between_the_acknowledgement_and_its_record_sends_the_same_event_again() {
    let folder = tempfile::tempdir().unwrap();
    let crash = crash_at(CrashPoint::Published, CancellationToken::new());
    let mut doomed = Bench::of(Desk::open_at(folder.path(), noon(), crash).await).await;
    doomed.desk.registering(1, &[Phase::Spellcheck]).await;
    doomed.relay.send().await.unwrap();
    while doomed.relay.is_waiting() {
        doomed.relay.land().await;
    }
    assert!(doomed.relay.record().await.is_err());
    let before = doomed.bus.handed();
    doomed.close().await;

    let mut next = Bench::open(folder.path()).await;
    assert_eq!(next.turn().await, before.len());
    for (first, second) in before.iter().zip(next.bus.handed()) {
        assert_eq!((first.event_id, &first.value), (second.event_id, &second.value));
    }
    assert_eq!(next.depth().await, OutboxDepth::default());
}

#[tokio::test]
async fn nothing_is_sent_under_a_lease_that_may_run_out_before_the_message_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.desk.registering(1, &[Phase::Spellcheck]).await;
    // Nobody renews any more: 15 s of lease, of which 9 must be left.
    bench.end.cancel();
    bench.leases.await.unwrap();
    bench.desk.clock.advance(Duration::from_secs(7));
    assert_eq!(bench.relay.send().await.unwrap(), 0);
    assert!(bench.bus.handed().is_empty());
}
