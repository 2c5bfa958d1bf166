//! Compares successive readings: I7, I8.

use super::{Facts, Judged, Violation};
use crate::history::{Call, Seen};

/// Terminal states of a batch and of an essay.
const ENDED: [&str; 6] =
    ["completed_successfully", "completed_with_failures", "succeeded", "failed", "cancelled", "skipped"];

/// Non-terminal states, in their order.
const ON_THE_WAY: [&str; 5] = ["pending_content", "waiting", "ready", "in_progress", "processing"];

/// Whether this state is terminal.
pub(crate) fn has_ended(seen: &Seen) -> bool {
    ENDED.contains(&seen.status.as_str())
}

/// The rank of its state.
fn place(seen: &Seen) -> usize {
    ON_THE_WAY.iter().position(|word| *word == seen.status).unwrap_or(ON_THE_WAY.len())
}

/// Evaluates I7.
pub(super) fn never_go_back(facts: &Facts<'_>) -> Judged {
    let reads = facts.reads();
    let seen = |call: &&Call| call.facts.seen.is_some();
    let mut judged = Judged::each("readings", reads.values().flatten().copied().filter(seen), |call| {
        let seen = call.facts.seen.as_ref()?;
        let id = call.facts.id.unwrap_or_default();
        if place(seen) == ON_THE_WAY.len() && !has_ended(seen) {
            return Some(Violation::new(id, format!("it was read in the unknown state `{}`", seen.status)));
        }
        let (total, sum) = seen.counts.iter().find(|(total, sum)| total != sum)?;
        let what = format!("its counts sum to {sum} and not to {total} (revision {})", seen.revision);
        Some(Violation::new(id, what))
    });
    for (id, calls) in &reads {
        let mut ends: Vec<(u64, &Call, &Seen)> = calls
            .iter()
            .filter_map(|call| Some((call.ended_us?, *call, call.facts.seen.as_ref()?)))
            .collect();
        ends.sort_by_key(|(ended, ..)| *ended);
        // Of all readings that ended before this one began, the furthest must not be further than this one.
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
                let what = format!(
                    "it went from {} (run {}, revision {}) to {} (run {}, revision {})",
                    before.status, before.run, before.revision, now.status, now.run, now.revision
                );
                judged.violations.push(Violation::new(id, what));
            }
        }
    }
    judged
}

fn position(seen: &Seen) -> (i64, usize, i64) {
    (seen.run, place(seen), seen.revision)
}

/// Evaluates I8.
pub(super) fn end(facts: &Facts<'_>) -> Judged {
    let reads = facts.reads();
    let Some(converged) = facts.converged() else {
        return Judged {
            checked: 0,
            unit: "acknowledged ids",
            violations: vec![Violation::new("the run", "it did not wait for the end")],
        };
    };
    let open = facts.batches.values().filter(|batch| !batch.ended);
    Judged::each("acknowledged ids", facts.acknowledged(), |(_, id)| {
        let last = reads.get(&id).into_iter().flatten().rfind(|read| converged.is_before(read));
        let seen = last.and_then(|read| read.facts.seen.as_ref());
        match seen {
            Some(seen) if has_ended(seen) => None,
            Some(seen) => Some(Violation::new(id, format!("it is still {} at the end", seen.status))),
            None => Some(Violation::new(id, "it was not read at the end")),
        }
    })
    .and(open.map(|batch| {
        Violation::new(format!("batch {}", batch.id), format!("it has not ended (run {})", batch.run))
    }))
}
