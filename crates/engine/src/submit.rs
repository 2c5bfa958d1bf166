//! A caller's requests: handing essays in, and commands to a batch, each with its Idempotency-Key and its answer in the
//! very transaction that does the work.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use domain::{Accept, BatchId, CorrelationId, EssayId, Input, Kind, Language, Phase, Slot, StorageId};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use store::{
    Answer, BatchRow, ClaimOutcome, Details, KeyClaim, Labels, Lane, NewEssay, Owner, Private, StagedText,
    StatusRow, Store, Tx,
};
use uuid::Uuid;

use crate::apply::Committed;
use crate::change::{self, Change, Done};
use crate::{Cause, CrashPoint, Engine, Error, News, Origin, Settings, Traceparent, metrics};

/// What a caller hands in.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The new batch's id: see [`Engine::new_batch_id`].
    pub id: BatchId,
    /// The correlation id of the request, which becomes the batch's.
    pub correlation: Uuid,
    /// Whose it is.
    pub owner: Owner,
    /// A class, or a single essay.
    pub kind: Kind,
    /// The language of all its essays.
    pub language: Language,
    /// A name for people.
    pub name: Option<Private<String>>,
    /// What later phases and the registration need to know.
    pub details: Details,
    /// Labels to find it by.
    pub labels: Labels,
    /// Whether more essays may come.
    pub open: bool,
    /// The phases to run as soon as the texts are stored; none: start later.
    pub phases: Vec<Phase>,
    /// The essays, in order.
    pub essays: Vec<SubmittedEssay>,
    /// The Idempotency-Key, if the caller gave one.
    pub key: Option<Key>,
    /// What the caller is answered; kept with the key.
    pub answer: Answer,
    /// The request's place in a trace, which becomes the batch's.
    pub trace: Option<Traceparent>,
}

/// One essay of a submission.
#[derive(Debug, Clone)]
pub struct SubmittedEssay {
    /// The caller's own name for it.
    pub client_ref: Option<Private<String>>,
    /// Its text, or where it is stored already.
    pub text: SubmittedText,
}

/// The text of a submitted essay. `Debug` shows its length only.
#[derive(Clone)]
pub enum SubmittedText {
    /// The bytes.
    Body(Bytes),
    /// The Content Service has it under this id.
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

/// What a caller gets: the answer, made now or replayed.
#[derive(Debug, Clone)]
pub enum Receipt {
    /// Done now.
    Fresh(Answer),
    /// Done before under the same key.
    Replayed(Answer),
}

/// An Idempotency-Key with the fingerprint of its request.
#[derive(Debug, Clone)]
pub struct Key {
    claim: KeyClaim,
}

impl Key {
    /// The slot that the key stands for: a batch made under it has this slot.
    pub fn slot(&self) -> Slot {
        Slot::new(u16::try_from(self.claim.slot).unwrap_or_default())
    }
}

/// A caller's command to one of its batches.
#[derive(Clone)]
pub struct Command {
    /// Which.
    pub batch: BatchId,
    /// Whose.
    pub owner: Owner,
    /// What is wanted.
    pub news: News,
    /// The Idempotency-Key, if the caller gave one.
    pub key: Option<Key>,
    /// Makes the answer from the batch as it is after the command.
    pub render: Arc<dyn Fn(&StatusRow) -> Answer + Send + Sync>,
    /// The request's place in a trace.
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

/// The secret that fingerprints are made with: a bare hash of pupils' texts could be linked to them.
#[derive(Clone)]
pub(crate) struct Fingerprints {
    key_id: i64,
    secret: [u8; 32],
}

impl fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprints(key {})", self.key_id)
    }
}

impl Fingerprints {
    pub(crate) async fn load(store: &Store) -> Result<Self, Error> {
        let secret =
            store.unit(Lane::Caller, |tx| Box::pin(async move { tx.idempotency_key().await })).await?;
        Ok(Self { key_id: secret.key_id, secret: secret.key })
    }

    fn of(&self, parts: &[&[u8]]) -> Vec<u8> {
        // A key of 32 bytes is always accepted.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else { return Vec::new() };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().to_vec()
    }
}

