//! Which shards this process works just now.
//!
//! A lease keeps double work away; safety never rests on it. On SQLite there is one shard and one process.

use std::sync::Arc;
use std::time::Duration;

use store::{Lane, Lease, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ports::Clock;
use crate::{Error, Settings};

/// The shards leased by this process, for the tasks that work them.
#[derive(Debug, Clone)]
pub struct Shards {
    owned: watch::Receiver<Owned>,
    clock: Arc<dyn Clock>,
}

/// What this process holds.
#[derive(Debug, Default)]
struct Owned {
    shards: Vec<i64>,
    /// The monotonic time at which the last renewal was asked for: the leases run at least from then.
    renewed_at: Duration,
    /// How long they run.
    lease: Duration,
}

impl Shards {
    /// Claims and renews leases in a loop until `end`, then releases them. Returns the handle and the loop to spawn.
    pub fn lease(
        store: Store,
        replica: String,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        end: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, owned) = watch::channel(Owned::default());
        let handle = Self { owned, clock: Arc::clone(&clock) };
        let (lease, renewal) = (settings.lease, settings.lease_renewal);
        let work = async move {
            let mut held: Vec<Lease> = Vec::new();
            loop {
                let asked_at = clock.monotonic();
                match turn(&store, &replica, lease, held.clone()).await {
                    Ok(now_held) => {
                        held = now_held;
                        let shards: Vec<i64> = held.iter().map(|lease| lease.shard).collect();
                        sender.send_replace(Owned { shards, renewed_at: asked_at, lease });
                    }
                    Err(error) => tracing::warn!(%error, "leases could not be renewed"),
                }
                tokio::select! {
                    () = clock.sleep(renewal) => {}
                    () = end.cancelled() => break,
                }
            }
            if let Err(error) = release(&store, &replica, held).await {
                tracing::warn!(%error, "leases could not be released; they run out by themselves");
            }
        };
        (handle, work)
    }

    /// The shards that this process works now. What it works after their lease has run out is double work and harmless.
    pub fn now(&self) -> Vec<i64> {
        self.owned.borrow().shards.clone()
    }

    /// The shards that this process will still hold after `time`, as far as it knows. By the monotonic clock and from the
    /// moment at which the renewal was asked for, so it never believes longer than the database does.
    pub fn for_longer_than(&self, time: Duration) -> Vec<i64> {
        let owned = self.owned.borrow();
        let until = owned.renewed_at + owned.lease;
        if self.clock.monotonic() + time <= until { owned.shards.clone() } else { Vec::new() }
    }

    /// Waits for the next renewal.
    pub(crate) async fn renewed(&mut self) {
        if self.owned.changed().await.is_err() {
            // Nobody renews any more: the process is stopping, and whoever waits here is told so in another way.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until there is at least one.
    pub(crate) async fn some(&mut self) {
        let _ = self.owned.wait_for(|owned| !owned.shards.is_empty()).await;
    }
}

/// Renews what is held and claims up to a fair share of the rest.
async fn turn(store: &Store, replica: &str, ttl: Duration, held: Vec<Lease>) -> Result<Vec<Lease>, Error> {
    let replica = replica.to_owned();
    store
        .unit(Lane::Task, move |tx| {
            let (replica, held) = (replica.clone(), held.clone());
            Box::pin(async move {
                tx.beat(&replica).await?;
                let live = i64::from(tx.live_replicas(ttl).await?.max(1));
                let fair = usize::try_from((tx.shards().await? + live - 1) / live).unwrap_or(1);
                let mut held = tx.renew_leases(&replica, ttl, &held).await?;
                if held.len() < fair {
                    let want = u32::try_from(fair - held.len()).unwrap_or(u32::MAX);
                    held.extend(tx.claim_leases(&replica, ttl, want).await?);
                }
                let surplus = held.split_off(held.len().min(fair));
                tx.release_leases(&replica, &surplus).await?;
                Ok(held)
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
                Ok(tx.forget_replica(&replica).await?)
            })
        })
        .await
}
