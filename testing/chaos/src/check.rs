//! The checker: a pure function of the history, the log, the database and the sightings of canaries.
//!
//! One function per invariant of [`JUDGES`]. An evaluation also says how often the invariant was checked; a
//! run with an unchecked invariant is vacuous.

mod answers;
mod events;
mod reads;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Display;

use invariants::{Evaluation, Finding, Invariant};
use uuid::Uuid;

pub(crate) use reads::has_ended;

use crate::{
    canary::{Secret, Sighting},
    database::{Batch, Database, Essay, Key},
    essays::tag_of,
    history::{Call, Op, Outcome},
};

/// A function that evaluates one invariant.
type Judge = fn(&Facts<'_>) -> Judged;

/// The invariants that both modes evaluate, each with the function that does it.
const JUDGES: [(Invariant, Judge); 10] = [
    (Invariant::I1, answers::are_readable),
    (Invariant::I2, events::ask_once),
    (Invariant::I3, answers::leave_what_they_say),
    (Invariant::I4, events::are_the_same_under_an_id),
    (Invariant::I6, events::are_the_committed_ones),
    (Invariant::I7, reads::never_go_back),
    (Invariant::I8, reads::end),
    (Invariant::I10, events::do_not_wait),
    (Invariant::I11, answers::are_the_same_under_a_key),
    (Invariant::I13, tell_no_secret),
];

/// The evidence of a run.
#[derive(Clone, Copy)]
pub(crate) struct Evidence<'e> {
    pub(crate) calls: &'e [Call],
    pub(crate) database: &'e Database,
    /// Canaries found where they must not be.
    pub(crate) sightings: &'e [Sighting],
    /// The number of places searched for canaries.
    pub(crate) searched: usize,
    /// The number of unreadable records put on the bus.
    pub(crate) poison: usize,
}

/// Evaluates every invariant of [`JUDGES`] on the evidence.
pub(crate) fn check(evidence: Evidence<'_>) -> Vec<Evaluation> {
    let facts = Facts::of(evidence);
    let evaluate = |(invariant, judge): (Invariant, Judge)| {
        let Judged { checked, unit, violations } = judge(&facts);
        let findings = violations.into_iter();
        let findings = findings.map(|Violation(location, what)| Finding::new(invariant, location, what));
        Evaluation::new(invariant, checked, unit, findings.collect())
    };
    JUDGES.into_iter().map(evaluate).collect()
}

/// Something that violates the invariant of a judge: where, and what is wrong.
struct Violation(String, String);

impl Violation {
    fn new(location: impl Display, what: impl Into<String>) -> Self {
        Self(location.to_string(), what.into())
    }
}

/// The result of a judge.
struct Judged {
    checked: usize,
    unit: &'static str,
    violations: Vec<Violation>,
}

impl Judged {
    /// Evaluates things one by one; `wrong` returns what is wrong with a thing, if anything is.
    fn each<T>(
        unit: &'static str,
        things: impl IntoIterator<Item = T>,
        wrong: impl Fn(T) -> Option<Violation>,
    ) -> Self {
        let (mut checked, mut violations) = (0, Vec::new());
        for thing in things {
            checked += 1;
            violations.extend(wrong(thing));
        }
        Self { checked, unit, violations }
    }

    /// Adds further violations.
    fn and(mut self, violations: impl IntoIterator<Item = Violation>) -> Self {
        self.violations.extend(violations);
        self
    }
}

/// Everything that was sent with one body under one key: one submission, however often it was sent.
struct Submission<'e> {
    op: Op,
    key: &'e str,
    tag: &'e str,
    essays: usize,
    calls: Vec<&'e Call>,
}

impl<'e> Submission<'e> {
    /// The accepting answers, in the order of the requests.
    fn acknowledgements(&self) -> impl Iterator<Item = &'e Call> {
        self.calls.iter().copied().filter(|call| call.outcome == Outcome::Ok)
    }

    /// The id in the first of them.
    fn acknowledged(&self) -> Option<Uuid> {
        self.acknowledgements().find_map(|call| call.facts.id)
    }

    /// Whether it was refused for good.
    fn is_refused(&self) -> bool {
        self.calls.iter().any(|call| call.outcome == Outcome::Fail && call.facts.status.is_some())
    }

    /// Whether its body is valid.
    fn is_valid(&self) -> bool {
        matches!(self.op, Op::SubmitClass | Op::SubmitEssay)
    }
}

