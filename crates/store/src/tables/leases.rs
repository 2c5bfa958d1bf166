//! `leases` and `replicas`: which process currently works on a shard. A lease prevents duplicate work; safety never depends on
//! it.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::error::Error;
use crate::param::{Param, params};
use crate::sql::Sql;
use crate::tx::Tx;

/// The right to work on a shard until the lease expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The shard.
    pub shard: i64,
    /// Fencing number: rises with each claim, so that an earlier holder cannot renew.
    pub epoch: i64,
}

/// The result of claiming leases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimedLeases {
    /// The leases.
    pub leases: Vec<Lease>,
    /// How many of them had expired in the hands of another process, which did not release them.
    pub taken_over: usize,
}

/// How shards are distributed over processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardDistribution {
    /// Live processes, by their heartbeats.
    pub replicas: i64,
    /// Shards.
    pub shards: i64,
    /// Shards with an unexpired lease.
    pub held: i64,
}

/// On SQLite the process lock admits one process, so another owner of a lease has ended and its leases are claimed before they
/// expire. RETURNING has no access to the old row there, so the number of leases taken over is always 0.
const CLAIM: Sql = Sql::each(
    "leases",
    "claim leases",
    "UPDATE leases l SET owner = $1, epoch = l.epoch + 1, lease_until = $2 FROM ( \
       SELECT shard, owner, lease_until FROM leases WHERE lease_until < $3 \
       ORDER BY lease_until LIMIT $4 FOR UPDATE SKIP LOCKED) AS o \
     WHERE l.shard = o.shard RETURNING l.shard, l.epoch, \
     CAST(CASE WHEN o.owner <> $1 AND o.lease_until > 'epoch' THEN 1 ELSE 0 END AS BIGINT)",
    "UPDATE leases SET owner = $1, epoch = epoch + 1, lease_until = $2 WHERE shard IN ( \
       SELECT shard FROM leases WHERE lease_until < $3 OR owner IS NOT $1 ORDER BY lease_until LIMIT $4) \
     RETURNING shard, epoch, 0",
);

const DISTRIBUTION: Sql = Sql::both(
    "leases",
    "count leases",
    "SELECT CAST(count(*) AS BIGINT), CAST(count(*) FILTER (WHERE lease_until >= $1) AS BIGINT) FROM leases",
);

const NEXT_END: Sql = Sql::both(
    "leases",
    "read when a lease expires",
    "SELECT min(lease_until) FROM leases WHERE (owner IS NULL OR owner <> $1) AND lease_until >= $2",
);

const RENEW: Sql = Sql::each(
    "leases",
    "renew leases",
    "UPDATE leases l SET lease_until = $1 FROM UNNEST($3::bigint[], $4::bigint[]) AS n (shard, epoch) \
     WHERE l.owner = $2 AND l.shard = n.shard AND l.epoch = n.epoch RETURNING l.shard, l.epoch",
    "UPDATE leases SET lease_until = $1 WHERE owner = $2 AND shard = $3 AND epoch = $4 RETURNING shard, epoch",
);

const HEARTBEAT: Sql = Sql::both(
    "replicas",
    "write a heartbeat",
    "INSERT INTO replicas (id, seen_at) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at",
);

const LIVE: Sql = Sql::both(
    "replicas",
    "count live processes",
    "SELECT CAST(count(*) AS BIGINT) FROM replicas WHERE seen_at >= $1",
);

const DELETE_REPLICAS: Sql =
    Sql::both("replicas", "delete replicas", "DELETE FROM replicas WHERE id = $1 OR seen_at < $2");

impl Tx {
    /// Claims up to `want` unleased shards for `ttl` from now, the longest expired first.
    pub async fn claim_leases(
        &mut self,
        owner: &str,
        ttl: Duration,
        want: u32,
    ) -> Result<ClaimedLeases, Error> {
        let now = self.now();
        let claimed = self
            .all(CLAIM, params![owner, now + ttl, now, want], |row| {
                Ok((Lease { shard: row.get(0)?, epoch: row.get(1)? }, row.get::<bool>(2)?))
            })
            .await?;
        Ok(ClaimedLeases {
            taken_over: claimed.iter().filter(|(_, taken_over)| *taken_over).count(),
            leases: claimed.into_iter().map(|(lease, _)| lease).collect(),
        })
    }

    /// How shards are distributed over the processes whose last heartbeat is at most `ttl` old.
    pub async fn shard_distribution(&mut self, ttl: Duration) -> Result<ShardDistribution, Error> {
        let now = self.now();
        let replicas = i64::from(self.live_replicas(ttl).await?);
        let distribution = self
            .one(DISTRIBUTION, params![now], |row| {
                Ok(ShardDistribution { replicas, shards: row.get(0)?, held: row.get(1)? })
            })
            .await?;
        Ok(distribution.unwrap_or_default())
    }

    /// Renews leases for `ttl` from now. Returns those still held; the others were claimed by another process.
    pub async fn renew_leases(
        &mut self,
        owner: &str,
        ttl: Duration,
        held: &[Lease],
    ) -> Result<Vec<Lease>, Error> {
        let until = self.now() + ttl;
        self.extend(owner, until, held).await
    }

    /// Releases leases, so that other processes need not wait until they expire.
    pub async fn release_leases(&mut self, owner: &str, held: &[Lease]) -> Result<(), Error> {
        self.extend(owner, DateTime::UNIX_EPOCH, held).await.map(drop)
    }

    async fn extend(
        &mut self,
        owner: &str,
        until: DateTime<Utc>,
        held: &[Lease],
    ) -> Result<Vec<Lease>, Error> {
        let rows: Vec<_> = held.iter().map(|lease| [lease.shard, lease.epoch].map(Param::from)).collect();
        self.all_many(RENEW, params![until, owner], &rows, |row| {
            Ok(Lease { shard: row.get(0)?, epoch: row.get(1)? })
        })
        .await
    }

    /// The time until the next lease of another process expires; `None` if others hold none.
    pub async fn next_lease_end(&mut self, owner: &str) -> Result<Option<Duration>, Error> {
        let now = self.now();
        let end: Option<DateTime<Utc>> =
            self.one(NEXT_END, params![owner, now], |row| row.get(0)).await?.flatten();
        Ok(end.map(|end| (end - now).to_std().unwrap_or_default()))
    }

    /// Writes the heartbeat of this process.
    pub async fn heartbeat(&mut self, replica: &str) -> Result<(), Error> {
        let now = self.now();
        self.exec(HEARTBEAT, params![replica, now]).await.map(drop)
    }

    /// The number of processes whose last heartbeat is at most `ttl` old.
    pub async fn live_replicas(&mut self, ttl: Duration) -> Result<u32, Error> {
        let since = self.now() - ttl;
        Ok(self.one(LIVE, params![since], |row| row.get(0)).await?.unwrap_or(0))
    }

    /// Deletes the heartbeat of this process, when it ends, and heartbeats older than 24 hours.
    pub async fn delete_replica(&mut self, replica: &str) -> Result<(), Error> {
        let yesterday = self.now() - Duration::from_hours(24);
        self.exec(DELETE_REPLICAS, params![replica, yesterday]).await.map(drop)
    }
}
