//! `/v1/tokens`: API tokens, one file per verb. For administrators.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;
