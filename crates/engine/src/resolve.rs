//! News → input: compare-and-set on essay rows, and the number of rows that changed is what the rules see.

use domain::{AttemptMatch, CorrelationId, EssayId, FailureCode, Input, Phase, Refusal, StorageId};
use store::{BatchRow, EssayReport, Tx};
use uuid::Uuid;

use crate::{Cause, Error, News};

/// Adjacent news that can travel as one, and which members it stands for.
pub(crate) struct Piece {
    pub(crate) news: News,
    pub(crate) members: Vec<usize>,
    pub(crate) correlation: Option<Uuid>,
}

/// Merges reports about essays of the same phase and attempt that follow each other.
pub(crate) fn merge(members: &[(usize, &News, &Cause)]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(members.len().min(8));
    for (at, news, cause) in members {
        if let (
            Some(Piece { news: News::EssaysReported { phase, correlation, reports }, members, .. }),
            News::EssaysReported { phase: next_phase, correlation: next_correlation, reports: more },
        ) = (pieces.last_mut(), *news)
            && phase == next_phase
            && correlation == next_correlation
        {
            reports.extend_from_slice(more);
            members.push(*at);
            continue;
        }
        pieces.push(Piece { news: (*news).clone(), members: vec![*at], correlation: cause.correlation });
    }
    pieces
}

/// Does to the essays' rows what the news says about them, and tells the rules how many that were. None when the news
/// found nothing to do and the rules need not be asked.
pub(crate) async fn resolve(tx: &mut Tx, row: &BatchRow, news: &News) -> Result<Option<Input>, Error> {
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
            Some(report(tx, row, *phase, *correlation, reports).await?)
        }
        News::PhaseOutcome { phase, correlation, word, processed, failed } => {
            let attempt = match row.batch.attempt_of(*phase, *correlation) {
                AttemptMatch::Ahead => return Err(Error::Refused(Refusal::too_early(&row.batch))),
                AttemptMatch::Current(attempt) => attempt,
                // The outcome of an attempt that has ended changes no row and no state.
                AttemptMatch::Older(_) | AttemptMatch::NotRunning => return Ok(None),
            };
            let reports: Vec<EssayReport> = processed
                .iter()
                .map(|(essay, text)| said(*essay, Some(text.clone()), None))
                .chain(failed.iter().map(|essay| said(*essay, None, Some(FailureCode::PhaseFailed.as_str()))))
                .collect();
            let after = row.batch.essay_state_after_success();
            let named = tx.conclude_essays(batch, *phase, attempt, after, &reports).await?;
            Some(Input::PhaseConcluded {
                phase: *phase,
                attempt,
                status: *word,
                succeeded: named.succeeded,
                failed: named.failed,
            })
        }
        News::NeighboursReplaced => Some(Input::NeighboursReplaced),
        News::StartRequested { phases } => Some(Input::Start { phases: phases.clone() }),
        // It has fired, whatever is decided; a decision may set it anew. One that is not there has fired already, in another
        // process that believed that the shard was its own, or it was set anew since it was read: what stands in its place is
        // the deadline that counts.
        News::DeadlinePassed(due) => tx.clear_fired(due).await?.then_some(Input::DeadlinePassed(due.timer)),
        News::Pause => Some(Input::Pause),
        News::Resume => Some(Input::Resume),
        News::Cancel(mode) => Some(Input::Cancel { mode: *mode }),
        News::Close => Some(Input::Close),
    })
}

/// What an outcome says about one essay.
fn said(essay_id: EssayId, text_storage_id: Option<StorageId>, error_code: Option<&str>) -> EssayReport {
    EssayReport {
        essay_id,
        succeeded: error_code.is_none(),
        text_storage_id,
        error_code: error_code.map(str::to_owned),
        figures: None,
    }
}

async fn report(
    tx: &mut Tx,
    row: &BatchRow,
    phase: Phase,
    correlation: Option<CorrelationId>,
    reports: &[EssayReport],
) -> Result<Input, Error> {
    let attempt = match row.batch.attempt_of(phase, correlation) {
        AttemptMatch::Ahead => return Err(Error::Refused(Refusal::too_early(&row.batch))),
        // Of an attempt that is over a report changes no state, but its figures still complete the row of its essay.
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
