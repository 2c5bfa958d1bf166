//! What must hold when the faults are over and everything is quiet: I1, I3, I6, I8, I10, I11, and the results.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use contract::PhaseName;
use uuid::Uuid;

use super::{Check, Invariant};
use crate::client::Client;
use crate::content::Content;
use crate::neighbours::{Neighbours, WORKER_FAILED};
use crate::operator::Operator;

/// Codes of essays that failed by a neighbour's word.
const BY_WORD: [&str; 3] = [WORKER_FAILED, "spellcheck_failed", "phase_failed"];
/// Codes of essays that failed because no word came.
const WITHOUT_A_WORD: [&str; 2] = ["phase_timeout", "outcome_missing"];

/// What is left of the surroundings at the end.
#[derive(Debug, Clone, Copy)]
pub struct Ends<'e> {
    /// The caller.
    pub client: &'e Client,
    /// The operator.
    pub operator: &'e Operator,
    /// The neighbours.
    pub neighbours: &'e Neighbours,
    /// The Content Service.
    pub content: &'e Content,
    /// No result was lost and no command given, so everything is known beforehand.
    pub calm: bool,
    /// How long it took after the last fault.
    pub took: Duration,
}

impl Check {
    /// When something is due, for whoever moves the clock.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_due(&self) -> Result<Option<chrono::DateTime<chrono::Utc>>> {
        self.eye.next_due()
    }

    /// Whether nothing waits in the database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn is_quiet(&self) -> Result<bool> {
        let waits =
            self.eye.count("SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM staged_texts)")?;
        Ok(waits == 0 && self.states.values().all(super::Seen::is_ended))
    }

    /// Holds everything against the end.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn conclude(&mut self, ends: Ends<'_>) -> Result<()> {
        let acknowledged = ends.client.acknowledged();
        self.look_for(&acknowledged)?;
        self.conclude_given_up(ends.operator)?;
        let batches = self.eye.batches()?;
        let known: BTreeSet<Uuid> = acknowledged.iter().map(|batch| batch.as_uuid()).collect();
        for (batch, _, next) in &batches {
            self.findings
                .hold(Invariant::I3, known.contains(batch), || format!("nobody was told of {batch}"));
            let missing: Vec<i64> =
                (1..*next).filter(|number| !self.numbers.contains_key(&(*batch, *number))).collect();
            self.findings.hold(Invariant::I6, missing.is_empty(), || {
                format!(
                    "the events {missing:?} of {batch} were committed, not given up, and are not on the bus"
                )
            });
        }
        let open: Vec<_> =
            self.states.iter().map(|(batch, seen)| (*batch, seen.is_ended(), seen.clone())).collect();
        for (batch, is_ended, seen) in open {
            self.findings.hold(Invariant::I8, is_ended, || {
                format!("{batch} has not ended after {:?}: {seen:?}", ends.took)
            });
        }
        self.conclude_queues()?;
        self.conclude_keys(ends.client)?;
        self.conclude_results(ends)
    }

    fn conclude_queues(&mut self) -> Result<()> {
        let counts = [
            ("messages in the outbox", "SELECT count(*) FROM outbox", 0),
            ("staged texts", "SELECT count(*) FROM staged_texts", 0),
            (
                "timers of ended batches",
                "SELECT count(*) FROM timers NATURAL JOIN batches WHERE ended_at IS NOT NULL",
                0,
            ),
            ("dead letters", "SELECT count(*) FROM dead_letters", self.poison),
        ];
        for (what, sql, wanted) in counts {
            let found = self.eye.count(sql)?;
            self.findings.hold(Invariant::I10, found == wanted, || format!("{found} {what}, not {wanted}"));
        }
        Ok(())
    }

    fn conclude_keys(&mut self, client: &Client) -> Result<()> {
        let mut keys: BTreeMap<String, Vec<Option<Uuid>>> = BTreeMap::new();
        for (key, batch) in self.eye.keys()? {
            keys.entry(key).or_default().push(batch);
        }
        for (key, batch) in client.keys() {
            let stored = keys.remove(key).unwrap_or_default();
            let holds = stored == [Some(batch.as_uuid())];
            self.findings.hold(Invariant::I11, holds, || {
                format!("{key} was answered with {batch} and stands for {stored:?}")
            });
        }
        let holds = keys.is_empty();
        self.findings.hold(Invariant::I3, holds, || format!("keys that nobody was answered under: {keys:?}"));
        Ok(())
    }

    fn conclude_results(&mut self, ends: Ends<'_>) -> Result<()> {
        for row in self.eye.finished()? {
            let phase: PhaseName = row.phase.parse()?;
            let verdict = ends.neighbours.verdict((row.essay, phase, row.attempt));
            let code = row.error_code.as_deref().unwrap_or_default();
            let holds = match row.state.as_str() {
                "succeeded" => verdict == Some(true),
                "failed" if BY_WORD.contains(&code) => verdict == Some(false),
                "failed" => !ends.calm && WITHOUT_A_WORD.contains(&code),
                _ => !ends.calm,
            };
            self.findings
                .hold(Invariant::Fold, holds, || format!("{row:?}, and the neighbours said {verdict:?}"));
        }
        for essay in self.eye.essays()? {
            let batch = domain::EssayId::try_from(essay.id)?.batch();
            let texts = ends.client.texts(batch);
            let Some(text) = texts.get(usize::try_from(essay.position)?) else { continue };
            let holds = match &essay.text_storage_id {
                Some(id) => ends.content.has(id, text),
                None => !ends.calm,
            };
            self.findings
                .hold(Invariant::Fold, holds, || format!("{essay:?} has not the text that was handed in"));
            if ends.calm {
                let expected = self.expected(ends.neighbours, batch, essay.id);
                self.findings.hold(Invariant::Fold, essay.state == expected, || {
                    format!("{essay:?} should have {expected} by what the neighbours said")
                });
            }
        }
        Ok(())
    }

    /// How an essay must have ended when no word was lost: by the first phase that it failed, if there is one.
    fn expected(&self, neighbours: &Neighbours, batch: domain::BatchId, essay: Uuid) -> &'static str {
        let phases = self.states.get(&batch).map(|seen| seen.phases.as_slice()).unwrap_or_default();
        for (phase, attempt) in phases {
            let Ok(name) = phase.as_str().parse() else { return "a phase" };
            match neighbours.verdict((essay, name, *attempt)) {
                Some(true) => {}
                Some(false) => return "failed",
                None => return "a verdict",
            }
        }
        "succeeded"
    }
}
