//! Essays and the results of their phases.

use domain::{EssayState, Phase};
use store::{Concluded, EssayReport, EssayText, Precision, StoredEssay};

use crate::databases::on_each;
use crate::samples::{essay, insert, insert_stored, owner, stored, text};
use crate::unit;

fn report(position: u16, succeeded: bool) -> EssayReport {
    EssayReport {
        essay_id: essay(1, position),
        succeeded,
        text_storage_id: succeeded.then(|| text("corrected")),
        error_code: Some("too_long".to_owned()),
        precision: Precision::Vague,
        figures: None,
    }
}

#[tokio::test]
async fn a_text_is_stored_once_and_refused_only_before_that() {
    on_each(async |store| {
        unit!(store, |tx| {
            let batch = insert(tx, 1, 3).await;
            let first = [stored(essay(1, 0), text("first"), 17)];
            assert_eq!(tx.record_stored_texts(batch, &first).await?, 1);
            assert_eq!(tx.record_stored_texts(batch, &[stored(essay(1, 0), text("second"), 18)]).await?, 0);
            let refused = [(essay(1, 0), "not_found"), (essay(1, 1), "not_found")];
            assert_eq!(tx.record_refused_texts(batch, &refused).await?, 1);
            assert_eq!(tx.record_stored_texts(batch, &[stored(essay(1, 1), text("late"), 1)]).await?, 0);

            let row = tx.essay(batch, essay(1, 0)).await?.unwrap();
            assert_eq!((row.state, row.size_bytes, row.position), (EssayState::Waiting, Some(17), 0));
            assert_eq!(
                (row.text_storage_id, row.current_text_storage_id),
                (Some(text("first")), Some(text("first")))
            );
            let row = tx.essay(batch, essay(1, 1)).await?.unwrap();
            assert_eq!((row.state, row.error_code.as_deref()), (EssayState::Failed, Some("not_found")));
            assert!(tx.essay(batch, essay(1, 9)).await?.is_none());

            let all = tx.essays_stored(batch).await?;
            assert_eq!(
                all,
                [StoredEssay { essay_id: essay(1, 0), storage_id: text("first"), size_bytes: 17 }]
            );
            assert_eq!(tx.record_stored_texts(batch, &[]).await?, 0);
        });
    })
    .await;
}

#[tokio::test]
async fn only_essays_with_a_stored_text_enter_a_phase() {
    on_each(async |store| {
        unit!(store, |tx| {
            let batch = insert(tx, 1, 3).await;
            tx.record_stored_texts(
                batch,
                &[stored(essay(1, 2), text("c"), 1), stored(essay(1, 0), text("a"), 1)],
            )
            .await?;
            assert_eq!(tx.open_essays(batch, Phase::Spellcheck, 1).await?, 2);
            assert_eq!(tx.open_essays(batch, Phase::Spellcheck, 1).await?, 0);
            let work = tx.essays_to_process(batch, Phase::Spellcheck, 1).await?;
            let expected = [(0, "a"), (2, "c")]
                .map(|(at, name)| EssayText { essay_id: essay(1, at), storage_id: text(name) });
            assert_eq!(work, expected);
            assert!(tx.essays_to_process(batch, Phase::Spellcheck, 2).await?.is_empty());
        });
    })
    .await;
}

