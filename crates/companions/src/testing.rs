//! Shared by the tests of this crate: a bus in memory with injected failures, a clock that does not wait, and
//! records to send.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use contract::{
    BatchEssaysRegistered, ClassType, Command, CourseCode, EssayContentProvisioned, EssayRef, InitiateNlp,
    InitiateSpellcheck, Language, NlpCommandVersion, Payload, Registration, Source, SpellcheckRequested,
    Topic,
};
use engine::ports::{
    Broker, BrokerError, Clock, ContentError, ContentStore, Delivery, Record, RecordPosition, SendError,
    Subscription,
};
use futures::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use crate::wire::{Address, Cause, record};
use crate::worker::Bus;

/// The id of this number.
pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// The time of everything in the tests.
pub(crate) fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap()
}

/// A clock that stands still, does not wait, and records the requested delays.
#[derive(Debug, Default)]
pub(crate) struct StillClock {
    pub(crate) slept: Mutex<Vec<Duration>>,
}

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> DateTime<Utc> {
        noon()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, time: Duration) {
        self.slept.lock().unwrap().push(time);
        tokio::task::yield_now().await;
    }
}

/// A bus in memory. A failing publish has published all the same, which is the worst case of a real bus.
#[derive(Debug, Default, Clone)]
pub(crate) struct MemoryBus {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    log: watch::Sender<Vec<Record>>,
    positions: Mutex<HashMap<&'static str, usize>>,
    failing_publishes: AtomicUsize,
    failing_subscribes: AtomicUsize,
    failing_commits: AtomicUsize,
}

impl MemoryBus {
    pub(crate) fn bus(&self) -> Bus {
        Bus { broker: Arc::new(self.clone()), clock: Arc::new(StillClock::default()) }
    }

    pub(crate) fn fail_publishes(&self, times: usize) {
        self.inner.failing_publishes.store(times, Ordering::SeqCst);
    }

    pub(crate) fn fail_subscribes(&self, times: usize) {
        self.inner.failing_subscribes.store(times, Ordering::SeqCst);
    }

    pub(crate) fn fail_commits(&self, times: usize) {
        self.inner.failing_commits.store(times, Ordering::SeqCst);
    }

    pub(crate) fn append(&self, records: impl IntoIterator<Item = Record>) {
        self.inner.log.send_modify(|log| log.extend(records));
    }

    /// Everything on the bus.
    pub(crate) fn log(&self) -> Vec<Record> {
        self.inner.log.borrow().clone()
    }

    /// Removes and returns everything on the bus.
    pub(crate) fn drain(&self) -> Vec<Record> {
        self.inner.log.send_replace(Vec::new())
    }

    /// Waits until `count` records of a topic are on the bus.
    pub(crate) async fn wait_for(&self, topic: Topic, count: usize) {
        let enough = |log: &Vec<Record>| log.iter().filter(|record| record.topic == topic).count() >= count;
        self.inner.log.subscribe().wait_for(enough).await.unwrap();
    }
}

fn fails(times: &AtomicUsize, doing: &'static str) -> Result<(), BrokerError> {
    let failed = times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    if failed { Err(BrokerError { doing, source: "told to fail".into() }) } else { Ok(()) }
}

#[async_trait]
impl Broker for MemoryBus {
    fn send(&self, record: Record) -> BoxFuture<'static, Result<RecordPosition, SendError>> {
        self.append([record]);
        let offset = i64::try_from(self.log().len()).unwrap();
        let failed = fails(&self.inner.failing_publishes, "publish").is_err();
        let outcome = if failed {
            Err(SendError::Unavailable { code: "told_to_fail" })
        } else {
            Ok(RecordPosition { partition: 0, offset })
        };
        Box::pin(std::future::ready(outcome))
    }

    async fn publish(&self, records: Vec<Record>) -> Result<(), BrokerError> {
        self.append(records);
        fails(&self.inner.failing_publishes, "publish")
    }

    async fn subscribe(
        &self,
        consumer: &'static str,
        topics: Vec<Topic>,
    ) -> Result<Box<dyn Subscription>, BrokerError> {
        fails(&self.inner.failing_subscribes, "subscribe")?;
        let committed = self.inner.positions.lock().unwrap().get(consumer).copied().unwrap_or(0);
        Ok(Box::new(MemorySubscription {
            bus: self.clone(),
            consumer,
            topics,
            committed,
            position: committed,
        }))
    }

    async fn fetch(&self, _: Topic, _: Vec<RecordPosition>) -> Result<Vec<Delivery>, BrokerError> {
        panic!("companions have no dead letters")
    }
}

#[derive(Debug)]
struct MemorySubscription {
    bus: MemoryBus,
    consumer: &'static str,
    topics: Vec<Topic>,
    committed: usize,
    position: usize,
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self, limit: usize) -> Result<Vec<Delivery>, BrokerError> {
        let wanted = |record: &Record| self.topics.contains(&record.topic);
        let position = self.position;
        let mut log = self.bus.inner.log.subscribe();
        let log = log.wait_for(|log| log.iter().skip(position).any(wanted)).await.unwrap();
        let found: Vec<_> =
            log.iter().enumerate().skip(position).filter(|(_, record)| wanted(record)).take(limit).collect();
        self.position = found.last().map_or(position, |(at, _)| at + 1);
        Ok(found.into_iter().map(|(at, record)| delivery(at, record)).collect())
    }

    async fn commit(&mut self) -> Result<(), BrokerError> {
        fails(&self.bus.inner.failing_commits, "commit")?;
        self.committed = self.position;
        self.bus.inner.positions.lock().unwrap().insert(self.consumer, self.position);
        Ok(())
    }

    async fn rewind(&mut self) -> Result<(), BrokerError> {
        self.position = self.committed;
        Ok(())
    }
}

