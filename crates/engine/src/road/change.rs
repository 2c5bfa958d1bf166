//! The changes of one batch within one transaction: collected while news is applied, written when the unit ends.
//!
//! Only essay rows change at once, because the rules need the number of rows that changed. Everything else is written at the end
//! of the unit and for all of its batches together, because on PostgreSQL a statement costs more than its rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{BatchId, Entry, Reason, Timer, TimerKind};
use store::{BatchRow, BatchSave, OutboxRow, SetTimer, TimelineRow, Tx};

use crate::error::Error;
use crate::news::{Cause, News};
use crate::spans::{self, NewsSpans, Span};
use crate::traceparent::Traceparent;

/// A batch as its unit has saved it. The unit's spans end when this is dropped, which is after the COMMIT.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) batch: BatchId,
    pub(super) revision: i64,
    pub(super) shard: i64,
    /// Whether the unit has written messages for the batch.
    pub(super) sends: bool,
    _spans: Vec<NewsSpans>,
    _sent: Vec<Span>,
}

/// The row of one batch within one transaction, and what is to be saved with it.
pub(super) struct Change {
    pub(super) row: BatchRow,
    /// The details of the timeline's next line.
    pub(super) entries: Vec<Entry>,
    messages: Vec<OutboxRow>,
    /// For each kind of timer that changes: its new due time, or `None` when it is cleared.
    timers: BTreeMap<TimerKind, Option<(Timer, DateTime<Utc>)>>,
    /// The reason for the next revision; `None` while the batch does not change.
    reason: Option<Reason>,
    /// The correlation id of the first news that carried one.
    pub(super) correlation: Option<uuid::Uuid>,
    /// Whether the bus is in the same database, so that messages are on the bus with the COMMIT.
    embedded_bus: bool,
    /// The spans of the news that is being applied.
    news_spans: NewsSpans,
    /// The spans of the news that was applied before.
    spans: Vec<NewsSpans>,
    /// The spans of messages that are sent within this unit.
    sent: Vec<Span>,
}

