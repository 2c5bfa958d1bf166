//! The engine with nobody around it: no task runs, the clock stands, and the test is the lifecycle service, the workers and
//! whoever rings the bells.

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
    Applied, Cause, Crash, Engine, LocalBroker, News, Origin, Settings, Submission, consumer, redrive, timers,
};
use store::{DeadLetter, StatusRow, Store, StoredEssay};
use uuid::Uuid;

use crate::world::{owner, submission};

/// An installation that moves only when the test moves it.
pub(crate) struct Desk {
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    broker: LocalBroker,
    reader: Box<dyn Subscription>,
    file: PathBuf,
}

impl Desk {
    pub(crate) async fn open(folder: &Path) -> Self {
        Self::open_at(folder, noon(), Crash::default()).await
    }

    pub(crate) async fn open_at(folder: &Path, at: DateTime<Utc>, crash: Crash) -> Self {
        let clock = Arc::new(ManualClock::new(at));
        let now = Arc::clone(&clock);
        let file = folder.join("bos.db");
        let store = Store::open_sqlite(&file, Arc::new(move || now.now())).unwrap();
        let settings = Settings::with_rules(domain::Settings::default());
        let engine = Engine::open(store.clone(), settings, clock.clone(), None, crash).await.unwrap();
        let broker = LocalBroker::open(store.clone()).await.unwrap();
        let reader = broker.subscribe(consumer::CONSUMER, Topic::READ.to_vec()).await.unwrap();
        Self { engine, store, clock, broker, reader, file }
    }

    /// Ends this life. What the reader committed and nobody wrote is lost, as in a crash.
    pub(crate) async fn close(self) {
        self.store.close().await;
    }

    /// A class whose texts are on their way.
    pub(crate) async fn storing(&self, essays: u16, phases: &[Phase]) -> BatchId {
        let id = self.engine.new_batch_id(None).unwrap();
        let texts = (0..essays).map(|_| Bytes::from_static(b"An essay."));
        let submission = Submission { phases: phases.to_vec(), ..submission(id, texts) };
        self.engine.submit(submission).await.unwrap();
        id
    }

    /// A class whose texts are stored, told to the lifecycle service.
    pub(crate) async fn registering(&self, essays: u16, phases: &[Phase]) -> BatchId {
        let id = self.storing(essays, phases).await;
        self.texts_stored(id, essays).await;
        id
    }

    /// The Content Service has all texts of a batch.
    pub(crate) async fn texts_stored(&self, id: BatchId, essays: u16) {
        let stored = (0..essays)
            .map(|n| StoredEssay {
                essay_id: EssayId::new(id, n),
                storage_id: format!("text-{n}").parse().unwrap(),
                size_bytes: 9,
            })
            .collect();
        self.news(id, News::TextsStored { stored, refused: Vec::new() }).await;
    }

    /// A class whose first phase is at work.
    pub(crate) async fn running(&self, essays: u16, phases: &[Phase]) -> BatchId {
        let id = self.registering(essays, phases).await;
        self.news(id, News::Registered).await;
        id
    }

    /// Puts something into the batch's row that no version ever wrote.
    pub(crate) fn spoil(&self, batch: BatchId) {
        let visitor = rusqlite::Connection::open(&self.file).unwrap();
        let spoiled = "UPDATE batches SET state = '{}' WHERE batch_id = ?1";
        assert_eq!(visitor.execute(spoiled, [batch.as_uuid().as_bytes().as_slice()]).unwrap(), 1);
    }

    pub(crate) async fn news(&self, batch: BatchId, news: News) -> Applied {
        let cause = Cause { origin: Origin::Task("test"), correlation: None, trace: None };
        self.engine.apply(batch, news, cause).await.unwrap()
    }

    /// Lets time pass and fires what is due then.
    pub(crate) async fn passes(&self, time: Duration) {
        self.clock.advance(time);
        timers::fire(&self.engine, &[0]).await.unwrap();
    }

    /// Puts messages on the bus, and lets the consumer deal with them.
    pub(crate) async fn hears(&mut self, messages: Vec<Record>) {
        self.say(messages).await;
        self.listen().await.unwrap();
    }

    /// Puts messages on the bus.
    pub(crate) async fn say(&self, messages: Vec<Record>) {
        self.broker.publish(messages).await.unwrap();
    }

    /// Lets the consumer deal with what is on the bus.
    pub(crate) async fn listen(&mut self) -> Result<(), consumer::Stopped> {
        consumer::turn(&self.engine, self.reader.as_mut()).await
    }

    /// Deals with news that came too early and whose time may have come; says with how many pieces.
    pub(crate) async fn redrive(&self) -> usize {
        redrive::turn(&self.engine, &self.broker).await.unwrap()
    }

    /// The bus hands everything out again, as after a crash before any position was written.
    pub(crate) async fn redeliver(&mut self) {
        self.broker = LocalBroker::open(self.store.clone()).await.unwrap();
        self.reader = self.broker.subscribe(consumer::CONSUMER, Topic::READ.to_vec()).await.unwrap();
        self.listen().await.unwrap();
    }

