//! A whole installation in a temporary folder that can be stopped dead and started again.

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

/// How long a test waits for what must happen; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// One life of an installation, from start to stop.
pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Store,
    end: CancellationToken,
    tasks: TaskTracker,
    companions: Companions,
    died: CancellationToken,
}

/// The one caller.
pub(crate) fn owner() -> Owner {
    Owner { user_id: "local".to_owned(), org_id: None }
}

/// A crash at the `nth` passing of a point: from then on nothing of this life goes on.
pub(crate) fn crash_at(point: CrashPoint, died: CancellationToken) -> Crash {
    let dead = AtomicBool::new(false);
    Crash::armed(move |passed| {
        if passed == point {
            dead.store(true, Ordering::SeqCst);
            died.cancel();
        }
        dead.load(Ordering::SeqCst)
    })
}

impl World {
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::start_with(folder, Crash::default(), CancellationToken::new(), true).await
    }

    /// A life that ends at this point.
    pub(crate) async fn doomed(folder: &Path, point: CrashPoint) -> Self {
        let died = CancellationToken::new();
        Self::start_with(folder, crash_at(point, died.clone()), died, !point.is_of_relay()).await
    }

    async fn start_with(folder: &Path, crash: Crash, died: CancellationToken, on_bus: bool) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let now = Arc::clone(&clock);
        let store = Store::open_sqlite(&folder.join("bos.db"), Arc::new(move || now.now())).unwrap();
        let rules = domain::Settings {
            served: PhaseSet::from_iter([Phase::Spellcheck, Phase::Nlp]),
            els_retries: true,
            ..domain::Settings::default()
        };
        let broker = LocalBroker::open(store.clone()).await.unwrap();
        let (settings, of_units) = (Settings::with_rules(rules), on_bus.then(|| broker.clone()));
        let engine =
            Engine::open(store.clone(), settings, Arc::clone(&clock), of_units, crash).await.unwrap();
        let bus: Arc<dyn Broker> = Arc::new(broker.clone());
        let settings = CompanionSettings { instant: true, ..CompanionSettings::default() };
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
        Self { engine, store, end, tasks, companions, died }
    }

    /// Ends this life; what is committed stays.
    pub(crate) async fn stop(self) {
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        drop(self.companions);
        self.store.close().await;
    }

    /// Waits until the crash has happened.
    pub(crate) async fn death(&self) {
        tokio::time::timeout(PATIENCE, self.died.cancelled()).await.expect("the crash point is passed");
    }

    /// Hands in a class of `essays` small essays.
    pub(crate) async fn submit(
        &self,
        essays: usize,
        phases: &[Phase],
        key: Option<&str>,
    ) -> Result<Receipt, Error> {
        let body = format!("{essays} {phases:?}");
        let key =
            key.map(|key| self.engine.key(&owner(), "POST /v1/batch", key, "text/plain", body.as_bytes()));
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
        let mut bell = self.engine.watch(batch);
        let wait = async {
            loop {
                let status = self.status(batch).await.expect("the batch is there");
                if status.row.batch.is_ended() {
                    return status;
                }
                let _ = bell.changed().await;
            }
        };
        if let Ok(status) = tokio::time::timeout(PATIENCE, wait).await {
            return status;
        }
        panic!("not ended: {:?}", self.status(batch).await)
    }

    /// Everything that was ever published: topic and event id, in order.
    pub(crate) async fn log(&self) -> Vec<(String, uuid::Uuid, Vec<u8>)> {
        let topics: Vec<&'static str> = contract::Topic::ALL.iter().map(|topic| topic.as_str()).collect();
        let page = self
            .store
            .read(move |tx| Box::pin(async move { tx.read_log(0, &topics, 100_000, usize::MAX).await }))
            .await
            .unwrap();
        page.records.into_iter().map(|r| (r.row.topic, r.row.event_id, r.row.value)).collect()
    }

    /// Every batch of the caller.
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

/// A class of these texts, with no phase asked for and no key.
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