impl Change {
    pub(super) fn new(row: BatchRow, embedded_bus: bool) -> Self {
        Self {
            row,
            entries: Vec::new(),
            messages: Vec::new(),
            timers: BTreeMap::new(),
            reason: None,
            correlation: None,
            embedded_bus,
            news_spans: NewsSpans::default(),
            spans: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// The batch's own trace context.
    fn trace_context(&self) -> Option<Traceparent> {
        self.row.details.traceparent.as_deref()?.parse().ok()
    }

    /// Starts the spans of a piece of news.
    pub(super) fn begin_news(&mut self, news: &News, causes: &[&Cause]) {
        let system = spans::messaging_system(self.embedded_bus);
        let spans = NewsSpans::new(self.trace_context(), &self.row.batch, news, causes, system);
        self.spans.push(std::mem::replace(&mut self.news_spans, spans));
    }

    /// Starts the spans of a new batch.
    pub(super) fn begin_batch(&mut self, request: Option<Traceparent>) {
        self.news_spans = NewsSpans::for_new_batch(request, &self.row.batch);
    }

    /// Records the outcome in the spans of the current news.
    pub(super) fn end_news(&self, outcome: &'static str) {
        self.news_spans.record_outcome(outcome, &self.row.batch);
    }

    /// The trace context for messages that are sent now, with a span if they are sent within this unit.
    pub(super) fn send_span(&self) -> (Option<Traceparent>, Option<Span>) {
        let span = if self.embedded_bus {
            self.news_spans.send_span(self.row.batch.id, spans::messaging_system(true))
        } else {
            None
        };
        (span.as_ref().map(Span::context).or(self.news_spans.context), span)
    }

    /// Adds messages to the outbox. `span` is the span from [`Change::send_span`].
    pub(super) fn send(&mut self, span: Option<Span>, rows: Vec<OutboxRow>) {
        if let Some(span) = span {
            if let Some(row) = rows.first() {
                spans::record_messages(&span, &row.topic, rows.len());
            }
            self.sent.push(span);
        }
        self.messages.extend(rows);
    }

    /// Sets a timer, in place of one of the same kind.
    pub(super) fn set_timer(&mut self, timer: Timer, at: DateTime<Utc>) {
        self.timers.insert(timer.kind, Some((timer, at)));
    }

    /// Clears the timers of these kinds that are set.
    pub(super) fn clear_timers(&mut self, kinds: &[TimerKind]) {
        self.timers.extend(kinds.iter().map(|kind| (*kind, None)));
    }

    /// Whether this unit has set or cleared the timer of this kind.
    pub(super) fn changes_timer(&self, kind: TimerKind) -> bool {
        self.timers.contains_key(&kind)
    }

    /// Gives the batch its next revision, for this reason, when the unit ends.
    pub(super) fn set_reason(&mut self, reason: Reason) {
        self.reason = Some(reason);
    }

    /// The timeline's line for the next revision, if there is one.
    fn timeline_line(&self, at: DateTime<Utc>) -> Result<Option<(BatchId, TimelineRow)>, Error> {
        let Some(reason) = &self.reason else { return Ok(None) };
        let line = TimelineRow {
            revision: self.row.batch.revision + 1,
            at,
            reason: reason.to_string(),
            entries: serde_json::to_string(&self.entries).map_err(|_| Error::Unwritable)?,
            correlation_id: self.correlation,
        };
        Ok(Some((self.row.batch.id, line)))
    }

    fn into_saved(mut self) -> Saved {
        self.spans.push(self.news_spans);
        Saved {
            batch: self.row.batch.id,
            revision: self.row.batch.revision,
            sends: !self.messages.is_empty(),
            shard: self.row.shard,
            _spans: self.spans,
            _sent: self.sent,
        }
    }
}

/// Writes the next revision of each batch that has one, with its timeline, timers and messages.
pub(super) async fn save(tx: &mut Tx, mut changes: Vec<Change>) -> Result<Vec<Saved>, Error> {
    let saves: Vec<_> = changes
        .iter()
        .filter(|change| change.reason.is_some())
        .map(|Change { row, .. }| BatchSave {
            batch: &row.batch,
            expected: row.batch.revision,
            next_key_seq: row.next_key_seq,
        })
        .collect();
    // First what the store defers and sends together with the revisions.
    write(tx, &changes).await?;
    tx.save_batches(&saves).await?;
    for change in changes.iter_mut().filter(|change| change.reason.is_some()) {
        change.row.batch.revision += 1;
    }
    Ok(changes.into_iter().filter(|change| change.reason.is_some()).map(Change::into_saved).collect())
}

/// Writes the first revision of a batch, with its timeline, timers and messages.
pub(super) async fn save_new(tx: &mut Tx, mut change: Change) -> Result<Saved, Error> {
    write(tx, std::slice::from_ref(&change)).await?;
    change.row.batch.revision = 1;
    tx.insert_batch(&change.row).await?;
    Ok(change.into_saved())
}

/// Writes the lines of the timeline, the timers and the messages of these changes.
async fn write(tx: &mut Tx, changes: &[Change]) -> Result<(), Error> {
    let now = tx.now();
    let lines = changes.iter().map(|change| change.timeline_line(now)).filter_map(Result::transpose);
    tx.append_timeline(&lines.collect::<Result<Vec<_>, _>>()?).await?;

    let (mut set, mut cleared) = (Vec::new(), Vec::new());
    for Change { row, timers, .. } in changes {
        let (shard, batch) = (row.shard, row.batch.id);
        for (kind, wanted) in timers {
            match *wanted {
                Some((timer, due_at)) => set.push(SetTimer { shard, batch, timer, due_at }),
                None => cleared.push((shard, batch, *kind)),
            }
        }
    }
    tx.clear_timers(&cleared).await?;
    tx.set_timers(&set).await?;

    let messages: Vec<_> = changes.iter().flat_map(|change| &change.messages).collect();
    tx.enqueue(&messages).await?;
    Ok(())
}