#[tokio::test]
async fn the_first_result_of_an_essay_is_kept_and_later_ones_count_as_stale() {
    on_each(async |store| {
        unit!(store, |tx| {
            let batch = insert_stored(tx, 1, 4).await;
            tx.open_essays(batch, Phase::Spellcheck, 1).await?;
            let (phase, waiting) = (Phase::Spellcheck, EssayState::Waiting);
            let reports = [report(0, true), report(1, false), report(0, false)];
            let done = tx.conclude_essays(batch, phase, 1, waiting, &reports).await?;
            assert_eq!(done, Concluded { succeeded: 1, failed: 1, stale: 1 });
            let again = tx.conclude_essays(batch, phase, 1, waiting, &reports).await?;
            assert_eq!(again, Concluded { succeeded: 0, failed: 0, stale: 3 });
            let other_attempt = tx.conclude_essays(batch, phase, 2, waiting, &[report(2, true)]).await?;
            assert_eq!(other_attempt.stale, 1);
            let other_phase = tx.conclude_essays(batch, Phase::Nlp, 1, waiting, &[report(2, true)]).await?;
            assert_eq!(other_phase.stale, 1);
            assert_eq!(tx.conclude_essays(batch, phase, 1, waiting, &[]).await?, Concluded::default());

            let row = tx.essay(batch, essay(1, 0)).await?.unwrap();
            assert_eq!((row.state, row.error_code), (waiting, None));
            assert_eq!(
                (row.text_storage_id, row.current_text_storage_id),
                (Some(text("text-0")), Some(text("corrected")))
            );
            let row = tx.essay(batch, essay(1, 1)).await?.unwrap();
            assert_eq!((row.state, row.error_code.as_deref()), (EssayState::Failed, Some("too_long")));
            assert_eq!(row.current_text_storage_id, Some(text("text-1")));
            let counts = tx.essay_counts(batch).await?;
            assert_eq!((counts.waiting, counts.in_progress, counts.failed, counts.total()), (1, 2, 1, 4));
        });
    })
    .await;
}

