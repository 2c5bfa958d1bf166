//! What callers see. Every statement here compares the owner: a stranger gets the same answer as for a batch that is not.

pub(crate) mod essays;
pub(crate) mod list;
pub(crate) mod results;
pub(crate) mod status;

/// Holds for the batch `$1` when it belongs to the user `$2` of the organisation `$3`.
macro_rules! owned {
    () => {
        "EXISTS (SELECT 1 FROM batches b WHERE b.batch_id = $1 AND b.owner_user_id = $2 \
         AND b.org_id IS NOT DISTINCT FROM $3)"
    };
}
pub(crate) use owned;
