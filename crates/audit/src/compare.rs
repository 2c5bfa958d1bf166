//! Reading both sides for an [`Audit`]: first how far our group is, then the topics, then the tables, so that everything seen
//! must have left what is looked for afterwards.

use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::Topic;
use engine::consumer::CONSUMER;
use invariants::Evaluation;
use rdkafka::error::KafkaError;
use store::{CommittedRow, Store};
use uuid::Uuid;

use super::{Audit, Figures, Terms, topics};
use kafka::settings::KafkaSettings;

/// Rows of one page.
const PAGE: u32 = 1_000;

/// A message that was sent so shortly before reading began may have been read or not: writers' clocks and the database's are
/// not the same.
const MARGIN: Duration = Duration::from_secs(10);

/// How long a message may wait while everything is well; and by how much clocks of machines that keep time may differ.
const PATIENCE: Duration = Duration::from_mins(1);
const SKEW_MS: i64 = 1_000;

/// Why there is nothing to say.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The topics cannot be read.
    #[error("Kafka cannot be read")]
    Kafka(#[from] KafkaError),
    /// The tables cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A defect.
    #[error("the reader of the topics panicked")]
    Panicked,
}

/// Compares what the topics hold since then with the database, while the service works.
///
/// # Errors
/// When either of them does not answer.
pub async fn compare(
    store: &Store,
    kafka: KafkaSettings,
    since: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(Vec<Evaluation>, Figures), Error> {
    let reading = tokio::task::spawn_blocking(move || {
        let positions = topics::positions(&kafka, CONSUMER, Topic::READ)?;
        let terms =
            Terms { positions, since, until: now - MARGIN, patience: now - PATIENCE, skew_ms: SKEW_MS };
        let mut audit = Audit::new(terms);
        for topic in Topic::ALL {
            topics::read(&kafka, *topic, since, |record| audit.record(&record))?;
        }
        Ok::<_, KafkaError>(audit)
    });
    let mut audit = reading.await.map_err(|_| Error::Panicked)??;
    read_rows(store, &mut audit).await?;
    let figures = audit.figures();
    Ok((audit.finish(), figures))
}

/// Tells an audit every row, once it has been told every record.
///
/// # Errors
/// When the database does not answer.
pub async fn read_rows(store: &Store, audit: &mut Audit) -> Result<(), store::Error> {
    let mut after = Uuid::nil();
    loop {
        let page = store.read(move |tx| Box::pin(async move { tx.audit_batches(after, PAGE).await })).await?;
        let Some(last) = page.last().copied() else { break };
        after = last;
        for batch in page {
            audit.batch(batch);
        }
    }
    read_committed(store, audit).await?;
    let mut after = (Uuid::nil(), Uuid::nil());
    loop {
        let page = store
            .read(move |tx| Box::pin(async move { tx.audit_inbox(CONSUMER, after, PAGE).await }))
            .await?;
        let Some(last) = page.last().copied() else { break };
        after = last;
        for (_, event) in page {
            audit.applied(event);
        }
    }
    let mut after = (String::new(), -1, -1);
    loop {
        let from = after.clone();
        let page = store
            .read(move |tx| Box::pin(async move { tx.audit_dead_letters(CONSUMER, &from, PAGE).await }))
            .await?;
        let Some(last) = page.last().cloned() else { break };
        after = last;
        for place in page {
            audit.set_aside(place);
        }
    }
    Ok(())
}

/// First those that wait: what is sent meanwhile is found among those that were sent.
async fn read_committed(store: &Store, audit: &mut Audit) -> Result<(), store::Error> {
    let mut after = (-1, -1);
    loop {
        let page = store.read(move |tx| Box::pin(async move { tx.audit_outbox(after, PAGE).await })).await?;
        let Some(last) = page.last() else { break };
        after = last.place;
        for row in &page {
            audit.committed(row);
        }
    }
    let mut after = (DateTime::UNIX_EPOCH, (-1, -1));
    loop {
        let page: Vec<CommittedRow> =
            store.read(move |tx| Box::pin(async move { tx.audit_sent(after, PAGE).await })).await?;
        let Some((last, sent_at)) = page.last().and_then(|last| Some((last, last.sent_at?))) else { break };
        after = (sent_at, last.place);
        for row in &page {
            audit.committed(row);
        }
    }
    Ok(())
}
