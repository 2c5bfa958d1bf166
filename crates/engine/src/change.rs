//! One batch within one transaction: taking news in, performing what is decided, saving the next revision.
//!
//! Essays change at once, because the rules are told how many did. All else is written at the end of the unit, and for all of
//! its batches together: on PostgreSQL a statement costs more than its rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{BatchId, Decision, Entry, Reason, Timer, TimerKind};
use store::{BatchRow, BatchSave, OutboxRow, SetTimer, TimelineRow, Tx};

use crate::spans::{self, Arrival, Span};
use crate::{Cause, Error, News, Settings, Traceparent, perform, resolve};

/// What a committed change of one batch gives others to do.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) batch: BatchId,
    pub(crate) revision: i64,
    pub(crate) shard: i64,
    pub(crate) sends: bool,
    /// What happened to it, ended with this.
    _spans: Vec<Arrival>,
    _sent: Vec<Span>,
}

/// A batch in the hands of one transaction: its row, and what is to be saved with it.
pub(crate) struct Change {
    pub(crate) row: BatchRow,
    pub(crate) entries: Vec<Entry>,
    messages: Vec<OutboxRow>,
    /// What becomes of the timer of each kind: set, or cleared.
    timers: BTreeMap<TimerKind, Option<(Timer, DateTime<Utc>)>>,
    reason: Option<Reason>,
    /// The thread of the request that changed it.
    pub(crate) correlation: Option<uuid::Uuid>,
    /// The bus is in the same database, so what is sent is on it with the COMMIT.
    on_bus: bool,
    /// How the news in hand came, and what came before it.
    arrival: Arrival,
    spans: Vec<Arrival>,
    /// What was put on the bus, ended with the rest.
    sent: Vec<Span>,
}

impl Change {
    pub(crate) fn of(row: BatchRow, on_bus: bool) -> Self {
        Self {
            row,
            entries: Vec::new(),
            messages: Vec::new(),
            timers: BTreeMap::new(),
            reason: None,
            correlation: None,
            on_bus,
            arrival: Arrival::default(),
            spans: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// The batch's own place in a trace.
    fn home(&self) -> Option<Traceparent> {
        self.row.details.traceparent.as_deref()?.parse().ok()
    }

    /// Begins with a piece of news.
    pub(crate) fn arrives(&mut self, news: &News, causes: &[&Cause]) {
        let system = spans::system(self.on_bus);
        let arrival = Arrival::of(self.home(), &self.row.batch, news, causes, system);
        self.spans.push(std::mem::replace(&mut self.arrival, arrival));
    }

    /// The batch itself is new.
    pub(crate) fn begins(&mut self, requested: Option<Traceparent>) {
        self.arrival = Arrival::of_batch(requested, &self.row.batch);
    }

    /// Ends with it.
    pub(crate) fn decided(&self, outcome: &'static str) {
        self.arrival.decided(outcome, &self.row.batch);
    }

    /// Where what is sent now belongs, and its span where it is sent within this unit.
    pub(crate) fn sending(&self) -> (Option<Traceparent>, Option<Span>) {
        let span =
            if self.on_bus { self.arrival.sending(self.row.batch.id, spans::system(true)) } else { None };
        (span.as_ref().map(Span::at).or(self.arrival.at), span)
    }

    /// Has messages sent; `span` is their place in a trace where they are sent within this unit.
    pub(crate) fn send(&mut self, span: Option<Span>, rows: Vec<OutboxRow>) {
        if let Some(span) = span {
            if let Some(row) = rows.first() {
                spans::put(&span, &row.topic, rows.len());
            }
            self.sent.push(span);
        }
        self.messages.extend(rows);
    }

    /// Has a timer set, in place of one of the same kind.
    pub(crate) fn set_timer(&mut self, timer: Timer, at: DateTime<Utc>) {
        self.timers.insert(timer.kind, Some((timer, at)));
    }

    /// Has timers cleared, as far as they are set.
    pub(crate) fn clear_timers(&mut self, kinds: &[TimerKind]) {
        self.timers.extend(kinds.iter().map(|kind| (*kind, None)));
    }

    /// Takes one piece of news in; true when the batch is to change.
    pub(crate) async fn take_in(
        &mut self,
        tx: &mut Tx,
        news: &News,
        settings: &Settings,
    ) -> Result<bool, Error> {
        // Set anew or cleared by what came before it in this unit, so it is not the deadline any more that was read.
        if let News::DeadlinePassed(due) = news
            && self.timers.contains_key(&due.timer.kind)
        {
            return Ok(false);
        }
        let Some(input) = resolve::resolve(tx, &self.row, news).await? else { return Ok(false) };
        let decision = domain::decide(Some(self.row.batch.clone()), input, tx.now(), &settings.rules)?;
        self.adopt(tx, decision, settings).await
    }

    /// Makes a decision the batch's state, and performs what it wants stored; true when the batch is to change.
    pub(crate) async fn adopt(
        &mut self,
        tx: &mut Tx,
        decision: Decision,
        settings: &Settings,
    ) -> Result<bool, Error> {
        let before = self.row.batch.current();
        self.row.batch = decision.next;
        for effect in decision.effects {
            perform::perform(tx, self, before, effect, settings).await?;
        }
        if decision.changed {
            self.reason = Some(decision.reason);
        }
        Ok(decision.changed)
    }

    /// Its line in the timeline, if it is about to have a new revision.
    fn line(&self, at: DateTime<Utc>) -> Result<Option<(BatchId, TimelineRow)>, Error> {
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

    fn done(mut self) -> Done {
        self.spans.push(self.arrival);
        Done {
            batch: self.row.batch.id,
            revision: self.row.batch.revision,
            sends: !self.messages.is_empty(),
            shard: self.row.shard,
            _spans: self.spans,
            _sent: self.sent,
        }
    }
}

/// Writes the next revision of each batch that has one, and all that goes with it.
pub(crate) async fn save(tx: &mut Tx, mut changes: Vec<Change>) -> Result<Vec<Done>, Error> {
    let saves: Vec<_> = changes
        .iter()
        .filter(|change| change.reason.is_some())
        .map(|Change { row, .. }| BatchSave {
            batch: &row.batch,
            expected: row.batch.revision,
            next_key_seq: row.next_key_seq,
        })
        .collect();
    // Their lines, timers and messages first: they ride along with the revisions.
    write(tx, &changes).await?;
    tx.save_batches(&saves).await?;
    for change in changes.iter_mut().filter(|change| change.reason.is_some()) {
        change.row.batch.revision += 1;
    }
    Ok(changes.into_iter().filter(|change| change.reason.is_some()).map(Change::done).collect())
}

/// Writes the first revision of a batch, and all that goes with it.
pub(crate) async fn save_new(tx: &mut Tx, mut change: Change) -> Result<Done, Error> {
    write(tx, std::slice::from_ref(&change)).await?;
    change.row.batch.revision = 1;
    tx.insert_batch(&change.row).await?;
    Ok(change.done())
}

/// Writes what goes with the next revisions: lines of the timeline, timers, messages.
async fn write(tx: &mut Tx, changes: &[Change]) -> Result<(), Error> {
    let now = tx.now();
    let lines = changes.iter().map(|change| change.line(now)).filter_map(Result::transpose);
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
