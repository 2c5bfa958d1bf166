//! Queries that callers see. Each of them compares the owner: for a caller, a batch of another owner does not exist.

pub(crate) mod essays;
pub(crate) mod list;
pub(crate) mod results;
pub(crate) mod status;

use domain::BatchId;

use crate::param::Param;
use crate::tables::batches::Owner;

/// The parameters `$1` to `$3` of the condition [`owned!`](crate::tables::batches::owned).
pub(crate) fn owner_params(owner: &Owner, batch: BatchId) -> [Param<'_>; 3] {
    [batch.into(), Param::from(&owner.user_id), owner.org_id.as_deref().into()]
}
