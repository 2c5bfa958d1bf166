//! Staged texts → Content Service → [`News::TextsStored`].
//!
//! The texts of a turn go to the Content Service together, and the stored ones become one piece of news per batch. The staged
//! rows are deleted in the transaction of that news, so a crash in between only stores the texts again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::{BatchId, EssayId, Slot, StorageId, WaitingCode};
use store::{Lane, LowWaterMark, StagedRow, StoredEssay, Tx};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::low_water_marks::LowWaterMarks;
use super::shards::{Rotation, Shards};
use crate::backoff::backoff;
use crate::crash::CrashPoint;
use crate::error::Error;
use crate::metrics;
use crate::news::{BatchNews, Cause, News, Origin};
use crate::ports::{Clock, ContentError, ContentStore};
use crate::road::Engine;
use crate::spans::{self, Span};
use crate::traceparent::Traceparent;

/// Texts in one turn, at most.
const TURN_TEXTS: u32 = 500;
/// Bytes of texts in one turn, at most, unless the first text alone has more: 8 MiB.
const TURN_BYTES: i64 = 8 << 20;
/// The pause between two searches for the first staged texts, which advance the low-water marks: 1 s, chosen.
const ADVANCE_PERIOD: Duration = Duration::from_secs(1);
/// The period after which the low-water marks are forgotten; chosen. The texts of a replica whose clock is slower than the
/// database's by more than [`COMMIT_MARGIN`] may wait for so long.
const MARKS_PERIOD: Duration = Duration::from_secs(5);
/// The marks stay this far behind the database's clock, because a batch commits later than its id is made: as long as a statement
/// may take.
const COMMIT_MARGIN: Duration = Duration::from_secs(5);

/// Stores texts until `end`.
pub async fn run(
    engine: Arc<Engine>,
    content: Arc<dyn ContentStore>,
    mut shards: Shards,
    end: CancellationToken,
) {
    shards.wait_for_any().await;
    let mut state = IngestState::new(&engine);
    loop {
        if let Err(error) = drain(&engine, content.as_ref(), &shards, &mut state, &end).await {
            tracing::warn!(%error, "cannot store texts; retrying");
        }
        tokio::select! {
            () = engine.signals.ingest.notified(), if state.pause.is_zero() => {}
            () = engine.clock.sleep(state.pause.max(engine.settings.relay_period)) => {}
            () = end.cancelled() => return,
        }
    }
}

/// The state of ingest between turns: the back-off during an outage of the Content Service, which shard comes first, and where in
/// the table a turn starts to read.
#[derive(Debug)]
pub struct IngestState {
    pause: Duration,
    /// Consecutive turns in which no text was stored.
    failures: u32,
    first: Duration,
    longest: Duration,
    rotation: Rotation,
    /// Per shard, the smallest batch id that may have staged texts.
    marks: LowWaterMarks<Uuid>,
    advanced_at: Duration,
}

impl IngestState {
    /// The state at the start: no back-off.
    pub fn new(engine: &Engine) -> Self {
        let settings = &engine.settings;
        Self {
            pause: Duration::ZERO,
            failures: 0,
            first: settings.retry_first,
            longest: settings.retry_longest,
            rotation: Rotation::default(),
            marks: LowWaterMarks::new(MARKS_PERIOD),
            advanced_at: Duration::ZERO,
        }
    }

    /// The pause after the last turn; zero unless every text of it failed.
    pub const fn pause(&self) -> Duration {
        self.pause
    }

    /// Backs off after a turn in which every text failed; at least for `retry_after`, but never beyond the longest pause.
    fn back_off(&mut self, clock: &dyn Clock, retry_after: Option<Duration>) {
        self.pause = backoff(clock, self.first, self.longest, self.failures)
            .max(retry_after.unwrap_or_default().min(self.longest));
        self.failures = self.failures.saturating_add(1);
    }

    fn reset(&mut self) {
        self.pause = Duration::ZERO;
        self.failures = 0;
    }
}

async fn drain(
    engine: &Arc<Engine>,
    content: &dyn ContentStore,
    shards: &Shards,
    state: &mut IngestState,
    end: &CancellationToken,
) -> Result<(), Error> {
    loop {
        engine.burst.wait_until_over(engine.clock.as_ref(), end).await;
        if end.is_cancelled() || !turn(engine, content, shards, state).await? {
            return Ok(());
        }
    }
}

/// Stores texts that are due, as many as one turn takes. Returns whether there may be more.
///
/// # Errors
/// When the database does not answer. The texts stay staged then.
pub async fn turn(
    engine: &Arc<Engine>,
    content: &dyn ContentStore,
    shards: &Shards,
    state: &mut IngestState,
) -> Result<bool, Error> {
    let started = Instant::now();
    let owned = state.rotation.next(shards.held());
    let (rows, contexts) = read(engine, owned, state).await?;
    if rows.is_empty() {
        return Ok(false);
    }
    let total = rows.len();
    let spans = start_spans(&rows, &contexts);
    let answers = store_texts(content, rows, &spans).await;
    engine.crash.at(CrashPoint::TextStored)?;
    let turn = Turn::new(answers, spans);
    let failed = turn.failed.len();
    let (code, retry_after) = (turn.code, turn.retry_after);
    engine.set_content_outage(code.filter(|_| failed == total));
    if failed == total {
        state.back_off(engine.clock.as_ref(), retry_after);
    } else {
        state.reset();
    }
    apply(engine, turn, state).await?;
    metrics::turn("ingest", started.elapsed());
    if failed == total {
        tracing::warn!(
            code = code.unwrap_or_default(),
            pause_ms = state.pause.as_millis(),
            "the Content Service is unavailable; texts stay staged; retrying after the pause"
        );
    }
    Ok(failed < total)
}

