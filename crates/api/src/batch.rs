//! `/v1/batch`: batches of essays, one file per verb.

pub(crate) mod create;
pub(crate) mod essays;
pub(crate) mod list;
pub(crate) mod results;
pub(crate) mod show;
pub(crate) mod start;
pub(crate) mod status;

use super::problem::{Code, Problem};

/// The problem of a batch that does not exist or belongs to another caller; the answer is the same for both.
fn unknown() -> Problem {
    Problem::new(Code::UnknownBatch, "The batch does not exist; GET /v1/batch lists your batches.")
}
