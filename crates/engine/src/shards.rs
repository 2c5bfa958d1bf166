//! Which shards this process works just now.
//!
//! A lease keeps double work away; safety never rests on it. On SQLite there is one shard and one process.

use std::sync::Arc;
use std::time::Duration;

use store::{Lane, Lease, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ports::Clock;
use crate::{Error, Settings, metrics};

/// How long after a lease has run out somebody looks whether it was renewed.
const AFTERWARDS: Duration = Duration::from_millis(100);

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
        let renewal = settings.lease_renewal;
        let (handle, mut leases) = Leases::new(store, replica, settings, Arc::clone(&clock));
        let work = async move {
            loop {
                if let Err(error) = leases.turn().await {
                    tracing::warn!(%error, "leases could not be renewed");
                }
                let pause = leases.next_end.map_or(renewal, |end| renewal.min(end + AFTERWARDS));
                tokio::select! {
                    () = clock.sleep(pause) => {}
                    () = end.cancelled() => break,
                }
            }
            if let Err(error) = leases.release().await {
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

/// The leases of this process, and whoever works the shards hears of them from here.
#[derive(Debug)]
pub struct Leases {
    store: Store,
    replica: String,
    ttl: Duration,
    clock: Arc<dyn Clock>,
    held: Vec<Lease>,
    owned: watch::Sender<Owned>,
    /// How long after the last turn the first lease of another process runs out, unless it is renewed.
    next_end: Option<Duration>,
}

impl Leases {
    /// No lease yet, and the handle for those who work the shards.
    pub fn new(store: Store, replica: String, settings: &Settings, clock: Arc<dyn Clock>) -> (Shards, Self) {
        let (sender, owned) = watch::channel(Owned::default());
        let handle = Shards { owned, clock: Arc::clone(&clock) };
        (
            handle,
            Self {
                store,
                replica,
                ttl: settings.lease,
                clock,
                held: Vec::new(),
                owned: sender,
                next_end: None,
            },
        )
    }

    /// Renews what is held and claims up to a fair share of the rest.
    ///
    /// # Errors
    /// When the store does not answer; what is held runs on until its time is out.
    pub async fn turn(&mut self) -> Result<(), Error> {
        let asked_at = self.clock.monotonic();
        self.next_end = None;
        let turn = turn(&self.store, &self.replica, self.ttl, self.held.clone()).await?;
        metrics::leases(turn.held.len(), turn.live, turn.taken_over);
        if turn.taken_over > 0 {
            tracing::warn!(shards = turn.taken_over, "taken over from a process that is silent");
        }
        self.held = turn.held;
        self.next_end = turn.next_end;
        let shards = self.held.iter().map(|lease| lease.shard).collect();
        self.owned.send_replace(Owned { shards, renewed_at: asked_at, lease: self.ttl });
        Ok(())
    }

    /// Gives up what is held.
    async fn release(&mut self) -> Result<(), Error> {
        release(&self.store, &self.replica, std::mem::take(&mut self.held)).await
    }
}

/// What a turn found and did.
struct Turn {
    held: Vec<Lease>,
    /// Processes that live.
    live: i64,
    /// Leases that another process had let run out.
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
                Ok(Turn { held, live, taken_over, next_end })
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

/// Puts another shard first each time, or under load the last ones would never have their turn.
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
