//! `idempotency`: the answers given under an Idempotency-Key.
//!
//! The row is inserted first in the transaction and has its answer when that commits, so there is no stored "at work": a
//! second request waits for the first one's commit and then finds its answer.

use chrono::{DateTime, Utc};
use domain::BatchId;

use crate::error::Error;
use crate::param::{Param, Row};
use crate::tx::{Sql, Tx};

/// A request under a key. Keys of different principals and routes never meet.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyClaim {
    /// The slot made from the next three.
    pub slot: i64,
    /// Who asks.
    pub principal: String,
    /// What for: method and path pattern.
    pub route: String,
    /// The Idempotency-Key.
    pub key: String,
    /// Which of the installation's secrets the fingerprint was made with.
    pub key_id: i64,
    /// The HMAC of the request.
    pub fingerprint: Vec<u8>,
}

impl std::fmt::Debug for KeyClaim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyClaim({} in slot {})", self.route, self.slot)
    }
}

/// The answer to a request, as the client got it or should have.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body's bytes.
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

/// What is stored under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// Which secret the fingerprint was made with.
    pub key_id: i64,
    /// The HMAC of the first request.
    pub fingerprint: Vec<u8>,
    /// The batch that the request made.
    pub batch_id: Option<BatchId>,
    /// The answer; none when the request stored its key and no answer.
    pub answer: Option<Answer>,
}

/// Whether a key is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It was, and is this unit's now.
    New,
    /// An earlier request had it.
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
    "read the answer under an idempotency key",
    "SELECT key_id, fingerprint, batch_id, status, body, location, etag FROM idempotency \
     WHERE slot = $1 AND principal = $2 AND route = $3 AND idem_key = $4",
);

const ANSWER: Sql = Sql::both(
    "idempotency",
    "store the answer under an idempotency key",
    "UPDATE idempotency SET batch_id = $1, status = $2, body = $3, location = $4, etag = $5 \
     WHERE slot = $6 AND principal = $7 AND route = $8 AND idem_key = $9",
);

impl Tx {
    /// Takes a key, or finds what was stored under it. Waits for another unit that holds it; when that takes longer than
    /// the lock time-out: [`Error::Conflict`].
    pub async fn claim_key(&mut self, claim: &KeyClaim) -> Result<Claimed, Error> {
        let taken = self.exec(CLAIM, &claimed(claim, self.now())).await?;
        self.claimed(claim, taken).await
    }

    /// As [`Tx::claim_key`], for a request whose answer is known before it is carried out: stored with the key.
    pub async fn claim_key_answered(
        &mut self,
        claim: &KeyClaim,
        batch: BatchId,
        answer: &Answer,
    ) -> Result<Claimed, Error> {
        let values = [claimed(claim, self.now()).as_slice(), &answered(batch, answer)].concat();
        let taken = self.exec(CLAIM_ANSWERED, &values).await?;
        self.claimed(claim, taken).await
    }

    async fn claimed(&mut self, claim: &KeyClaim, taken: u64) -> Result<Claimed, Error> {
        if taken == 1 {
            return Ok(Claimed::New);
        }
        match self.stored_answer(claim).await? {
            Some(stored) => Ok(Claimed::Existing(stored)),
            // Pruned between the two statements: the next try will find the key free.
            None => Err(Error::Conflict { doing: CLAIM.doing, source: None }),
        }
    }

    /// What is stored under a key. Only the key's place is looked at, not its fingerprint.
    pub async fn stored_answer(&mut self, claim: &KeyClaim) -> Result<Option<StoredAnswer>, Error> {
        self.one(READ, &place(claim), StoredAnswer::read).await
    }

    /// Stores the answer under a key that this unit has claimed.
    pub async fn answer_key(
        &mut self,
        claim: &KeyClaim,
        batch: BatchId,
        answer: &Answer,
    ) -> Result<(), Error> {
        let values = [answered(batch, answer).as_slice(), &place(claim)].concat();
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

fn claimed(claim: &KeyClaim, now: DateTime<Utc>) -> [Param<'_>; 7] {
    let [slot, principal, route, key] = place(claim);
    [slot, principal, route, key, claim.key_id.into(), Param::from(&claim.fingerprint), now.into()]
}

fn answered(batch: BatchId, answer: &Answer) -> [Param<'_>; 5] {
    [
        batch.into(),
        answer.status.into(),
        Param::from(&answer.body),
        answer.location.as_deref().into(),
        answer.etag.as_deref().into(),
    ]
}

fn place(claim: &KeyClaim) -> [Param<'_>; 4] {
    [claim.slot.into(), Param::from(&claim.principal), Param::from(&claim.route), Param::from(&claim.key)]
}
