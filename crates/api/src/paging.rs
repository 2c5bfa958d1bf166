//! Pagination of lists. A cursor is the position of the last row of a page, opaque to callers.

use chrono::{DateTime, Datelike as _, Utc};
use client::documents::Page;

use super::problem::{Code, Item, Problem};

/// Rows of a page without `limit`.
const USUAL: u32 = 50;

/// Most rows in a page.
const MOST: u32 = 500;

/// A page from rows of which `limit + 1` were requested; the extra row only shows that there are more.
pub(crate) fn page<T>(mut rows: Vec<T>, limit: u32, cursor: impl FnOnce(&T) -> String) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| has_more).map(cursor);
    Page { data: rows, next_cursor, has_more }
}

/// A page with its rows converted.
pub(crate) fn map<T, U>(page: Page<T>, convert: impl FnMut(T) -> U) -> Page<U> {
    let Page { data, next_cursor, has_more } = page;
    Page { data: data.into_iter().map(convert).collect(), next_cursor, has_more }
}

/// The time in a cursor, from its microseconds since 1970; `None` if it is not one that every database can store.
pub(crate) fn cursor_time(micros: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros.parse().ok()?).filter(|at| is_in_reach(*at))
}

/// Whether every database can store this time: from the year 1 to the year 9999.
pub(crate) fn is_in_reach(time: DateTime<Utc>) -> bool {
    (1..=9999).contains(&time.year())
}

/// The number of rows in a page, from the parameter `limit`.
pub(crate) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked {
        None => Ok(USUAL),
        Some(limit @ 1..=MOST) => Ok(limit),
        Some(_) => Err(invalid("limit", format!("expected a number from 1 to {MOST}"))),
    }
}

/// The problem of an invalid parameter.
pub(crate) fn invalid(parameter: &str, detail: impl Into<String>) -> Problem {
    Problem::of_item(Item::new(Code::InvalidParameter, detail).of_parameter(parameter))
}

/// The problem of a cursor that is not one of this service.
pub(crate) fn bad_cursor() -> Problem {
    invalid("cursor", "expected the `next_cursor` of the previous page, unchanged")
}
