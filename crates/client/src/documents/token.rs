//! API tokens. No document holds a hash; only [`IssuedDocument`] holds the token itself.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A token in a list, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IssuedDocument {
    /// The token, for `Authorization: Bearer …`. It is not stored and cannot be shown again.
    pub token: String,
    /// The token's other properties.
    #[serde(flatten)]
    pub about: TokenDocument,
}

/// Whether a token can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
}

/// A token to create.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// The user that the token's bearer acts as.
    pub user_id: String,
    /// The organisation that the bearer acts for.
    #[serde(default)]
    pub org_id: Option<String>,
    /// What the bearer may do; default: `read` and `write`.
    #[serde(default)]
    pub scopes: Option<Vec<Scope>>,
    /// The lifetime of the token, such as `90d`; default: it never expires.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = "90d"))]
    pub expires_in: Option<String>,
    /// The purpose of the token, for people.
    #[serde(default)]
    pub note: Option<String>,
}

/// A right of a caller. No scope includes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read the caller's own batches and essays.
    Read,
    /// Submit, start and change the caller's own batches and essays.
    Write,
    /// Administer the installation: create and revoke tokens, erase stored texts by their ids.
    Admin,
}

impl Scope {
    /// Every scope, in the order in which sets are written.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The scope as it is written in tokens and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}
