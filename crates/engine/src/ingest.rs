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
use store::{Size, StagedRow};
use tokio_util::sync::CancellationToken;

use crate::ports::{ContentError, ContentStore};
use crate::{Cause, CrashPoint, Engine, Error, News, Origin, Shards, metrics};

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
        for shard in shards.now() {
            match drain(&engine, content.as_ref(), shard, &mut pause, &end).await {
                Ok(()) => {}
                Err(error) => tracing::warn!(%error, shard, "texts wait to be stored"),
            }
        }
        tokio::select! {
            () = engine.signals.ingest.notified(), if pause.time.is_zero() => {}
            () = engine.clock.sleep(pause.time.max(engine.settings.relay_period)) => {}
            () = end.cancelled() => return,
        }
    }
}

/// How long ingest leaves a failing Content Service alone.
struct Pause {
    time: Duration,
    first: Duration,
    longest: Duration,
}

impl Pause {
    fn none(engine: &Engine) -> Self {
        let settings = &engine.settings;
        Self { time: Duration::ZERO, first: settings.retry_first, longest: settings.retry_longest }
    }

    /// Twice the last pause, at most the longest, at least what the service asked for, with full jitter.
    fn longer(&mut self, asked: Option<Duration>) {
        self.time = backoff(self.time.saturating_mul(2).clamp(self.first, self.longest))
            .max(asked.unwrap_or_default().min(self.longest));
    }
}

/// Between a half and the whole of `time`, so that replicas do not come back in step.
fn backoff(time: Duration) -> Duration {
    let part = getrandom::u32().map_or(0, |n| n % 512);
    time.mul_f64(f64::from(512 + part) / 1024.0)
}

async fn drain(
    engine: &Arc<Engine>,
    content: &dyn ContentStore,
    shard: i64,
    pause: &mut Pause,
    end: &CancellationToken,
) -> Result<(), Error> {
    while !end.is_cancelled() {
        let started = Instant::now();
        let rows = engine
            .store
            .read(move |tx| {
                Box::pin(async move { tx.due_staged(shard, tx.now(), TURN_TEXTS, TURN_BYTES).await })
            })
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        let whole = rows.len();
        let answers = ask(content, rows).await;
        engine.crash.at(CrashPoint::TextStored)?;
        let turn = Turn::of(answers);
        let failed = turn.failed.len();
        let (trouble, asked) = (turn.trouble, turn.retry_after);
        if failed == whole {
            pause.longer(asked);
        } else {
            pause.time = Duration::ZERO;
        }
        settle(engine, shard, turn, pause).await?;
        metrics::turn("ingest", started.elapsed());
        if failed == whole {
            tracing::warn!(
                code = trouble.unwrap_or_default(),
                pause_ms = pause.time.as_millis(),
                "the Content Service cannot be used; texts stay staged"
            );
            return Ok(());
        }
    }
    Ok(())
}

type Answer = (StagedRow, Result<(StorageId, i64), ContentError>);

/// Has the texts stored, and looks up those that a caller says are stored already.
async fn ask(content: &dyn ContentStore, mut rows: Vec<StagedRow>) -> Vec<Answer> {
    let bodies: Vec<Bytes> =
        rows.iter_mut().filter_map(|row| row.body.take()).map(|body| Bytes::from(body.0)).collect();
    let lengths: Vec<i64> = bodies.iter().map(|b| i64::try_from(b.len()).unwrap_or(i64::MAX)).collect();
    let mut stored = content.store(bodies).await.into_iter().zip(lengths);
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
}

#[derive(Default)]
struct PerBatch {
    stored: Vec<(EssayId, StorageId, i64)>,
    refused: Vec<(EssayId, String)>,
}

impl Turn {
    fn of(answers: Vec<Answer>) -> Self {
        let mut turn = Self::default();
        for (row, answer) in answers {
            match answer {
                Ok((id, length)) => {
                    turn.stored += 1;
                    turn.batches.entry(row.batch).or_default().stored.push((row.essay, id, length));
                }
                Err(ContentError::Refused { code }) => {
                    metrics::count(metrics::CONTENT_FAILURES, Some(("code", code)), 1);
                    turn.batches.entry(row.batch).or_default().refused.push((row.essay, code.to_owned()));
                }
                Err(ContentError::Unavailable { code, retry_after }) => {
                    metrics::count(metrics::CONTENT_FAILURES, Some(("code", code)), 1);
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
async fn settle(engine: &Arc<Engine>, shard: i64, turn: Turn, pause: &Pause) -> Result<(), Error> {
    let cause = || Cause { origin: Origin::Task("ingest"), correlation: None };
    let trouble = turn.trouble;
    let news: Vec<_> = turn
        .batches
        .into_iter()
        .map(|(batch, part)| {
            (batch, News::TextsStored { stored: part.stored, refused: part.refused }, cause())
        })
        .collect();
    metrics::count(metrics::TEXTS_STORED, None, turn.stored);
    engine.apply_many(news).await?;
    if turn.failed.is_empty() {
        return Ok(());
    }
    // When everything failed, ingest as a whole pauses; when some did, those wait their own turn and the others go on.
    let until = engine.clock.now() + pause.time;
    let stalled = if pause.time.is_zero() {
        put_off(engine, shard, turn.failed).await?
    } else {
        turn.failed.iter().map(|failed| failed.0).collect()
    };
    let code = match trouble {
        Some("content_unreachable" | "content_timeout") | None => WaitingCode::ContentUnreachable,
        // It is there and answers, and not with what was asked for.
        Some(_) => WaitingCode::ContentRefuses,
    };
    let news: Vec<_> = stalled
        .into_iter()
        .map(|batch| (batch, News::StorageStalled { code, next_check_at: until }, cause()))
        .collect();
    engine.apply_many(news).await?;
    Ok(())
}

/// Postpones the texts that failed, each by its own number of tries, and says which batches they are of.
async fn put_off(
    engine: &Engine,
    shard: i64,
    failed: Vec<(BatchId, EssayId, u32)>,
) -> Result<BTreeSet<BatchId>, Error> {
    let mut batches: BTreeMap<BatchId, Vec<(EssayId, DateTime<Utc>)>> = BTreeMap::new();
    for (batch, essay, attempts) in failed {
        let doubled = engine.settings.retry_first.saturating_mul(1 << attempts.min(16));
        let not_before = engine.clock.now() + backoff(doubled.min(engine.settings.retry_longest));
        batches.entry(batch).or_default().push((essay, not_before));
    }
    let ids = batches.keys().copied().collect();
    let batches = Arc::new(batches);
    engine
        .store
        .unit(Size::Small, move |tx| {
            let batches = Arc::clone(&batches);
            Box::pin(async move {
                for (batch, essays) in batches.iter() {
                    for (essay, not_before) in essays {
                        tx.postpone_staged(shard, *batch, &[*essay], *not_before, true).await?;
                    }
                }
                Ok::<_, Error>(())
            })
        })
        .await?;
    Ok(ids)
}
