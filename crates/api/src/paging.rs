//! Lists page by page: a cursor is the place of the last row, opaque to callers.

use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Code, Item, Problem};

/// Rows of a page when nothing is said.
const USUAL: u32 = 50;

/// Rows of a page at most.
const MOST: u32 = 500;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    data: Vec<T>,
    /// Where the next page begins: send it back as `cursor`.
    next_cursor: Option<String>,
    has_more: bool,
}

impl<T> Page<T> {
    /// A page out of rows that were read with one more than `limit`.
    pub(crate) fn of(mut rows: Vec<T>, limit: u32, cursor: impl FnOnce(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| has_more).map(cursor);
        Self { data: rows, next_cursor, has_more }
    }
}

/// How many rows a page shall have.
pub(crate) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked {
        None => Ok(USUAL),
        Some(limit @ 1..=MOST) => Ok(limit),
        Some(_) => Err(invalid("limit", format!("expected a number from 1 to {MOST}"))),
    }
}

/// The problem of a parameter's value.
pub(crate) fn invalid(parameter: &str, detail: impl Into<String>) -> Problem {
    Problem::of_item(Item::new(Code::InvalidParameter, detail).of_parameter(parameter))
}

/// The problem of a cursor that no page gave.
pub(crate) fn bad_cursor() -> Problem {
    invalid("cursor", "expected the `next_cursor` of the page before, unchanged")
}
