//! Compares the answers with what exists: I1, I3, I11.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{Facts, Judged, Submission, Violation};
use crate::history::{Call, Op, Outcome};

/// Evaluates I1.
pub(super) fn are_readable(facts: &Facts<'_>) -> Judged {
    let reads = facts.reads();
    let converged = facts.converged();
    Judged::each("acknowledged ids", facts.acknowledged(), |(submission, id)| {
        let told = submission.acknowledgements().next()?;
        let after: Vec<&Call> =
            reads.get(&id).into_iter().flatten().copied().filter(|read| told.is_before(read)).collect();
        if let Some(read) =
            after.iter().find(|read| read.outcome == Outcome::Fail && read.facts.status.is_some())
        {
            let status = read.facts.status.unwrap_or_default();
            return Some(Violation::new(
                id,
                format!("it was acknowledged and then read with status {status}"),
            ));
        }
        let last = after.iter().rfind(|read| converged.is_some_and(|converged| converged.is_before(read)));
        match last {
            Some(read) if read.outcome == Outcome::Ok && read.facts.seen.is_some() => None,
            _ => Some(Violation::new(id, "it was acknowledged and could not be read at the end")),
        }
    })
}

/// Evaluates I3.
pub(super) fn leave_what_they_say(facts: &Facts<'_>) -> Judged {
    let asked_for: BTreeSet<Uuid> = facts.keys.values().flatten().filter_map(|key| key.batch).collect();
    let unasked = facts.batches.keys().filter(|id| !asked_for.contains(id));
    Judged::each("submissions", &facts.submissions, |submission| left(facts, submission))
        .and(unasked.map(|id| Violation::new(format!("batch {id}"), "it exists under no key that was used")))
}

/// What is wrong with what a submission left.
fn left(facts: &Facts<'_>, submission: &Submission<'_>) -> Option<Violation> {
    let Submission { op, key, tag, essays, .. } = submission;
    let under_key: Vec<Uuid> =
        facts.keys.get(key).into_iter().flatten().filter_map(|row| row.batch).collect();
    // Essays of a class contain the tag. A single essay is found by its key, which no other submission has.
    let tagged = facts.tagged.get(tag).into_iter().flatten();
    let mut found: Vec<_> = tagged.map(|essay| (essay.id, essay.batch)).collect();
    if *op == Op::SubmitEssay {
        let of_key = under_key.iter().filter_map(|batch| facts.essays_of.get(batch)).flatten();
        found.extend(of_key.map(|essay| (essay.id, essay.batch)));
    }
    let batches: BTreeSet<Uuid> = found.iter().map(|(_, batch)| *batch).collect();
    let is_acknowledged = submission.acknowledgements().next().is_some();
    let count = found.len();
    if !submission.is_valid() {
        let is_left = count > 0 || (*op == Op::SubmitInvalid && !under_key.is_empty());
        let accepted = is_acknowledged.then(|| Violation::new(tag, "it was accepted and had to be refused"));
        let left = || Violation::new(tag, format!("it was refused and left {count} essays"));
        return accepted.or_else(|| is_left.then(left));
    }
    if submission.is_refused() {
        return Some(Violation::new(tag, "it was refused and is valid"));
    }
    let is_whole = count == *essays && batches.len() == 1;
    let is_nothing = count == 0 && !is_acknowledged;
    if !is_whole && !is_nothing {
        let what = format!("it has {essays} essays and left {count} in {} batches", batches.len());
        return Some(Violation::new(tag, what));
    }
    (!is_acknowledged).then(|| Violation::new(tag, "it was sent until the end and got no definite answer"))
}

/// Evaluates I11.
pub(super) fn are_the_same_under_a_key(facts: &Facts<'_>) -> Judged {
    let misused = facts.submissions.iter().filter(|submission| submission.op == Op::SubmitUnderUsedKey);
    let answered = misused.flat_map(|submission| &submission.calls).filter(|call| {
        call.outcome == Outcome::Ok
            || (call.outcome == Outcome::Fail && call.facts.status.is_some_and(|status| status != 422))
    });
    let wrong: Vec<Violation> = answered
        .map(|call| {
            let status = call.facts.status.unwrap_or_default();
            let key = call.facts.key.as_deref().unwrap_or("?");
            Violation::new(key, format!("another body was answered with {status} and not 422"))
        })
        .collect();
    Judged::each("keys", facts.acknowledged(), |(submission, id)| one_answer(facts, submission, id))
        .and(wrong)
}

/// What is wrong with the answers under the key of an acknowledged submission.
fn one_answer(facts: &Facts<'_>, submission: &Submission<'_>, id: Uuid) -> Option<Violation> {
    let key = submission.key;
    let Some([row]) = facts.keys.get(key).map(Vec::as_slice) else {
        return Some(Violation::new(key, "it was answered and does not exist exactly once"));
    };
    if row.batch.is_none() || row.batch != facts.batch_of(id) {
        return Some(Violation::new(key, format!("it was answered with {id} and stores {:?}", row.batch)));
    }
    let other = submission
        .acknowledgements()
        .find(|call| call.facts.id != Some(id) || call.facts.answer_hash != row.answer_hash);
    other.map(|call| {
        Violation::new(key, format!("an answer ({:?}) has other bytes than are stored", call.facts.id))
    })
}
