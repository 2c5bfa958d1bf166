//! The load: threads that submit and threads that read, each with its own connection. Everything that they
//! learn is in the history.

use std::{
    net::SocketAddr,
    ops::Range,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Result;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    canary::Canary,
    essays::{Author, Submission, hash},
    history::{Facts, History, Op, Outcome, Seen},
    http::{Answer, Client, Lost},
};

/// Upper bounds of the kinds of submissions, in percent of the turns.
const ESSAYS: u8 = 50;
const CLASSES: u8 = 72;
const INVALID: u8 = 80;
const UNDER_USED_KEY: u8 = 88;
/// One in this many requests hangs up before it has its answer.
const HANGS_UP: u8 = 15;
/// Readers mostly choose one of this many latest acknowledgements.
const RECENT: usize = 60;

/// Shared by the threads of a run.
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) canary: Canary,
    pub(crate) history: History,
    pub(crate) pace: Pace,
    /// The processes of the service, asked in turn.
    pub(crate) replicas: Vec<Replica>,
    acknowledged: Mutex<Vec<Target>>,
    /// Set: no new submissions.
    pub(crate) enough: AtomicBool,
    /// Set: no new calls.
    pub(crate) over: AtomicBool,
}

/// A process of the service, as its clients know it.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    /// The number of processes started at this address so far.
    pub(crate) life: AtomicUsize,
}

/// The pause between two calls, in milliseconds; a load that a debug build on two busy cores can take
/// (measured).
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    pub(crate) submit: Range<u64>,
    pub(crate) read: Range<u64>,
}

/// An acknowledged batch or essay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// The operation that reads it.
    pub(crate) op: Op,
    pub(crate) id: Uuid,
}

