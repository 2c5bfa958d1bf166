//! Staged texts → Content Service → [`News::TextsStored`].
//!
//! All texts of a turn go to the Content Service together, and all that were stored become one piece of news per batch. The
//! staged row goes away in the transaction of that news, so a crash in between only stores the text again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::{BatchId, EssayId, StorageId, WaitingCode};
use store::{Lane, StagedRow, StoredEssay, Tx};
use tokio_util::sync::CancellationToken;

use crate::backoff::backoff;
use crate::ports::{Clock, ContentError, ContentStore};
use crate::shards::Rotation;
use crate::spans::{self, Span};
use crate::{Cause, CrashPoint, Engine, Error, News, Origin, Shards, Traceparent, metrics};

/// Texts taken in one turn.
const TURN_TEXTS: u32 = 500;
/// Bytes of texts taken in one turn.
const TURN_BYTES: i64 = 8 << 20;

/// Stores texts until `end`.
pub async fn run(
    engine: Arc<Engine>,
    content: Arc<dyn ContentStore>,
    mut shards: Shards,
    end: CancellationToken,
) {
    shards.some().await;
    let mut pause = Pause::none(&engine);
    loop {
        if let Err(error) = drain(&engine, content.as_ref(), &shards, &mut pause, &end).await {
            tracing::warn!(%error, "texts wait to be stored");
        }
        tokio::select! {
            () = engine.signals.ingest.notified(), if pause.time.is_zero() => {}
            () = engine.clock.sleep(pause.time.max(engine.settings.relay_period)) => {}
            () = end.cancelled() => return,
        }
    }
}

/// What ingest remembers from turn to turn: how long it leaves a failing Content Service alone, and whose turn it is.
#[derive(Debug)]
pub struct Pause {
    time: Duration,
    /// Turns in a row in which nothing could be stored.
    failures: u32,
    first: Duration,
    longest: Duration,
    rotation: Rotation,
}

impl Pause {
    /// It does not fail.
    pub fn none(engine: &Engine) -> Self {
        let settings = &engine.settings;
        Self {
            time: Duration::ZERO,
            failures: 0,
            first: settings.retry_first,
            longest: settings.retry_longest,
            rotation: Rotation::default(),
        }
    }

    /// How long from the last turn on; nothing while it does not fail.
    pub const fn time(&self) -> Duration {
        self.time
    }

    /// One more turn failed: a pause that may be twice as long as the last, at least what the service asked for.
    fn longer(&mut self, clock: &dyn Clock, asked: Option<Duration>) {
        self.time = backoff(clock, self.first, self.longest, self.failures)
            .max(asked.unwrap_or_default().min(self.longest));
        self.failures = self.failures.saturating_add(1);
    }

    fn over(&mut self) {
        self.time = Duration::ZERO;
        self.failures = 0;
    }
}

async fn drain(
    engine: &Arc<Engine>,
    content: &dyn ContentStore,
    shards: &Shards,
    pause: &mut Pause,
    end: &CancellationToken,
) -> Result<(), Error> {
    loop {
        engine.rush.passes(engine.clock.as_ref(), end).await;
        if end.is_cancelled() || !turn(engine, content, shards, pause).await? {
            return Ok(());
        }
    }
}

/// Has the texts stored that are due, as many as one turn takes. True when there may be more.
///
/// # Errors
/// When the store does not answer. The texts stay staged.
pub async fn turn(
    engine: &Arc<Engine>,
    content: &dyn ContentStore,
    shards: &Shards,
    pause: &mut Pause,
) -> Result<bool, Error> {
    let started = Instant::now();
    let owned = pause.rotation.next(shards.now());
    let (rows, places) = engine
        .store
        .read(move |tx| {
            Box::pin(async move {
                let rows = tx.due_staged(&owned, tx.now(), TURN_TEXTS, TURN_BYTES).await?;
                let places = places(tx, &rows).await?;
                Ok::<_, Error>((rows, places))
            })
        })
        .await?;
    if rows.is_empty() {
        return Ok(false);
    }
    let whole = rows.len();
    let spans = storing(&rows, &places);
    let answers = ask(content, rows, &spans).await;
    engine.crash.at(CrashPoint::TextStored)?;
    let turn = Turn::of(answers, spans);
    let failed = turn.failed.len();
    let (trouble, asked) = (turn.trouble, turn.retry_after);
    engine.set_content_trouble(trouble.filter(|_| failed == whole));
    if failed == whole {
        pause.longer(engine.clock.as_ref(), asked);
    } else {
        pause.over();
    }
    settle(engine, turn, pause).await?;
    metrics::turn("ingest", started.elapsed());
    if failed == whole {
        tracing::warn!(
            code = trouble.unwrap_or_default(),
            pause_ms = pause.time.as_millis(),
            "the Content Service cannot be used; texts stay staged"
        );
    }
    Ok(failed < whole)
}

