//! A caller that submits essays and gives commands, each under a key, and repeats each request until it is
//! answered.

use std::sync::Arc;

use bytes::Bytes;
use domain::{BatchId, CancelMode, Kind, Language, Phase};
use engine::{
    Answer, Command, Engine, Error, News, Owner, Receipt, Submission, SubmittedEssay, SubmittedText,
};
use invariants::{Finding, Invariant};
use store::{Details, Labels};

use crate::chance::{Chance, Fault};
use crate::observed::ObservedBatch;

/// Requests of a run, at most.
const MAX_REQUESTS: usize = 40;

/// The only caller.
pub fn owner() -> Owner {
    Owner { user_id: "local".to_owned(), org_id: None }
}

/// The caller and its requests.
#[derive(Debug)]
pub struct Client {
    chance: Chance,
    /// The prefix of its keys. A key determines a slot, and so a shard.
    key_prefix: u64,
    requests: Vec<Request>,
    /// Wrong answers of the engine (I11).
    findings: Vec<Finding>,
    /// The share of its turns in which it gives a command, in percent. 0 in a calm run, whose results must be
    /// determined.
    command_percent: u8,
    /// Batches whose run is over, and batches whose last phase is half done, as last observed.
    ended: Vec<BatchId>,
    half_done: Vec<BatchId>,
}

/// A request with its key.
#[derive(Debug)]
struct Request {
    key: String,
    operation: Operation,
    outcome: Outcome,
}

#[derive(Debug)]
enum Operation {
    Submit { kind: Kind, open: bool, phases: Vec<Phase>, texts: Vec<Bytes> },
    Command { batch: BatchId, news: News },
}

/// What the caller knows of the outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// No definite answer yet: done or not.
    Unknown,
    /// Accepted, with these bytes.
    Done(Vec<u8>),
    /// Refused for good.
    Refused,
}

impl Client {
    /// A caller whose submissions are drawn now.
    pub fn new(chance: Chance, calm: bool) -> Self {
        let (batches, key_prefix) = (chance.between(1, 4), chance.between(0, 1_000));
        let requests = (0..batches).map(|number| Request {
            key: format!("{key_prefix}-{number}"),
            operation: draw_submission(&chance, number, calm),
            outcome: Outcome::Unknown,
        });
        let requests = requests.collect();
        let command_percent = if calm { 0 } else { chance.pick(&[10, 30, 60]).unwrap_or_default() };
        Self {
            chance,
            key_prefix,
            requests,
            findings: Vec::new(),
            command_percent,
            ended: Vec::new(),
            half_done: Vec::new(),
        }
    }

    /// The wrong answers of the engine since the last call.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// The batches that were acknowledged.
    pub fn acknowledged(&self) -> Vec<BatchId> {
        let submitted =
            self.requests.iter().filter(|request| matches!(request.operation, Operation::Submit { .. }));
        submitted.filter_map(Request::batch).collect()
    }

    /// The texts of an acknowledged batch.
    pub fn texts(&self, batch: BatchId) -> &[Bytes] {
        let request = self.requests.iter().find(|request| request.batch() == Some(batch));
        match request.map(|request| &request.operation) {
            Some(Operation::Submit { texts, .. }) => texts,
            Some(Operation::Command { .. }) | None => &[],
        }
    }

    /// The requests that were acknowledged, each with its key and its batch.
    pub fn keys(&self) -> impl Iterator<Item = (&str, BatchId)> {
        let batch = |request: &Request| match request.operation {
            Operation::Submit { .. } => request.batch(),
            Operation::Command { batch, .. } => matches!(request.outcome, Outcome::Done(_)).then_some(batch),
        };
        self.requests.iter().filter_map(move |request| Some((request.key.as_str(), batch(request)?)))
    }

    /// Whether every request has a definite answer.
    pub fn is_answered(&self) -> bool {
        self.requests.iter().all(|request| request.outcome != Outcome::Unknown)
    }

