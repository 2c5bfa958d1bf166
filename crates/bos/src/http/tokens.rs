//! `/v1/tokens`: the tokens of callers, one file per verb. For administrators.

pub(super) mod create;
pub(super) mod list;
pub(super) mod revoke;
