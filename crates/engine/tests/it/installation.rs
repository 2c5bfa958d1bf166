//! A whole installation in a temporary folder, which can crash and be started again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use companions::{CompanionSettings, Companions};
use domain::{BatchId, Kind, Language, Phase, PhaseSet};
use engine::ports::{Broker, Clock, ContentStore, SystemClock};
use engine::{
    Answer, Crash, CrashPoint, Engine, Error, LocalBroker, Owner, Receipt, Settings, Shards, Submission,
    SubmittedEssay, SubmittedText,
};
use store::{Details, Labels, StatusRow, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The longest wait of a test; far longer than needed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running installation, from start to stop.
pub(crate) struct Installation {
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Store,
    end: CancellationToken,
    tasks: TaskTracker,
    companions: Companions,
    crashed: CancellationToken,
}

/// The only caller.
pub(crate) fn owner() -> Owner {
    Owner { user_id: "local".to_owned(), org_id: None }
}

/// A crash at this point: from then on every crash point stops the task that passes it. `crashed` is cancelled then.
pub(crate) fn crash_at(point: CrashPoint, crashed: CancellationToken) -> Crash {
    let dead = AtomicBool::new(false);
    Crash::armed(move |passed| {
        if passed == point {
            dead.store(true, Ordering::SeqCst);
            crashed.cancel();
        }
        dead.load(Ordering::SeqCst)
    })
}

impl Installation {
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::start_with(folder, Crash::default(), CancellationToken::new(), true).await
    }

    /// Starts an installation that crashes at this point.
    pub(crate) async fn start_with_crash(folder: &Path, point: CrashPoint) -> Self {
        let crashed = CancellationToken::new();
        let crash = crash_at(point, crashed.clone());
        Self::start_with(folder, crash, crashed, !point.is_in_relay()).await
    }

    async fn start_with(folder: &Path, crash: Crash, crashed: CancellationToken, embedded_bus: bool) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let now = Arc::clone(&clock);
        let store = Store::open_sqlite(&folder.join("bos.db"), Arc::new(move || now.now())).unwrap();
        let rules = domain::Settings {
            served: PhaseSet::from_iter([Phase::Spellcheck, Phase::Nlp]),
            els_retries: true,
            ..domain::Settings::default()
        };
        let broker = LocalBroker::open(store.clone()).await.unwrap();
        let (settings, unit_bus) = (Settings::with_rules(rules), embedded_bus.then(|| broker.clone()));
        let engine =
            Engine::open(store.clone(), settings, Arc::clone(&clock), unit_bus, crash).await.unwrap();
        let bus: Arc<dyn Broker> = Arc::new(broker.clone());
        let settings = CompanionSettings { instant: true, retries: true, ..CompanionSettings::default() };
        let companions = Companions::open(&folder.join("companions.db"), settings).unwrap();
        let content: Arc<dyn ContentStore> = companions.content();
        let (end, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (shards, leases) = Shards::lease(
            store.clone(),
            "test".to_owned(),
            engine.settings(),
            Arc::clone(&clock),
            end.clone(),
        );
        tasks.spawn(leases);
        tasks.spawn(engine::ingest::run(
            Arc::clone(&engine),
            Arc::clone(&content),
            shards.clone(),
            end.clone(),
        ));
        tasks.spawn(engine::relay::embedded::run(Arc::clone(&engine), broker, end.clone()));
        tasks.spawn(engine::consumer::run(Arc::clone(&engine), Arc::clone(&bus), end.clone()));
        tasks.spawn(engine::timers::run(Arc::clone(&engine), shards, end.clone()));
        for (_, work) in companions.tasks(bus, content, clock, &end) {
            tasks.spawn(work);
        }
        Self { engine, store, end, tasks, companions, crashed }
    }

    /// Stops the installation. What is committed stays.
    pub(crate) async fn stop(self) {
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        drop(self.companions);
        self.store.close().await;
    }

    /// Waits until the crash has happened.
    pub(crate) async fn crashed(&self) {
        tokio::time::timeout(PATIENCE, self.crashed.cancelled()).await.expect("the crash point is passed");
    }

    /// Submits a class of `essays` small essays.
    pub(crate) async fn submit(
        &self,
        essays: usize,
        phases: &[Phase],
        key: Option<&str>,
    ) -> Result<Receipt, Error> {
        let body = format!("{essays} {phases:?}");
        let key = key.map(|key| {
            self.engine.idempotency_key(&owner(), "POST /v1/batch", key, "text/plain", body.as_bytes())
        });
        let id = self.engine.new_batch_id(key.as_ref())?;
        let texts = (0..essays).map(|n| Bytes::from(format!("Essay {n}, recieved in time.")));
        let submission = Submission { phases: phases.to_vec(), key, ..submission(id, texts) };
        self.engine.submit(submission).await
    }

    pub(crate) async fn status(&self, batch: BatchId) -> Option<StatusRow> {
        self.store
            .read(move |tx| Box::pin(async move { tx.status_row(&owner(), batch).await }))
            .await
            .unwrap()
    }

    /// Waits for the end of the batch's run.
    pub(crate) async fn ended(&self, batch: BatchId) -> StatusRow {
        let mut revisions = self.engine.watch(batch);
        let wait = async {
            loop {
                let status = self.status(batch).await.expect("the batch exists");
                if status.row.batch.is_ended() {
                    return status;
                }
                let _ = revisions.changed().await;
            }
        };
        if let Ok(status) = tokio::time::timeout(PATIENCE, wait).await {
            return status;
        }
        panic!("not ended: {:?}", self.status(batch).await)
    }

    /// Everything that was ever published, in order: topic, event id and payload.
    pub(crate) async fn log(&self) -> Vec<(String, uuid::Uuid, Vec<u8>)> {
        let topics: Vec<&'static str> = contract::Topic::ALL.iter().map(|topic| topic.as_str()).collect();
        let page = self
            .store
            .read(move |tx| Box::pin(async move { tx.read_log(0, &topics, 100_000, usize::MAX).await }))
            .await
            .unwrap();
        page.records.into_iter().map(|r| (r.row.topic, r.row.event_id, r.row.value)).collect()
    }

    /// All batches of the caller.
    pub(crate) async fn batches(&self) -> Vec<BatchId> {
        let filter = store::ListFilter {
            kind: Kind::Class,
            statuses: Vec::new(),
            attention: None,
            labels: Labels::default(),
            created_after: None,
            created_before: None,
            after: None,
            descending: false,
            limit: 1_000,
        };
        let rows = self
            .store
            .read(move |tx| Box::pin(async move { tx.list(&owner(), &filter).await }))
            .await
            .unwrap();
        rows.into_iter().map(|row| row.batch.id).collect()
    }
}

/// A class of these texts, without phases and without a key.
pub(crate) fn submission(id: BatchId, texts: impl Iterator<Item = Bytes>) -> Submission {
    let essay = |(n, text): (usize, Bytes)| SubmittedEssay {
        client_ref: Some(format!("s-{n}").as_str().into()),
        text: SubmittedText::Body(text),
    };
    Submission {
        id,
        correlation: domain::event_id("test", &id.to_string(), 1, None, None, ""),
        owner: owner(),
        kind: Kind::Class,
        language: Language::En,
        name: None,
        details: Details::default(),
        labels: Labels::default(),
        open: false,
        phases: Vec::new(),
        essays: texts.enumerate().map(essay).collect(),
        key: None,
        answer: Answer { status: 202, body: id.to_string().into_bytes(), location: None, etag: None },
        trace: None,
    }
}

/// The batch that an answer names.
pub(crate) fn batch_of(receipt: &Receipt) -> BatchId {
    let (Receipt::Fresh(answer) | Receipt::Replayed(answer)) = receipt;
    std::str::from_utf8(&answer.body).unwrap().parse().unwrap()
}