/// The places of these texts' batches in their traces: read only when somebody listens.
async fn places(tx: &mut Tx, rows: &[StagedRow]) -> Result<BTreeMap<BatchId, Traceparent>, Error> {
    let mut places = BTreeMap::new();
    if !spans::are_on() {
        return Ok(places);
    }
    for batch in rows.iter().map(|row| row.batch).collect::<BTreeSet<_>>() {
        let row = tx.batch(batch).await?;
        let place = row.and_then(|row| row.details.traceparent?.parse().ok());
        places.extend(place.map(|place| (batch, place)));
    }
    Ok(places)
}

type Spans = BTreeMap<BatchId, Span>;

/// One span for each batch and turn.
fn storing(rows: &[StagedRow], places: &BTreeMap<BatchId, Traceparent>) -> Spans {
    let span = |(batch, place): (&BatchId, &Traceparent)| {
        let essays = rows.iter().filter(|row| row.batch == *batch).count();
        Some((*batch, spans::storing(Some(*place), *batch, essays)?))
    };
    places.iter().filter_map(span).collect()
}

type Answer = (StagedRow, Result<(StorageId, i64), ContentError>);

/// Has the texts stored, and looks up those that a caller says are stored already.
async fn ask(content: &dyn ContentStore, mut rows: Vec<StagedRow>, spans: &Spans) -> Vec<Answer> {
    let bodies: Vec<(Bytes, Option<Traceparent>)> = rows
        .iter_mut()
        .filter_map(|row| Some((row.body.take()?, spans.get(&row.batch).map(Span::at))))
        .map(|(body, place)| (Bytes::from(body.0), place))
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

/// The answers of one turn, by batch.
#[derive(Default)]
struct Turn {
    batches: BTreeMap<BatchId, PerBatch>,
    failed: Vec<(BatchId, EssayId, u32)>,
    trouble: Option<&'static str>,
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
    fn of(answers: Vec<Answer>, spans: Spans) -> Self {
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
                        span.fail(code);
                    }
                    turn.trouble = Some(code);
                    turn.retry_after = turn.retry_after.max(retry_after);
                    turn.failed.push((row.batch, row.essay, row.attempts));
                }
            }
        }
        turn
    }
}

/// Applies the news of a turn and puts off what failed.
async fn settle(engine: &Arc<Engine>, turn: Turn, pause: &Pause) -> Result<(), Error> {
    let spans = turn.spans;
    let cause = |batch: &BatchId| Cause {
        origin: Origin::Task("ingest"),
        correlation: None,
        trace: spans.get(batch).map(Span::at),
    };
    let trouble = turn.trouble;
    let news: Vec<_> = turn
        .batches
        .into_iter()
        .map(|(batch, part)| {
            (batch, News::TextsStored { stored: part.stored, refused: part.refused }, cause(&batch))
        })
        .collect();
    metrics::count(metrics::TEXTS_STORED, None, turn.stored);
    engine.apply_many(news).await?;
    if turn.failed.is_empty() {
        return Ok(());
    }
    // When everything failed, ingest as a whole pauses; when some did, those wait their own turn and the others go on.
    let stalled = if pause.time.is_zero() {
        put_off(engine, turn.failed).await?
    } else {
        let until = engine.clock.now() + pause.time;
        turn.failed.iter().map(|failed| (failed.0, (pause.failures, until))).collect()
    };
    let code = match trouble {
        Some("content_unreachable" | "content_timeout") | None => WaitingCode::ContentUnreachable,
        // It is there and answers, and not with what was asked for.
        Some(_) => WaitingCode::ContentRefuses,
    };
    let news: Vec<_> = stalled
        .into_iter()
        .map(|(batch, (failures, next_check_at))| {
            let overdue = failures > engine.settings.retry_limit;
            (batch, News::StorageStalled { code, next_check_at, overdue }, cause(&batch))
        })
        .collect();
    engine.apply_many(news).await?;
    Ok(())
}

/// Batches whose texts could not be stored: how often the worst of them failed, and when the first is tried again.
type Stalled = BTreeMap<BatchId, (u32, DateTime<Utc>)>;

/// Postpones the texts that failed, by their number of tries: those of a batch that failed equally often stay together.
async fn put_off(engine: &Engine, failed: Vec<(BatchId, EssayId, u32)>) -> Result<Stalled, Error> {
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
