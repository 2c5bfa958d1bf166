//! One batch within one transaction: taking news in, performing what is decided, saving the next revision.

use domain::{BatchId, Decision, Entry, Reason};
use store::{BatchRow, NewBatch, OutboxRow, Tx};

use crate::spans::{self, Arrival, Span};
use crate::{Cause, Error, News, Settings, Traceparent, perform, resolve};

/// What a committed change of one batch gives others to do.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) batch: BatchId,
    pub(crate) revision: i64,
    pub(crate) sends: bool,
    pub(crate) sets_timer: bool,
    /// What happened to it, ended with this.
    _spans: Vec<Arrival>,
    _sent: Vec<Span>,
}

/// A batch in the hands of one transaction: its row, and what is to be saved with it.
pub(crate) struct Change {
    pub(crate) row: BatchRow,
    pub(crate) sends: bool,
    pub(crate) sets_timer: bool,
    pub(crate) entries: Vec<Entry>,
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
            sends: false,
            sets_timer: false,
            entries: Vec::new(),
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

    /// Some of it was put on the bus.
    pub(crate) fn sent(&mut self, span: Option<Span>, rows: &[OutboxRow]) {
        let Some(span) = span else { return };
        if let Some(row) = rows.first() {
            spans::put(&span, &row.topic, rows.len());
        }
        self.sent.push(span);
    }

    /// Takes one piece of news in; true when the batch is to change.
    pub(crate) async fn take_in(
        &mut self,
        tx: &mut Tx,
        news: &News,
        settings: &Settings,
    ) -> Result<bool, Error> {
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

    /// Writes the next revision with its line in the timeline, if anything changed.
    pub(crate) async fn save(mut self, tx: &mut Tx) -> Result<Option<Done>, Error> {
        let Some(reason) = self.reason.take() else { return Ok(None) };
        let expected = self.row.batch.revision;
        self.row.batch.revision = tx.save_batch(&self.row.batch, expected, self.row.next_key_seq).await?;
        self.write_timeline(tx, &reason).await?;
        Ok(Some(self.done()))
    }

    /// Writes the first revision.
    pub(crate) async fn save_new(mut self, tx: &mut Tx, new: NewBatch) -> Result<Done, Error> {
        let reason = self.reason.take();
        self.row.batch.revision = 1;
        let new = NewBatch { next_key_seq: self.row.next_key_seq, ..new };
        tx.insert_batch(&self.row.batch, &new).await?;
        if let Some(reason) = reason {
            self.write_timeline(tx, &reason).await?;
        }
        Ok(self.done())
    }

    fn done(mut self) -> Done {
        self.spans.push(self.arrival);
        Done {
            batch: self.row.batch.id,
            revision: self.row.batch.revision,
            sends: self.sends,
            sets_timer: self.sets_timer,
            _spans: self.spans,
            _sent: self.sent,
        }
    }

    async fn write_timeline(&self, tx: &mut Tx, reason: &Reason) -> Result<(), Error> {
        let entries = serde_json::to_string(&self.entries).map_err(|_| Error::Unwritable)?;
        let (at, batch) = (tx.now(), &self.row.batch);
        let sentence = reason.to_string();
        tx.note(batch.id, batch.revision, at, &sentence, &entries, self.correlation).await?;
        Ok(())
    }
}
