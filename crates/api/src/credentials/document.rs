//! Tokens as they are shown: without their hashes, and without themselves but for the once.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use store::TokenRow;
use utoipa::ToSchema;

use super::scopes::{Scope, Scopes};

/// A token as it is listed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenDocument {
    /// The public part of the token, which names it.
    pub token_id: String,
    /// Whom its bearer acts as.
    pub user_id: String,
    /// The organisation that its bearer acts for.
    pub org_id: Option<String>,
    /// What its bearer may do.
    pub scopes: Vec<Scope>,
    /// What it is for.
    pub note: Option<String>,
    /// Whether it can be used.
    pub status: TokenStatus,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it is of no use; never, when null.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A new token: the only time that it is seen.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct IssuedDocument {
    /// The token, for `Authorization: Bearer …`. It is not stored and cannot be shown again.
    pub token: String,
    /// Everything else about it.
    #[serde(flatten)]
    pub about: TokenDocument,
}

/// Whether a token can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenStatus {
    /// It can.
    Active,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

impl TokenStatus {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Of a stored token, at this time.
    pub fn of(row: &TokenRow, now: DateTime<Utc>) -> Self {
        if row.revoked_at.is_some() {
            Self::Revoked
        } else if row.expires_at.is_some_and(|end| end <= now) {
            Self::Expired
        } else {
            Self::Active
        }
    }
}

impl TokenDocument {
    /// Of a stored token, at this time.
    pub fn of(row: TokenRow, now: DateTime<Utc>) -> Self {
        Self {
            status: TokenStatus::of(&row, now),
            token_id: row.token_id,
            user_id: row.owner.user_id,
            org_id: row.owner.org_id,
            scopes: Scopes::of_text(&row.scopes).iter().collect(),
            note: row.note.map(|note| note.0),
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        }
    }
}
