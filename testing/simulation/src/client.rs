//! A caller that hands essays in and gives commands, under keys, again and again until it is answered.

use std::sync::Arc;

use bytes::Bytes;
use domain::{BatchId, CancelMode, Kind, Language, Phase};
use engine::{
    Answer, Command, Engine, Error, News, Owner, Receipt, Submission, SubmittedEssay, SubmittedText,
};
use store::{Details, Labels};

use crate::chance::{Chance, Fault};
use crate::check::Seen;

/// What is asked for in a run, at most.
const WISHES: usize = 40;

/// The one caller.
pub fn owner() -> Owner {
    Owner { user_id: "local".to_owned(), org_id: None }
}

/// The caller, and what it asks for.
#[derive(Debug)]
pub struct Client {
    chance: Chance,
    /// What its keys begin with: a key stands for a slot, and so for a shard.
    series: u64,
    wishes: Vec<Wish>,
    /// What the engine should not have answered.
    complaints: Vec<String>,
    /// How often it gives commands, in percent of its turns. Never in a calm run: what comes of it is then known beforehand.
    commanding: u8,
    /// Batches whose run it has seen to be over, and those whose last phase is half done.
    ended: Vec<BatchId>,
    half_done: Vec<BatchId>,
}

/// Something that is asked for under one key.
#[derive(Debug)]
struct Wish {
    key: String,
    what: What,
    outcome: Outcome,
}

#[derive(Debug)]
enum What {
    HandIn { kind: Kind, open: bool, phases: Vec<Phase>, texts: Vec<Bytes> },
    Tell { batch: BatchId, news: News },
}

/// What the caller knows of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// It was never answered: done or not.
    Unknown,
    /// It was answered with these bytes.
    Done(Vec<u8>),
    /// It was refused for good.
    Refused,
}

impl Client {
    /// Draws what will be handed in.
    pub fn new(chance: Chance, calm: bool) -> Self {
        let (batches, series) = (chance.between(1, 4), chance.between(0, 1_000));
        let wishes = (0..batches).map(|number| Wish {
            key: format!("{series}-{number}"),
            what: hand_in(&chance, number, calm),
            outcome: Outcome::Unknown,
        });
        let wishes = wishes.collect();
        let commanding = if calm { 0 } else { chance.pick(&[10, 30, 60]).unwrap_or_default() };
        Self {
            chance,
            series,
            wishes,
            complaints: Vec::new(),
            commanding,
            ended: Vec::new(),
            half_done: Vec::new(),
        }
    }

    /// What the engine should not have answered, since the last call.
    pub fn complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    /// The batches that were acknowledged.
    pub fn acknowledged(&self) -> Vec<BatchId> {
        let handed_in = self.wishes.iter().filter(|wish| matches!(wish.what, What::HandIn { .. }));
        handed_in.filter_map(Wish::batch).collect()
    }

    /// The texts of an acknowledged batch.
    pub fn texts(&self, batch: BatchId) -> &[Bytes] {
        let wish = self.wishes.iter().find(|wish| wish.batch() == Some(batch));
        match wish.map(|wish| &wish.what) {
            Some(What::HandIn { texts, .. }) => texts,
            Some(What::Tell { .. }) | None => &[],
        }
    }

    /// The wishes that were acknowledged, each with its key and its batch.
    pub fn keys(&self) -> impl Iterator<Item = (&str, BatchId)> {
        let batch = |wish: &Wish| match wish.what {
            What::HandIn { .. } => wish.batch(),
            What::Tell { batch, .. } => matches!(wish.outcome, Outcome::Done(_)).then_some(batch),
        };
        self.wishes.iter().filter_map(move |wish| Some((wish.key.as_str(), batch(wish)?)))
    }

    /// Whether everything is answered for good.
    pub fn is_answered(&self) -> bool {
        self.wishes.iter().all(|wish| wish.outcome != Outcome::Unknown)
    }

