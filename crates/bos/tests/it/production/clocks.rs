//! Processes whose wall clocks jump by hours, on a database whose clock does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use contract::Topic;
use domain::{AttentionCode, BatchId, BatchStatus, EssayId, Kind, Language, Phase};
use engine::ports::{
    Broker, BrokerError, Clock, Delivery, Record, RecordPosition, SendError, Subscription, SystemClock,
};
use engine::relay::Relay;
use engine::{
    Answer, Cause, Crash, Engine, Leases, News, Origin, Owner, Settings, Shards, Submission, SubmittedEssay,
    SubmittedText, timers,
};
use futures::future::BoxFuture;
use sqlx_core::connection::Connection as _;
use sqlx_core::query::query;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnection;
use store::{Details, Labels, StatusRow, Store, StoredEssay};
use uuid::Uuid;

use crate::databases::on_postgres;

/// Hours by which the clocks are off: more than any lease and any deadline.
const JUMPS: [i64; 5] = [30, -30, 0, -1, 1];

/// Number of shards of an installation on PostgreSQL.
const SHARDS: i64 = 64;

/// The system's clocks, of which the wall clock can be set off. The monotonic clock, by which a process waits, is not changed.
#[derive(Debug, Default)]
struct Jumping {
    system: SystemClock,
    hours: AtomicI64,
}

