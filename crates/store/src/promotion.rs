//! An embedded installation on its way to PostgreSQL: which tables move, and how a copy of its file is made ready for that.
//!
//! Everything difficult is done in the copy, which is a file of its own: texts get the ids that another Content Service gave
//! them, rows get the shards of PostgreSQL. What is poured into the target afterwards is a table of plain rows, which is the
//! same on both sides.

mod rows;
mod shards;
mod tables;
mod texts;

use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Error;
use crate::param::params;
use crate::tx::{Sql, Tx};
use crate::{Backend, Store};

pub use rows::Value;
pub use tables::{Column, Kind, LEFT_BEHIND, TABLES, Table};
pub use texts::MovedTexts;

/// The key in `meta` under which a source says where it went.
pub(crate) const PROMOTED: &str = "promoted";

/// The key in `meta` under which a target says what is poured into it.
const PROMOTION: &str = "promotion";

/// The key in `meta` of the secret that request fingerprints are made with: with another one a repeated request would be
/// taken for a different one.
const MOVED_FACT: &str = "idempotency_key";

/// Where an installation went, as its old file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promoted {
    /// Which promotion.
    pub id: Uuid,
    /// The server and the database, without who logs in and how.
    pub to: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What is poured into a target, as it says itself. Nobody may serve from it before that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// Which promotion.
    pub id: Uuid,
    /// Rows poured so far, in the order of [`TABLES`].
    pub poured: Vec<u64>,
    /// Whether everything is there and was compared.
    pub is_done: bool,
}

/// A message that nobody has to be told anew stays.
const KEEP_ONLY: Sql =
    Sql::both("outbox", "drop what other neighbours were to be told", "DELETE FROM outbox WHERE topic <> $1");

/// The first one stands, whoever else comes at the same moment.
const CLAIM: Sql = Sql::both(
    "meta",
    "claim a target",
    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING",
);

const SENT_TO_A_BROKER: Sql = Sql::both(
    "outbox_sent",
    "look for messages sent to a broker",
    "SELECT CAST(count(*) AS BIGINT) FROM outbox_sent WHERE kafka_offset IS NOT NULL",
);

impl Store {
    /// Copies an SQLite database, as it is at this moment, into a new file.
    pub async fn copy_to(&self, file: &Path) -> Result<(), Error> {
        match &*self.backend {
            Backend::Sqlite(lite) => lite.copy_to(file.to_owned()).await,
            Backend::Postgres(_) => Err(Error::Unfit {
                problem: "only an embedded database can be copied into a file".to_owned(),
            }),
        }
    }
}

impl Tx {
    /// Where this installation went, if it was promoted.
    pub async fn promoted(&mut self) -> Result<Option<Promoted>, Error> {
        self.told(PROMOTED).await
    }

    /// Says where this installation went. It is not served from here any more.
    pub async fn set_promoted(&mut self, promoted: &Promoted) -> Result<(), Error> {
        self.tell(PROMOTED, promoted).await
    }

    /// What is poured into this database, if anything ever was.
    pub async fn promotion(&mut self) -> Result<Option<Promotion>, Error> {
        self.told(PROMOTION).await
    }

    /// Says what is to be poured into this database, unless something is already; answers with what is said there then.
    pub async fn claim_promotion(&mut self, promotion: Promotion) -> Result<Promotion, Error> {
        self.exec(CLAIM, params![PROMOTION, &written(PROMOTION, &promotion)?]).await?;
        Ok(self.promotion().await?.unwrap_or(promotion))
    }

    /// Says what is poured into this database.
    pub async fn set_promotion(&mut self, promotion: &Promotion) -> Result<(), Error> {
        self.tell(PROMOTION, promotion).await
    }

    /// The fact of `meta` that moves with the rows.
    pub async fn moved_fact(&mut self) -> Result<Option<String>, Error> {
        self.meta(MOVED_FACT).await
    }

    /// Takes over the fact of `meta` that moves with the rows.
    pub async fn set_moved_fact(&mut self, value: &str) -> Result<(), Error> {
        self.set_meta(MOVED_FACT, value).await
    }

    /// Forgets every message that waits, but those of one topic. Says how many are gone.
    pub async fn keep_only_outbox_of(&mut self, topic: &str) -> Result<u64, Error> {
        self.exec(KEEP_ONLY, params![topic]).await
    }

    /// Whether messages of this database have gone to a broker.
    pub async fn speaks_to_a_broker(&mut self) -> Result<bool, Error> {
        Ok(self.one(SENT_TO_A_BROKER, &[], |row| row.get::<i64>(0)).await?.unwrap_or(0) > 0)
    }

    async fn told<T: serde::de::DeserializeOwned>(&mut self, key: &'static str) -> Result<Option<T>, Error> {
        let Some(text) = self.meta(key).await? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|_| Error::corrupt("meta", "value", key))
    }

    async fn tell<T: Serialize + Sync>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.set_meta(key, &written(key, value)?).await
    }
}

fn written(key: &'static str, value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::corrupt("meta", "value", key))
}