/// Reads the texts that are due, from the low-water marks on, and the trace contexts of their batches.
async fn read(
    engine: &Engine,
    shards: Vec<i64>,
    state: &mut IngestState,
) -> Result<(Vec<StagedRow>, BTreeMap<BatchId, Traceparent>), Error> {
    let now = engine.clock.monotonic();
    let advances = state.marks.forget_if_due(now) || now >= state.advanced_at + ADVANCE_PERIOD;
    let marks = state.marks.of(shards);
    let read = engine.store.read(move |tx| {
        Box::pin(async move {
            let marks = if advances { advanced(tx, marks).await? } else { marks };
            let rows = tx.due_staged(&marks, tx.now(), TURN_TEXTS, TURN_BYTES).await?;
            let contexts = trace_contexts(tx, &rows).await?;
            Ok::<_, Error>((rows, contexts, marks))
        })
    });
    let (rows, contexts, marks) = read.await?;
    if advances {
        state.advanced_at = now;
        state.marks.set(marks);
    }
    Ok((rows, contexts))
}

/// The next low-water marks: the first batch with staged texts, or the smallest id that a batch can have which commits from now on.
async fn advanced(tx: &mut Tx, mut marks: Vec<LowWaterMark<Uuid>>) -> Result<Vec<LowWaterMark<Uuid>>, Error> {
    let latest = BatchId::new(tx.now() - COMMIT_MARGIN, Slot::new(0), 0).as_uuid();
    let found = tx.staged_low(&marks).await?;
    for mark in &mut marks {
        let first = found.iter().find(|found| found.shard == mark.shard).map(|found| found.low);
        mark.low = first.unwrap_or(latest).min(latest);
    }
    Ok(marks)
}

/// The trace contexts of the batches of these texts. Read only when spans are enabled.
async fn trace_contexts(tx: &mut Tx, rows: &[StagedRow]) -> Result<BTreeMap<BatchId, Traceparent>, Error> {
    let mut contexts = BTreeMap::new();
    if !spans::is_enabled() {
        return Ok(contexts);
    }
    for batch in rows.iter().map(|row| row.batch).collect::<BTreeSet<_>>() {
        let row = tx.batch(batch).await?;
        let context = row.and_then(|row| row.details.traceparent?.parse().ok());
        contexts.extend(context.map(|context| (batch, context)));
    }
    Ok(contexts)
}

type Spans = BTreeMap<BatchId, Span>;

/// Starts one span for each batch of a turn.
fn start_spans(rows: &[StagedRow], contexts: &BTreeMap<BatchId, Traceparent>) -> Spans {
    let span = |(batch, context): (&BatchId, &Traceparent)| {
        let essays = rows.iter().filter(|row| row.batch == *batch).count();
        Some((*batch, spans::store_span(Some(*context), *batch, essays)?))
    };
    contexts.iter().filter_map(span).collect()
}

type Answer = (StagedRow, Result<(StorageId, i64), ContentError>);

/// Stores texts, and looks up the lengths of those that are references to stored texts.
async fn store_texts(content: &dyn ContentStore, mut rows: Vec<StagedRow>, spans: &Spans) -> Vec<Answer> {
    let bodies: Vec<(Bytes, Option<Traceparent>)> = rows
        .iter_mut()
        .filter_map(|row| Some((row.body.take()?, spans.get(&row.batch).map(Span::context))))
        .map(|(body, context)| (Bytes::from(body.0), context))
        .collect();
    let lengths: Vec<i64> =
        bodies.iter().map(|(body, _)| i64::try_from(body.len()).unwrap_or(i64::MAX)).collect();
    let mut stored = content.store_traced(bodies).await.into_iter().zip(lengths);
    let mut answers = Vec::with_capacity(rows.len());
    for row in rows {
        let answer = match &row.reference {
            Some(id) => {
                let length = content.look_up(id.as_str()).await;
                length.map(|length| (id.clone(), i64::try_from(length).unwrap_or(i64::MAX)))
            }
            None => match stored.next() {
                Some((Ok(id), length)) => {
                    let nonsense = ContentError::Unavailable { code: "content_nonsense", retry_after: None };
                    id.parse().map(|id| (id, length)).map_err(|_| nonsense)
                }
                Some((Err(error), _)) => Err(error),
                None => Err(ContentError::Unavailable { code: "content_nonsense", retry_after: None }),
            },
        };
        answers.push((row, answer));
    }
    answers
}

