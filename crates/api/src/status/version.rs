//! The version of a status document: the revision of the batch, and its messages that wait for an unavailable event bus.
//!
//! An outage of the bus is known to this process only and is in no row, so it does not change the revision. It is read from
//! memory: without an outage, a poll costs one look-up of the revision. During an outage the same look-up also counts the
//! batch's messages, and the entity tag contains that number, so a caller with the earlier document gets the new one.

use chrono::{DateTime, Utc};
use domain::BatchId;
use store::{Owner, Tx};

/// The version of a status document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) revision: i64,
    /// The messages that wait for the bus, during an outage.
    pub(crate) held: Option<HeldMessages>,
}

/// The messages of a batch that wait for an unavailable event bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeldMessages {
    /// The number of messages, at least 1.
    pub(crate) messages: i64,
    /// When this process first saw the outage, if a request of its own has failed.
    pub(crate) since: Option<DateTime<Utc>>,
}

/// The availability of the event bus, as far as this process knows it without a request to the bus.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BusAvailability {
    /// No outage is known.
    Available,
    /// The bus is unavailable.
    Unavailable {
        /// When this process first saw the outage, if a request of its own has failed.
        since: Option<DateTime<Utc>>,
    },
}

impl BusAvailability {
    /// The current version of a batch's status document; `None` if the caller has no such batch.
    pub(crate) async fn version(
        self,
        tx: &mut Tx,
        owner: &Owner,
        batch: BatchId,
    ) -> Result<Option<Version>, store::Error> {
        let Self::Unavailable { since } = self else {
            let revision = tx.revision(owner, batch).await?;
            return Ok(revision.map(|revision| Version { revision, held: None }));
        };
        let standing = tx.revision_and_pending(owner, batch).await?;
        Ok(standing.map(|(revision, messages)| Version {
            revision,
            held: (messages > 0).then_some(HeldMessages { messages, since }),
        }))
    }
}

impl Version {
    /// The entity tag, without quotation marks: the revision, with a suffix while messages wait for the bus.
    pub(crate) fn tag(&self) -> String {
        let revision = self.revision;
        match self.held {
            None => revision.to_string(),
            Some(HeldMessages { messages, since }) => {
                let since = since.map(|since| since.timestamp_millis()).unwrap_or_default();
                format!("{revision}-bus-{messages}-{since}")
            }
        }
    }
}
