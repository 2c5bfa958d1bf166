//! Idempotency-Keys: one request, one effect, one stored answer.

use std::fmt;

use domain::{BatchId, Slot};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use store::{Answer, ClaimOutcome, KeyClaim, Lane, Owner, Store, StoredAnswer, Tx};

use super::Engine;
use crate::error::Error;

/// Marks the id of a secret in a row whose fingerprint is of the content of a request. Rows without it hold a fingerprint of the
/// bytes, which the former version wrote; it takes a row with the mark for one under another secret, which it does not compare.
const OF_CONTENT: i64 = 1 << 32;

/// An Idempotency-Key with its scope (caller and route) and the fingerprint of its request.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    claim: KeyClaim,
    /// The fingerprint of the request's bytes, to compare with rows of the former version.
    former: Option<Vec<u8>>,
}

impl IdempotencyKey {
    /// The slot that the key hashes to. A batch made under the key has the same slot, so that one transaction touches one slot.
    pub fn slot(&self) -> Slot {
        Slot::new(u16::try_from(self.claim.slot).unwrap_or_default())
    }

    /// Adds what the former version took the fingerprint of. Its rows are kept for `idempotency_retention`, so the version after the
    /// next one needs this no longer.
    #[must_use]
    pub fn with_former(mut self, engine: &Engine, content_type: &str, body: &[u8]) -> Self {
        let parts = [self.claim.route.as_bytes(), content_type.as_bytes(), body];
        self.former = Some(engine.fingerprints.compute(&parts));
        self
    }

    /// Whether the key's earlier request is the same. A fingerprint made with another secret cannot be compared: after a rotation
    /// of the secret the key alone decides.
    fn is_of(&self, stored: &StoredAnswer) -> bool {
        if stored.key_id == self.claim.key_id {
            stored.fingerprint == self.claim.fingerprint
        } else if stored.key_id | OF_CONTENT == self.claim.key_id {
            self.former.as_ref().is_none_or(|former| stored.fingerprint == *former)
        } else {
            true
        }
    }
}

/// The secret that fingerprints are computed with. With a plain hash, a text could be linked to the request that contained it.
#[derive(Clone)]
pub(super) struct Fingerprints {
    key_id: i64,
    secret: [u8; 32],
}

impl fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprints(key {})", self.key_id)
    }
}

impl Fingerprints {
    pub(super) async fn load(store: &Store) -> Result<Self, Error> {
        let secret =
            store.unit(Lane::Caller, |tx| Box::pin(async move { tx.idempotency_key().await })).await?;
        Ok(Self { key_id: secret.key_id, secret: secret.key })
    }

    fn compute(&self, parts: &[&[u8]]) -> Vec<u8> {
        // HMAC takes keys of any length, so this never fails.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else { return Vec::new() };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().to_vec()
    }
}

impl Engine {
    /// Makes the Idempotency-Key of a request. Its scope is the caller and the route; its fingerprint covers the route and the
    /// content. `format` names the way in which the content is written, so that contents of two formats are never equal.
    pub fn idempotency_key(
        &self,
        owner: &Owner,
        route: &str,
        key: &str,
        format: &str,
        content: &[u8],
    ) -> IdempotencyKey {
        let principal = principal(owner);
        let mut hash = Sha256::new();
        for part in [principal.as_str(), route, key] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let claim = KeyClaim {
            slot: i64::from(Slot::from_hash(&hash.finalize()).get()),
            principal,
            route: route.to_owned(),
            key: key.to_owned(),
            key_id: self.fingerprints.key_id | OF_CONTENT,
            fingerprint: self.fingerprints.compute(&[route.as_bytes(), format.as_bytes(), content]),
        };
        IdempotencyKey { claim, former: None }
    }
}

/// A caller as one string. Different callers have different strings, whatever characters their names contain.
fn principal(owner: &Owner) -> String {
    let escape = |name: &str| name.replace('%', "%25").replace('/', "%2F");
    let user = escape(&owner.user_id);
    owner.org_id.as_deref().map_or_else(|| user.clone(), |org| format!("{}/{user}", escape(org)))
}

/// Whether an answer is stored under the key.
pub(super) async fn is_answered(store: &Store, key: &IdempotencyKey) -> Result<bool, Error> {
    let claim = key.claim.clone();
    let stored = store.read(move |tx| Box::pin(async move { tx.stored_answer(&claim).await }));
    Ok(stored.await?.is_some())
}

/// Claims the key, together with the answer if it is known already. Returns the stored answer when the key was used before.
pub(super) async fn claim(
    tx: &mut Tx,
    key: Option<&IdempotencyKey>,
    answered: Option<(BatchId, &Answer)>,
) -> Result<Option<Answer>, Error> {
    let Some(key) = key else { return Ok(None) };
    let claimed = match answered {
        Some((batch, answer)) => tx.claim_key_answered(&key.claim, batch, answer).await?,
        None => tx.claim_key(&key.claim).await?,
    };
    match claimed {
        ClaimOutcome::New => Ok(None),
        ClaimOutcome::Existing(stored) if !key.is_of(&stored) => Err(Error::KeyReused),
        // Key and answer are written in one transaction, so a key without an answer does not occur.
        ClaimOutcome::Existing(stored) => Ok(stored.answer),
    }
}

/// Stores the answer under a key that this transaction has claimed.
pub(super) async fn store_answer(
    tx: &mut Tx,
    key: &IdempotencyKey,
    batch: BatchId,
    answer: &Answer,
) -> Result<(), Error> {
    Ok(tx.answer_key(&key.claim, batch, answer).await?)
}

#[cfg(test)]
mod tests {
    use super::{Owner, principal};

    #[test]
    fn different_callers_never_share_keys_whatever_their_names_contain() {
        let principal = |org: Option<&str>, user: &str| {
            principal(&Owner { user_id: user.to_owned(), org_id: org.map(str::to_owned) })
        };
        assert_eq!(principal(None, "local"), "local");
        let callers = [
            principal(None, "a/b"),
            principal(None, "a%2Fb"),
            principal(Some("a"), "b"),
            principal(Some("a"), "b/c"),
            principal(Some("a/b"), "c"),
            principal(Some("a%2Fb"), "c"),
            principal(None, "a/b/c"),
        ];
        let different: std::collections::HashSet<&String> = callers.iter().collect();
        assert_eq!(different.len(), callers.len());
    }
}
