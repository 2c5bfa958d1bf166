//! Applying news: one transaction per unit of batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::BatchId;
use futures::StreamExt as _;
use store::{BatchRow, InboxKey, Lane, Tx};

use super::applied::{Applied, Attempt, Item};
use super::change::{self, Change, Saved};
use super::commit::Committed;
use super::units::{self, Numbered};
use super::{Engine, resolve};
use crate::crash::CrashPoint;
use crate::error::Error;
use crate::metrics;
use crate::news::{BatchNews, CONSUMER, Cause, ConsumedMessage, News, Origin};
use crate::settings::Settings;

/// Attempts to apply a message in isolation before it is dead-lettered.
const ISOLATED_ATTEMPTS: u32 = 5;
/// The first pause between isolated attempts. Pauses double: 50 + 100 + 200 + 400 = 750 ms in total, during which the message's
/// partition waits.
const ISOLATED_FIRST_PAUSE: Duration = Duration::from_millis(50);

impl Engine {
    /// Applies one piece of news.
    ///
    /// # Errors
    /// When the store does not answer, or the batch's row cannot be read or written.
    pub async fn apply(&self, batch: BatchId, news: News, cause: Cause) -> Result<Applied, Error> {
        let mut applied = self.apply_many(vec![BatchNews { batch, news, cause }]).await?;
        Ok(applied.pop().unwrap_or(Applied::Unchanged))
    }

    /// Applies several pieces of news and returns their outcomes in the order of the news.
    ///
    /// News of one batch is applied in order and in one transaction, and makes one revision.
    ///
    /// # Errors
    /// When one unit fails: the store does not answer, or a batch's row cannot be read or written. Other units may have
    /// committed then.
    pub async fn apply_many(&self, news: Vec<BatchNews>) -> Result<Vec<Applied>, Error> {
        let at_once = self.store.max_concurrent_units();
        let mut outcomes = Vec::with_capacity(news.len());
        let units: Vec<_> = units::split(news, |news| news.batch, at_once)
            .into_iter()
            .map(|unit| self.apply_unit(unit))
            .collect();
        // Every unit runs to its end, also when one fails: a retry must not meet units that are still at work.
        let units: Vec<_> = futures::stream::iter(units).buffer_unordered(at_once).collect().await;
        for unit in units {
            outcomes.extend(unit?);
        }
        outcomes.sort_unstable_by_key(|outcome: &Numbered<Applied>| outcome.number);
        Ok(outcomes.into_iter().map(|outcome| outcome.value).collect())
    }

    /// Applies news as [`Engine::apply_many`] does. On failure, items are retried one at a time so that one bad item does not
    /// block the rest. An attempt without an outcome marks an item that still fails: its batch's row cannot be read, the database
    /// rejects one of its values, or it meets a defect.
    ///
    /// # Errors
    /// Transient errors only: everything that does not blame the item, such as a missing right.
    pub(crate) async fn apply_each(&self, news: Vec<BatchNews>) -> Result<Vec<Attempt>, Error> {
        match self.apply_many(news.clone()).await {
            Ok(outcomes) => {
                let attempts = news.into_iter().zip(outcomes);
                return Ok(attempts
                    .map(|(news, outcome)| Attempt { batch: news.batch, outcome: Some(outcome) })
                    .collect());
            }
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "cannot apply messages together; applying them one at a time");
            }
        }
        let mut attempts = Vec::with_capacity(news.len());
        for news in news {
            attempts.push(Attempt { batch: news.batch, outcome: self.apply_isolated(news).await? });
        }
        Ok(attempts)
    }

    /// Applies one piece of news that failed together with others. `None` after [`ISOLATED_ATTEMPTS`] failures.
    async fn apply_isolated(&self, news: BatchNews) -> Result<Option<Applied>, Error> {
        let BatchNews { batch, news, cause } = news;
        for failures in 0..ISOLATED_ATTEMPTS {
            if failures > 0 {
                self.clock.sleep(ISOLATED_FIRST_PAUSE * 2_u32.pow(failures - 1)).await;
            }
            match self.apply(batch, news.clone(), cause.clone()).await {
                Ok(outcome) => return Ok(Some(outcome)),
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    tracing::error!(%error, batch.id = %batch, failures, "cannot apply a message");
                }
            }
        }
        Ok(None)
    }

    async fn apply_unit(&self, news: Vec<Numbered<BatchNews>>) -> Result<Vec<Numbered<Applied>>, Error> {
        let news = Arc::new(news);
        let settings = Arc::clone(&self.settings);
        let embedded_bus = self.bus.is_some();
        let (outcomes, committed) = self
            .store
            .unit(Lane::Task, move |tx| {
                let (news, settings) = (Arc::clone(&news), Arc::clone(&settings));
                Box::pin(async move {
                    let (outcomes, saved) = apply_in(tx, &news, &settings, embedded_bus).await?;
                    Ok::<_, Error>((outcomes, Committed::new(tx, saved, embedded_bus).await?))
                })
            })
            .await?;
        self.crash.at(CrashPoint::BeforeWake)?;
        for outcome in &outcomes {
            metrics::count(metrics::NEWS, Some(("outcome", outcome.value.label())), 1);
        }
        self.wake(&committed);
        Ok(outcomes)
    }
}