impl Engine {
    /// The key of a request: its scope is the caller and the route, its fingerprint what the request says.
    pub fn key(&self, owner: &Owner, route: &str, key: &str, content_type: &str, body: &[u8]) -> Key {
        let principal = principal(owner);
        let mut hash = Sha256::new();
        for part in [principal.as_str(), route, key] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let claim = KeyClaim {
            slot: i64::from(Slot::from_hash(&hash.finalize()).get()),
            principal,
            route: route.to_owned(),
            key: key.to_owned(),
            key_id: self.fingerprints.key_id,
            fingerprint: self.fingerprints.of(&[route.as_bytes(), content_type.as_bytes(), body]),
        };
        Key { claim }
    }

    /// An id for a new batch: its slot is the key's, or random without one.
    pub fn new_batch_id(&self, key: Option<&Key>) -> Result<BatchId, Error> {
        let no_randomness = |_| store::Error::Unavailable { doing: "draw a random id", source: None };
        let random = getrandom::u64().map_err(no_randomness)?;
        let slot = match key {
            Some(key) => key.slot(),
            None => Slot::from_hash(&getrandom::u32().map_err(no_randomness)?.to_be_bytes()),
        };
        Ok(BatchId::new(self.clock.now(), slot, random))
    }

    /// Accepts essays: one transaction, and the answer is true when it is committed.
    pub async fn submit(&self, submission: Submission) -> Result<Receipt, Error> {
        let bytes: usize = submission.essays.iter().map(|essay| essay.text.length()).sum();
        if let Err(full) = self.backlog.admit(bytes) {
            // What was done before under its key adds nothing, and its answer is known: the unit below finds it.
            let Some(claim) = submission.key.as_ref().map(|key| key.claim.clone()) else { return Err(full) };
            let known = self.store.read(move |tx| Box::pin(async move { tx.stored_answer(&claim).await }));
            known.await?.ok_or(full)?;
        }
        self.rush.arrived(submission.essays.len(), self.clock.monotonic());
        self.crash.at(CrashPoint::BeforeAccept)?;
        let (kind, essays) = (submission.kind, submission.essays.len());
        let (settings, shards, on_bus) = (Arc::clone(&self.settings), self.shards, self.bus.is_some());
        let submission = Arc::new(submission);
        let unit = Arc::clone(&submission);
        let accepted = self
            .store
            .unit(Lane::for_text_bytes(bytes), move |tx| {
                let (submission, settings) = (Arc::clone(&unit), Arc::clone(&settings));
                Box::pin(async move {
                    Ok::<_, Error>(match accept_in(tx, &submission, &settings, shards, on_bus).await? {
                        Ok(done) => Ok(Committed::with(tx, vec![done], on_bus).await?),
                        Err(answer) => Err(answer),
                    })
                })
            })
            .await?;
        self.crash.at(CrashPoint::Accepted)?;
        match accepted {
            Ok(committed) => {
                self.backlog.staged(bytes);
                metrics::count(metrics::ACCEPTED, None, essays as u64);
                metrics::count(metrics::BATCHES, Some(("kind", kind.as_str())), 1);
                self.wake(&committed);
                self.signals.ingest.notify_one();
                Ok(Receipt::Fresh(submission.answer.clone()))
            }
            Err(answer) => Ok(Receipt::Replayed(answer)),
        }
    }

    /// Carries a caller's command out and answers with the batch as it is then.
    pub async fn command(&self, command: Command) -> Result<Receipt, Error> {
        let (settings, on_bus) = (Arc::clone(&self.settings), self.bus.is_some());
        let (receipt, committed) = self
            .store
            .unit(Lane::Caller, move |tx| {
                let (command, settings) = (command.clone(), Arc::clone(&settings));
                Box::pin(async move {
                    let (receipt, done) = command_in(tx, &command, &settings, on_bus).await?;
                    Ok::<_, Error>((receipt, Committed::with(tx, Vec::from_iter(done), on_bus).await?))
                })
            })
            .await?;
        self.wake(&committed);
        Ok(receipt)
    }
}

