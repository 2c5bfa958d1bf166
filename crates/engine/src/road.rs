//! The road: news → input → decision → one transaction.
//!
//! [`Engine`] holds what the ways in and the background tasks share. The ways in are `apply` (news from tasks and the bus) and
//! `submit` (requests of a caller); both lock a batch, build a [`change::Change`] and save it in one unit of work.

mod admission;
pub(crate) mod applied;
mod apply;
mod change;
mod commit;
pub(crate) mod idempotency;
mod perform;
mod resolve;
mod submission_burst;
pub(crate) mod submit;
mod units;

use std::sync::Arc;

use domain::BatchId;
use store::Store;
use tokio::sync::watch;

use crate::crash::Crash;
use crate::dependency_health::{DependencyHealth, Outage};
use crate::error::Error;
use crate::ports::{Clock, LocalBroker};
use crate::retention_clock::RetentionClock;
use crate::settings::Settings;
use crate::signals::Signals;
use admission::AdmissionControl;
use idempotency::Fingerprints;
use submission_burst::SubmissionBurst;

/// The road and the state that its tasks share. One per process.
#[derive(Debug)]
pub struct Engine {
    pub(crate) store: Store,
    pub(crate) settings: Arc<Settings>,
    /// How many shards the database has.
    pub(crate) shards: i64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) signals: Signals,
    pub(crate) admission: AdmissionControl,
    pub(crate) burst: SubmissionBurst,
    pub(crate) crash: Crash,
    fingerprints: Fingerprints,
    /// The embedded bus, if it is in the same database.
    bus: Option<LocalBroker>,
    content_health: DependencyHealth,
    bus_health: DependencyHealth,
    pub(crate) retention_clock: RetentionClock,
}

impl Engine {
    /// Opens an engine on this database. It starts no task; the caller spawns them.
    ///
    /// With a `bus` in the same database, a unit's messages are on the bus when the unit commits. Without one they wait in the
    /// outbox for the relay.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn open(
        store: Store,
        settings: Settings,
        clock: Arc<dyn Clock>,
        bus: Option<LocalBroker>,
        crash: Crash,
    ) -> Result<Arc<Self>, Error> {
        let fingerprints = Fingerprints::load(&store).await?;
        let shards = store.read(|tx| Box::pin(async move { tx.shards().await })).await?;
        let settings = Arc::new(settings);
        let retention_clock = RetentionClock::new(clock.as_ref());
        let admission = AdmissionControl::new(
            settings.staged_bytes_cap,
            settings.outbox_rows_cap,
            settings.backlog_resume_percent,
        );
        Ok(Arc::new(Self {
            store,
            settings,
            shards,
            clock,
            signals: Signals::default(),
            admission,
            burst: SubmissionBurst::default(),
            crash,
            fingerprints,
            bus,
            content_health: DependencyHealth::default(),
            bus_health: DependencyHealth::default(),
            retention_clock,
        }))
    }

    /// The database, for reads on behalf of callers.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The settings that the engine was opened with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The clock that the engine and its tasks use.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The outage of the Content Service that ingest met at its last attempt; `None` when the attempt succeeded. During an
    /// outage texts stay staged, and everything else continues.
    pub fn content_outage(&self) -> Option<Outage> {
        self.content_health.outage()
    }

    pub(crate) fn set_content_outage(&self, code: Option<&'static str>) {
        self.content_health.set(code, self.clock.as_ref());
    }

    /// The outage of the event bus that the relay met at its last send; `None` when the send succeeded. During an outage
    /// messages stay in the outbox, and everything else continues.
    pub fn bus_outage(&self) -> Option<Outage> {
        self.bus_health.outage()
    }

    pub(crate) fn set_bus_outage(&self, code: Option<&'static str>) {
        self.bus_health.set(code, self.clock.as_ref());
    }

    /// Subscribes to the revisions of a batch. A hint: only changes made by this process are signalled.
    pub fn watch(&self, batch: BatchId) -> watch::Receiver<i64> {
        self.signals.subscribe(batch)
    }

    /// Whether the database has this batch. A row that cannot be read is there too: its error would be the same at each repetition.
    pub(crate) async fn has_batch(&self, batch: BatchId) -> Result<bool, Error> {
        let found: Result<_, Error> =
            self.store.read(move |tx| Box::pin(async move { Ok(tx.batch(batch).await?.is_some()) })).await;
        match found {
            Err(error) if !error.is_transient() => Ok(true),
            found => found,
        }
    }
}