    /// Updates what the caller knows of its batches.
    pub fn observe<'s>(&mut self, batches: impl Iterator<Item = (BatchId, &'s ObservedBatch)>) {
        self.ended.clear();
        self.half_done.clear();
        for (batch, seen) in batches {
            if seen.is_ended() {
                self.ended.push(batch);
            } else if seen.is_half_done {
                self.half_done.push(batch);
            }
        }
    }

    /// Sends one request: an unanswered one, a new one, or an answered one again.
    ///
    /// # Errors
    /// When the engine stopped at a crash point.
    pub async fn turn(&mut self, engine: &Engine) -> Result<(), Error> {
        let requests = self.requests.len();
        if self.chance.percent(self.command_percent) {
            self.draw_command();
        }
        if self.requests.len() > requests {
            return self.send(engine, requests).await;
        }
        let all: Vec<usize> = (0..self.requests.len()).collect();
        let open: Vec<usize> = all
            .iter()
            .copied()
            .filter(|at| self.requests.get(*at).is_some_and(|request| request.outcome == Outcome::Unknown))
            .collect();
        let repeats = self.chance.percent(20);
        let from = if open.is_empty() || repeats { all } else { open };
        let Some(at) = self.chance.pick(&from) else { return Ok(()) };
        self.send(engine, at).await
    }

    /// Adds a command to the requests, unless one for this batch is unanswered. In the second stage this
    /// closes open batches, resumes paused ones and starts ready ones.
    pub fn request_command(&mut self, batch: BatchId, news: News) {
        let asked_for = |request: &Request| {
            request.outcome == Outcome::Unknown
                && matches!(request.operation, Operation::Command { batch: of, .. } if of == batch)
        };
        if !self.requests.iter().any(asked_for) {
            let key = format!("{}-{}", self.key_prefix, self.requests.len());
            self.requests.push(Request {
                key,
                operation: Operation::Command { batch, news },
                outcome: Outcome::Unknown,
            });
        }
    }

    fn draw_command(&mut self) {
        if self.requests.len() >= MAX_REQUESTS {
            return;
        }
        // A second attempt while events of the first are in flight needs a batch that was abandoned half done
        // and started again.
        if let Some(batch) = self.chance.pick(&self.half_done).filter(|_| self.chance.percent(80)) {
            self.request_command(batch, News::Cancel(CancelMode::Abandon));
            return;
        }
        if let Some(batch) = self.chance.pick(&self.ended).filter(|_| self.chance.percent(60)) {
            self.request_command(batch, News::StartRequested { phases: SERVED.to_vec() });
            return;
        }
        let Some(batch) = self.chance.pick(&self.acknowledged()) else { return };
        let news = match self.chance.below(10) {
            0 => News::Pause,
            1 | 2 => News::Resume,
            3 => News::Close,
            4 => News::Cancel(CancelMode::Graceful),
            5 => News::Cancel(CancelMode::Abandon),
            _ => News::StartRequested { phases: phases(&self.chance, &SERVED) },
        };
        self.request_command(batch, news);
    }

    async fn send(&mut self, engine: &Engine, at: usize) -> Result<(), Error> {
        let Some(request) = self.requests.get_mut(at) else { return Ok(()) };
        let answered = match &request.operation {
            Operation::Submit { kind, open, phases, texts } => {
                let body = texts.concat();
                let key =
                    engine.idempotency_key(&owner(), "POST /v1/batch", &request.key, "text/plain", &body);
                let id = BatchId::new(engine.clock().now(), key.slot(), self.chance.between(0, u64::MAX));
                let submission = Submission {
                    id,
                    correlation: self.chance.uuid(),
                    owner: owner(),
                    kind: *kind,
                    language: Language::En,
                    name: None,
                    details: Details::default(),
                    labels: Labels::default(),
                    open: *open,
                    phases: phases.clone(),
                    essays: texts.iter().map(essay).collect(),
                    key: Some(key),
                    answer: answer(id.to_string()),
                    trace: None,
                };
                engine.submit(submission).await
            }
            Operation::Command { batch, news } => {
                let body = format!("{news:?}");
                let key = engine.idempotency_key(
                    &owner(),
                    "POST /v1/batch/command",
                    &request.key,
                    "text/plain",
                    body.as_bytes(),
                );
                let command = Command {
                    batch: *batch,
                    owner: owner(),
                    news: news.clone(),
                    key: Some(key),
                    render: Arc::new(|status| answer(status.row.batch.revision.to_string())),
                    trace: None,
                };
                engine.command(command).await
            }
        };
        if matches!(answered, Err(Error::Crashed)) {
            request.forget_refusal();
            return answered.map(drop);
        }
        let is_lost = self.chance.injects(Fault::AnswerLost);
        let wrong = if is_lost { request.forget_refusal() } else { request.record_answer(answered) };
        self.findings
            .extend(wrong.map(|what| Finding::new(Invariant::I11, format!("key {}", request.key), what)));
        Ok(())
    }
}