/// A caller as one text; no two callers have the same, whatever stands in their names.
fn principal(owner: &Owner) -> String {
    let plain = |name: &str| name.replace('%', "%25").replace('/', "%2F");
    let user = plain(&owner.user_id);
    owner.org_id.as_deref().map_or_else(|| user.clone(), |org| format!("{}/{user}", plain(org)))
}

impl SubmittedText {
    fn length(&self) -> usize {
        match self {
            Self::Body(body) => body.len(),
            Self::Stored(_) => 0,
        }
    }
}

/// Claims the key, with its answer if that is known already, or finds what was answered under it.
async fn claim(
    tx: &mut Tx,
    key: Option<&Key>,
    answered: Option<(BatchId, &Answer)>,
) -> Result<Option<Answer>, Error> {
    let Some(key) = key else { return Ok(None) };
    let claimed = match answered {
        Some((batch, answer)) => tx.claim_key_answered(&key.claim, batch, answer).await?,
        None => tx.claim_key(&key.claim).await?,
    };
    match claimed {
        ClaimOutcome::New => Ok(None),
        // After a rotation of the secret an old fingerprint cannot be compared; the key alone then decides.
        ClaimOutcome::Existing(stored)
            if stored.key_id == key.claim.key_id && stored.fingerprint != key.claim.fingerprint =>
        {
            Err(Error::KeyReused)
        }
        // Key and answer are one transaction's, so a key without an answer was left by nobody.
        ClaimOutcome::Existing(stored) => Ok(stored.answer),
    }
}

async fn accept_in(
    tx: &mut Tx,
    submission: &Submission,
    settings: &Settings,
    shards: i64,
    on_bus: bool,
) -> Result<Result<Done, Answer>, Error> {
    let key = submission.key.as_ref();
    if let Some(answer) = claim(tx, key, Some((submission.id, &submission.answer))).await? {
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
            traceparent: submission.trace.map(|place| place.to_string()),
            ..submission.details.clone()
        },
    };
    let mut change = Change::of(row, on_bus);
    change.begins(submission.trace);
    change.adopt(tx, decision, settings).await?;
    let done = change::save_new(tx, change).await?;
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
            SubmittedText::Stored(at) => (*id, StagedText::Reference(at)),
        })
        .collect();
    tx.stage_texts(shard, batch, &texts).await?;
    Ok(Ok(done))
}

async fn command_in(
    tx: &mut Tx,
    command: &Command,
    settings: &Settings,
    on_bus: bool,
) -> Result<(Receipt, Option<Done>), Error> {
    let key = command.key.as_ref();
    let owner = &command.owner;
    let Some(row) = tx.own_batch_for_update(owner, command.batch).await? else {
        return Err(Error::NotFound);
    };
    if let Some(answer) = claim(tx, key, None).await? {
        return Ok((Receipt::Replayed(answer), None));
    }
    let mut change = Change::of(row, on_bus);
    let cause = Cause { origin: Origin::Caller(owner.clone()), correlation: None, trace: command.trace };
    change.arrives(&command.news, &[&cause]);
    let changed = change.take_in(tx, &command.news, settings).await?;
    change.decided(if changed { "applied" } else { "unchanged" });
    let done = change::save(tx, vec![change]).await?.pop();
    let Some(status) = tx.status_row(owner, command.batch).await? else { return Err(Error::NotFound) };
    let answer = (command.render)(&status);
    if let Some(key) = key {
        tx.answer_key(&key.claim, command.batch, &answer).await?;
    }
    Ok((Receipt::Fresh(answer), done))
}

#[cfg(test)]
mod tests {
    use super::{Owner, principal};

    #[test]
    fn no_two_callers_share_their_keys_whatever_their_names_are() {
        let of = |org: Option<&str>, user: &str| {
            principal(&Owner { user_id: user.to_owned(), org_id: org.map(str::to_owned) })
        };
        assert_eq!(of(None, "local"), "local");
        let callers = [
            of(None, "a/b"),
            of(None, "a%2Fb"),
            of(Some("a"), "b"),
            of(Some("a"), "b/c"),
            of(Some("a/b"), "c"),
            of(Some("a%2Fb"), "c"),
            of(None, "a/b/c"),
        ];
        let different: std::collections::HashSet<&String> = callers.iter().collect();
        assert_eq!(different.len(), callers.len());
    }
}
