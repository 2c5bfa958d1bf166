//! An engine without tasks and companions, on a clock that stands still. The test takes the turns of the tasks and publishes the
//! messages of the other services.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use contract::{
    BatchContentProvisioningCompleted, CourseCode, ElsBatchPhaseOutcome, Envelope, EssayRef, Payload,
    PhaseName, Source, SpellcheckPhaseCompleted, SpellcheckReport, Topic, Verdict,
};
use domain::{BatchId, CorrelationId, EssayId, Phase};
use engine::ports::{Broker as _, Clock as _, ManualClock, Record, Subscription};
use engine::{
    Applied, Cause, Crash, Engine, Error, LocalBroker, News, Origin, Settings, Submission, consumer, redrive,
    timers,
};
use store::{DeadLetter, StatusRow, Store, StoredEssay};
use uuid::Uuid;

use crate::installation::{owner, submission};

/// An engine that does only what the test tells it to.
pub(crate) struct ManualEngine {
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    broker: LocalBroker,
    reader: Box<dyn Subscription>,
    file: PathBuf,
}

impl ManualEngine {
    pub(crate) async fn open(folder: &Path) -> Self {
        Self::open_at(folder, start_time(), Crash::default()).await
    }

    pub(crate) async fn open_at(folder: &Path, at: DateTime<Utc>, crash: Crash) -> Self {
        Self::open_with(folder, at, crash, domain::Settings::default()).await
    }

    /// An engine with these rules.
    pub(crate) async fn with_rules(folder: &Path, rules: domain::Settings) -> Self {
        Self::open_with(folder, start_time(), Crash::default(), rules).await
    }

    async fn open_with(folder: &Path, at: DateTime<Utc>, crash: Crash, rules: domain::Settings) -> Self {
        let clock = Arc::new(ManualClock::new(at));
        let now = Arc::clone(&clock);
        let file = folder.join("bos.db");
        let store = Store::open_sqlite(&file, Arc::new(move || now.now())).unwrap();
        let settings = Settings::with_rules(rules);
        let engine = Engine::open(store.clone(), settings, clock.clone(), None, crash).await.unwrap();
        let broker = LocalBroker::open(store.clone()).await.unwrap();
        let reader = broker.subscribe(consumer::CONSUMER, Topic::READ.to_vec()).await.unwrap();
        Self { engine, store, clock, broker, reader, file }
    }

    /// Stops the engine. Positions that were committed and not written are lost, as in a crash.
    pub(crate) async fn close(self) {
        self.store.close().await;
    }

    /// A class whose texts are not stored yet.
    pub(crate) async fn storing_batch(&self, essays: u16, phases: &[Phase]) -> BatchId {
        let id = self.engine.new_batch_id(None).unwrap();
        let texts = (0..essays).map(|_| Bytes::from_static(b"An essay."));
        let submission = Submission { phases: phases.to_vec(), ..submission(id, texts) };
        self.engine.submit(submission).await.unwrap();
        id
    }

    /// A class whose texts are stored and whose registration is in the outbox.
    pub(crate) async fn registering_batch(&self, essays: u16, phases: &[Phase]) -> BatchId {
        let id = self.storing_batch(essays, phases).await;
        self.texts_stored(id, essays).await;
        id
    }

    /// Applies the news that all texts of a batch are stored.
    pub(crate) async fn texts_stored(&self, id: BatchId, essays: u16) {
        let stored = (0..essays)
            .map(|n| StoredEssay {
                essay_id: EssayId::new(id, n),
                storage_id: format!("text-{n}").parse().unwrap(),
                size_bytes: 9,
            })
            .collect();
        self.apply(id, News::TextsStored { stored, refused: Vec::new() }).await;
    }

    /// A class whose first phase runs.
    pub(crate) async fn running_batch(&self, essays: u16, phases: &[Phase]) -> BatchId {
        let id = self.registering_batch(essays, phases).await;
        self.apply(id, News::Registered).await;
        id
    }

    /// Writes a state into the batch's row that cannot be read.
    pub(crate) fn corrupt(&self, batch: BatchId) {
        let connection = rusqlite::Connection::open(&self.file).unwrap();
        let update = "UPDATE batches SET state = '{}' WHERE batch_id = ?1";
        assert_eq!(connection.execute(update, [batch.as_uuid().as_bytes().as_slice()]).unwrap(), 1);
    }

