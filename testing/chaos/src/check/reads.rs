//! What was seen, one reading after the other: I7, I8.

use super::{Facts, Judged};
use crate::history::{Call, Seen};

/// Words for being over, of a batch and of an essay.
const ENDED: [&str; 6] =
    ["completed_successfully", "completed_with_failures", "succeeded", "failed", "cancelled", "skipped"];

/// Words for the way there, in its order.
const ON_THE_WAY: [&str; 5] = ["pending_content", "waiting", "ready", "in_progress", "processing"];

/// Whether something that is seen so has ended.
pub(crate) fn has_ended(seen: &Seen) -> bool {
    ENDED.contains(&seen.status.as_str())
}

/// How far it is.
fn place(seen: &Seen) -> usize {
    ON_THE_WAY.iter().position(|word| *word == seen.status).unwrap_or(ON_THE_WAY.len())
}

/// I7.
pub(super) fn never_go_back(facts: &Facts<'_>) -> Judged {
    let reads = facts.reads();
    let seen = |call: &&Call| call.facts.seen.is_some();
    let mut judged = Judged::each("readings", reads.values().flatten().copied().filter(seen), |call| {
        let seen = call.facts.seen.as_ref()?;
        let id = call.facts.id.unwrap_or_default();
        if place(seen) == ON_THE_WAY.len() && !has_ended(seen) {
            return Some(format!("{id} was seen in the unknown state `{}`", seen.status));
        }
        let (total, sum) = seen.counts.iter().find(|(total, sum)| total != sum)?;
        Some(format!("the counts of {id} add up to {sum} and not to {total} (revision {})", seen.revision))
    });
    for (id, calls) in &reads {
        let mut ends: Vec<(u64, &Call, &Seen)> = calls
            .iter()
            .filter_map(|call| Some((call.ended_us?, *call, call.facts.seen.as_ref()?)))
            .collect();
        ends.sort_by_key(|(ended, ..)| *ended);
        // Whatever ended before this one began, the furthest of it must not be further than this one.
        let mut begins = ends.clone();
        begins.sort_by_key(|(_, call, _)| call.began_us);
        let (mut furthest, mut next) = (None::<&Seen>, 0);
        for (_, call, now) in begins {
            while let Some((_, _, seen)) = ends.get(next).filter(|(ended, ..)| *ended <= call.began_us) {
                if furthest.is_none_or(|before| position(before) <= position(seen)) {
                    furthest = Some(seen);
                }
                next += 1;
            }
            let Some(before) = furthest else { continue };
            let is_other_end = before.run == now.run && has_ended(before) && before.status != now.status;
            if position(now) < position(before) || is_other_end || now.revision < before.revision {
                judged.violations.push(format!(
                    "{id} went from {} (run {}, revision {}) to {} (run {}, revision {})",
                    before.status, before.run, before.revision, now.status, now.run, now.revision
                ));
            }
        }
    }
    judged
}

fn position(seen: &Seen) -> (i64, usize, i64) {
    (seen.run, place(seen), seen.revision)
}

/// I8.
pub(super) fn end(facts: &Facts<'_>) -> Judged {
    let reads = facts.reads();
    let Some(converged) = facts.converged() else {
        return Judged {
            checked: 0,
            unit: "acknowledged ids",
            violations: vec!["nobody waited for the end".to_owned()],
        };
    };
    let open = facts.batches.values().filter(|batch| !batch.ended);
    Judged::each("acknowledged ids", facts.acknowledged(), |(_, id)| {
        let last = reads.get(&id).into_iter().flatten().rfind(|read| converged.is_before(read));
        let seen = last.and_then(|read| read.facts.seen.as_ref());
        match seen {
            Some(seen) if has_ended(seen) => None,
            Some(seen) => Some(format!("{id} is still {} at the end", seen.status)),
            None => Some(format!("{id} was not seen to end")),
        }
    })
    .and(open.map(|batch| format!("the batch {} has not ended (run {})", batch.id, batch.run)))
}