impl Request {
    /// Records an answer. Returns what is wrong with it, if anything is.
    fn record_answer(&mut self, answered: Result<Receipt, Error>) -> Option<String> {
        let body = match answered {
            Ok(Receipt::Fresh(answer) | Receipt::Replayed(answer)) => answer.body,
            Err(Error::Refused(_)) if matches!(self.outcome, Outcome::Done(_)) => {
                return Some("it was accepted and then refused".to_owned());
            }
            Err(Error::Refused(_)) => {
                self.outcome = Outcome::Refused;
                return None;
            }
            Err(error) if error.is_transient() => return self.forget_refusal(),
            Err(error) => return Some(format!("it was answered with an error: {error}")),
        };
        if matches!(&self.outcome, Outcome::Done(before) if *before != body) {
            return Some("it was answered with other bytes than before".to_owned());
        }
        self.outcome = Outcome::Done(body);
        None
    }

    /// Forgets a refusal, because without an answer the repeated request may have been accepted. Never
    /// returns a violation.
    fn forget_refusal(&mut self) -> Option<String> {
        if self.outcome == Outcome::Refused {
            self.outcome = Outcome::Unknown;
        }
        None
    }

    /// The batch that was acknowledged, of a submission.
    fn batch(&self) -> Option<BatchId> {
        match (&self.operation, &self.outcome) {
            (Operation::Submit { .. }, Outcome::Done(body)) => std::str::from_utf8(body).ok()?.parse().ok(),
            _ => None,
        }
    }
}

/// The phases that the installation serves.
pub const SERVED: [Phase; 3] = [Phase::Spellcheck, Phase::Nlp, Phase::AiFeedback];

fn phases(chance: &Chance, from: &[Phase]) -> Vec<Phase> {
    let chosen: Vec<Phase> = from.iter().copied().filter(|_| chance.percent(60)).collect();
    if chosen.is_empty() { vec![Phase::Spellcheck] } else { chosen }
}

fn draw_submission(chance: &Chance, number: u64, calm: bool) -> Operation {
    let kind = if chance.percent(25) { Kind::Single } else { Kind::Class };
    let essays = if kind == Kind::Single { 1 } else { chance.between(1, 6) };
    let text = |essay| Bytes::from(format!("Essay {essay} of the class {number}, recieved in time."));
    let phases = match kind {
        Kind::Single => Vec::new(),
        // A phase that is not served is refused.
        Kind::Class if !calm && chance.percent(5) => vec![Phase::CjAssessment],
        Kind::Class if !calm && chance.percent(15) => Vec::new(),
        Kind::Class => phases(chance, &SERVED),
    };
    let open = kind == Kind::Class && !calm && chance.percent(15);
    Operation::Submit { kind, open, phases, texts: (0..essays).map(text).collect() }
}

fn essay(text: &Bytes) -> SubmittedEssay {
    SubmittedEssay { client_ref: None, text: SubmittedText::Body(text.clone()) }
}

fn answer(body: String) -> Answer {
    Answer { status: 202, body: body.into_bytes(), location: None, etag: None }
}
