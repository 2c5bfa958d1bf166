//! Creating a token: the request, its checks, and the insert.

use std::fmt::Write as _;

use chrono::TimeDelta;
use client::documents::{IssuedDocument, TokenRequest};
use store::{Lane, Owner, Private, Store, TokenRow};

use super::document::document;
use super::scopes::Scopes;
use super::{ID, MARK, SECRET, sha256};

/// Most characters in the name of a user or an organisation, and in a note.
const LONGEST: usize = 255;

/// The longest lifetime that can be requested, ten years. A token without `expires_in` never expires.
const LONGEST_LIFETIME: TimeDelta = TimeDelta::days(3_660);

/// What is wrong with a field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The name of the field.
    pub field: &'static str,
    /// The kind of fault.
    pub kind: FaultKind,
    /// What is wrong, for people.
    pub detail: &'static str,
}

/// The kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Longer than the limit.
    TooLong,
    /// Contains a control character, which could break lines and logs.
    ControlCharacter,
    /// Not a value that the field accepts.
    Unusable,
}

/// A request that passed [`check`].
pub struct Acceptable {
    owner: Owner,
    scopes: Scopes,
    life: Option<TimeDelta>,
    note: Option<String>,
}

/// Checks every field of a request.
///
/// # Errors
/// All faults of the request, not only the first.
pub fn check(request: TokenRequest) -> Result<Acceptable, Vec<Fault>> {
    let TokenRequest { user_id, org_id, scopes, expires_in, note } = request;
    let mut faults = Vec::new();
    for (field, text) in [("user_id", Some(&user_id)), ("org_id", org_id.as_ref()), ("note", note.as_ref())] {
        faults.extend(text.and_then(|text| check_text(field, text)));
    }
    let scopes = scopes.map_or(Scopes::USUAL, Scopes::from_iter);
    if scopes == Scopes::NONE {
        faults.push(unusable("scopes", "expected at least one scope"));
    }
    let life = expires_in.map(|text| {
        parse_lifetime(&text).ok_or_else(|| {
            unusable(
                "expires_in",
                "expected a duration with its unit, such as 12h or 90d, of at most ten years",
            )
        })
    });
    let life = life.transpose().map_err(|fault| faults.push(fault)).unwrap_or_default();
    if faults.is_empty() {
        Ok(Acceptable { owner: Owner { user_id, org_id }, scopes, life, note })
    } else {
        Err(faults)
    }
}

fn unusable(field: &'static str, detail: &'static str) -> Fault {
    Fault { field, kind: FaultKind::Unusable, detail }
}

fn check_text(field: &'static str, text: &str) -> Option<Fault> {
    if text.trim().is_empty() {
        Some(unusable(field, "expected 1 to 255 characters"))
    } else if text.chars().count() > LONGEST {
        Some(Fault { field, kind: FaultKind::TooLong, detail: "expected 1 to 255 characters" })
    } else if text.chars().any(char::is_control) {
        Some(Fault { field, kind: FaultKind::ControlCharacter, detail: "contains a control character" })
    } else {
        None
    }
}

fn parse_lifetime(text: &str) -> Option<TimeDelta> {
    let life = TimeDelta::from_std(humantime::parse_duration(text).ok()?).ok()?;
    (life > TimeDelta::zero() && life <= LONGEST_LIFETIME).then_some(life)
}

/// Who asks for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    /// An authenticated administrator, or an operator who has the database open.
    Trusted,
    /// Any client of a server without authentication, perhaps a web page.
    Anyone,
}

/// Creates a token and stores its hash. The returned document is the only copy of the token.
///
/// # Errors
/// When the system provides no random numbers, or the database cannot store the token.
pub async fn issue(
    store: &Store,
    request: Acceptable,
    issuer: Issuer,
) -> Result<IssuedDocument, store::Error> {
    let token = format!("{MARK}{}_{}", digits::<{ ID / 2 }>()?, digits::<{ SECRET / 2 }>()?);
    let token_id = token.chars().skip(MARK.len()).take(ID).collect();
    let mut row = TokenRow {
        token_id,
        sha256: sha256(&token),
        owner: request.owner,
        scopes: request.scopes.to_text(),
        note: request.note.map(Private),
        // Set to the time of the unit below.
        created_at: chrono::DateTime::UNIX_EPOCH,
        expires_at: None,
        revoked_at: None,
        issued_without_auth: issuer == Issuer::Anyone,
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
    // The log holds no names: the user is in the table.
    tracing::info!(token.id = row.token_id, scopes = row.scopes, "token created");
    Ok(IssuedDocument { token, about: document(row, now) })
}

/// `BYTES` random bytes as hexadecimal digits.
fn digits<const BYTES: usize>() -> Result<String, store::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|_| store::Error::Unavailable { doing: "draw a random token", cause: None })?;
    Ok(bytes.iter().fold(String::with_capacity(2 * BYTES), |mut text, byte| {
        // Writing to a string never fails.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::{Fault, FaultKind, TokenRequest, check};

    #[test]
    fn all_faults_of_a_request_are_reported_at_once() {
        let request = TokenRequest {
            user_id: " ".to_owned(),
            org_id: Some("a\nb".to_owned()),
            scopes: Some(Vec::new()),
            expires_in: Some("ninety days".to_owned()),
            note: Some("n".repeat(256)),
        };
        let faults: Vec<(&str, FaultKind)> = match check(request) {
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
    fn a_lifetime_is_more_than_zero_and_at_most_ten_years() {
        for bad in ["0s", "11years", "99999999999999y", "-1d", "90", ""] {
            assert!(super::parse_lifetime(bad).is_none(), "{bad}");
        }
        assert!(super::parse_lifetime("90d").is_some() && super::parse_lifetime("1s").is_some());
    }
}