/// The results of one turn, by batch.
#[derive(Default)]
struct Turn {
    batches: BTreeMap<BatchId, PerBatch>,
    /// Texts that are to be retried, with the number of attempts before this turn.
    failed: Vec<(BatchId, EssayId, u32)>,
    /// The code of the last error that is transient.
    code: Option<&'static str>,
    /// The longest `Retry-After` of the answers.
    retry_after: Option<Duration>,
    stored: u64,
    spans: Spans,
}

#[derive(Default)]
struct PerBatch {
    stored: Vec<StoredEssay>,
    refused: Vec<(EssayId, String)>,
}

impl Turn {
    fn new(answers: Vec<Answer>, spans: Spans) -> Self {
        let mut turn = Self { spans, ..Self::default() };
        for (row, answer) in answers {
            match answer {
                Ok((id, length)) => {
                    turn.stored += 1;
                    let stored = StoredEssay { essay_id: row.essay, storage_id: id, size_bytes: length };
                    turn.batches.entry(row.batch).or_default().stored.push(stored);
                }
                Err(ContentError::Refused { code }) => {
                    metrics::count(metrics::CONTENT_FAILURES, Some(("code", code)), 1);
                    turn.batches.entry(row.batch).or_default().refused.push((row.essay, code.to_owned()));
                }
                Err(ContentError::Unavailable { code, retry_after }) => {
                    metrics::count(metrics::CONTENT_FAILURES, Some(("code", code)), 1);
                    if let Some(span) = turn.spans.get(&row.batch) {
                        span.record_error(code);
                    }
                    turn.code = Some(code);
                    turn.retry_after = turn.retry_after.max(retry_after);
                    turn.failed.push((row.batch, row.essay, row.attempts));
                }
            }
        }
        turn
    }
}

/// Applies the news of a turn, and postpones the texts that failed.
async fn apply(engine: &Arc<Engine>, turn: Turn, state: &IngestState) -> Result<(), Error> {
    let spans = turn.spans;
    let cause = |batch: &BatchId| Cause {
        origin: Origin::Task("ingest"),
        correlation: None,
        trace: spans.get(batch).map(Span::context),
    };
    let news: Vec<_> = turn
        .batches
        .into_iter()
        .map(|(batch, PerBatch { stored, refused })| BatchNews {
            batch,
            news: News::TextsStored { stored, refused },
            cause: cause(&batch),
        })
        .collect();
    metrics::count(metrics::TEXTS_STORED, None, turn.stored);
    engine.apply_many(news).await?;
    if turn.failed.is_empty() {
        return Ok(());
    }
    // When every text failed, ingest itself pauses. When only some failed, these are postponed and the others go on.
    let stalled = if state.pause.is_zero() {
        postpone(engine, turn.failed).await?
    } else {
        let until = engine.clock.now() + state.pause;
        turn.failed.iter().map(|failed| (failed.0, (state.failures, until))).collect()
    };
    let code = match turn.code {
        Some("content_unreachable" | "content_timeout") | None => WaitingCode::ContentUnreachable,
        // It answers, but not with what was requested.
        Some(_) => WaitingCode::ContentRefuses,
    };
    let news: Vec<_> = stalled
        .into_iter()
        .map(|(batch, (failures, next_check_at))| {
            let overdue = failures > engine.settings.retry_limit;
            let news = News::StorageStalled { code, next_check_at, overdue };
            BatchNews { batch, news, cause: cause(&batch) }
        })
        .collect();
    engine.apply_many(news).await?;
    Ok(())
}

/// Batches whose texts could not be stored: the most failures of one text, and the time of the first retry.
type Stalled = BTreeMap<BatchId, (u32, DateTime<Utc>)>;

/// Postpones the texts that failed. Texts of a batch with the same number of attempts get the same time, so that they stay
/// together.
async fn postpone(engine: &Engine, failed: Vec<(BatchId, EssayId, u32)>) -> Result<Stalled, Error> {
    let mut groups: BTreeMap<(BatchId, u32), Vec<EssayId>> = BTreeMap::new();
    for (batch, essay, attempts) in failed {
        groups.entry((batch, attempts)).or_default().push(essay);
    }
    let (first, longest) = (engine.settings.retry_first, engine.settings.retry_longest);
    let groups: Vec<_> = groups
        .into_iter()
        .map(|((batch, attempts), essays)| {
            (batch, attempts, essays, backoff(engine.clock.as_ref(), first, longest, attempts))
        })
        .collect();
    let (groups, shards) = (Arc::new(groups), engine.shards);
    engine
        .store
        .unit(Lane::Task, move |tx| {
            let groups = Arc::clone(&groups);
            Box::pin(async move {
                let mut stalled = Stalled::new();
                for (batch, attempts, essays, pause) in groups.iter() {
                    let not_before = tx.now() + *pause;
                    tx.postpone_staged(batch.slot().shard(shards), *batch, essays, not_before, true).await?;
                    let (failures, next) = stalled.entry(*batch).or_insert((0, not_before));
                    *failures = (*failures).max(attempts.saturating_add(1));
                    *next = (*next).min(not_before);
                }
                Ok::<_, Error>(stalled)
            })
        })
        .await
}
