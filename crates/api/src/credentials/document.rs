//! The documents about tokens. None holds a hash; only [`IssuedDocument`] holds the token itself.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use store::TokenRow;
use utoipa::ToSchema;

use super::scopes::{Scope, Scopes};

/// A token in a list, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenDocument {
    /// The public part of the token, by which it is named.
    pub token_id: String,
    /// The user that the token's bearer acts as.
    pub user_id: String,
    /// The organisation that the bearer acts for.
    pub org_id: Option<String>,
    /// What the bearer may do.
    pub scopes: Vec<Scope>,
    /// The purpose of the token, as given when it was created.
    pub note: Option<String>,
    /// Whether the token can be used.
    pub status: TokenStatus,
    /// When the token was created.
    pub created_at: DateTime<Utc>,
    /// When the token expires; null: never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When the token was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A new token. This is the only answer that shows it.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct IssuedDocument {
    /// The token, for `Authorization: Bearer …`. It is not stored and cannot be shown again.
    pub token: String,
    /// The token's other properties.
    #[serde(flatten)]
    pub about: TokenDocument,
}

/// Whether a token can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenStatus {
    /// It can be used.
    Active,
    /// Its expiry time has passed.
    Expired,
    /// It was revoked.
    Revoked,
    /// It was created over HTTP while no caller was authenticated (`auth = "off"`), so it proves nothing, and is refused.
    Untrusted,
}

impl TokenStatus {
    /// The status as it is written in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Untrusted => "untrusted",
        }
    }

    /// The status of a stored token at a time.
    pub fn new(row: &TokenRow, now: DateTime<Utc>) -> Self {
        if row.revoked_at.is_some() {
            Self::Revoked
        } else if row.expires_at.is_some_and(|end| end <= now) {
            Self::Expired
        } else if row.issued_without_auth {
            Self::Untrusted
        } else {
            Self::Active
        }
    }
}

impl TokenDocument {
    /// The document of a stored token at a time.
    pub fn new(row: TokenRow, now: DateTime<Utc>) -> Self {
        Self {
            status: TokenStatus::new(&row, now),
            token_id: row.token_id,
            user_id: row.owner.user_id,
            org_id: row.owner.org_id,
            scopes: Scopes::parse(&row.scopes).iter().collect(),
            note: row.note.map(|note| note.0),
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        }
    }
}
