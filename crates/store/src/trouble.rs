//! The trouble that the latest uses of a database have met, for readiness and operators.
//!
//! Work that waits for the database is repeated every few seconds, so trouble that lasts is reported again and again. Trouble
//! that was not reported for [`HOLDS`] is over. Nothing else shows the end of, for example, a missing right on one table, while
//! uses of other tables succeed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Error;

/// How long a report holds: three times the longest pause (5 s) between two attempts of a task that waits; chosen.
const HOLDS: Duration = Duration::from_secs(15);

/// Why a database cannot be used, wholly or in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// The reason, as a stable code ([`Error::code`]).
    pub code: &'static str,
    /// For how long the uses of the database have met it.
    pub age: Duration,
}

impl Trouble {
    /// Whether no write can succeed.
    pub fn prevents_writes(&self) -> bool {
        matches!(
            self.code,
            "database_full"
                | "database_read_only"
                | "database_io_error"
                | "database_unreadable"
                | "database_damaged"
        )
    }
}

#[derive(Debug, Clone, Copy)]
struct Report {
    since: Instant,
    last: Instant,
}

/// The reports of one database. While there are none, a use of the database reads one flag.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    any: AtomicBool,
    reports: Mutex<BTreeMap<&'static str, Report>>,
}

impl Troubles {
    /// Records the outcome of a use of the database. Errors that blame the data, and conflicts, are no trouble of the database.
    pub(crate) fn observe(&self, error: Option<&Error>) {
        self.observe_at(error, Instant::now);
    }

    fn observe_at(&self, error: Option<&Error>, now: impl FnOnce() -> Instant) {
        match error {
            Some(Error::Conflict { .. }) => {}
            Some(error) if error.is_transient() => {
                let (now, mut reports) = (now(), self.reports());
                let report = reports.entry(error.code()).or_insert(Report { since: now, last: now });
                if !holds(report, now) {
                    report.since = now;
                }
                report.last = now;
                self.any.store(true, Ordering::Release);
            }
            // The database answered.
            Some(_) | None if self.any.load(Ordering::Acquire) => {
                let mut reports = self.reports();
                reports.retain(|code, _| !is_about_the_whole(code));
                self.any.store(!reports.is_empty(), Ordering::Release);
            }
            Some(_) | None => {}
        }
    }

    /// The trouble that holds now.
    pub(crate) fn now(&self) -> Vec<Trouble> {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> Vec<Trouble> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut reports = self.reports();
        reports.retain(|_, report| holds(report, now));
        self.any.store(!reports.is_empty(), Ordering::Release);
        reports.iter().map(|(code, report)| Trouble { code, age: now.duration_since(report.since) }).collect()
    }

    fn reports(&self) -> MutexGuard<'_, BTreeMap<&'static str, Report>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn holds(report: &Report, now: Instant) -> bool {
    now.duration_since(report.last) < HOLDS
}

/// Whether any use of the database that succeeds shows the end of this trouble.
fn is_about_the_whole(code: &str) -> bool {
    matches!(
        code,
        "database_unreachable"
            | "database_unavailable"
            | "database_login_refused"
            | "database_connections_exhausted"
            | "database_cannot_be_opened"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable() -> Error {
        Error::Unavailable { doing: "test", cause: None }
    }

    fn codes(troubles: &Troubles, at: Instant) -> Vec<&'static str> {
        troubles.at(at).into_iter().map(|trouble| trouble.code).collect()
    }

    #[test]
    fn trouble_of_a_part_ends_when_it_was_not_reported_for_a_while_and_keeps_its_beginning() {
        let (troubles, start) = (Troubles::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        troubles.observe_at(Some(&Error::Full { doing: "test" }), || start);
        troubles.observe_at(None, || after(1));
        assert_eq!(codes(&troubles, after(1)), ["database_full"], "a small write may succeed meanwhile");
        troubles.observe_at(Some(&Error::Full { doing: "test" }), || after(10));
        let age = Duration::from_secs(24);
        assert_eq!(troubles.at(after(24)), [Trouble { code: "database_full", age }]);
        assert_eq!(codes(&troubles, after(25)), [""; 0]);
        troubles.observe_at(Some(&Error::Full { doing: "test" }), || after(60));
        assert_eq!(troubles.at(after(60)), [Trouble { code: "database_full", age: Duration::ZERO }]);
    }

    #[test]
    fn trouble_of_the_whole_database_ends_with_the_first_success() {
        let (troubles, start) = (Troubles::default(), Instant::now());
        troubles.observe_at(Some(&unavailable()), || start);
        assert_eq!(codes(&troubles, start), ["database_unavailable"]);
        troubles.observe_at(None, || start);
        assert_eq!(codes(&troubles, start), [""; 0]);
    }

    #[test]
    fn conflicts_and_errors_of_the_data_are_no_trouble_of_the_database() {
        let (troubles, start) = (Troubles::default(), Instant::now());
        troubles.observe_at(Some(&Error::Conflict { doing: "test", source: None }), || start);
        troubles.observe_at(Some(&Error::corrupt("table", "column", "")), || start);
        assert_eq!(codes(&troubles, start), [""; 0]);
    }
}