#[tokio::test]
async fn figures_are_added_to_a_row_that_has_none_and_never_replaced() {
    on_each(async |store| {
        unit!(store, |tx| {
            let batch = insert_stored(tx, 1, 2).await;
            tx.open_essays(batch, Phase::Spellcheck, 1).await?;
            let detailed =
                |figures: &str| EssayReport { figures: Some(figures.to_owned()), ..report(0, true) };
            // The short and the detailed report about an essay may arrive together.
            let reports = [report(0, true), detailed(r#"{"corrections":3}"#), report(1, true)];
            let (phase, after) = (Phase::Spellcheck, EssayState::Succeeded);
            assert_eq!(tx.conclude_essays(batch, phase, 1, after, &reports).await?.succeeded, 2);
            tx.conclude_essays(batch, phase, 1, after, &[detailed(r#"{"corrections":4}"#)]).await?;
            let detail = tx.essay_detail(&owner(), essay(1, 0)).await?.unwrap();
            let figures: serde_json::Value =
                serde_json::from_str(detail.phases[0].figures.as_ref().unwrap()).unwrap();
            assert_eq!(figures["corrections"], 3);
        });
    })
    .await;
}

#[tokio::test]
async fn a_reason_is_refined_by_a_more_precise_one_and_what_bos_decided_stands() {
    on_each(async |store| {
        unit!(store, |tx| {
            let batch = insert_stored(tx, 1, 4).await;
            tx.open_essays(batch, Phase::Spellcheck, 1).await?;
            let failed = |position, code: &str, precision| EssayReport {
                error_code: Some(code.to_owned()),
                precision,
                ..report(position, false)
            };
            let (phase, after) = (Phase::Spellcheck, EssayState::Succeeded);
            let first = [
                failed(0, "phase_failed", Precision::Vague),
                failed(1, "read", Precision::Read),
                failed(2, "stated", Precision::Stated),
            ];
            tx.conclude_essays(batch, phase, 1, after, &first).await?;
            tx.fail_open_essays(batch, phase, 1, "phase_timeout").await?;
            let again = [
                failed(0, "vague", Precision::Vague),
                failed(0, "read", Precision::Read),
                failed(1, "read too", Precision::Read),
                failed(1, "stated", Precision::Stated),
                failed(2, "read", Precision::Read),
                failed(3, "stated", Precision::Stated),
            ];
            tx.conclude_essays(batch, phase, 1, after, &again).await?;
            for (position, code) in [(0, "read"), (1, "stated"), (2, "stated"), (3, "phase_timeout")] {
                let detail = tx.essay_detail(&owner(), essay(1, position)).await?.unwrap();
                assert_eq!(detail.essay.error_code.as_deref(), Some(code), "{position}");
                assert_eq!(detail.phases[0].error_code.as_deref(), Some(code), "{position}");
            }
        });
    })
    .await;
}

#[tokio::test]
async fn essays_are_unnamed_until_they_are_marked_and_again_in_the_next_attempt() {
    on_each(async |store| {
        unit!(store, |tx| {
            let batch = insert_stored(tx, 1, 3).await;
            let phase = Phase::Spellcheck;
            tx.open_essays(batch, phase, 1).await?;
            tx.conclude_essays(batch, phase, 1, EssayState::Waiting, &[report(0, true)]).await?;
            let all = [essay(1, 0), essay(1, 1), essay(1, 2)];
            assert_eq!(tx.unnamed_essays(batch, phase, 1).await?, all, "with a result or without");
            tx.mark_named(batch, &all[..2]).await?;
            tx.mark_named(batch, &[]).await?;
            assert_eq!(tx.unnamed_essays(batch, phase, 1).await?, all[2..]);
            assert_eq!(tx.unnamed_essays(batch, phase, 2).await?, []);
            tx.open_essays(batch, Phase::Nlp, 1).await?;
            assert_eq!(tx.unnamed_essays(batch, Phase::Nlp, 1).await?, all[..1]);
        });
    })
    .await;
}

#[tokio::test]
async fn essays_in_progress_fail_together_and_can_be_revived() {
    on_each(async |store| {
        unit!(store, |tx| {
            let batch = insert_stored(tx, 1, 3).await;
            tx.open_essays(batch, Phase::Spellcheck, 1).await?;
            let phase = Phase::Spellcheck;
            tx.conclude_essays(batch, phase, 1, EssayState::Succeeded, &[report(0, true)]).await?;
            assert_eq!(tx.fail_open_essays(batch, phase, 1, "phase_timeout").await?, 2);
            assert_eq!(tx.fail_open_essays(batch, phase, 1, "phase_timeout").await?, 0);
            let detail = tx.essay_detail(&owner(), essay(1, 2)).await?.unwrap();
            assert_eq!(detail.phases[0].error_code.as_deref(), Some("phase_timeout"));

            assert_eq!(tx.revive_failed_in(batch, Phase::Nlp).await?, 0);
            assert_eq!(tx.revive_failed_in(batch, phase).await?, 2);
            assert_eq!(tx.essay(batch, essay(1, 2)).await?.unwrap().error_code, None);
            assert_eq!(tx.open_essays(batch, phase, 2).await?, 2);
            tx.cancel_open_essays(batch, phase, 2).await?;
            assert_eq!(tx.cancel_essays(batch).await?, 2);
            let detail = tx.essay_detail(&owner(), essay(1, 2)).await?.unwrap();
            let ends: Vec<_> = detail.phases.iter().map(|p| (p.attempt, p.state)).collect();
            assert_eq!(ends, [(1, EssayState::Failed), (2, EssayState::Cancelled)]);
        });
    })
    .await;
}

#[tokio::test]
async fn a_run_finishes_waiting_essays_and_the_next_one_revives_them() {
    on_each(async |store| {
        unit!(store, |tx| {
            let batch = insert_stored(tx, 1, 2).await;
            assert_eq!(tx.finish_essays(batch).await?, 2);
            assert_eq!(tx.finish_essays(batch).await?, 0);
            assert_eq!(tx.revive_succeeded(batch).await?, 2);
            assert_eq!(tx.skip_essays(batch).await?, 2);
            assert_eq!(tx.cancel_essays(batch).await?, 0);
            let counts = tx.essay_counts(batch).await?;
            assert_eq!((counts.skipped, counts.total()), (2, 2));
        });
    })
    .await;
}

#[tokio::test]
async fn a_batch_larger_than_the_limit_is_processed_in_few_statements() {
    on_each(async |store| {
        unit!(store, |tx| {
            let batch = insert_stored(tx, 1, 3_000).await;
            assert_eq!(tx.open_essays(batch, Phase::Spellcheck, 1).await?, 3_000);
            let reports: Vec<_> = (0..3_000).map(|at| report(at, at % 3 != 0)).collect();
            let done =
                tx.conclude_essays(batch, Phase::Spellcheck, 1, EssayState::Succeeded, &reports).await?;
            assert_eq!(done, Concluded { succeeded: 2_000, failed: 1_000, stale: 0 });
        });
    })
    .await;
}
