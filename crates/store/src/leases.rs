//! `leases` and `replicas`: which process works a shard just now. Safety never rests on a lease; it spares double work.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::error::Error;
use crate::param::{Param, params};
use crate::tx::{Sql, Tx};

/// A shard that a process may work, until the lease runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The shard.
    pub shard: i64,
    /// Rises with each change of hands, so an old holder cannot renew.
    pub epoch: i64,
}

/// What a process has claimed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// The leases.
    pub leases: Vec<Lease>,
    /// How many of them another process had let run out without giving them up.
    pub taken_over: usize,
}

/// How the shards are shared out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Processes that have said lately that they live.
    pub replicas: i64,
    /// Shards.
    pub shards: i64,
    /// Shards that somebody holds.
    pub held: i64,
}

/// SQLite's file has one process by its lock, so whoever held a lease before is gone and nobody waits for it to run out; its
/// statement cannot tell what stood in the row before, and has nobody to take over from while he lives.
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

const SHARING: Sql = Sql::both(
    "leases",
    "see how the shards are shared out",
    "SELECT CAST(count(*) AS BIGINT), CAST(count(*) FILTER (WHERE lease_until >= $1) AS BIGINT) FROM leases",
);

const NEXT_END: Sql = Sql::both(
    "leases",
    "see when a lease runs out",
    "SELECT min(lease_until) FROM leases WHERE (owner IS NULL OR owner <> $1) AND lease_until >= $2",
);

const RENEW: Sql = Sql::each(
    "leases",
    "renew leases",
    "UPDATE leases l SET lease_until = $1 FROM UNNEST($3::bigint[], $4::bigint[]) AS n (shard, epoch) \
     WHERE l.owner = $2 AND l.shard = n.shard AND l.epoch = n.epoch RETURNING l.shard, l.epoch",
    "UPDATE leases SET lease_until = $1 WHERE owner = $2 AND shard = $3 AND epoch = $4 RETURNING shard, epoch",
);

const BEAT: Sql = Sql::both(
    "replicas",
    "say that this process lives",
    "INSERT INTO replicas (id, seen_at) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at",
);

const LIVE: Sql = Sql::both(
    "replicas",
    "count live processes",
    "SELECT CAST(count(*) AS BIGINT) FROM replicas WHERE seen_at >= $1",
);

const FORGET: Sql =
    Sql::both("replicas", "forget processes", "DELETE FROM replicas WHERE id = $1 OR seen_at < $2");

impl Tx {
    /// Takes up to `want` shards that nobody holds, for `ttl` from now.
    pub async fn claim_leases(&mut self, owner: &str, ttl: Duration, want: u32) -> Result<Claim, Error> {
        let now = self.now();
        let claimed = self
            .all(CLAIM, params![owner, now + ttl, now, want], |row| {
                Ok((Lease { shard: row.get(0)?, epoch: row.get(1)? }, row.get::<bool>(2)?))
            })
            .await?;
        Ok(Claim {
            taken_over: claimed.iter().filter(|(_, taken_over)| *taken_over).count(),
            leases: claimed.into_iter().map(|(lease, _)| lease).collect(),
        })
    }

    /// How the shards are shared out between the processes that have said within `ttl` that they live.
    pub async fn sharing(&mut self, ttl: Duration) -> Result<Sharing, Error> {
        let now = self.now();
        let replicas = i64::from(self.live_replicas(ttl).await?);
        let sharing = self
            .one(SHARING, params![now], |row| {
                Ok(Sharing { replicas, shards: row.get(0)?, held: row.get(1)? })
            })
            .await?;
        Ok(sharing.unwrap_or_default())
    }

    /// Holds leases for `ttl` from now. Answers with those still ours; the others have changed hands.
    pub async fn renew_leases(
        &mut self,
        owner: &str,
        ttl: Duration,
        held: &[Lease],
    ) -> Result<Vec<Lease>, Error> {
        let until = self.now() + ttl;
        self.extend(owner, until, held).await
    }

    /// Gives leases up, so that others need not wait for them to run out.
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

    /// How long until the first lease of another process runs out, unless it is renewed until then.
    pub async fn next_lease_end(&mut self, owner: &str) -> Result<Option<Duration>, Error> {
        let now = self.now();
        let end: Option<DateTime<Utc>> =
            self.one(NEXT_END, params![owner, now], |row| row.get(0)).await?.flatten();
        Ok(end.map(|end| (end - now).to_std().unwrap_or_default()))
    }

    /// Says that this process lives.
    pub async fn beat(&mut self, replica: &str) -> Result<(), Error> {
        let now = self.now();
        self.exec(BEAT, params![replica, now]).await.map(drop)
    }

    /// How many processes have said within `ttl` that they live.
    pub async fn live_replicas(&mut self, ttl: Duration) -> Result<u32, Error> {
        let since = self.now() - ttl;
        Ok(self.one(LIVE, params![since], |row| row.get(0)).await?.unwrap_or(0))
    }

    /// Forgets this process, at its end, and every process that was silent for a day.
    pub async fn forget_replica(&mut self, replica: &str) -> Result<(), Error> {
        let yesterday = self.now() - Duration::from_hours(24);
        self.exec(FORGET, params![replica, yesterday]).await.map(drop)
    }
}