    /// The caller looks at its batches.
    pub fn look<'s>(&mut self, batches: impl Iterator<Item = (BatchId, &'s Seen)>) {
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

    /// One request: what was not answered yet, something new, or what was answered long ago.
    ///
    /// # Errors
    /// When the engine stopped at a crash point.
    pub async fn turn(&mut self, engine: &Engine) -> Result<(), Error> {
        let wishes = self.wishes.len();
        if self.chance.percent(self.commanding) {
            self.think_of_a_command();
        }
        if self.wishes.len() > wishes {
            return self.ask(engine, wishes).await;
        }
        let all: Vec<usize> = (0..self.wishes.len()).collect();
        let open: Vec<usize> = all
            .iter()
            .copied()
            .filter(|at| self.wishes.get(*at).is_some_and(|wish| wish.outcome == Outcome::Unknown))
            .collect();
        let repeats = self.chance.percent(20);
        let from = if open.is_empty() || repeats { all } else { open };
        let Some(at) = self.chance.pick(&from) else { return Ok(()) };
        self.ask(engine, at).await
    }

    /// In the end nothing is held up by the caller: open batches are closed, paused ones resumed, ready ones started.
    pub fn wish(&mut self, batch: BatchId, news: News) {
        let asked_for = |wish: &Wish| {
            wish.outcome == Outcome::Unknown
                && matches!(wish.what, What::Tell { batch: of, .. } if of == batch)
        };
        if !self.wishes.iter().any(asked_for) {
            let key = format!("{}-{}", self.series, self.wishes.len());
            self.wishes.push(Wish { key, what: What::Tell { batch, news }, outcome: Outcome::Unknown });
        }
    }

    fn think_of_a_command(&mut self) {
        if self.wishes.len() >= WISHES {
            return;
        }
        // Only what is abandoned half done and started again has a second attempt while there is news of the first.
        if let Some(batch) = self.chance.pick(&self.half_done).filter(|_| self.chance.percent(80)) {
            self.wish(batch, News::Cancel(CancelMode::Abandon));
            return;
        }
        if let Some(batch) = self.chance.pick(&self.ended).filter(|_| self.chance.percent(60)) {
            self.wish(batch, News::StartRequested { phases: SERVED.to_vec() });
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
        self.wish(batch, news);
    }

    async fn ask(&mut self, engine: &Engine, at: usize) -> Result<(), Error> {
        let Some(wish) = self.wishes.get_mut(at) else { return Ok(()) };
        let answered = match &wish.what {
            What::HandIn { kind, open, phases, texts } => {
                let body = texts.concat();
                let key = engine.idempotency_key(&owner(), "POST /v1/batch", &wish.key, "text/plain", &body);
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
            What::Tell { batch, news } => {
                let body = format!("{news:?}");
                let key = engine.idempotency_key(
                    &owner(),
                    "POST /v1/batch/command",
                    &wish.key,
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
            wish.forget_refusal();
            return answered.map(drop);
        }
        let is_lost = self.chance.strikes(Fault::AnswerLost);
        let complaint = if is_lost { wish.forget_refusal() } else { wish.hear(answered) };
        self.complaints.extend(complaint.map(|what| format!("{} {what}", wish.key)));
        Ok(())
    }
}

impl Wish {
    /// Takes an answer in. Says what is wrong with it, if anything is.
    fn hear(&mut self, answered: Result<Receipt, Error>) -> Option<String> {
        let body = match answered {
            Ok(Receipt::Fresh(answer) | Receipt::Replayed(answer)) => answer.body,
            Err(Error::Refused(_)) if matches!(self.outcome, Outcome::Done(_)) => {
                return Some("was granted and then refused".to_owned());
            }
            Err(Error::Refused(_)) => {
                self.outcome = Outcome::Refused;
                return None;
            }
            Err(error) if error.is_transient() => return self.forget_refusal(),
            Err(error) => return Some(format!("was answered: {error}")),
        };
        if matches!(&self.outcome, Outcome::Done(before) if *before != body) {
            return Some("was answered with other bytes than before".to_owned());
        }
        self.outcome = Outcome::Done(body);
        None
    }

    /// Without an answer nothing is known: what was refused before may have been granted now.
    fn forget_refusal(&mut self) -> Option<String> {
        if self.outcome == Outcome::Refused {
            self.outcome = Outcome::Unknown;
        }
        None
    }

    /// The batch that was acknowledged.
    fn batch(&self) -> Option<BatchId> {
        match (&self.what, &self.outcome) {
            (What::HandIn { .. }, Outcome::Done(body)) => std::str::from_utf8(body).ok()?.parse().ok(),
            _ => None,
        }
    }
}

/// Phases that the installation serves.
pub const SERVED: [Phase; 3] = [Phase::Spellcheck, Phase::Nlp, Phase::AiFeedback];

fn phases(chance: &Chance, from: &[Phase]) -> Vec<Phase> {
    let chosen: Vec<Phase> = from.iter().copied().filter(|_| chance.percent(60)).collect();
    if chosen.is_empty() { vec![Phase::Spellcheck] } else { chosen }
}

fn hand_in(chance: &Chance, number: u64, calm: bool) -> What {
    let kind = if chance.percent(25) { Kind::Single } else { Kind::Class };
    let essays = if kind == Kind::Single { 1 } else { chance.between(1, 6) };
    let text = |essay| Bytes::from(format!("Essay {essay} of the class {number}, recieved in time."));
    let phases = match kind {
        Kind::Single => Vec::new(),
        // A phase that nobody serves is refused, and leaves nothing.
        Kind::Class if !calm && chance.percent(5) => vec![Phase::CjAssessment],
        Kind::Class if !calm && chance.percent(15) => Vec::new(),
        Kind::Class => phases(chance, &SERVED),
    };
    let open = kind == Kind::Class && !calm && chance.percent(15);
    What::HandIn { kind, open, phases, texts: (0..essays).map(text).collect() }
}

fn essay(text: &Bytes) -> SubmittedEssay {
    SubmittedEssay { client_ref: None, text: SubmittedText::Body(text.clone()) }
}

fn answer(body: String) -> Answer {
    Answer { status: 202, body: body.into_bytes(), location: None, etag: None }
}
