//! `tokens`: API tokens of callers. A row holds the hash of a token, never the token.

use chrono::{DateTime, Utc};

use crate::error::Error;
use crate::param::params;
use crate::private::Private;
use crate::row::Row;
use crate::sql::Sql;
use crate::tables::batches::Owner;
use crate::tx::Tx;

/// An API token. `Debug` shows neither its hash nor its owner.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The public part of the token, which identifies it.
    pub token_id: String,
    /// The SHA-256 hash of the whole token.
    pub sha256: [u8; 32],
    /// The owner that its bearer acts as.
    pub owner: Owner,
    /// The scopes of its bearer, separated by commas.
    pub scopes: String,
    /// A note by its creator about its purpose.
    pub note: Option<Private<String>>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it expires; `None`: never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whether it was created over HTTP while no caller was authenticated.
    pub issued_without_auth: bool,
}

impl std::fmt::Debug for TokenRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenRow({})", self.token_id)
    }
}

macro_rules! columns {
    () => {
        "token_id, sha256, user_id, org_id, scopes, note, created_at, expires_at, revoked_at, \
         issued_without_auth"
    };
}

const INSERT: Sql = Sql::both(
    "tokens",
    "insert a token",
    concat!("INSERT INTO tokens (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"),
);

const READ: Sql = Sql::both(
    "tokens",
    "look up a token",
    concat!("SELECT ", columns!(), " FROM tokens WHERE token_id = $1"),
);

const LIST: Sql = Sql::both(
    "tokens",
    "list tokens",
    concat!(
        "SELECT ",
        columns!(),
        " FROM tokens WHERE token_id > $1 AND (CAST($2 AS TEXT) IS NULL OR user_id = $2) ORDER BY token_id LIMIT $3"
    ),
);

const ANY_ISSUED_WITH_AUTH: Sql = Sql::both(
    "tokens",
    "look for a token of an authenticated issuer",
    "SELECT token_id FROM tokens WHERE issued_without_auth = 0 LIMIT 1",
);

/// A second revocation keeps the time of the first.
const REVOKE: Sql = Sql::both(
    "tokens",
    "revoke a token",
    "UPDATE tokens SET revoked_at = COALESCE(revoked_at, $1) WHERE token_id = $2",
);

impl TokenRow {
    fn read(row: &Row<'_>) -> Result<Self, Error> {
        let sha256: Vec<u8> = row.get(1)?;
        Ok(Self {
            token_id: row.get(0)?,
            sha256: sha256.try_into().map_err(|_| row.unreadable(1))?,
            owner: Owner { user_id: row.get(2)?, org_id: row.get(3)? },
            scopes: row.get(4)?,
            note: row.get::<Option<String>>(5)?.map(Private),
            created_at: row.get(6)?,
            expires_at: row.get(7)?,
            revoked_at: row.get(8)?,
            issued_without_auth: row.get(9)?,
        })
    }
}

impl Tx {
    /// Stores a new token.
    pub async fn insert_token(&mut self, token: &TokenRow) -> Result<(), Error> {
        let values = params![
            &token.token_id,
            token.sha256.as_slice(),
            &token.owner.user_id,
            token.owner.org_id.as_deref(),
            &token.scopes,
            token.note.as_ref().map(|note| note.0.as_str()),
            token.created_at,
            token.expires_at,
            token.revoked_at,
            token.issued_without_auth,
        ];
        self.exec(INSERT, values).await.map(drop)
    }

    /// A token by its public part, also if it has expired or is revoked. A single look-up by key, because every request of a
    /// caller begins with it.
    pub async fn token(&mut self, token_id: &str) -> Result<Option<TokenRow>, Error> {
        self.one(READ, params![token_id], TokenRow::read).await
    }

    /// A page of tokens, ordered by public part: at most `limit` after `after`; of one user, if given.
    pub async fn tokens(
        &mut self,
        user_id: Option<&str>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<TokenRow>, Error> {
        self.all(LIST, params![after, user_id, limit], TokenRow::read).await
    }

    /// Whether there is a token, in force or not, that was created with authentication or at the database.
    pub async fn has_token_issued_with_auth(&mut self) -> Result<bool, Error> {
        Ok(self.one(ANY_ISSUED_WITH_AUTH, params![], |row| row.get::<String>(0)).await?.is_some())
    }

    /// Revokes a token for good; returns false if there is no token with this public part.
    pub async fn revoke_token(&mut self, token_id: &str) -> Result<bool, Error> {
        let now = self.now();
        Ok(self.exec(REVOKE, params![now, token_id]).await? == 1)
    }
}
