//! Reads both sides for an [`Audit`]: first the committed offsets of the consumer group, then the topics, then the tables.
//!
//! In this order, every record that was read below an offset must have left its row by the time that the tables are read.

use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::Topic;
use engine::consumer::CONSUMER;
use invariants::Evaluation;
use store::{CommittedRow, Store};
use uuid::Uuid;

use super::{Audit, AuditWindow, Figures};
use kafka::admin::Admin;
use kafka::settings::KafkaSettings;
use kafka::{KafkaError, scan};

/// Rows of one page.
const PAGE: u32 = 1_000;

/// Messages sent less than this before reading began may be missing in what was read, because the clocks of the writers and of
/// the database differ; chosen.
const MARGIN: Duration = Duration::from_secs(10);

/// How long a message may wait in the outbox of a healthy service; chosen.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long Kafka may take for its first answer. Later answers may take longer, because much is read; chosen.
const REACH: Duration = Duration::from_secs(5);
/// How much the clocks of the writers may differ; chosen, for machines that synchronise their clocks.
const SKEW_MS: i64 = 1_000;

/// An error that prevents a comparison.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka does not answer, or refuses this user.
    #[error("cannot reach Kafka within {} s; check that it runs, and its address", REACH.as_secs())]
    Unreachable(#[from] kafka::admin::Error),
    /// The topics cannot be read.
    #[error("cannot read from Kafka")]
    Kafka(#[from] KafkaError),
    /// The tables cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The task that reads the topics panicked, which is a defect.
    #[error("the reader of the topics panicked")]
    Panicked,
}

/// Compares the records of the topics since `since` (none: all) with the database. The service may run meanwhile.
///
/// # Errors
/// Kafka or the database cannot be read.
pub async fn compare(
    store: &Store,
    kafka: KafkaSettings,
    since: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(Vec<Evaluation>, Figures), Error> {
    Admin::new(&kafka)?.with_timeout(REACH).inspect(&[]).await?;
    let reading = tokio::task::spawn_blocking(move || {
        let positions = scan::positions(&kafka, CONSUMER, Topic::READ)?;
        let window =
            AuditWindow { positions, since, until: now - MARGIN, patience: now - PATIENCE, skew_ms: SKEW_MS };
        let mut audit = Audit::new(window);
        for topic in Topic::ALL {
            scan::read(&kafka, *topic, since, |record| audit.record(&record))?;
        }
        Ok::<_, KafkaError>(audit)
    });
    let mut audit = reading.await.map_err(|_| Error::Panicked)??;
    read_rows(store, &mut audit).await?;
    let figures = audit.figures();
    Ok((audit.finish(), figures))
}

/// Adds every row to an audit that has every record.
///
/// # Errors
/// The database cannot be read.
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

/// Adds the committed messages: first the outbox, then the sent ones, so that a message sent meanwhile is not missed.
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
