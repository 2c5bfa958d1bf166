//! Promotion of an embedded installation to PostgreSQL: which tables are copied, and how a copy of the SQLite file is prepared.
//!
//! The difficult steps work on a copy of the file: texts get the ids of the new Content Service, and rows get the shards of
//! PostgreSQL. After that the rows are the same on both sides and are inserted into the target unchanged. See
//! `docs/decisions/0011-promotion.md`.

mod rows;
mod shards;
mod tables;
mod texts;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Error;
use crate::param::params;
use crate::sql::Sql;
use crate::tx::Tx;

pub use rows::Value;
pub use tables::{Column, EXCLUDED_TABLES, Kind, TABLES, Table};
pub use texts::MovedTexts;

/// The key in `meta` of the source's [`Promoted`].
pub(crate) const PROMOTED: &str = "promoted";

/// The key in `meta` of the target's [`Promotion`].
const PROMOTION: &str = "promotion";

/// The key in `meta` of the secret for request fingerprints. It is copied, because with another secret a repeated request would
/// be taken for a different one.
const FINGERPRINT_SECRET: &str = "idempotency_key";

/// The target of a completed promotion, as recorded in the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promoted {
    /// The id of the promotion.
    pub id: Uuid,
    /// The server and the database, without credentials.
    pub to: String,
    /// When it was completed.
    pub at: DateTime<Utc>,
}

/// The progress of a promotion, as recorded in the target. The target must not be served before `is_done`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// The id of the promotion.
    pub id: Uuid,
    /// Rows copied so far, by table in the order of [`TABLES`]. Stored as `poured` since version 0.1.
    #[serde(rename = "poured")]
    pub copied: Vec<u64>,
    /// Whether all rows were copied and verified.
    pub is_done: bool,
}

/// Deletes the messages of all topics but one.
const RETAIN_TOPIC: Sql =
    Sql::both("outbox", "delete messages of other topics", "DELETE FROM outbox WHERE topic <> $1");

/// The first of concurrent claims is kept.
const CLAIM: Sql = Sql::both(
    "meta",
    "claim the target of a promotion",
    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING",
);

const SENT_TO_BROKER: Sql = Sql::both(
    "outbox_sent",
    "count messages sent to a broker",
    "SELECT CAST(count(*) AS BIGINT) FROM outbox_sent WHERE kafka_offset IS NOT NULL",
);

impl Tx {
    /// The target that this installation was promoted to, if it was.
    pub async fn promoted(&mut self) -> Result<Option<Promoted>, Error> {
        self.read_fact(PROMOTED).await
    }

    /// Records the target of the promotion. From then on the file cannot be opened by
    /// [`Store::open_sqlite`](crate::Store::open_sqlite).
    pub async fn set_promoted(&mut self, promoted: &Promoted) -> Result<(), Error> {
        self.write_fact(PROMOTED, promoted).await
    }

    /// The promotion whose target this database is, if any.
    pub async fn promotion(&mut self) -> Result<Option<Promotion>, Error> {
        self.read_fact(PROMOTION).await
    }

    /// Claims this database as the target of a promotion, unless another has claimed it; returns the promotion that holds the
    /// claim.
    pub async fn claim_promotion(&mut self, promotion: Promotion) -> Result<Promotion, Error> {
        self.exec(CLAIM, params![PROMOTION, &fact_json(PROMOTION, &promotion)?]).await?;
        Ok(self.promotion().await?.unwrap_or(promotion))
    }

    /// Records the progress of the promotion into this database.
    pub async fn set_promotion(&mut self, promotion: &Promotion) -> Result<(), Error> {
        self.write_fact(PROMOTION, promotion).await
    }

    /// The secret for request fingerprints, in its stored form.
    pub async fn fingerprint_secret(&mut self) -> Result<Option<String>, Error> {
        self.meta(FINGERPRINT_SECRET).await
    }

    /// Stores the secret for request fingerprints, in its stored form.
    pub async fn set_fingerprint_secret(&mut self, value: &str) -> Result<(), Error> {
        self.set_meta(FINGERPRINT_SECRET, value).await
    }

    /// Deletes all messages of the outbox but those of one topic. Returns how many were deleted.
    pub async fn retain_outbox_topic(&mut self, topic: &str) -> Result<u64, Error> {
        self.exec(RETAIN_TOPIC, params![topic]).await
    }

    /// Whether messages of this database were sent to a broker.
    pub async fn has_sent_to_broker(&mut self) -> Result<bool, Error> {
        Ok(self.one(SENT_TO_BROKER, &[], |row| row.get::<i64>(0)).await?.unwrap_or(0) > 0)
    }

    async fn read_fact<T: serde::de::DeserializeOwned>(
        &mut self,
        key: &'static str,
    ) -> Result<Option<T>, Error> {
        let Some(text) = self.meta(key).await? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|_| Error::corrupt("meta", "value", key))
    }

    async fn write_fact<T: Serialize + Sync>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.set_meta(key, &fact_json(key, value)?).await
    }
}

fn fact_json(key: &'static str, value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::corrupt("meta", "value", key))
}
