//! API tokens: their format, their scopes and how they are created. Used by the API and by the command line.
//!
//! `bos_<16 hexadecimal digits>_<64 hexadecimal digits>`: a prefix that people and secret scanners recognise, the public part by
//! which the token is looked up and named, and 256 random bits. The database holds only the SHA-256 of the whole token, so a
//! token is shown once, when it is created.

mod document;
mod issue;
mod scopes;

use client::documents::{Page, TokenDocument};
use constant_time_eq::constant_time_eq_32;
use sha2::{Digest as _, Sha256};
use store::{Lane, Store};

use crate::paging;

pub use document::status;
pub use issue::{Acceptable, Fault, FaultKind, Issuer, check, issue};
pub use scopes::Scopes;

/// The prefix of every token.
const MARK: &str = "bos_";
/// Digits of the public part.
const ID: usize = 16;
/// Digits of the secret part.
const SECRET: usize = 64;

/// A text in the format of a token. Only the table knows whether the token exists.
pub struct Presented<'t> {
    /// The public part, by which the token is looked up.
    pub token_id: &'t str,
    sha256: [u8; 32],
}

impl<'t> Presented<'t> {
    /// Parses a token; `None` where the format is wrong, which saves the look-up.
    pub fn read(text: &'t str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(MARK)?.split_once('_')?;
        let is_hex = |part: &str, digits: usize| {
            part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        (is_hex(id, ID) && is_hex(secret, SECRET)).then(|| Self { token_id: id, sha256: sha256(text) })
    }

    /// Whether the token has this SHA-256. Takes the same time wherever the hashes differ.
    pub fn is(&self, stored: &[u8; 32]) -> bool {
        constant_time_eq_32(&self.sha256, stored)
    }
}

/// Whether a text has the format of a token's public part.
pub fn is_token_id(text: &str) -> bool {
    text.len() == ID && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether two secrets are equal. Takes the same time wherever they differ and whatever their lengths are.
pub fn is_same_secret(one: &str, other: &str) -> bool {
    constant_time_eq_32(&sha256(one), &sha256(other))
}

/// Whether the database has any token of a trusted issuer, active or not.
///
/// # Errors
/// When the database does not answer.
pub async fn any_trusted(store: &Store) -> Result<bool, store::Error> {
    store.read(|tx| Box::pin(async move { tx.has_token_issued_with_auth().await })).await
}

/// A page of tokens, ordered by public part: at most `limit` after `after`, which is empty for the first page; of one user, if given.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    store: &Store,
    user_id: Option<String>,
    after: String,
    limit: u32,
) -> Result<Page<TokenDocument>, store::Error> {
    let read = store.read(move |tx| {
        Box::pin(async move {
            let rows = tx.tokens(user_id.as_deref(), &after, limit + 1).await?;
            let now = tx.now();
            Ok::<Vec<_>, store::Error>(rows.into_iter().map(|row| document::document(row, now)).collect())
        })
    });
    Ok(paging::page(read.await?, limit, |last| last.token_id.clone()))
}

/// Revokes a token, in force with the next request. Returns false when there is none of this id.
///
/// # Errors
/// When the database does not answer.
pub async fn revoke(store: &Store, token_id: &str) -> Result<bool, store::Error> {
    let id = token_id.to_owned();
    let unit = store.unit(Lane::Caller, move |tx| {
        let id = id.clone();
        Box::pin(async move { tx.revoke_token(&id).await })
    });
    unit.await
}

fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::{Presented, is_same_secret};

    #[test]
    fn only_the_exact_format_is_looked_up() {
        let good = format!("bos_{}_{}", "0123456789abcdef", "a".repeat(64));
        let presented = Presented::read(&good).unwrap();
        assert_eq!(presented.token_id, "0123456789abcdef");
        assert!(presented.is(&super::sha256(&good)) && !presented.is(&[0; 32]));
        for bad in [
            String::new(),
            "bos_".to_owned(),
            good.to_uppercase(),
            good.replace("bos_", "boss_"),
            format!("{good}a"),
            format!(" {good}"),
            good.replace("_a", "a"),
            good.replace('a', "ä"),
            "x".repeat(1 << 20),
        ] {
            assert!(Presented::read(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_the_same_only_when_they_are_equal() {
        assert!(is_same_secret("a", "a"));
        assert!(!is_same_secret("a", "b") && !is_same_secret("a", "ab") && !is_same_secret("", "a"));
    }
}
