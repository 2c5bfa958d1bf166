//! `/v1/tokens`: the tokens of callers, one file per verb. For administrators.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;
