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
    owned: watch::Receiver<Vec<i64>>,
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
        let (sender, owned) = watch::channel(Vec::new());
        let (lease, renewal) = (settings.lease, settings.lease_renewal);
        let work = async move {
            let mut held: Vec<Lease> = Vec::new();
            loop {
                match turn(&store, &replica, lease, held.clone()).await {
                    Ok(now_held) => held = now_held,
                    Err(error) => tracing::warn!(%error, "leases could not be renewed"),
                }
                let shards: Vec<i64> = held.iter().map(|lease| lease.shard).collect();
                sender.send_if_modified(|old| {
                    let changed = *old != shards;
                    *old = shards;
                    changed
                });
                tokio::select! {
                    () = clock.sleep(renewal) => {}
                    () = end.cancelled() => break,
                }
            }
            if let Err(error) = release(&store, &replica, held).await {
                tracing::warn!(%error, "leases could not be released; they run out by themselves");
            }
        };
        (Self { owned }, work)
    }

    /// The shards that this process works now.
    pub fn now(&self) -> Vec<i64> {
        self.owned.borrow().clone()
    }

    /// Waits until there is at least one.
    pub(crate) async fn some(&mut self) {
        let _ = self.owned.wait_for(|shards| !shards.is_empty()).await;
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