/// Applies the news of one unit. [`units::split`] has put the news of each batch next to each other, batches ascending by id.
async fn apply_in(
    tx: &mut Tx,
    news: &[Numbered<BatchNews>],
    settings: &Settings,
    embedded_bus: bool,
) -> Result<(Vec<Numbered<Applied>>, Vec<Saved>), Error> {
    let mut items: Vec<Item<'_>> = news.iter().map(Item::new).collect();
    // Every batch is locked before any is changed, and every unit locks in the order of the ids: so units cannot deadlock.
    let mut ids: Vec<BatchId> = items.iter().map(Item::batch).collect();
    ids.dedup();
    let mut rows: BTreeMap<BatchId, BatchRow> =
        tx.batches_for_update(&ids).await?.into_iter().map(|row| (row.batch.id, row)).collect();

    for item in items.iter_mut().filter(|item| !rows.contains_key(&item.batch())) {
        item.set_outcome(&Applied::Foreign);
    }
    find_duplicates(tx, &mut items).await?;
    let mut changes = Vec::with_capacity(rows.len());
    for of_batch in items.chunk_by_mut(|a, b| a.batch() == b.batch()) {
        let Some(row) = of_batch.first().and_then(|item| rows.remove(&item.batch())) else { continue };
        changes.push(apply_to(tx, row, of_batch, settings, embedded_bus).await?);
    }
    let outcomes = items.into_iter().map(Item::into_outcome).collect();
    Ok((outcomes, change::save(tx, changes).await?))
}

/// Applies to one batch what is undecided among its items.
async fn apply_to(
    tx: &mut Tx,
    row: BatchRow,
    items: &mut [Item<'_>],
    settings: &Settings,
    embedded_bus: bool,
) -> Result<Change, Error> {
    for item in items.iter_mut().filter(|item| item.is_undecided() && !is_authorized(&row, &item.news.cause))
    {
        item.set_outcome(&Applied::Foreign);
    }
    let batch = row.batch.id;
    let mut change = Change::new(row, embedded_bus);
    let mut refused = Vec::new();
    for piece in resolve::merge(items.iter_mut().filter(|item| item.is_undecided())) {
        let causes: Vec<&Cause> = piece.members.iter().map(|item| &item.news.cause).collect();
        change.begin_news(&piece.news, &causes);
        let outcome = match change.apply_news(tx, &piece.news, settings).await {
            Ok(true) => Applied::Changed { revision: change.row.batch.revision + 1 },
            Ok(false) => Applied::Unchanged,
            Err(Error::Refused(refusal)) => {
                refused.extend(causes.iter().filter_map(|cause| Some(consumed_message(cause)?.event_id)));
                Applied::Refused(refusal)
            }
            Err(error) => return Err(error),
        };
        change.end_news(outcome.label());
        change.correlation = change.correlation.or(piece.correlation);
        for item in piece.members {
            item.set_outcome(&outcome);
        }
    }
    // A refused message gets a dead letter in a later unit, and the dead letter's key deduplicates it. With an inbox row as well,
    // a crash between the two units would make the redelivery a duplicate, and the dead letter would never be written.
    if !refused.is_empty() {
        tx.delete_from_inbox(batch, CONSUMER, &refused).await?;
    }
    Ok(change)
}

/// A caller may change its own batches only. The bus and our tasks may change any.
fn is_authorized(row: &BatchRow, cause: &Cause) -> bool {
    match &cause.origin {
        Origin::Caller(owner) => row.owner == *owner,
        Origin::Bus(_) | Origin::Task(_) => true,
    }
}

/// Records the consumed messages among the undecided items in the inbox. Those that it has already are duplicates.
async fn find_duplicates(tx: &mut Tx, items: &mut [Item<'_>]) -> Result<(), Error> {
    let undecided = items.iter_mut().filter(|item| item.is_undecided());
    let (consumed, keys): (Vec<&mut Item<'_>>, Vec<(BatchId, InboxKey)>) =
        undecided.filter_map(|item| inbox_key(item.news).map(|key| (item, key))).unzip();
    let recorded = tx.record_inbox(CONSUMER, &keys).await?;
    for (item, _) in consumed.into_iter().zip(recorded).filter(|(_, is_new)| !is_new) {
        item.set_outcome(&Applied::Duplicate);
    }
    Ok(())
}

fn consumed_message(cause: &Cause) -> Option<&ConsumedMessage> {
    match &cause.origin {
        Origin::Bus(message) => Some(message),
        Origin::Caller(_) | Origin::Task(_) => None,
    }
}

fn inbox_key(news: &BatchNews) -> Option<(BatchId, InboxKey)> {
    let ConsumedMessage { event_id, topic, partition, offset } = consumed_message(&news.cause)?;
    let key =
        InboxKey { event_id: *event_id, topic: (*topic).to_owned(), partition: *partition, offset: *offset };
    Some((news.batch, key))
}
