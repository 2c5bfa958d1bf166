//! News → input: essay rows change by compare-and-set, and the rules get the number of rows that changed.

use std::collections::HashSet;

use domain::{
    AttemptMatch, CorrelationId, EssayId, FailureCode, Input, OutcomeStatus, Phase, Refusal, StorageId,
};
use store::{BatchRow, EssayReport, Precision, Tx};
use uuid::Uuid;

use super::applied::Item;
use crate::error::Error;
use crate::news::{BatchNews, News};

/// News to be applied as one, made from one or more adjacent items.
pub(super) struct Piece<'i, 'n> {
    pub(super) news: News,
    pub(super) members: Vec<&'i mut Item<'n>>,
    /// The correlation id of the first member.
    pub(super) correlation: Option<Uuid>,
}

/// Merges adjacent reports about essays of the same phase and attempt.
pub(super) fn merge<'i, 'n: 'i>(items: impl Iterator<Item = &'i mut Item<'n>>) -> Vec<Piece<'i, 'n>> {
    let mut pieces: Vec<Piece<'i, 'n>> = Vec::with_capacity(items.size_hint().1.unwrap_or(8).min(8));
    for item in items {
        let BatchNews { news, cause, .. } = item.news;
        if let (
            Some(Piece { news: News::EssaysReported { phase, correlation, reports }, members, .. }),
            News::EssaysReported { phase: next_phase, correlation: next_correlation, reports: more },
        ) = (pieces.last_mut(), news)
            && phase == next_phase
            && correlation == next_correlation
        {
            reports.extend_from_slice(more);
            members.push(item);
            continue;
        }
        pieces.push(Piece { news: news.clone(), correlation: cause.correlation, members: vec![item] });
    }
    pieces
}

/// Writes to the essay rows what the news says about them, and makes the input for the rules. `None` when no row changed and
/// the rules have nothing to decide.
pub(super) async fn resolve(tx: &mut Tx, row: &BatchRow, news: &News) -> Result<Option<Input>, Error> {
    let batch = row.batch.id;
    Ok(match news {
        News::TextsStored { stored, refused } => {
            let essays: Vec<EssayId> =
                stored.iter().map(|s| s.essay_id).chain(refused.iter().map(|r| r.0)).collect();
            let stored = tx.record_stored_texts(batch, stored).await?;
            let refused: Vec<_> = refused.iter().map(|(essay, code)| (*essay, code.as_str())).collect();
            let refused = tx.record_refused_texts(batch, &refused).await?;
            tx.delete_staged(row.shard, batch, &essays).await?;
            (stored + refused > 0).then_some(Input::TextsStored { stored, refused })
        }
        News::StorageStalled { code, next_check_at, overdue } => Some(Input::StorageStalled {
            code: *code,
            next_check_at: Some(*next_check_at),
            overdue: *overdue,
        }),
        News::Registered => Some(Input::Registered),
        News::EssaysReported { phase, correlation, reports } => {
            Some(conclude(tx, row, *phase, *correlation, reports).await?)
        }
        News::PhaseOutcome { phase, correlation, word, processed, failed } => {
            let outcome = Outcome { phase: *phase, status: *word, processed, failed };
            merge_outcome(tx, row, *correlation, outcome).await?
        }
        News::ServicesReplaced => {
            name_finished_essays(tx, row).await?;
            Some(Input::ServicesReplaced)
        }
        News::StartRequested { phases } => Some(Input::Start { phases: phases.clone() }),
        // The row is deleted whatever is decided, and a decision may set the timer again. If the row that was read is gone,
        // another process that also worked the shard has fired it, or the timer was set again: then the new row is the deadline.
        News::DeadlinePassed(due) => tx.clear_fired(due).await?.then_some(Input::DeadlinePassed(due.timer)),
        News::LifecycleAnswered { due, answer } => tx
            .clear_fired(due)
            .await?
            .then_some(Input::LifecycleAnswered { timer: due.timer, answer: *answer }),
        News::Pause => Some(Input::Pause),
        News::Resume => Some(Input::Resume),
        News::Cancel(mode) => Some(Input::Cancel { mode: *mode }),
        News::Close => Some(Input::Close),
    })
}

