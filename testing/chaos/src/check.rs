//! The checker: a pure function of the history, the log, the database and the sightings of canaries.
//!
//! One function per invariant; the numbers are those that [`TITLES`] explains. A finding also says how much was looked at: an
//! invariant that nothing was held against holds in vain.

mod answers;
mod events;
mod reads;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use uuid::Uuid;

pub(crate) use reads::has_ended;

use crate::{
    canary::{Secret, Sighting},
    database::{Batch, Database, Essay, Key},
    essays::tag_of,
    history::{Call, Op, Outcome},
};

/// The invariants.
const TITLES: [(&str, &str); 10] = [
    ("I1", "what was acknowledged can be read, at once and ever after"),
    ("I2", "one event id asks for a phase of an essay, per attempt"),
    ("I3", "refused leaves nothing; unanswered, nothing or one; acknowledged, one"),
    ("I4", "what we send under one event id is the same every time"),
    ("I6", "every event on the bus was committed, and none is missing"),
    ("I7", "status never goes back, ends once a run, and its counts add up"),
    ("I8", "after the last fault everything ends"),
    ("I10", "nothing waits or is set aside that should not be"),
    ("I11", "a key makes one thing and always gets the same answer"),
    ("I13", "no text and no name where they must not be"),
];

/// What is judged.
#[derive(Clone, Copy)]
pub(crate) struct Evidence<'e> {
    pub(crate) calls: &'e [Call],
    pub(crate) database: &'e Database,
    /// Canaries that were found where they must not be.
    pub(crate) sightings: &'e [Sighting],
    /// Places searched for canaries.
    pub(crate) searched: usize,
    /// Records that nobody can read, put on the bus on purpose.
    pub(crate) poison: usize,
}

/// How one invariant fared.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// How many times it was put to the test.
    pub(crate) checked: usize,
    /// What was counted.
    pub(crate) unit: &'static str,
    pub(crate) violations: Vec<String>,
}

/// Holds every invariant against the evidence.
pub(crate) fn check(evidence: Evidence<'_>) -> Vec<Finding> {
    let facts = Facts::of(evidence);
    let judges = [
        answers::are_readable,
        events::ask_once,
        answers::leave_what_they_say,
        events::are_the_same_under_an_id,
        events::are_the_committed_ones,
        reads::never_go_back,
        reads::end,
        events::do_not_wait,
        answers::are_the_same_under_a_key,
        tell_no_secret,
    ];
    let titled = TITLES.into_iter().zip(judges);
    titled
        .map(|((id, title), judge)| {
            let Judged { checked, unit, violations } = judge(&facts);
            Finding { id, title, checked, unit, violations }
        })
        .collect()
}

/// What a judge says.
struct Judged {
    checked: usize,
    unit: &'static str,
    violations: Vec<String>,
}

impl Judged {
    /// Judges things one by one: what is wrong with each, if anything is.
    fn each<T>(
        unit: &'static str,
        things: impl IntoIterator<Item = T>,
        wrong: impl Fn(T) -> Option<String>,
    ) -> Self {
        let (mut checked, mut violations) = (0, Vec::new());
        for thing in things {
            checked += 1;
            violations.extend(wrong(thing));
        }
        Self { checked, unit, violations }
    }

    /// Adds what is wrong whatever was counted.
    fn and(mut self, violations: impl IntoIterator<Item = String>) -> Self {
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
    /// The answers that said yes, in the order in which they were asked for.
    fn acknowledgements(&self) -> impl Iterator<Item = &'e Call> {
        self.calls.iter().copied().filter(|call| call.outcome == Outcome::Ok)
    }

    /// What the first of them named.
    fn acknowledged(&self) -> Option<Uuid> {
        self.acknowledgements().find_map(|call| call.facts.id)
    }

    /// Whether it was refused for good.
    fn is_refused(&self) -> bool {
        self.calls.iter().any(|call| call.outcome == Outcome::Fail && call.facts.status.is_some())
    }

    /// Whether it is something that a caller may hand in.
    fn is_valid(&self) -> bool {
        matches!(self.op, Op::SubmitClass | Op::SubmitEssay)
    }
}

/// The evidence in the order in which the judges ask for it.
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

    /// The batch that an id answered to a client means: a class, or the one that holds a single essay.
    fn batch_of(&self, id: Uuid) -> Option<Uuid> {
        let own = self.batches.get(&id).map(|batch| batch.id);
        own.or_else(|| self.essays.get(&id).map(|essay| essay.batch))
    }

    /// The valid submissions that were acknowledged, each with the id it was given.
    fn acknowledged(&self) -> impl Iterator<Item = (&Submission<'e>, Uuid)> {
        let valid = self.submissions.iter().filter(|submission| submission.is_valid());
        valid.filter_map(|submission| Some((submission, submission.acknowledged()?)))
    }

    /// Everything that read a batch or an essay, by its id.
    fn reads(&self) -> BTreeMap<Uuid, Vec<&'e Call>> {
        let reads =
            self.evidence.calls.iter().filter(|call| matches!(call.op, Op::ReadBatch | Op::ReadEssay));
        grouped(reads.filter_map(|call| Some((call.facts.id?, call))))
    }

    /// When faults were over and the time that everything had to end was too.
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

/// I13.
fn tell_no_secret(facts: &Facts<'_>) -> Judged {
    let told = facts.evidence.sightings.iter().map(|sighting| {
        let what = match sighting.secret {
            Secret::Text => "an essay's text",
            Secret::Name => "the name of a class",
        };
        format!("{what} in {}", sighting.place)
    });
    Judged { checked: facts.evidence.searched, unit: "places searched", violations: told.collect() }
}
