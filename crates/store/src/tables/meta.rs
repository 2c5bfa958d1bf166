//! `meta`: key-value facts about the installation.

use crate::error::Error;
use crate::param::params;
use crate::sql::Sql;
use crate::tx::Tx;

const READ: Sql = Sql::both("meta", "read a fact", "SELECT value FROM meta WHERE key = $1");

const WRITE: Sql = Sql::both(
    "meta",
    "store a fact",
    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
);

const WRITE_ONCE: Sql = Sql::both(
    "meta",
    "store a fact",
    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING",
);

/// The key of the secret for request fingerprints, stored as `<id>:<hex>`.
const IDEMPOTENCY_KEY: &str = "idempotency_key";

/// The secret for request fingerprints. `Debug` shows its id only.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The id, which rises with each rotation.
    pub key_id: i64,
    /// The secret.
    pub key: [u8; 32],
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({})", self.key_id)
    }
}

impl Tx {
    /// The value of a fact.
    pub async fn meta(&mut self, key: &str) -> Result<Option<String>, Error> {
        self.one(READ, params![key], |row| row.get(0)).await
    }

    /// Stores a fact, replacing an earlier value.
    pub async fn set_meta(&mut self, key: &str, value: &str) -> Result<(), Error> {
        self.exec(WRITE, params![key, value]).await.map(drop)
    }

    /// The number of shards: 64 on PostgreSQL, 1 on SQLite (set by the first migration).
    pub async fn shards(&mut self) -> Result<i64, Error> {
        let text = self.meta("shards").await?;
        text.and_then(|text| text.parse().ok()).ok_or_else(|| Error::corrupt("meta", "value", "shards"))
    }

    /// The secret for request fingerprints, created at first use. Fingerprints are keyed, because a plain hash of a text could
    /// be confirmed by guessing the text.
    pub async fn idempotency_key(&mut self) -> Result<Secret, Error> {
        if let Some(text) = self.meta(IDEMPOTENCY_KEY).await? {
            return secret(&text);
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|e| Error::Unavailable {
            doing: "generate a secret",
            cause: Some(std::sync::Arc::new(e)),
        })?;
        let text = key.iter().fold(String::from("1:"), |text, byte| text + &format!("{byte:02x}"));
        self.exec(WRITE_ONCE, params![IDEMPOTENCY_KEY, &text]).await?;
        // Another process may have stored its secret first.
        let stored = self.meta(IDEMPOTENCY_KEY).await?;
        secret(&stored.unwrap_or(text))
    }
}

fn secret(text: &str) -> Result<Secret, Error> {
    parse_secret(text).ok_or_else(|| Error::corrupt("meta", "value", IDEMPOTENCY_KEY))
}

fn parse_secret(text: &str) -> Option<Secret> {
    let (id, hex) = text.split_once(':')?;
    let mut key = [0; 32];
    if hex.len() != 2 * key.len() {
        return None;
    }
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(Secret { key_id: id.parse().ok()?, key })
}
