//! Pagination of lists. A cursor is the position of the last row of a page, opaque to callers.

use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Code, Item, Problem};

/// Rows of a page without `limit`.
const USUAL: u32 = 50;

/// Most rows in a page.
const MOST: u32 = 500;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    data: Vec<T>,
    /// The position of the next page: send it back as `cursor`; null on the last page.
    next_cursor: Option<String>,
    has_more: bool,
}

impl<T> Page<T> {
    /// A page from rows of which `limit + 1` were requested; the extra row only shows that there are more.
    pub(crate) fn new(mut rows: Vec<T>, limit: u32, cursor: impl FnOnce(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| has_more).map(cursor);
        Self { data: rows, next_cursor, has_more }
    }
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