impl Jumping {
    fn is_off_by(&self, hours: i64) {
        self.hours.store(hours, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for Jumping {
    fn now(&self) -> DateTime<Utc> {
        self.system.now() + TimeDelta::hours(self.hours.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }

    async fn sleep(&self, time: Duration) {
        self.system.sleep(time).await;
    }
}

fn settings() -> Settings {
    Settings::with_rules(domain::Settings::default())
}

/// F63.
#[tokio::test(flavor = "multi_thread")]
async fn no_lease_changes_hands_when_the_clocks_of_the_holders_jump_apart() {
    on_postgres(async |store, url| {
        let holder = |name: &str| {
            let clock = Arc::new(Jumping::default());
            let (shards, leases) = Leases::new(
                store.clone(),
                name.to_owned(),
                &settings(),
                Arc::clone(&clock) as Arc<dyn Clock>,
            );
            (clock, shards, leases)
        };
        let ((one_s, one, mut leases_of_one), (other_s, other, mut leases_of_other)) =
            (holder("one"), holder("other"));
        leases_of_one.turn().await.unwrap();
        // By the other holder's clock, these leases expired long ago.
        other_s.is_off_by(30);
        leases_of_other.turn().await.unwrap();
        assert_eq!((held(&one), held(&other)), (SHARDS, 0), "held leases are not taken over");
        leases_of_one.turn().await.unwrap();
        leases_of_other.turn().await.unwrap();
        assert_eq!(
            (held(&one), held(&other)),
            (SHARDS / 2, SHARDS / 2),
            "half of them are given to the other holder"
        );

        let mut witness = PgConnection::connect(&url).await.unwrap();
        let taken = "SELECT CAST(sum(epoch) AS BIGINT) FROM leases";
        let before: i64 = query_scalar(taken).fetch_one(&mut witness).await.unwrap();
        for hours in JUMPS {
            one_s.is_off_by(hours);
            other_s.is_off_by(-hours);
            leases_of_one.turn().await.unwrap();
            leases_of_other.turn().await.unwrap();
            assert_eq!((held(&one), held(&other)), (SHARDS / 2, SHARDS / 2), "off by {hours} hours");
        }
        let after: i64 = query_scalar(taken).fetch_one(&mut witness).await.unwrap();
        assert_eq!(after, before, "no lease has changed hands");
    })
    .await;
}

/// Number of shards that the holder may send for: those whose leases have time left by its own clock.
fn held(shards: &Shards) -> i64 {
    i64::try_from(shards.held_for(Duration::from_secs(1)).len()).unwrap()
}

fn owner() -> Owner {
    Owner { user_id: "local".to_owned(), org_id: None }
}

/// A class of one essay.
fn class(id: BatchId) -> Submission {
    let text = SubmittedText::Body(Bytes::from_static(b"An essay."));
    Submission {
        id,
        correlation: Uuid::from_u128(1),
        owner: owner(),
        kind: Kind::Class,
        language: Language::En,
        name: None,
        details: Details::default(),
        labels: Labels::default(),
        open: false,
        phases: vec![Phase::Spellcheck],
        essays: vec![SubmittedEssay { client_ref: None, text }],
        key: None,
        answer: Answer { status: 202, body: Vec::new(), location: None, etag: None },
        trace: None,
    }
}

/// An engine with this clock, and a batch whose registration is in the outbox.
async fn registering(store: &Store, clock: &Arc<Jumping>) -> (Arc<Engine>, BatchId) {
    let engine = Engine::open(store.clone(), settings(), clock.clone(), None, Crash::default());
    let engine = engine.await.unwrap();
    let batch = engine.new_batch_id(None).unwrap();
    engine.submit(class(batch)).await.unwrap();
    let stored = vec![StoredEssay {
        essay_id: EssayId::new(batch, 0),
        storage_id: "text".parse().unwrap(),
        size_bytes: 9,
    }];
    let cause = Cause { origin: Origin::Task("test"), correlation: None, trace: None };
    engine.apply(batch, News::TextsStored { stored, refused: Vec::new() }, cause).await.unwrap();
    (engine, batch)
}

async fn status(store: &Store, batch: BatchId) -> StatusRow {
    let row = store.read(move |tx| Box::pin(async move { tx.status_row(&owner(), batch).await }));
    let row: Result<_, store::Error> = row.await;
    row.unwrap().unwrap()
}

/// F63.
#[tokio::test(flavor = "multi_thread")]
async fn deadlines_follow_the_clock_of_the_database_and_not_of_the_process() {
    on_postgres(async |store, url| {
        let clock = Arc::new(Jumping::default());
        let (engine, batch) = registering(&store, &clock).await;

        let all: Vec<i64> = (0..SHARDS).collect();
        let mut state = timers::TimersState::default();
        for hours in JUMPS {
            clock.is_off_by(hours);
            timers::fire(&engine, &all, &mut state).await.unwrap();
            let now = status(&store, batch).await.row.batch;
            assert_eq!((now.status(), now.attention.is_some()), (BatchStatus::PendingContent, false));
        }

        clock.is_off_by(-30);
        let mut witness = PgConnection::connect(&url).await.unwrap();
        let made_due = query("UPDATE timers SET due_at = clock_timestamp() - interval '1 ms'");
        assert_eq!(made_due.execute(&mut witness).await.unwrap().rows_affected(), 1);
        timers::fire(&engine, &all, &mut state).await.unwrap();
        let late = status(&store, batch).await.row.batch.attention.unwrap();
        assert_eq!(late.code, AttentionCode::RegistrationOverdue);
    })
    .await;
}

/// A bus that refuses every message with an error that blames the message.
#[derive(Debug)]
struct Unwilling;

#[async_trait]
impl Broker for Unwilling {
    fn send(&self, _: Record) -> BoxFuture<'static, Result<RecordPosition, SendError>> {
        Box::pin(std::future::ready(Err(SendError::Failed { code: "odd" })))
    }

    async fn publish(&self, _: Vec<Record>) -> Result<(), BrokerError> {
        unreachable!("the relay sends")
    }

    async fn subscribe(&self, _: &'static str, _: Vec<Topic>) -> Result<Box<dyn Subscription>, BrokerError> {
        unreachable!("the relay reads nothing")
    }

    async fn fetch(&self, _: Topic, _: Vec<RecordPosition>) -> Result<Vec<Delivery>, BrokerError> {
        unreachable!("the relay reads nothing")
    }

    fn outage(&self) -> Option<&'static str> {
        None
    }
}

/// F63.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_wall_clock_does_not_park_a_message_early() {
    on_postgres(async |store, url| {
        let clock = Arc::new(Jumping::default());
        let (engine, _) = registering(&store, &clock).await;
        let mut witness = PgConnection::connect(&url).await.unwrap();
        let (shards, mut leases) =
            Leases::new(store.clone(), "one".to_owned(), &settings(), clock.clone() as Arc<dyn Clock>);
        leases.turn().await.unwrap();
        let mut state_after_a_try = async |made_at: &str| -> i64 {
            let often =
                format!("UPDATE outbox SET attempts = 99, not_before = created_at, created_at = {made_at}");
            query(AssertSqlSafe(often)).execute(&mut witness).await.unwrap();
            clock.is_off_by(30);
            let mut relay = Relay::new(Arc::clone(&engine), Arc::new(Unwilling), shards.clone());
            assert!(relay.send().await.unwrap() > 0);
            while relay.has_in_flight() {
                relay.await_acks().await;
            }
            relay.record_outcomes().await.unwrap();
            query_scalar("SELECT max(state) FROM outbox").fetch_one(&mut witness).await.unwrap()
        };
        assert_eq!(state_after_a_try("clock_timestamp()").await, 0, "it is retried");
        assert_eq!(state_after_a_try("clock_timestamp() - interval '2 hours'").await, 2, "it is parked");
    })
    .await;
}
