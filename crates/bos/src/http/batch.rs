//! `/v1/batch`: one file per verb.

pub(super) mod create;
pub(super) mod essays;
pub(super) mod list;
pub(super) mod results;
pub(super) mod show;
pub(super) mod start;
pub(super) mod status;

use super::problem::{Code, Problem};

/// The answer to a stranger and about a batch that is not: the same.
fn unknown() -> Problem {
    Problem::new(Code::UnknownBatch, "There is no such batch; GET /v1/batch lists those there are.")
}