    /// Writes the due time of every timer.
    pub(crate) fn set_due_times(&self, due_at: &str) {
        let connection = rusqlite::Connection::open(&self.file).unwrap();
        assert!(connection.execute("UPDATE timers SET due_at = ?1", [due_at]).unwrap() > 0);
    }

    pub(crate) async fn apply(&self, batch: BatchId, news: News) -> Applied {
        let cause = Cause { origin: Origin::Task("test"), correlation: None, trace: None };
        self.engine.apply(batch, news, cause).await.unwrap()
    }

    /// Advances the clock and fires due timers.
    pub(crate) async fn advance(&self, time: Duration) {
        self.clock.advance(time);
        self.fire().await.unwrap();
    }

    /// Fires due timers, as a process does that has just started.
    pub(crate) async fn fire(&self) -> Result<usize, Error> {
        timers::fire(&self.engine, &[0], &mut timers::TimersState::default()).await
    }

    /// Publishes messages and lets the consumer take one turn.
    pub(crate) async fn deliver(&mut self, messages: Vec<Record>) {
        self.publish(messages).await;
        self.consume().await.unwrap();
    }

    /// Publishes messages.
    pub(crate) async fn publish(&self, messages: Vec<Record>) {
        self.broker.publish(messages).await.unwrap();
    }

    /// Lets the consumer take one turn.
    pub(crate) async fn consume(&mut self) -> Result<(), consumer::Stopped> {
        consumer::turn(&self.engine, self.reader.as_mut()).await
    }

    /// Lets the redrive task take one turn. Returns how many dead letters it read.
    pub(crate) async fn redrive(&self) -> usize {
        redrive::turn(&self.engine, &self.broker).await.unwrap()
    }

    /// Delivers every message again, as after a crash before any position was written.
    pub(crate) async fn redeliver(&mut self) {
        self.broker = LocalBroker::open(self.store.clone()).await.unwrap();
        self.reader = self.broker.subscribe(consumer::CONSUMER, Topic::READ.to_vec()).await.unwrap();
        self.consume().await.unwrap();
    }

    pub(crate) async fn find(&self, batch: BatchId) -> Option<StatusRow> {
        self.store
            .read(move |tx| Box::pin(async move { tx.status_row(&owner(), batch).await }))
            .await
            .unwrap()
    }

    pub(crate) async fn status(&self, batch: BatchId) -> StatusRow {
        let status = self.find(batch).await.expect("the batch exists");
        let of_rows = status.counts;
        assert_eq!(of_rows.total(), status.row.batch.total, "every essay is in one state");
        assert_eq!(
            (of_rows.waiting, of_rows.succeeded, of_rows.failed),
            (status.row.batch.waiting, status.row.batch.succeeded, status.row.batch.failed),
            "the aggregate has the counts of the rows"
        );
        status
    }

    pub(crate) async fn dead_letters(&self) -> Vec<DeadLetter> {
        self.store.read(|tx| Box::pin(async move { tx.dead_letters(None, 100).await })).await.unwrap()
    }

    /// How many messages of a topic are on the log, after the outbox was moved.
    pub(crate) async fn published(&self, topic: Topic) -> usize {
        self.sent(&[topic]).await.len()
    }

    /// The messages of these topics on the log, in order, after the outbox was moved: topic, event id and envelope.
    pub(crate) async fn sent(&self, topics: &[Topic]) -> Vec<(String, Uuid, serde_json::Value)> {
        self.broker.move_outbox().await.unwrap();
        let topics: Vec<&'static str> = topics.iter().map(|topic| topic.as_str()).collect();
        let page = self
            .store
            .read(move |tx| Box::pin(async move { tx.read_log(0, &topics, 100_000, usize::MAX).await }))
            .await
            .unwrap();
        let envelope = |value: &[u8]| serde_json::from_slice(value).unwrap();
        let records = page.records.into_iter();
        records.map(|r| (r.row.topic, r.row.event_id, envelope(&r.row.value))).collect()
    }

    /// The error codes of an essay: its own, and those of its results.
    pub(crate) async fn error_codes(&self, essay: EssayId) -> (Option<String>, Vec<Option<String>>) {
        let detail = self
            .store
            .read(move |tx| Box::pin(async move { tx.essay_detail(&owner(), essay).await }))
            .await
            .unwrap()
            .unwrap();
        let of_phases = detail.phases.into_iter().map(|phase| phase.error_code).collect();
        (detail.essay.error_code, of_phases)
    }
}

/// The time at which these tests start.
pub(crate) fn start_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap()
}

