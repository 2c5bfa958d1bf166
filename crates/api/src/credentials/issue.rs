//! Making a token.

use std::fmt::Write as _;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use store::{Lane, Owner, Private, Store, TokenRow};
use utoipa::ToSchema;

use super::document::{IssuedDocument, TokenDocument};
use super::scopes::{Scope, Scopes};
use super::{ID, MARK, SECRET, sha256};

/// Characters of a user's or an organisation's name, and of a note.
const LONGEST: usize = 255;

/// The longest life that can be asked for; without an end there is none.
const LONGEST_LIFE: TimeDelta = TimeDelta::days(3_660);

/// A token to make.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Whom its bearer acts as.
    pub user_id: String,
    /// The organisation that its bearer acts for.
    #[serde(default)]
    pub org_id: Option<String>,
    /// What its bearer may do; read and write when nothing is said.
    #[serde(default)]
    pub scopes: Option<Vec<Scope>>,
    /// How long it can be used, as in `90d`; without an end when nothing is said.
    #[serde(default)]
    #[schema(example = "90d")]
    pub expires_in: Option<String>,
    /// What it is for, in words.
    #[serde(default)]
    pub note: Option<String>,
}

/// What is wrong with a field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field.
    pub field: &'static str,
    /// The kind.
    pub kind: FaultKind,
    /// What is wrong, for people.
    pub detail: &'static str,
}

/// The kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Longer than is kept.
    TooLong,
    /// Holds what breaks lines or logs.
    ControlCharacter,
    /// Is not what is expected here.
    Unusable,
}

/// A request that was found acceptable.
pub struct Acceptable {
    owner: Owner,
    scopes: Scopes,
    life: Option<TimeDelta>,
    note: Option<String>,
}

impl TokenRequest {
    /// Checks everything at once.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check(self) -> Result<Acceptable, Vec<Fault>> {
        let mut faults = Vec::new();
        let names = [
            ("user_id", Some(&self.user_id)),
            ("org_id", self.org_id.as_ref()),
            ("note", self.note.as_ref()),
        ];
        for (field, text) in names {
            faults.extend(text.and_then(|text| fault_of(field, text)));
        }
        let scopes = self.scopes.map_or(Scopes::USUAL, Scopes::from_iter);
        if scopes == Scopes::NONE {
            faults.push(unusable("scopes", "expected at least one scope"));
        }
        let life = self.expires_in.map(|text| {
            life_of(&text).ok_or_else(|| {
                unusable(
                    "expires_in",
                    "expected a duration with its unit, such as 12h or 90d, of at most ten years",
                )
            })
        });
        let life = life.transpose().map_err(|fault| faults.push(fault)).unwrap_or_default();
        if faults.is_empty() {
            let owner = Owner { user_id: self.user_id, org_id: self.org_id };
            Ok(Acceptable { owner, scopes, life, note: self.note })
        } else {
            Err(faults)
        }
    }
}

fn unusable(field: &'static str, detail: &'static str) -> Fault {
    Fault { field, kind: FaultKind::Unusable, detail }
}

fn fault_of(field: &'static str, text: &str) -> Option<Fault> {
    if text.trim().is_empty() {
        Some(unusable(field, "expected 1 to 255 characters"))
    } else if text.chars().count() > LONGEST {
        Some(Fault { field, kind: FaultKind::TooLong, detail: "expected 1 to 255 characters" })
    } else if text.chars().any(char::is_control) {
        Some(Fault { field, kind: FaultKind::ControlCharacter, detail: "holds a control character" })
    } else {
        None
    }
}

fn life_of(text: &str) -> Option<TimeDelta> {
    let life = TimeDelta::from_std(humantime::parse_duration(text).ok()?).ok()?;
    (life > TimeDelta::zero() && life <= LONGEST_LIFE).then_some(life)
}

/// Makes a token and stores its hash. What comes back is the only copy.
///
/// # Errors
/// When the system gives no random numbers, or the database cannot take it.
pub async fn issue(store: &Store, request: Acceptable) -> Result<IssuedDocument, store::Error> {
    let token = format!("{MARK}{}_{}", digits::<{ ID / 2 }>()?, digits::<{ SECRET / 2 }>()?);
    let token_id = token.chars().skip(MARK.len()).take(ID).collect();
    let mut row = TokenRow {
        token_id,
        sha256: sha256(&token),
        owner: request.owner,
        scopes: request.scopes.to_text(),
        note: request.note.map(Private),
        // The unit's own time takes its place.
        created_at: chrono::DateTime::UNIX_EPOCH,
        expires_at: None,
        revoked_at: None,
    };
    let life = request.life;
    let stored = store.unit(Lane::Caller, move |tx| {
        row.created_at = tx.now();
        row.expires_at = life.map(|life| tx.now() + life);
        let row = row.clone();
        Box::pin(async move {
            tx.insert_token(&row).await?;
            Ok::<_, store::Error>((row, tx.now()))
        })
    });
    let (row, now) = stored.await?;
    // Whom it is for is in the table; the log holds no names.
    tracing::info!(token.id = row.token_id, scopes = row.scopes, "a token was made");
    Ok(IssuedDocument { token, about: TokenDocument::of(row, now) })
}

/// So many random bytes as hexadecimal digits.
fn digits<const BYTES: usize>() -> Result<String, store::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|_| store::Error::Unavailable { doing: "draw a random token", source: None })?;
    Ok(bytes.iter().fold(String::with_capacity(2 * BYTES), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::{Fault, FaultKind, TokenRequest};

    #[test]
    fn everything_that_is_wrong_with_a_request_is_told_at_once() {
        let request = TokenRequest {
            user_id: " ".to_owned(),
            org_id: Some("a\nb".to_owned()),
            scopes: Some(Vec::new()),
            expires_in: Some("ninety days".to_owned()),
            note: Some("n".repeat(256)),
        };
        let faults: Vec<(&str, FaultKind)> = match request.check() {
            Err(faults) => faults.into_iter().map(|Fault { field, kind, .. }| (field, kind)).collect(),
            Ok(_) => Vec::new(),
        };
        let unusable = FaultKind::Unusable;
        assert_eq!(
            faults,
            [
                ("user_id", unusable),
                ("org_id", FaultKind::ControlCharacter),
                ("note", FaultKind::TooLong),
                ("scopes", unusable),
                ("expires_in", unusable),
            ]
        );
    }

    #[test]
    fn a_life_is_longer_than_nothing_and_at_most_ten_years() {
        for bad in ["0s", "11years", "99999999999999y", "-1d", "90", ""] {
            assert!(super::life_of(bad).is_none(), "{bad}");
        }
        assert!(super::life_of("90d").is_some() && super::life_of("1s").is_some());
    }
}
