//! `idempotency`: responses by Idempotency-Key.
//!
//! A unit inserts the row first and stores the response before it commits, so there is no state "in progress": a second request
//! with the key waits for the first one's commit and then finds its response.

use chrono::{DateTime, Utc};
use domain::BatchId;

use crate::error::Error;
use crate::param::Param;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// A request with an Idempotency-Key. Keys of different principals or routes are different.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyClaim {
    /// The slot, derived from principal, route and key.
    pub slot: i64,
    /// The caller.
    pub principal: String,
    /// Method and path pattern.
    pub route: String,
    /// The Idempotency-Key.
    pub key: String,
    /// The id of the secret of the fingerprint.
    pub key_id: i64,
    /// The HMAC-SHA-256 of the request.
    pub fingerprint: Vec<u8>,
}

impl std::fmt::Debug for KeyClaim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyClaim({} in slot {})", self.route, self.slot)
    }
}

/// The response to a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// The `Location` header.
    pub location: Option<String>,
    /// The `ETag` header.
    pub etag: Option<String>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

/// The stored row of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The id of the secret of the fingerprint.
    pub key_id: i64,
    /// The HMAC-SHA-256 of the first request.
    pub fingerprint: Vec<u8>,
    /// The batch that the request created or changed.
    pub batch_id: Option<BatchId>,
    /// The response; `None` if the unit committed without one.
    pub answer: Option<Answer>,
}

/// The result of claiming a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The key was unused and is claimed by this unit.
    New,
    /// An earlier request has used the key.
    Existing(StoredAnswer),
}

const CLAIM: Sql = Sql::both(
    "idempotency",
    "claim an idempotency key",
    "INSERT INTO idempotency (slot, principal, route, idem_key, key_id, fingerprint, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (slot, principal, route, idem_key) DO NOTHING",
);

const CLAIM_ANSWERED: Sql = Sql::both(
    "idempotency",
    "claim an idempotency key",
    "INSERT INTO idempotency (slot, principal, route, idem_key, key_id, fingerprint, created_at, batch_id, status, body, \
     location, etag) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
     ON CONFLICT (slot, principal, route, idem_key) DO NOTHING",
);

const READ: Sql = Sql::both(
    "idempotency",
    "read the response of an idempotency key",
    "SELECT key_id, fingerprint, batch_id, status, body, location, etag FROM idempotency \
     WHERE slot = $1 AND principal = $2 AND route = $3 AND idem_key = $4",
);

const ANSWER: Sql = Sql::both(
    "idempotency",
    "store the response of an idempotency key",
    "UPDATE idempotency SET batch_id = $1, status = $2, body = $3, location = $4, etag = $5 \
     WHERE slot = $6 AND principal = $7 AND route = $8 AND idem_key = $9",
);

impl Tx {
    /// Claims a key, or finds its earlier request. Waits for a concurrent unit that has claimed it.
    ///
    /// # Errors
    /// [`Error::Conflict`] if that unit takes longer than the lock time-out (2 s on PostgreSQL), or if the key was pruned at
    /// the same time.
    pub async fn claim_key(&mut self, claim: &KeyClaim) -> Result<ClaimOutcome, Error> {
        let inserted = self.exec(CLAIM, &claim_values(claim, self.now())).await?;
        self.claim_outcome(claim, inserted).await
    }

    /// As [`Tx::claim_key`], and stores the response with the key, for a request whose response is known beforehand.
    pub async fn claim_key_answered(
        &mut self,
        claim: &KeyClaim,
        batch: BatchId,
        answer: &Answer,
    ) -> Result<ClaimOutcome, Error> {
        let values = [claim_values(claim, self.now()).as_slice(), &answer_values(batch, answer)].concat();
        let inserted = self.exec(CLAIM_ANSWERED, &values).await?;
        self.claim_outcome(claim, inserted).await
    }

    async fn claim_outcome(&mut self, claim: &KeyClaim, inserted: u64) -> Result<ClaimOutcome, Error> {
        if inserted == 1 {
            return Ok(ClaimOutcome::New);
        }
        match self.stored_answer(claim).await? {
            Some(stored) => Ok(ClaimOutcome::Existing(stored)),
            // Pruned between the two statements: a retry finds the key unused.
            None => Err(Error::Conflict { doing: CLAIM.doing, source: None }),
        }
    }

    /// The stored row of a key, whatever the fingerprint of `claim`.
    pub async fn stored_answer(&mut self, claim: &KeyClaim) -> Result<Option<StoredAnswer>, Error> {
        self.one(READ, &key_values(claim), StoredAnswer::read).await
    }

    /// Stores the response of a key that this unit has claimed.
    pub async fn answer_key(
        &mut self,
        claim: &KeyClaim,
        batch: BatchId,
        answer: &Answer,
    ) -> Result<(), Error> {
        let values = [answer_values(batch, answer).as_slice(), &key_values(claim)].concat();
        self.exec(ANSWER, &values).await.map(drop)
    }
}

impl StoredAnswer {
    fn read(row: &Row<'_>) -> Result<Self, Error> {
        let answer = match row.get::<Option<u16>>(3)? {
            None => None,
            Some(status) => Some(Answer {
                status,
                body: row.get::<Option<_>>(4)?.unwrap_or_default(),
                location: row.get(5)?,
                etag: row.get(6)?,
            }),
        };
        Ok(Self { key_id: row.get(0)?, fingerprint: row.get(1)?, batch_id: row.get(2)?, answer })
    }
}

fn claim_values(claim: &KeyClaim, now: DateTime<Utc>) -> [Param<'_>; 7] {
    let [slot, principal, route, key] = key_values(claim);
    [slot, principal, route, key, claim.key_id.into(), Param::from(&claim.fingerprint), now.into()]
}

fn answer_values(batch: BatchId, answer: &Answer) -> [Param<'_>; 5] {
    [
        batch.into(),
        answer.status.into(),
        Param::from(&answer.body),
        answer.location.as_deref().into(),
        answer.etag.as_deref().into(),
    ]
}

fn key_values(claim: &KeyClaim) -> [Param<'_>; 4] {
    [claim.slot.into(), Param::from(&claim.principal), Param::from(&claim.route), Param::from(&claim.key)]
}
