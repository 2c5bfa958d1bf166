//! Requests of a caller: submitting essays, and commands to a batch. The Idempotency-Key and the stored answer are written in
//! the transaction that does the work.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use domain::{Accept, BatchId, CorrelationId, EssayId, Input, Kind, Language, Phase, Slot, StorageId};
use store::{Answer, BatchRow, Details, Labels, Lane, NewEssay, Owner, Private, StagedText, StatusRow, Tx};
use uuid::Uuid;

use super::Engine;
use super::change::{self, Change, Saved};
use super::commit::Committed;
use super::idempotency::{self, IdempotencyKey};
use crate::crash::CrashPoint;
use crate::error::Error;
use crate::metrics;
use crate::news::{Cause, News, Origin};
use crate::settings::Settings;
use crate::traceparent::Traceparent;

/// A request to accept essays as a new batch.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The new batch's id: see [`Engine::new_batch_id`].
    pub id: BatchId,
    /// The correlation id of the request. It becomes the batch's correlation id.
    pub correlation: Uuid,
    /// The caller that owns the batch.
    pub owner: Owner,
    /// Whether the batch is a class or a single essay.
    pub kind: Kind,
    /// The language of all essays of the batch.
    pub language: Language,
    /// A display name.
    pub name: Option<Private<String>>,
    /// What the registration and later phases need: course, instructions, prompt and the like.
    pub details: Details,
    /// Labels to filter lists by.
    pub labels: Labels,
    /// Whether more essays may be added later.
    pub open: bool,
    /// The phases to run once the texts are stored and registered. Empty: the batch waits for a start request.
    pub phases: Vec<Phase>,
    /// The essays in the caller's order, which is the order of their positions.
    pub essays: Vec<SubmittedEssay>,
    /// The Idempotency-Key, if the caller gave one.
    pub key: Option<IdempotencyKey>,
    /// The answer to the caller. It is stored with the key.
    pub answer: Answer,
    /// The trace context of the request. It becomes the batch's trace context.
    pub trace: Option<Traceparent>,
}

/// One essay of a submission.
#[derive(Debug, Clone)]
pub struct SubmittedEssay {
    /// The caller's own name for the essay.
    pub client_ref: Option<Private<String>>,
    /// The text, or a reference to a stored text.
    pub text: SubmittedText,
}

/// The text of a submitted essay. `Debug` shows its length or its id, never the text.
#[derive(Clone)]
pub enum SubmittedText {
    /// The text itself, in UTF-8.
    Body(Bytes),
    /// The text is stored at the Content Service under this id.
    Stored(StorageId),
}

impl fmt::Debug for SubmittedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(body) => write!(f, "Body({} bytes)", body.len()),
            Self::Stored(id) => write!(f, "Stored({id})"),
        }
    }
}

/// The answer to a caller.
#[derive(Debug, Clone)]
pub enum Receipt {
    /// The request was carried out now.
    Fresh(Answer),
    /// The request was carried out before under the same Idempotency-Key; this is the stored answer.
    Replayed(Answer),
}

/// A command of a caller to one of its batches.
#[derive(Clone)]
pub struct Command {
    /// The batch.
    pub batch: BatchId,
    /// The caller. A batch of another owner is not found.
    pub owner: Owner,
    /// The command, as news.
    pub news: News,
    /// The Idempotency-Key, if the caller gave one.
    pub key: Option<IdempotencyKey>,
    /// Renders the answer from the batch's state after the command.
    pub render: Arc<dyn Fn(&StatusRow) -> Answer + Send + Sync>,
    /// The trace context of the request.
    pub trace: Option<Traceparent>,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("batch", &self.batch)
            .field("news", &self.news)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Draws an id for a new batch. Its slot is the key's; without a key it is random.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn new_batch_id(&self, key: Option<&IdempotencyKey>) -> Result<BatchId, Error> {
        let no_randomness = |_| store::Error::Unavailable { doing: "draw a random id", cause: None };
        let random = getrandom::u64().map_err(no_randomness)?;
        let slot = match key {
            Some(key) => key.slot(),
            None => Slot::from_hash(&getrandom::u32().map_err(no_randomness)?.to_be_bytes()),
        };
        Ok(BatchId::new(self.clock.now(), slot, random))
    }

    /// Accepts essays in one transaction. The answer may be sent once this returns: everything is committed then.
    ///
    /// # Errors
    /// [`Error::BacklogFull`] while a queue is over its cap, [`Error::Refused`] by the rules, [`Error::KeyReused`] for a key that
    /// was used with another request, and [`Error::Store`] when the database does not answer.
    pub async fn submit(&self, submission: Submission) -> Result<Receipt, Error> {
        let bytes: usize = submission.essays.iter().map(|essay| essay.text.length()).sum();
        if let Err(full) = self.admission.admit(bytes) {
            // A repeated request adds no work, so it is admitted: the unit below finds its stored answer.
            let Some(key) = &submission.key else { return Err(full) };
            if !idempotency::is_answered(&self.store, key).await? {
                return Err(full);
            }
        }
        self.burst.record(submission.essays.len(), self.clock.monotonic());
        self.crash.at(CrashPoint::BeforeAccept)?;
        let (kind, essays) = (submission.kind, submission.essays.len());
        let (settings, shards, embedded_bus) = (Arc::clone(&self.settings), self.shards, self.bus.is_some());
        let submission = Arc::new(submission);
        let unit = Arc::clone(&submission);
        let accepted = self
            .store
            .unit(Lane::for_text_bytes(bytes), move |tx| {
                let (submission, settings) = (Arc::clone(&unit), Arc::clone(&settings));
                Box::pin(async move {
                    Ok::<_, Error>(
                        match accept_in(tx, &submission, &settings, shards, embedded_bus).await? {
                            Ok(saved) => Ok(Committed::new(tx, vec![saved], embedded_bus).await?),
                            Err(answer) => Err(answer),
                        },
                    )
                })
            })
            .await?;
        self.crash.at(CrashPoint::Accepted)?;
        match accepted {
            Ok(committed) => {
                self.admission.add_staged(bytes);
                metrics::count(metrics::ACCEPTED, None, essays as u64);
                metrics::count(metrics::BATCHES, Some(("kind", kind.as_str())), 1);
                self.wake(&committed);
                self.signals.ingest.notify_one();
                Ok(Receipt::Fresh(submission.answer.clone()))
            }
            Err(answer) => Ok(Receipt::Replayed(answer)),
        }
    }

    /// Carries out a command and answers with the batch's state after it.
    ///
    /// # Errors [`Error::NotFound`] when the caller has no such batch, [`Error::Refused`] by the rules, [`Error::KeyReused`] for
    /// a key that was used with another request, and [`Error::Store`] when the database does not answer.
    pub async fn command(&self, command: Command) -> Result<Receipt, Error> {
        let (settings, embedded_bus) = (Arc::clone(&self.settings), self.bus.is_some());
        let (receipt, committed) = self
            .store
            .unit(Lane::Caller, move |tx| {
                let (command, settings) = (command.clone(), Arc::clone(&settings));
                Box::pin(async move {
                    let (receipt, saved) = command_in(tx, &command, &settings, embedded_bus).await?;
                    Ok::<_, Error>((receipt, Committed::new(tx, Vec::from_iter(saved), embedded_bus).await?))
                })
            })
            .await?;
        self.wake(&committed);
        Ok(receipt)
    }
}

