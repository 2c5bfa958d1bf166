//! What a batch waits for, and its stored form.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::is_zero;
use crate::status::WaitingCode;

/// What a batch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct WaitingOn {
    /// The awaited thing.
    pub code: WaitingCode,
    /// Essays whose text or result is awaited; `None` where the code is not about single essays.
    pub essays: Option<u32>,
    /// When the batch began to wait for this code.
    pub since: DateTime<Utc>,
    /// When a timer or a retry acts next, if that is known.
    pub next_check_at: Option<DateTime<Utc>>,
    /// How often the command or the requests of the running attempt were sent again.
    pub resends: u32,
}

/// [`WaitingOn`] in a state row, readable by this program and by the one before it.
#[derive(Serialize, Deserialize)]
struct Stored {
    code: WaitingCode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    essays: Option<u32>,
    /// Rows written before `essays` existed hold the number here, as in "6 essays". Programs of that time require the field,
    /// and may run beside this one during a rolling restart, so it is still written, as an empty string. It can go with the
    /// next version of the state.
    #[serde(default)]
    detail: String,
    since: DateTime<Utc>,
    next_check_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    resends: u32,
}

impl From<Stored> for WaitingOn {
    fn from(stored: Stored) -> Self {
        let Stored { code, essays, detail, since, next_check_at, resends } = stored;
        let in_detail = || detail.split(' ').next()?.parse().ok();
        Self { code, essays: essays.or_else(in_detail), since, next_check_at, resends }
    }
}

impl From<WaitingOn> for Stored {
    fn from(waiting_on: WaitingOn) -> Self {
        let WaitingOn { code, essays, since, next_check_at, resends } = waiting_on;
        Self { code, essays, detail: String::new(), since, next_check_at, resends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> WaitingOn {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_row_that_holds_the_count_in_words_is_still_read() {
        let old = |detail: &str| {
            format!(
                r#"{{"code":"results","detail":"{detail}","since":"2026-03-02T08:15:30Z","next_check_at":null}}"#
            )
        };
        assert_eq!(read(&old("6 essays")).essays, Some(6));
        assert_eq!(read(&old("1 text")).essays, Some(1));
        assert_eq!(read(&old("")).essays, None);
    }

    #[test]
    fn the_count_is_stored_as_a_number_beside_the_field_that_older_programs_require() {
        let waiting_on = WaitingOn {
            code: WaitingCode::Results,
            essays: Some(6),
            since: DateTime::UNIX_EPOCH,
            next_check_at: None,
            resends: 0,
        };
        let json = serde_json::to_string(&waiting_on).unwrap();
        assert_eq!(
            json,
            r#"{"code":"results","essays":6,"detail":"","since":"1970-01-01T00:00:00Z","next_check_at":null}"#
        );
        assert_eq!(read(&json), waiting_on);
    }
}
