//! What ingest makes of a Content Service that is away, or does not like some texts just now.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{AttentionCode, BatchId, WaitingCode};
use engine::ports::{Clock, ContentError, ContentStore, SystemClock};
use engine::{Crash, Engine, Settings, Shards, ingest};
use store::{StatusRow, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::world::{owner, submission};

const PATIENCE: Duration = Duration::from_secs(30);

/// Takes every text but those it is told to have trouble with.
#[derive(Debug, Default)]
struct Moody {
    troubles: Mutex<HashSet<Bytes>>,
    stored: AtomicUsize,
}

impl Moody {
    fn dislikes(&self, texts: &[&'static str]) {
        *self.troubles.lock().unwrap() =
            texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect();
    }
}

#[async_trait]
impl ContentStore for Moody {
    async fn store(&self, texts: Vec<Bytes>) -> Vec<Result<String, ContentError>> {
        let away = ContentError::Unavailable { code: "content_unreachable", retry_after: None };
        let troubles = self.troubles.lock().unwrap();
        let answer = |text: &Bytes| {
            if troubles.contains(text) {
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

/// An engine of which only ingest runs, with pauses of milliseconds and three repetitions.
struct Storing {
    engine: Arc<Engine>,
    content: Arc<Moody>,
    end: CancellationToken,
    tasks: TaskTracker,
    _folder: tempfile::TempDir,
}

impl Storing {
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
        let content = Arc::new(Moody::default());
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

    /// Waits until the batch is as wanted.
    async fn until(&self, batch: BatchId, wanted: impl Fn(&StatusRow) -> bool) -> StatusRow {
        let mut bell = self.engine.watch(batch);
        let wait = async {
            loop {
                let read = self
                    .engine
                    .store()
                    .read(move |tx| Box::pin(async move { tx.status_row(&owner(), batch).await }));
                let status: Option<StatusRow> = read.await.map_err(|e: store::Error| e).unwrap();
                let status = status.expect("the batch is there");
                if wanted(&status) {
                    return status;
                }
                let _ = bell.changed().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the batch becomes as wanted")
    }

    async fn stop(self) {
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.engine.store().close().await;
    }
}

fn looked_at(status: &StatusRow) -> Option<AttentionCode> {
    status.row.batch.attention.map(|attention| attention.code)
}

fn waits_for(status: &StatusRow) -> Option<WaitingCode> {
    status.row.batch.waiting_on.as_ref().map(|waiting_on| waiting_on.code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_service_that_is_away_for_long_needs_attention_and_heals_by_itself() {
    let desk = Storing::start().await;
    desk.content.dislikes(&["one", "two"]);
    let batch = desk.submit(&["one", "two"]).await;
    let status = desk.until(batch, |status| looked_at(status).is_some()).await;
    assert_eq!(looked_at(&status), Some(AttentionCode::StorageOverdue));
    assert_eq!(waits_for(&status), Some(WaitingCode::ContentUnreachable));
    assert_eq!(status.counts.waiting, 2, "nothing has failed, however often it was tried");
    assert_eq!(desk.engine.content_trouble().map(|trouble| trouble.code), Some("content_unreachable"));

    desk.content.dislikes(&[]);
    let status = desk.until(batch, |status| status.row.batch.stored == 2).await;
    assert_eq!((looked_at(&status), waits_for(&status)), (None, Some(WaitingCode::Registration)));
    assert_eq!(desk.engine.content_trouble(), None);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_cannot_be_stored_holds_up_no_other_and_needs_attention_in_time() {
    let desk = Storing::start().await;
    desk.content.dislikes(&["odd"]);
    let odd = desk.submit(&["odd", "even"]).await;
    let status = desk.until(odd, |status| looked_at(status).is_some()).await;
    assert_eq!(status.row.batch.stored, 1);
    let fine = desk.submit(&["three"]).await;
    desk.until(fine, |status| status.row.batch.stored == 1).await;
    desk.content.dislikes(&[]);
    let status = desk.until(odd, |status| status.row.batch.stored == 2).await;
    assert_eq!(looked_at(&status), None);
    desk.stop().await;
}