/// The evidence, indexed for the judges.
struct Facts<'e> {
    evidence: Evidence<'e>,
    submissions: Vec<Submission<'e>>,
    batches: BTreeMap<Uuid, &'e Batch>,
    /// By the essay's id.
    essays: BTreeMap<Uuid, &'e Essay>,
    /// By the batch's id.
    essays_of: BTreeMap<Uuid, Vec<&'e Essay>>,
    /// By the tag in its name.
    tagged: BTreeMap<&'e str, Vec<&'e Essay>>,
    keys: BTreeMap<&'e str, Vec<&'e Key>>,
}

impl<'e> Facts<'e> {
    fn of(evidence: Evidence<'e>) -> Self {
        let Database { batches, essays, keys, .. } = evidence.database;
        let mut submissions: BTreeMap<&str, Submission<'_>> = BTreeMap::new();
        for call in evidence.calls.iter().filter(|call| call.op.is_write()) {
            let Some((key, tag)) = call.facts.key.as_deref().zip(call.facts.tag.as_deref()) else { continue };
            let new = || Submission { op: call.op, key, tag, essays: call.facts.essays, calls: Vec::new() };
            submissions.entry(tag).or_insert_with(new).calls.push(call);
        }
        Self {
            evidence,
            submissions: submissions.into_values().collect(),
            batches: batches.iter().map(|batch| (batch.id, batch)).collect(),
            essays: essays.iter().map(|essay| (essay.id, essay)).collect(),
            essays_of: grouped(essays.iter().map(|essay| (essay.batch, essay))),
            tagged: grouped(
                essays.iter().filter_map(|essay| Some((tag_of(essay.client_ref.as_deref()?), essay))),
            ),
            keys: grouped(keys.iter().map(|key| (key.key.as_str(), key))),
        }
    }

    /// The batch of an id that was answered to a client: of a class, or of a single essay.
    fn batch_of(&self, id: Uuid) -> Option<Uuid> {
        let own = self.batches.get(&id).map(|batch| batch.id);
        own.or_else(|| self.essays.get(&id).map(|essay| essay.batch))
    }

    /// The valid submissions that were acknowledged, each with its id.
    fn acknowledged(&self) -> impl Iterator<Item = (&Submission<'e>, Uuid)> {
        let valid = self.submissions.iter().filter(|submission| submission.is_valid());
        valid.filter_map(|submission| Some((submission, submission.acknowledged()?)))
    }

    /// All reads of a batch or an essay, by its id.
    fn reads(&self) -> BTreeMap<Uuid, Vec<&'e Call>> {
        let reads =
            self.evidence.calls.iter().filter(|call| matches!(call.op, Op::ReadBatch | Op::ReadEssay));
        grouped(reads.filter_map(|call| Some((call.facts.id?, call))))
    }

    /// The call that ended the time for everything to end.
    fn converged(&self) -> Option<&'e Call> {
        self.evidence.calls.iter().find(|call| call.op == Op::Converge)
    }
}

fn grouped<K: Ord, V>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, Vec<V>> {
    let mut groups: BTreeMap<K, Vec<V>> = BTreeMap::new();
    for (key, value) in pairs {
        groups.entry(key).or_default().push(value);
    }
    groups
}

/// Evaluates I13.
fn tell_no_secret(facts: &Facts<'_>) -> Judged {
    let told = facts.evidence.sightings.iter().map(|sighting| {
        let what = match sighting.secret {
            Secret::Text => "an essay's text",
            Secret::Name => "the name of a class",
        };
        Violation::new(&sighting.place, format!("it contains {what}"))
    });
    Judged { checked: facts.evidence.searched, unit: "places searched", violations: told.collect() }
}
