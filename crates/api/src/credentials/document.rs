//! How the document of a token is made.

use chrono::{DateTime, Utc};
use client::documents::{TokenDocument, TokenStatus};
use store::TokenRow;

use super::scopes::Scopes;

/// The status of a stored token at a time.
pub fn status(row: &TokenRow, now: DateTime<Utc>) -> TokenStatus {
    if row.revoked_at.is_some() {
        TokenStatus::Revoked
    } else if row.expires_at.is_some_and(|end| end <= now) {
        TokenStatus::Expired
    } else if row.issued_without_auth {
        TokenStatus::Untrusted
    } else {
        TokenStatus::Active
    }
}

/// The document of a stored token at a time.
pub(super) fn document(row: TokenRow, now: DateTime<Utc>) -> TokenDocument {
    TokenDocument {
        status: status(&row, now),
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