/// The same message without a correlation id, as from a service that does not echo it.
pub(crate) fn without_correlation(record: Record) -> Record {
    let mut envelope: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
    let fields = envelope.as_object_mut().unwrap();
    fields.insert("correlation_id".to_owned(), serde_json::Value::Null);
    Record { value: serde_json::to_vec(&envelope).unwrap(), ..record }
}

/// The correlation id of a batch in these tests.
pub(crate) fn correlation(batch: BatchId) -> CorrelationId {
    CorrelationId(domain::event_id("test", &batch.to_string(), 1, None, None, ""))
}

/// A report of the spell checker about an essay. `part` tells apart messages that are otherwise the same.
pub(crate) fn spellchecked(
    essay: EssayId,
    verdict: Verdict,
    correlation: CorrelationId,
    part: &str,
) -> Record {
    spellchecked_for(essay, essay.batch().as_uuid(), verdict, correlation, part)
}

/// A report as [`spellchecked`], which names a batch that need not be the essay's.
pub(crate) fn spellchecked_for(
    essay: EssayId,
    batch: Uuid,
    verdict: Verdict,
    correlation: CorrelationId,
    part: &str,
) -> Record {
    let report = SpellcheckReport {
        essay_id: essay.as_uuid(),
        batch_id: batch,
        correlation_id: correlation.0,
        verdict,
        original_text_storage_id: "text",
        corrected_text_storage_id: (verdict == Verdict::Succeeded).then_some("corrected"),
        corrections_made: 1,
        word_count: 2,
        processing_duration_ms: 3,
        error_code: None,
        processor_version: "test",
    };
    let at = start_time();
    let topic = Topic::SpellcheckPhaseCompleted;
    wrap(
        topic,
        essay.batch(),
        &essay.to_string(),
        correlation,
        part,
        SpellcheckPhaseCompleted::new(&report, at),
    )
}

/// The outcome of a phase, from the lifecycle service.
pub(crate) fn outcome(
    batch: BatchId,
    phase: PhaseName,
    good: &[EssayId],
    bad: &[EssayId],
    correlation: CorrelationId,
) -> Record {
    let processed: Vec<_> = good
        .iter()
        .map(|essay| EssayRef { essay_id: essay.as_uuid(), text_storage_id: "corrected".to_owned() })
        .collect();
    let failed: Vec<_> = bad.iter().map(|essay| essay.as_uuid()).collect();
    let payload = ElsBatchPhaseOutcome::new(batch.as_uuid(), phase, &processed, &failed, correlation.0);
    // Another snapshot is another event.
    wrap(Topic::BatchPhaseOutcome, batch, phase.as_str(), correlation, &format!("{good:?} {bad:?}"), payload)
}

/// The confirmation of the lifecycle service that it has every text of a batch.
pub(crate) fn provisioned(batch: BatchId, essays: &[EssayId]) -> Record {
    let correlation = correlation(batch);
    let texts =
        essays.iter().map(|essay| EssayRef { essay_id: essay.as_uuid(), text_storage_id: "text".to_owned() });
    let (texts, expected) = (texts.collect::<Vec<_>>(), u32::try_from(essays.len()).unwrap());
    let (topic, course) = (Topic::BatchContentProvisioningCompleted, CourseCode::Eng5);
    let payload = BatchContentProvisioningCompleted::new(
        batch.as_uuid(),
        &texts,
        expected,
        course,
        "caller",
        correlation.0,
        start_time(),
    );
    wrap(topic, batch, "provisioned", correlation, "", payload)
}

/// Wraps a payload as a message of another service.
pub(crate) fn wrap<T: Payload>(
    topic: Topic,
    batch: BatchId,
    about: &str,
    correlation: CorrelationId,
    part: &str,
    payload: T,
) -> Record {
    let event_id = domain::event_id(topic.as_str(), about, 1, None, None, &format!("{correlation} {part}"));
    let at = start_time();
    let envelope =
        Envelope::new(topic, event_id, correlation.0, at, Source::EssayLifecycleService, payload, None);
    Record {
        topic,
        key: batch.to_string(),
        event_id,
        value: envelope.to_bytes(),
        headers: Vec::new(),
        at: None,
    }
}

/// A record with any bytes.
pub(crate) fn raw(topic: Topic, number: u128, value: &[u8]) -> Record {
    Record {
        topic,
        key: "key".to_owned(),
        event_id: Uuid::from_u128(number),
        value: value.to_vec(),
        headers: Vec::new(),
        at: None,
    }
}