    pub(crate) async fn find(&self, batch: BatchId) -> Option<StatusRow> {
        self.store
            .read(move |tx| Box::pin(async move { tx.status_row(&owner(), batch).await }))
            .await
            .unwrap()
    }

    pub(crate) async fn status(&self, batch: BatchId) -> StatusRow {
        let status = self.find(batch).await.expect("the batch is there");
        let of_rows = status.counts;
        assert_eq!(of_rows.total(), status.row.batch.total, "every essay is in one state");
        assert_eq!(
            (of_rows.waiting, of_rows.succeeded, of_rows.failed),
            (status.row.batch.waiting, status.row.batch.succeeded, status.row.batch.failed),
            "the aggregate counts what the rows say"
        );
        status
    }

    pub(crate) async fn dead_letters(&self) -> Vec<DeadLetter> {
        self.store.read(|tx| Box::pin(async move { tx.dead_letters(100).await })).await.unwrap()
    }

    /// How many messages of a topic were ever published and are still kept.
    pub(crate) async fn sent(&self, topic: Topic) -> usize {
        self.broker.move_outbox().await.unwrap();
        let page = self
            .store
            .read(move |tx| {
                Box::pin(async move { tx.read_log(0, &[topic.as_str()], 100_000, usize::MAX).await })
            })
            .await
            .unwrap();
        page.records.len()
    }
}

/// When these tests begin.
pub(crate) fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap()
}

/// The same message from a neighbour that echoes no correlation id.
pub(crate) fn silent(record: Record) -> Record {
    let mut envelope: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
    let fields = envelope.as_object_mut().unwrap();
    fields.insert("correlation_id".to_owned(), serde_json::Value::Null);
    Record { value: serde_json::to_vec(&envelope).unwrap(), ..record }
}

/// The thread of a batch of these tests.
pub(crate) fn correlation(batch: BatchId) -> CorrelationId {
    CorrelationId(domain::event_id("test", &batch.to_string(), 1, None, None, ""))
}

/// A spell checker's word about an essay, as one of several messages that say the same.
pub(crate) fn spellchecked(essay: EssayId, verdict: Verdict, thread: CorrelationId, part: &str) -> Record {
    said_of(essay, essay.batch().as_uuid(), verdict, thread, part)
}

/// The same, with a batch that may not be the essay's.
pub(crate) fn said_of(
    essay: EssayId,
    batch: Uuid,
    verdict: Verdict,
    thread: CorrelationId,
    part: &str,
) -> Record {
    let report = SpellcheckReport {
        essay_id: essay.as_uuid(),
        batch_id: batch,
        correlation_id: thread.0,
        verdict,
        original_text_storage_id: "text",
        corrected_text_storage_id: (verdict == Verdict::Succeeded).then_some("corrected"),
        corrections_made: 1,
        word_count: 2,
        processing_duration_ms: 3,
        error_code: None,
        processor_version: "test",
    };
    let at = noon();
    let topic = Topic::SpellcheckPhaseCompleted;
    wrap(topic, essay.batch(), &essay.to_string(), thread, part, SpellcheckPhaseCompleted::new(&report, at))
}

/// The lifecycle service's word that a phase has ended.
pub(crate) fn outcome(
    batch: BatchId,
    phase: PhaseName,
    good: &[EssayId],
    bad: &[EssayId],
    thread: CorrelationId,
) -> Record {
    let processed: Vec<_> = good
        .iter()
        .map(|essay| EssayRef { essay_id: essay.as_uuid(), text_storage_id: "corrected".to_owned() })
        .collect();
    let failed: Vec<_> = bad.iter().map(|essay| essay.as_uuid()).collect();
    let payload = ElsBatchPhaseOutcome::new(batch.as_uuid(), phase, &processed, &failed, thread.0);
    wrap(Topic::BatchPhaseOutcome, batch, phase.as_str(), thread, "", payload)
}

/// The lifecycle service's word that it has every text of a batch.
pub(crate) fn provisioned(batch: BatchId, essays: &[EssayId]) -> Record {
    let thread = correlation(batch);
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
        thread.0,
        noon(),
    );
    wrap(topic, batch, "provisioned", thread, "", payload)
}

fn wrap<T: Payload>(
    topic: Topic,
    batch: BatchId,
    about: &str,
    thread: CorrelationId,
    part: &str,
    payload: T,
) -> Record {
    let event_id = domain::event_id(topic.as_str(), about, 1, None, None, &format!("{thread} {part}"));
    let at = noon();
    let envelope = Envelope::new(topic, event_id, thread.0, at, Source::EssayLifecycleService, payload, None);
    Record {
        topic,
        key: batch.to_string(),
        event_id,
        value: envelope.to_bytes(),
        headers: Vec::new(),
        at: None,
    }
}

/// Bytes on a topic, whatever they are.
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
