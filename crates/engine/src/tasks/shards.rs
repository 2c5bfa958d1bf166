//! Leases on shards: which shards this process works.
//!
//! Leases avoid double work; correctness never rests on them. On SQLite there is one shard and one process.

use std::sync::Arc;
use std::time::Duration;

use store::{Lane, Lease, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::metrics;
use crate::ports::Clock;
use crate::settings::Settings;

/// How long after the end of another process's lease this process tries to take it over.
const TAKEOVER_DELAY: Duration = Duration::from_millis(100);

/// A handle to the shards that this process holds leases on, for the tasks that work them.
#[derive(Debug, Clone)]
pub struct Shards {
    held: watch::Receiver<Held>,
    clock: Arc<dyn Clock>,
}

/// The shards that this process holds, and until when.
#[derive(Debug, Default)]
struct Held {
    shards: Vec<i64>,
    /// The monotonic time at which the last renewal was requested: the leases start then or later.
    renewed_at: Duration,
    /// The duration of the leases.
    lease: Duration,
}

impl Shards {
    /// Makes a handle, and a task for the caller to spawn that claims and renews leases until `end` and then releases them.
    pub fn lease(
        store: Store,
        replica: String,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        end: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let renewal = settings.lease_renewal;
        let (handle, mut leases) = Leases::new(store, replica, settings, Arc::clone(&clock));
        let work = async move {
            loop {
                if let Err(error) = leases.turn().await {
                    tracing::warn!(%error, "cannot renew the leases; retrying");
                }
                let pause = leases.next_end.map_or(renewal, |end| renewal.min(end + TAKEOVER_DELAY));
                tokio::select! {
                    () = clock.sleep(pause) => {}
                    () = end.cancelled() => break,
                }
            }
            if let Err(error) = leases.release().await {
                tracing::warn!(%error, "cannot release the leases; they will expire");
            }
        };
        (handle, work)
    }

    /// The shards of the last renewal. A task may work a shard past the end of its lease: that is double work and harmless.
    pub fn held(&self) -> Vec<i64> {
        self.held.borrow().shards.clone()
    }

    /// The shards whose leases last for at least `time` more; empty if the renewal is too long ago.
    ///
    /// The time is measured by the monotonic clock from the request of the renewal, so that for this process a lease never ends
    /// later than for the database.
    pub fn held_for(&self, time: Duration) -> Vec<i64> {
        let held = self.held.borrow();
        let until = held.renewed_at + held.lease;
        if self.clock.monotonic() + time <= until { held.shards.clone() } else { Vec::new() }
    }

    /// Waits for the next renewal.
    pub(crate) async fn renewed(&mut self) {
        if self.held.changed().await.is_err() {
            // The renewing task has ended, because the process is stopping. The waiting task is cancelled by its own token.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until this process holds at least one shard.
    pub(crate) async fn wait_for_any(&mut self) {
        let _ = self.held.wait_for(|held| !held.shards.is_empty()).await;
    }
}

/// The leases of this process. It updates the handles of the tasks that work the shards.
#[derive(Debug)]
pub struct Leases {
    store: Store,
    replica: String,
    ttl: Duration,
    clock: Arc<dyn Clock>,
    leases: Vec<Lease>,
    held: watch::Sender<Held>,
    /// The time from the last turn to the end of the first lease of another process that is to end, unless it is renewed.
    next_end: Option<Duration>,
}

impl Leases {
    /// Makes a handle, and leases without any shard yet.
    pub fn new(store: Store, replica: String, settings: &Settings, clock: Arc<dyn Clock>) -> (Shards, Self) {
        let (sender, held) = watch::channel(Held::default());
        let handle = Shards { held, clock: Arc::clone(&clock) };
        (
            handle,
            Self {
                store,
                replica,
                ttl: settings.lease,
                clock,
                leases: Vec::new(),
                held: sender,
                next_end: None,
            },
        )
    }

    /// Renews the leases, claims shards up to a fair share of all, and releases what is above it.
    ///
    /// # Errors
    /// When the store does not answer. The leases last until their end then.
    pub async fn turn(&mut self) -> Result<(), Error> {
        let requested_at = self.clock.monotonic();
        self.next_end = None;
        let turn = turn(&self.store, &self.replica, self.ttl, self.leases.clone()).await?;
        metrics::leases(turn.leases.len(), turn.live, turn.taken_over);
        if turn.taken_over > 0 {
            tracing::warn!(
                shards = turn.taken_over,
                "took over shards whose leases another process let expire"
            );
        }
        self.leases = turn.leases;
        self.next_end = turn.next_end;
        let shards = self.leases.iter().map(|lease| lease.shard).collect();
        self.held.send_replace(Held { shards, renewed_at: requested_at, lease: self.ttl });
        Ok(())
    }

    /// Releases all leases.
    async fn release(&mut self) -> Result<(), Error> {
        release(&self.store, &self.replica, std::mem::take(&mut self.leases)).await
    }
}

/// The result of a turn.
struct Turn {
    leases: Vec<Lease>,
    /// The number of live processes.
    live: i64,
    /// Leases that were taken over after another process let them expire.
    taken_over: usize,
    next_end: Option<Duration>,
}

async fn turn(store: &Store, replica: &str, ttl: Duration, held: Vec<Lease>) -> Result<Turn, Error> {
    let replica = replica.to_owned();
    store
        .unit(Lane::Task, move |tx| {
            let (replica, held) = (replica.clone(), held.clone());
            Box::pin(async move {
                tx.heartbeat(&replica).await?;
                let live = i64::from(tx.live_replicas(ttl).await?.max(1));
                let fair = usize::try_from((tx.shards().await? + live - 1) / live).unwrap_or(1);
                let mut held = tx.renew_leases(&replica, ttl, &held).await?;
                let mut taken_over = 0;
                if held.len() < fair {
                    let want = u32::try_from(fair - held.len()).unwrap_or(u32::MAX);
                    let claim = tx.claim_leases(&replica, ttl, want).await?;
                    held.extend(claim.leases);
                    taken_over = claim.taken_over;
                }
                let surplus = held.split_off(held.len().min(fair));
                tx.release_leases(&replica, &surplus).await?;
                let next_end = tx.next_lease_end(&replica).await?;
                Ok(Turn { leases: held, live, taken_over, next_end })
            })
        })
        .await
}

async fn release(store: &Store, replica: &str, held: Vec<Lease>) -> Result<(), Error> {
    let replica = replica.to_owned();
    store
        .unit(Lane::Task, move |tx| {
            let (replica, held) = (replica.clone(), held.clone());
            Box::pin(async move {
                tx.release_leases(&replica, &held).await?;
                Ok(tx.delete_replica(&replica).await?)
            })
        })
        .await
}

/// Rotates a list of shards, so that each comes first in turn. Without it the last shards would starve under load.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rotation(usize);

impl Rotation {
    pub(crate) fn next(&mut self, mut shards: Vec<i64>) -> Vec<i64> {
        self.0 = self.0.wrapping_add(1);
        let first = self.0.checked_rem(shards.len()).unwrap_or(0);
        shards.rotate_left(first);
        shards
    }
}
