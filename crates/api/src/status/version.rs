//! What a status document is a function of: the revision of the batch, and what waits for an event bus that is away.
//!
//! The bus's trouble is this process's knowledge and in no row, so it makes no revision. It is looked for in memory, where
//! nothing is found on a good day, and then a poll costs its one look-up of the revision. While the bus is away the same look-up
//! counts the batch's messages too, and what it finds is part of the entity tag: who has the document of before gets another.

use chrono::{DateTime, Utc};
use domain::BatchId;
use store::{Owner, Tx};

use crate::app::App;

/// Which document it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) revision: i64,
    /// What the bus does not take.
    pub(crate) held: Option<Held>,
}

/// Messages of a batch that wait for a bus which cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// How many.
    pub(crate) messages: i64,
    /// When the trouble began, if anything of ours has met it.
    pub(crate) since: Option<DateTime<Utc>>,
}

/// How the bus is when a request comes, as far as that is known without asking it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bus {
    /// Nothing is known against it.
    Fine,
    /// It cannot be used.
    Away {
        /// When that began, if anything of ours has met it.
        since: Option<DateTime<Utc>>,
    },
}

impl Bus {
    /// As this process knows it.
    pub(crate) fn of(app: &App) -> Self {
        app.bus_trouble().map_or(Self::Fine, |(_, since)| Self::Away { since })
    }

    /// Which document of a batch is the present one; none where the caller has no such batch.
    pub(crate) async fn version(
        self,
        tx: &mut Tx,
        owner: &Owner,
        batch: BatchId,
    ) -> Result<Option<Version>, store::Error> {
        let Self::Away { since } = self else {
            let revision = tx.revision(owner, batch).await?;
            return Ok(revision.map(|revision| Version { revision, held: None }));
        };
        let standing = tx.revision_and_pending(owner, batch).await?;
        Ok(standing.map(|(revision, messages)| Version {
            revision,
            held: (messages > 0).then_some(Held { messages, since }),
        }))
    }
}

impl Version {
    /// The entity tag, without its quotation marks: the revision, and more only while something waits for the bus.
    pub(crate) fn tag(&self) -> String {
        let revision = self.revision;
        match self.held {
            None => revision.to_string(),
            Some(Held { messages, since }) => {
                let since = since.map(|since| since.timestamp_millis()).unwrap_or_default();
                format!("{revision}-bus-{messages}-{since}")
            }
        }
    }
}