impl SubmittedText {
    fn length(&self) -> usize {
        match self {
            Self::Body(body) => body.len(),
            Self::Stored(_) => 0,
        }
    }
}

async fn accept_in(
    tx: &mut Tx,
    submission: &Submission,
    settings: &Settings,
    shards: i64,
    embedded_bus: bool,
) -> Result<Result<Saved, Answer>, Error> {
    let key = submission.key.as_ref();
    if let Some(answer) = idempotency::claim(tx, key, Some((submission.id, &submission.answer))).await? {
        return Ok(Err(answer));
    }
    let batch = submission.id;
    let shard = batch.slot().shard(shards);
    let accept = Accept {
        id: batch,
        correlation_id: CorrelationId(submission.correlation),
        kind: submission.kind,
        language: submission.language,
        essays: u32::try_from(submission.essays.len()).unwrap_or(u32::MAX),
        open: submission.open,
        phases: submission.phases.clone(),
    };
    let decision = domain::decide(None, Input::Accept(accept), tx.now(), &settings.rules)?;
    let row = BatchRow {
        batch: decision.next.clone(),
        owner: submission.owner.clone(),
        shard,
        next_key_seq: 1,
        name: submission.name.clone(),
        details: Details {
            traceparent: submission.trace.map(|trace| trace.to_string()),
            ..submission.details.clone()
        },
    };
    let mut change = Change::new(row, embedded_bus);
    change.begin_batch(submission.trace);
    change.apply_decision(tx, decision, settings).await?;
    let saved = change::save_new(tx, change).await?;
    tx.insert_labels(batch, &submission.labels).await?;

    let ids: Vec<EssayId> = (0..submission.essays.len())
        .map(|position| EssayId::new(batch, u16::try_from(position).unwrap_or(EssayId::LAST_POSITION)))
        .collect();
    let essays: Vec<NewEssay> = ids
        .iter()
        .zip(&submission.essays)
        .map(|(id, essay)| NewEssay {
            essay_id: *id,
            client_ref: essay.client_ref.clone(),
            size_bytes: match &essay.text {
                SubmittedText::Body(body) => i64::try_from(body.len()).ok(),
                SubmittedText::Stored(_) => None,
            },
        })
        .collect();
    tx.insert_essays(batch, &essays).await?;
    let texts: Vec<(EssayId, StagedText<'_>)> = ids
        .iter()
        .zip(&submission.essays)
        .map(|(id, essay)| match &essay.text {
            SubmittedText::Body(body) => (*id, StagedText::Body(body)),
            SubmittedText::Stored(stored) => (*id, StagedText::Reference(stored)),
        })
        .collect();
    tx.stage_texts(shard, batch, &texts).await?;
    Ok(Ok(saved))
}

async fn command_in(
    tx: &mut Tx,
    command: &Command,
    settings: &Settings,
    embedded_bus: bool,
) -> Result<(Receipt, Option<Saved>), Error> {
    let key = command.key.as_ref();
    let owner = &command.owner;
    let Some(row) = tx.own_batch_for_update(owner, command.batch).await? else {
        return Err(Error::NotFound);
    };
    if let Some(answer) = idempotency::claim(tx, key, None).await? {
        return Ok((Receipt::Replayed(answer), None));
    }
    let mut change = Change::new(row, embedded_bus);
    let cause = Cause { origin: Origin::Caller(owner.clone()), correlation: None, trace: command.trace };
    change.begin_news(&command.news, &[&cause]);
    let changed = change.apply_news(tx, &command.news, settings).await?;
    change.end_news(if changed { "applied" } else { "unchanged" });
    let saved = change::save(tx, vec![change]).await?.pop();
    let Some(status) = tx.status_row(owner, command.batch).await? else { return Err(Error::NotFound) };
    let answer = (command.render)(&status);
    if let Some(key) = key {
        idempotency::store_answer(tx, key, command.batch, &answer).await?;
    }
    Ok((Receipt::Fresh(answer), saved))
}
