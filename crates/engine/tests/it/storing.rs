//! Ingest during an outage of the Content Service, and when it fails for single texts.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{AttentionCode, BatchId, Slot, WaitingCode};
use engine::ports::{Clock, ContentError, ContentStore, ManualClock, SystemClock};
use engine::{Crash, Engine, Leases, Settings, Shards, ingest};
use store::{StatusRow, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::installation::{owner, submission};
use crate::manual_engine::start_time;

const PATIENCE: Duration = Duration::from_secs(30);

/// A Content Service that stores every text except those that a test makes it fail for.
#[derive(Debug, Default)]
struct FlakyContent {
    failing: Mutex<HashSet<Bytes>>,
    stored: AtomicUsize,
}

impl FlakyContent {
    fn fail_for(&self, texts: &[&'static str]) {
        *self.failing.lock().unwrap() =
            texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect();
    }
}

#[async_trait]
impl ContentStore for FlakyContent {
    async fn store(&self, texts: Vec<Bytes>) -> Vec<Result<String, ContentError>> {
        let away = ContentError::Unavailable { code: "content_unreachable", retry_after: None };
        let failing = self.failing.lock().unwrap();
        let answer = |text: &Bytes| {
            if failing.contains(text) {
                Err(away.clone())
            } else {
                Ok(format!("text-{}", self.stored.fetch_add(1, Ordering::SeqCst)))
            }
        };
        texts.iter().map(answer).collect()
    }

    async fn fetch(&self, _: &str) -> Result<Bytes, ContentError> {
        Err(ContentError::Refused { code: "text_not_found" })
    }

    async fn look_up(&self, _: &str) -> Result<u64, ContentError> {
        Err(ContentError::Refused { code: "text_not_found" })
    }
}

/// An engine that runs only ingest, with pauses of milliseconds and a retry limit of three.
struct IngestOnly {
    engine: Arc<Engine>,
    content: Arc<FlakyContent>,
    end: CancellationToken,
    tasks: TaskTracker,
    _folder: tempfile::TempDir,
}

impl IngestOnly {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let now = Arc::clone(&clock);
        let store = Store::open_sqlite(&folder.path().join("bos.db"), Arc::new(move || now.now())).unwrap();
        let settings = Settings {
            retry_limit: 3,
            retry_first: Duration::from_millis(1),
            retry_longest: Duration::from_millis(4),
            relay_period: Duration::from_millis(1),
            ..Settings::with_rules(domain::Settings::default())
        };
        let engine =
            Engine::open(store.clone(), settings, Arc::clone(&clock), None, Crash::default()).await.unwrap();
        let (end, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (shards, leases) = Shards::lease(store, "test".to_owned(), engine.settings(), clock, end.clone());
        tasks.spawn(leases);
        let content = Arc::new(FlakyContent::default());
        let port: Arc<dyn ContentStore> = content.clone();
        tasks.spawn(ingest::run(Arc::clone(&engine), port, shards, end.clone()));
        Self { engine, content, end, tasks, _folder: folder }
    }

    async fn submit(&self, texts: &[&'static str]) -> BatchId {
        let id = self.engine.new_batch_id(None).unwrap();
        let texts = texts.iter().map(|text| Bytes::from_static(text.as_bytes()));
        self.engine.submit(submission(id, texts)).await.unwrap();
        id
    }

    /// Waits until the status of the batch satisfies `wanted`.
    async fn until(&self, batch: BatchId, wanted: impl Fn(&StatusRow) -> bool) -> StatusRow {
        let mut revisions = self.engine.watch(batch);
        let wait = async {
            loop {
                let read = self
                    .engine
                    .store()
                    .read(move |tx| Box::pin(async move { tx.status_row(&owner(), batch).await }));
                let status: Option<StatusRow> = read.await.map_err(|e: store::Error| e).unwrap();
                let status = status.expect("the batch exists");
                if wanted(&status) {
                    return status;
                }
                let _ = revisions.changed().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the wanted status in time")
    }

    async fn stop(self) {
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.engine.store().close().await;
    }
}

fn attention(status: &StatusRow) -> Option<AttentionCode> {
    status.row.batch.attention.map(|attention| attention.code)
}

fn waiting_on(status: &StatusRow) -> Option<WaitingCode> {
    status.row.batch.waiting_on.as_ref().map(|waiting_on| waiting_on.code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_outage_of_the_content_service_needs_attention_and_ends_by_itself() {
    let manual = IngestOnly::start().await;
    manual.content.fail_for(&["one", "two"]);
    let batch = manual.submit(&["one", "two"]).await;
    let status = manual.until(batch, |status| attention(status).is_some()).await;
    assert_eq!(attention(&status), Some(AttentionCode::StorageOverdue));
    assert_eq!(waiting_on(&status), Some(WaitingCode::ContentUnreachable));
    assert_eq!(status.counts.waiting, 2, "no essay has failed, however often its text was tried");
    assert_eq!(manual.engine.content_outage().map(|outage| outage.code), Some("content_unreachable"));

    manual.content.fail_for(&[]);
    let status = manual.until(batch, |status| status.row.batch.stored == 2).await;
    assert_eq!((attention(&status), waiting_on(&status)), (None, Some(WaitingCode::Registration)));
    assert_eq!(manual.engine.content_outage(), None);
    manual.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_cannot_be_stored_blocks_no_other_and_needs_attention_in_time() {
    let manual = IngestOnly::start().await;
    manual.content.fail_for(&["odd"]);
    let odd = manual.submit(&["odd", "even"]).await;
    let status = manual.until(odd, |status| attention(status).is_some()).await;
    assert_eq!(status.row.batch.stored, 1);
    let fine = manual.submit(&["three"]).await;
    manual.until(fine, |status| status.row.batch.stored == 1).await;
    manual.content.fail_for(&[]);
    let status = manual.until(odd, |status| status.row.batch.stored == 2).await;
    assert_eq!(attention(&status), None);
    manual.stop().await;
}

#[tokio::test]
async fn texts_of_a_replica_with_a_slow_clock_are_stored_within_five_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(start_time()));
    let now = Arc::clone(&clock);
    let store = Store::open_sqlite(&folder.path().join("bos.db"), Arc::new(move || now.now())).unwrap();
    let settings = Settings::with_rules(domain::Settings::default());
    let engine = Engine::open(store.clone(), settings, clock.clone(), None, Crash::default()).await.unwrap();
    let (shards, mut leases) =
        Leases::new(store.clone(), "test".to_owned(), engine.settings(), clock.clone());
    leases.turn().await.unwrap();
    let content = FlakyContent::default();
    let mut state = ingest::IngestState::new(&engine);
    let mut stored = async || {
        ingest::turn(&engine, &content, &shards, &mut state).await.unwrap();
        content.stored.load(Ordering::SeqCst)
    };
    let submit = async |behind: Duration| {
        let id = BatchId::new(clock.now() - behind, Slot::new(0), 1);
        let text = Bytes::from_static(b"An essay.");
        engine.submit(submission(id, std::iter::once(text))).await.unwrap();
    };

    submit(Duration::ZERO).await;
    assert_eq!(stored().await, 1);
    submit(Duration::from_secs(4)).await;
    assert_eq!(stored().await, 2, "a commit may take that long");
    submit(Duration::from_mins(1)).await;
    assert_eq!(stored().await, 2, "it is below the low-water mark");
    clock.advance(Duration::from_secs(5));
    assert_eq!(stored().await, 3);
    store.close().await;
}