/// Marks the finished essays of the running attempt as named: the lifecycle service that owed an outcome of them is gone, and the
/// next one gets a command for the others only.
async fn name_finished_essays(tx: &mut Tx, row: &BatchRow) -> Result<(), Error> {
    let Some((phase, attempt)) = row.batch.current() else { return Ok(()) };
    let batch = row.batch.id;
    let open: HashSet<EssayId> =
        tx.essays_to_process(batch, phase, attempt).await?.into_iter().map(|essay| essay.essay_id).collect();
    let mut finished = tx.unnamed_essays(batch, phase, attempt).await?;
    finished.retain(|essay| !open.contains(essay));
    Ok(tx.mark_named(batch, &finished).await?)
}

/// An outcome: a snapshot of the essays whose status at ELS belongs to the phase.
struct Outcome<'n> {
    phase: Phase,
    status: OutcomeStatus,
    processed: &'n [(EssayId, StorageId)],
    failed: &'n [EssayId],
}

/// Merges an outcome into the essays of the running attempt. `None` when it says nothing about that attempt.
///
/// ELS keeps no record of a command, so an outcome is not matched to one: it names essays, whichever command moved them. Only a
/// failure in an outcome with the correlation id of an earlier attempt is dropped, because it can be the failure that the running
/// attempt repeats.
async fn merge_outcome(
    tx: &mut Tx,
    row: &BatchRow,
    correlation: Option<CorrelationId>,
    outcome: Outcome<'_>,
) -> Result<Option<Input>, Error> {
    let Outcome { phase, status, processed, mut failed } = outcome;
    let batch = row.batch.id;
    let matched = row.batch.attempt_of(phase, correlation);
    if matched == AttemptMatch::Ahead {
        return Err(Error::Refused(Refusal::too_early(&row.batch)));
    }
    if matches!(matched, AttemptMatch::Older(_)) {
        failed = &[];
    }
    let Some((_, attempt)) = row.batch.current().filter(|(running, _)| *running == phase) else {
        return Ok(None);
    };
    // A request that went to the spell checker directly is unknown to ELS.
    if !row.batch.expects_outcome() {
        return Ok(None);
    }
    let reports: Vec<EssayReport> = processed
        .iter()
        .map(|(essay, text)| report_of(*essay, Some(text.clone()), None))
        .chain(failed.iter().map(|essay| report_of(*essay, None, Some(FailureCode::PhaseFailed.as_str()))))
        .collect();
    let after = row.batch.essay_state_after_success();
    let concluded = tx.conclude_essays(batch, phase, attempt, after, &reports).await?;
    // As a rule one outcome names all essays, and no row has to remember that it was named.
    let named: HashSet<EssayId> = reports.iter().map(|report| report.essay_id).collect();
    let before = tx.unnamed_essays(batch, phase, attempt).await?;
    let (named, unnamed): (Vec<_>, Vec<_>) = before.into_iter().partition(|essay| named.contains(essay));
    if !unnamed.is_empty() {
        tx.mark_named(batch, &named).await?;
    }
    Ok(Some(Input::OutcomeReported {
        phase,
        attempt,
        status,
        succeeded: concluded.succeeded,
        failed: concluded.failed,
        unnamed: u32::try_from(unnamed.len()).unwrap_or(u32::MAX),
    }))
}

/// The report about one essay that a phase outcome contains.
fn report_of(essay_id: EssayId, text_storage_id: Option<StorageId>, error_code: Option<&str>) -> EssayReport {
    EssayReport {
        essay_id,
        succeeded: error_code.is_none(),
        text_storage_id,
        error_code: error_code.map(str::to_owned),
        precision: Precision::Vague,
        figures: None,
    }
}

/// Concludes essays by the reports of a worker.
async fn conclude(
    tx: &mut Tx,
    row: &BatchRow,
    phase: Phase,
    correlation: Option<CorrelationId>,
    reports: &[EssayReport],
) -> Result<Input, Error> {
    let attempt = match row.batch.attempt_of(phase, correlation) {
        AttemptMatch::Ahead => return Err(Error::Refused(Refusal::too_early(&row.batch))),
        // A report of an older attempt changes no state, but its figures complete the row of the essay in that attempt.
        AttemptMatch::Current(attempt) | AttemptMatch::Older(attempt) => attempt,
        AttemptMatch::NotRunning => row.batch.record(phase).map_or(0, |record| record.attempt),
    };
    let after = row.batch.essay_state_after_success();
    let concluded = tx.conclude_essays(row.batch.id, phase, attempt, after, reports).await?;
    Ok(Input::EssaysReported {
        phase,
        attempt,
        succeeded: concluded.succeeded,
        failed: concluded.failed,
        stale: concluded.stale,
    })
}
