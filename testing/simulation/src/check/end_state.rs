//! Checks of what must hold when the faults are over and nothing moves: I1, I3, I6, I8, I10, I11, S5.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use contract::PhaseName;
use invariants::Invariant;
use uuid::Uuid;

use super::Check;
use crate::client::Client;
use crate::content::Content;
use crate::operator::Operator;
use crate::peers::{Peers, WORKER_FAILED};

/// Codes of essays for which a peer reported a failure.
const REPORTED: [&str; 3] = [WORKER_FAILED, "spellcheck_failed", "phase_failed"];
/// Codes of essays without a result.
const NOT_REPORTED: [&str; 2] = ["phase_timeout", "outcome_missing"];

/// The environment at the end of a run.
#[derive(Debug, Clone, Copy)]
pub struct EndState<'e> {
    /// The caller.
    pub client: &'e Client,
    /// The operator.
    pub operator: &'e Operator,
    /// The peers.
    pub peers: &'e Peers,
    /// The Content Service.
    pub content: &'e Content,
    /// No result was lost and no command was given, so the end of every essay is determined.
    pub calm: bool,
    /// The simulated time since the last fault.
    pub took: Duration,
}

impl Check {
    /// The earliest time at which something in the database is due.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_due(&self) -> Result<Option<chrono::DateTime<chrono::Utc>>> {
        self.database.next_due()
    }

    /// Whether nothing waits in the database, and every run is over.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn is_quiet(&self) -> Result<bool> {
        let waits = self
            .database
            .count("SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM staged_texts)")?;
        Ok(waits == 0 && self.states.values().all(crate::observed::ObservedBatch::is_ended))
    }

    /// Evaluates everything that must hold at the end.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn check_end(&mut self, end_state: EndState<'_>) -> Result<()> {
        let acknowledged = end_state.client.acknowledged();
        self.check_acknowledged(&acknowledged)?;
        self.check_given_up(end_state.operator)?;
        let batches = self.database.batches()?;
        let known: BTreeSet<Uuid> = acknowledged.iter().map(|batch| batch.as_uuid()).collect();
        for (batch, _, next) in &batches {
            self.findings.check(Invariant::I3, known.contains(batch), || {
                (format!("batch {batch}"), "it exists and was never acknowledged".to_owned())
            });
            let missing: Vec<i64> =
                (1..*next).filter(|number| !self.numbers.contains_key(&(*batch, *number))).collect();
            self.findings.check(Invariant::I6, missing.is_empty(), || {
                let what =
                    format!("its events {missing:?} were committed, not given up, and are not on the bus");
                (format!("batch {batch}"), what)
            });
        }
        let open: Vec<_> =
            self.states.iter().map(|(batch, seen)| (*batch, seen.is_ended(), seen.clone())).collect();
        for (batch, is_ended, seen) in open {
            self.findings.check(Invariant::I8, is_ended, || {
                (format!("batch {batch}"), format!("it has not ended after {:?}: {seen:?}", end_state.took))
            });
        }
        self.check_queues()?;
        self.check_keys(end_state.client)?;
        self.check_results(end_state)
    }

    fn check_queues(&mut self) -> Result<()> {
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
            let found = self.database.count(sql)?;
            self.findings.check(Invariant::I10, found == wanted, || {
                ("database".to_owned(), format!("{found} {what}, not {wanted}"))
            });
        }
        Ok(())
    }

    fn check_keys(&mut self, client: &Client) -> Result<()> {
        let mut keys: BTreeMap<String, Vec<Option<Uuid>>> = BTreeMap::new();
        for (key, batch) in self.database.keys()? {
            keys.entry(key).or_default().push(batch);
        }
        for (key, batch) in client.keys() {
            let stored = keys.remove(key).unwrap_or_default();
            let holds = stored == [Some(batch.as_uuid())];
            self.findings.check(Invariant::I11, holds, || {
                (format!("key {key}"), format!("it was answered with {batch} and stores {stored:?}"))
            });
        }
        let holds = keys.is_empty();
        self.findings.check(Invariant::I3, holds, || {
            ("database".to_owned(), format!("it has keys that were never acknowledged: {keys:?}"))
        });
        Ok(())
    }

    fn check_results(&mut self, end_state: EndState<'_>) -> Result<()> {
        for row in self.database.finished()? {
            let phase: PhaseName = row.phase.parse()?;
            let task = (row.essay, phase, row.attempt);
            let verdict = end_state.peers.verdict(task);
            let reported = |succeeded| end_state.peers.has_verdict(task, succeeded);
            let code = row.error_code.as_deref().unwrap_or_default();
            let holds = match row.state.as_str() {
                "succeeded" => reported(true),
                "failed" if REPORTED.contains(&code) => reported(false),
                "failed" => !end_state.calm && NOT_REPORTED.contains(&code),
                _ => !end_state.calm,
            };
            self.findings.check(Invariant::S5, holds, || {
                (format!("essay {}", row.essay), format!("{row:?}, and the peers reported {verdict:?}"))
            });
        }
        for essay in self.database.essays()? {
            let batch = domain::EssayId::try_from(essay.id)?.batch();
            let texts = end_state.client.texts(batch);
            let Some(text) = texts.get(usize::try_from(essay.position)?) else { continue };
            let holds = match &essay.text_storage_id {
                Some(id) => end_state.content.has(id, text),
                None => !end_state.calm,
            };
            self.findings.check(Invariant::S5, holds, || {
                (format!("essay {}", essay.id), format!("{essay:?} does not have the submitted text"))
            });
            if end_state.calm {
                let expected = self.expected(end_state.peers, batch, essay.id);
                self.findings.check(Invariant::S5, essay.state == expected, || {
                    let what = format!("{essay:?} should have {expected} by what the peers reported");
                    (format!("essay {}", essay.id), what)
                });
            }
        }
        Ok(())
    }

    /// How an essay must have ended when no result was lost: it failed if the peers reported a failure of any phase.
    fn expected(&self, peers: &Peers, batch: domain::BatchId, essay: Uuid) -> &'static str {
        let phases = self.states.get(&batch).map(|seen| seen.phases.as_slice()).unwrap_or_default();
        for (phase, attempt) in phases {
            let Ok(name) = phase.as_str().parse() else { return "a phase" };
            match peers.verdict((essay, name, *attempt)) {
                Some(true) => {}
                Some(false) => return "failed",
                None => return "a verdict",
            }
        }
        "succeeded"
    }
}