impl Run {
    pub(crate) fn new(seed: u64, history: History, addresses: &[SocketAddr], pace: Pace) -> Self {
        let replica = |address: &SocketAddr| Replica { address: *address, life: AtomicUsize::new(0) };
        Self {
            seed,
            canary: Canary::of(seed),
            history,
            pace,
            replicas: addresses.iter().map(replica).collect(),
            acknowledged: Mutex::default(),
            enough: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// A client that asks the replicas in turn, because each of them must know what one has acknowledged.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.replicas.iter().map(|replica| replica.address))
    }

    /// What was acknowledged so far.
    pub(crate) fn acknowledged(&self) -> Vec<Target> {
        self.lock().clone()
    }

    /// Submits until `enough` is set, each submission until it has a definite answer.
    pub(crate) fn submit_all(&self, worker: usize) -> Result<()> {
        let mut random = fastrand::Rng::with_seed(self.seed ^ 0x10ad ^ worker as u64);
        let mut author = Author::new(self.seed, worker, self.canary.clone());
        let mut client = self.client();
        let mut accepted: Vec<Submission> = Vec::new();
        while !self.enough.load(Ordering::Relaxed) {
            let turn = random.u8(..100);
            let used = random.choice(&accepted);
            let submission = match (turn, used) {
                (..ESSAYS, _) => author.essay(),
                (..CLASSES, _) | (UNDER_USED_KEY.., None) => author.class(),
                (..INVALID, _) | (..UNDER_USED_KEY, None) => author.invalid(),
                (..UNDER_USED_KEY, Some(used)) => author.under_the_key_of(used),
                (_, Some(used)) => used.clone(),
            };
            let is_new = turn < UNDER_USED_KEY || used.is_none();
            let target = self.submit(worker, &mut client, &mut random, &submission)?;
            if let Some(target) = target.filter(|_| is_new) {
                self.lock().push(target);
                accepted.push(submission);
                self.read(worker, &mut client, target)?;
            }
            thread::sleep(Duration::from_millis(random.u64(self.pace.submit.clone())));
        }
        Ok(())
    }

    /// Submits one class after the other until it is `enough`, each until it has a definite answer.
    pub(crate) fn flood(&self, worker: usize, enough: &AtomicBool) -> Result<()> {
        let mut random = fastrand::Rng::with_seed(self.seed ^ 0xf100d ^ worker as u64);
        let mut author = Author::new(self.seed, worker, self.canary.clone());
        let mut client = self.client();
        while !enough.load(Ordering::Relaxed) {
            let target = self.submit(worker, &mut client, &mut random, &author.class())?;
            self.lock().extend(target);
        }
        Ok(())
    }

    /// Reads what was acknowledged until the run is over.
    pub(crate) fn read_all(&self, worker: usize) -> Result<()> {
        let mut random = fastrand::Rng::with_seed(self.seed ^ 0x100c ^ worker as u64);
        let mut client = self.client();
        while !self.over.load(Ordering::Relaxed) {
            let target = {
                let all = self.lock();
                let recent = if random.u8(..4) == 0 { all.len() } else { all.len().min(RECENT) };
                let back = random.usize(..recent.max(1));
                all.len().checked_sub(back + 1).and_then(|at| all.get(at)).copied()
            };
            if let Some(target) = target {
                self.read(worker, &mut client, target)?;
            }
            thread::sleep(Duration::from_millis(random.u64(self.pace.read.clone())));
        }
        Ok(())
    }

    /// Reads the state of a batch or an essay.
    pub(crate) fn read(&self, worker: usize, client: &mut Client, target: Target) -> Result<Option<Seen>> {
        let Target { op, id } = target;
        let call = self.history.begin(worker, op, Facts { id: Some(id), ..Facts::default() })?;
        let is_essay = op == Op::ReadEssay;
        let path = if is_essay { format!("/v1/essay/{id}") } else { format!("/v1/batch/{id}/status") };
        let answer = client.get(&path);
        let mut facts = Facts { id: Some(id), ..Facts::default() };
        let outcome = note(&answer, &mut facts);
        let body = answer.ok().filter(|answer| answer.status == 200).map(|answer| answer.json());
        facts.seen = body.and_then(|body| if is_essay { essay_seen(&body) } else { batch_seen(&body) });
        let seen = facts.seen.clone();
        self.history.end(call, outcome, facts)?;
        Ok(seen)
    }

    /// Sends a submission until it has a definite answer; returns what it made.
    fn submit(
        &self,
        worker: usize,
        client: &mut Client,
        random: &mut fastrand::Rng,
        submission: &Submission,
    ) -> Result<Option<Target>> {
        let Submission { op, path, media_type, key, tag, essays, body } = submission;
        let asked = Facts {
            key: Some(key.clone()),
            body_hash: Some(hash(body)),
            tag: Some(tag.clone()),
            essays: *essays,
            ..Facts::default()
        };
        while !self.over.load(Ordering::Relaxed) {
            let call = self.history.begin(worker, *op, asked.clone())?;
            let mut facts = asked.clone();
            let answer = if random.u8(..HANGS_UP) == 0 {
                facts.note = Some("hung up".to_owned());
                Err(client.post_and_hang_up(path, media_type, key, body))
            } else {
                client.post(path, media_type, key, body)
            };
            let outcome = note(&answer, &mut facts);
            let target = answer.ok().filter(|_| outcome == Outcome::Ok).and_then(|answer| {
                facts.answer_hash = Some(hash(&answer.body));
                facts.replayed = answer.replayed;
                target_of(&answer.json())
            });
            facts.id = target.map(|target| target.id);
            let answered = facts.status.is_some();
            self.history.end(call, outcome, facts)?;
            match outcome {
                Outcome::Ok => return Ok(target),
                Outcome::Fail if answered => return Ok(None),
                Outcome::Fail | Outcome::Info | Outcome::Begun => {
                    thread::sleep(Duration::from_millis(random.u64(5..40)));
                }
            }
        }
        Ok(None)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Target>> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an answer tells about the effect of the request.
fn note(answer: &Result<Answer, Lost>, facts: &mut Facts) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(Lost::Unsent) => return Outcome::Fail,
        Err(Lost::Unknown) => return Outcome::Info,
    };
    facts.status = Some(answer.status);
    if answer.status >= 400 {
        facts.problem = Some(String::from_utf8_lossy(&answer.body).into_owned());
    }
    match answer.status {
        200..300 => Outcome::Ok,
        408 | 409 | 429 => Outcome::Info,
        400..500 => Outcome::Fail,
        _ => Outcome::Info,
    }
}

/// The batch or essay of an acknowledgement.
fn target_of(answer: &Value) -> Option<Target> {
    let id = |name: &str| answer.get(name)?.as_str()?.parse().ok();
    let batch = id("batch_id").map(|id| Target { op: Op::ReadBatch, id });
    batch.or_else(|| id("essay_id").map(|id| Target { op: Op::ReadEssay, id }))
}

fn batch_seen(answer: &Value) -> Option<Seen> {
    let counted = |counts: &Value| {
        let counts = counts.as_object()?;
        let total = counts.get("total")?.as_i64()?;
        let parts =
            counts.iter().filter(|(name, _)| *name != "total").filter_map(|(_, count)| count.as_i64());
        Some((total, parts.sum()))
    };
    let phases = answer.get("phases")?.as_array()?.iter().map(|phase| counted(phase.get("essay_counts")?));
    let counts = std::iter::once(counted(answer.get("counts")?)).chain(phases).collect::<Option<_>>()?;
    Some(Seen {
        run: answer.get("run")?.as_i64()?,
        revision: answer.get("revision")?.as_i64()?,
        status: answer.get("status")?.as_str()?.to_owned(),
        counts,
    })
}

fn essay_seen(answer: &Value) -> Option<Seen> {
    Some(Seen {
        run: answer.get("attempt")?.as_i64()?,
        revision: 0,
        status: answer.get("state")?.as_str()?.to_owned(),
        counts: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(status: u16) -> (Outcome, Facts) {
        let mut facts = Facts::default();
        let answer = Answer { status, replayed: false, date: None, body: b"{}".to_vec() };
        (note(&Ok(answer), &mut facts), facts)
    }

    #[test]
    fn only_a_definite_refusal_means_that_nothing_was_done() {
        assert_eq!(answered(202).0, Outcome::Ok);
        assert_eq!([400, 413, 422].map(|status| answered(status).0), [Outcome::Fail; 3]);
        assert_eq!([408, 409, 429, 500, 503].map(|status| answered(status).0), [Outcome::Info; 5]);
        assert_eq!(note(&Err(Lost::Unknown), &mut Facts::default()), Outcome::Info);
        assert_eq!(answered(422).1.problem.as_deref(), Some("{}"));
    }

    #[test]
    fn a_status_is_read_with_the_sums_of_its_counts() {
        let counts = json!({"total": 3, "waiting": 1, "succeeded": 1});
        let phases = json!([{"essay_counts": {"total": 3, "failed": 3}}]);
        let seen = batch_seen(
            &json!({"run": 1, "revision": 7, "status": "processing", "counts": counts, "phases": phases}),
        );
        assert_eq!(seen.unwrap().counts, [(3, 2), (3, 3)]);
    }
}
