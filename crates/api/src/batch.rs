//! `/v1/batch`: one file per verb.

pub(crate) mod create;
pub(crate) mod essays;
pub(crate) mod list;
pub(crate) mod results;
pub(crate) mod show;
pub(crate) mod start;
pub(crate) mod status;

use super::problem::{Code, Problem};

/// The answer to a stranger and about a batch that is not: the same.
fn unknown() -> Problem {
    Problem::new(Code::UnknownBatch, "There is no such batch; GET /v1/batch lists those there are.")
}
