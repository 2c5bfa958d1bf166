//! Timestamps in the platform's format.

use std::fmt;

use chrono::{DateTime, Datelike as _, NaiveDateTime, SubsecRound as _, Timelike as _, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::strings::read_str;

/// A UTC instant with microseconds, written `YYYY-MM-DDTHH:MM:SS.ffffffZ`, without the fraction when it is zero.
///
/// Pydantic writes the platform's timestamps in this form. Readers accept any number of fraction digits, `Z` or an offset,
/// `T` or a space; a time without an offset is UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The timestamp of an instant, cut to whole microseconds. A leap second, which the platform's readers refuse, becomes the
    /// last microsecond of the second before it.
    pub fn new(at: DateTime<Utc>) -> Self {
        let leap = at.nanosecond() >= 1_000_000_000;
        Self(if leap { at.with_nanosecond(999_999_000).unwrap_or(at) } else { at.trunc_subsecs(6) })
    }

    /// The instant.
    pub const fn get(self) -> DateTime<Utc> {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text)
            .map(|at| at.to_utc())
            .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|at| at.and_utc()))
            .ok()
            .map(Self::new)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        Self::new(at)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (day, time) = (self.0.date_naive(), self.0.time());
        write!(f, "{:04}-{:02}-{:02}T", day.year(), day.month(), day.day())?;
        write!(f, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
        match time.nanosecond() / 1_000 {
            0 => f.write_str("Z"),
            micros => write!(f, ".{micros:06}Z"),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_str(deserializer, "a timestamp", Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        serde_json::from_value::<Timestamp>(text.into()).ok().map(|at| at.to_string())
    }

    #[test]
    fn a_timestamp_has_six_fraction_digits_or_none() {
        let cases = [
            ("2026-11-23T10:30:00.123456Z", "2026-11-23T10:30:00.123456Z"),
            ("2026-11-23T10:30:00Z", "2026-11-23T10:30:00Z"),
            ("2026-11-23T10:30:00.5Z", "2026-11-23T10:30:00.500000Z"),
            ("2026-11-23T10:30:00.1234567890123Z", "2026-11-23T10:30:00.123456Z"),
            ("2026-11-23T10:30:00.0000001Z", "2026-11-23T10:30:00Z"),
            ("2026-11-23T11:30:00.123456+01:00", "2026-11-23T10:30:00.123456Z"),
            ("2026-11-23T10:30:00.25", "2026-11-23T10:30:00.250000Z"),
            ("2026-11-23 10:30:00Z", "2026-11-23T10:30:00Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
        ];
        for (given, written) in cases {
            assert_eq!(read(given).as_deref(), Some(written), "{given}");
        }
    }

    #[test]
    fn text_that_is_not_a_time_is_refused() {
        for given in ["", "today", "2026-13-01T00:00:00Z", "1700000000"] {
            assert_eq!(read(given), None, "{given}");
        }
    }
}