fn delivery(at: usize, record: &Record) -> Delivery {
    Delivery {
        topic: record.topic,
        partition: 0,
        offset: i64::try_from(at).unwrap(),
        key: record.key.clone(),
        value: record.value.clone().into(),
        trace: None,
    }
}

/// The records as a subscription delivers them.
pub(crate) fn deliveries<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<Delivery> {
    records.into_iter().enumerate().map(|(at, record)| delivery(at, record)).collect()
}

/// The parts of events that must be the same when they are published again.
pub(crate) fn events(records: &[Record]) -> Vec<(Topic, String, Uuid, String)> {
    let event = |record: &Record| {
        (record.topic, record.key.clone(), record.event_id, String::from_utf8(record.value.clone()).unwrap())
    };
    records.iter().map(event).collect()
}

/// The payload of a record.
pub(crate) fn data(record: &Record) -> serde_json::Value {
    let mut envelope: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
    envelope["data"].take()
}

/// A Content Service that is unavailable.
#[derive(Debug)]
pub(crate) struct UnavailableContent;

const AWAY: ContentError = ContentError::Unavailable { code: "content_unreachable", retry_after: None };

#[async_trait]
impl ContentStore for UnavailableContent {
    async fn store(&self, texts: Vec<Bytes>) -> Vec<Result<String, ContentError>> {
        texts.iter().map(|_| Err(AWAY)).collect()
    }

    async fn fetch(&self, _: &str) -> Result<Bytes, ContentError> {
        Err(AWAY)
    }

    async fn look_up(&self, _: &str) -> Result<u64, ContentError> {
        Err(AWAY)
    }
}

fn service_record<T: Payload>(
    topic: Topic,
    batch: Uuid,
    correlation: Uuid,
    part: &str,
    payload: T,
) -> Record {
    let to = Address { topic, source: Source::BatchOrchestratorService, key: batch };
    let cause = Cause { event_id: correlation, correlation_id: correlation, at: noon(), trace: None };
    record(to, &cause, part, noon(), payload)
}

/// The registration of these essays.
pub(crate) fn registered(batch: Uuid, essays: &[Uuid]) -> Record {
    let registration = Registration {
        batch_id: batch,
        essay_ids: essays,
        course_code: CourseCode::Eng5,
        user_id: "owner",
        org_id: None,
        student_prompt_ref: None,
    };
    let event = BatchEssaysRegistered::new(&registration, noon());
    service_record(Topic::BatchEssaysRegistered, batch, batch, "", event)
}

/// The event that the text of one essay is stored.
pub(crate) fn provisioned(batch: Uuid, essay: Uuid, text: &str) -> Record {
    let event = EssayContentProvisioned::new(batch, essay, text, 10, batch, noon());
    service_record(Topic::EssayContentProvisioned, batch, batch, &essay.to_string(), event)
}

fn command(batch: Uuid, essays: &[(Uuid, &str)]) -> Command {
    let essay = |(essay_id, text): &(Uuid, &str)| EssayRef {
        essay_id: *essay_id,
        text_storage_id: (*text).to_owned(),
    };
    Command {
        batch_id: batch,
        essays: essays.iter().map(essay).collect(),
        language: Language::English,
        course_code: CourseCode::Eng5,
        class_type: ClassType::Guest,
        essay_instructions: "".into(),
        class_designation: "".into(),
        assignment_id: None,
        student_prompt_ref: None,
        owner_user_id: "owner".to_owned(),
        org_id: None,
    }
}

/// The command to spellcheck these essays with these texts.
pub(crate) fn spellcheck(batch: Uuid, correlation: Uuid, essays: &[(Uuid, &str)]) -> Record {
    let command = command(batch, essays);
    service_record(
        Topic::SpellcheckInitiate,
        batch,
        correlation,
        "",
        InitiateSpellcheck::new(&command, noon()),
    )
}

/// The command to analyse these essays with these texts.
pub(crate) fn nlp(batch: Uuid, correlation: Uuid, essays: &[(Uuid, &str)]) -> Record {
    let command = command(batch, essays);
    let event = InitiateNlp::new(&command, NlpCommandVersion::V2, noon());
    service_record(Topic::NlpInitiateV2, batch, correlation, "", event)
}

/// A request to the spell checker.
pub(crate) fn request(essay: Uuid, batch: Option<Uuid>, text: &str, language: Language) -> Record {
    let event = SpellcheckRequested::new(essay, batch, text, language, noon());
    service_record(
        Topic::EssaySpellcheckRequested,
        batch.unwrap_or(essay),
        id(900),
        &essay.to_string(),
        event,
    )
}
