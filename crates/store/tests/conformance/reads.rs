//! Queries that callers see, and that other callers do not.

use std::time::Duration;

use domain::{Batch, BatchStatus, EssayState, Kind, Phase};
use store::{AttemptCounts, EssayReport, Labels, ListFilter, Owner, Private, Tx};

use crate::databases::{noon, on_each};
use crate::messages::message;
use crate::samples::{batch, ended, essay, id, insert_stored, line, owner, row};
use crate::unit;

fn all() -> ListFilter {
    ListFilter {
        kind: Kind::Class,
        statuses: Vec::new(),
        attention: None,
        labels: Labels::new(),
        created_after: None,
        created_before: None,
        after: None,
        descending: true,
        limit: 10,
    }
}

async fn listed(tx: &mut Tx, filter: &ListFilter) -> Vec<domain::BatchId> {
    tx.list(&owner(), filter).await.unwrap().iter().map(|row| row.batch.id).collect()
}

/// A batch of four essays: two succeeded in spellcheck, one failed in it, one is in progress.
async fn insert_running(tx: &mut Tx) {
    let batch = insert_stored(tx, 1, 4).await;
    tx.open_essays(batch, Phase::Spellcheck, 1).await.unwrap();
    let reports: Vec<_> = [(0, true), (1, false), (2, true)]
        .map(|(at, succeeded)| EssayReport {
            essay_id: essay(1, at),
            succeeded,
            text_storage_id: None,
            error_code: None,
            precision: store::Precision::Vague,
            figures: Some(r#"{"corrections": 3}"#.to_owned()),
        })
        .to_vec();
    tx.conclude_essays(batch, Phase::Spellcheck, 1, EssayState::Succeeded, &reports).await.unwrap();
}

#[tokio::test]
async fn a_status_counts_essays_and_attempts_from_the_rows() {
    on_each(async |store| {
        unit!(store, |tx| { insert_running(tx).await });
        let status = store
            .read(|tx| Box::pin(async move { tx.status_row(&owner(), id(1)).await }))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(status.row.batch, batch(1, 4));
        let counts = status.counts;
        assert_eq!((counts.in_progress, counts.succeeded, counts.failed, counts.total()), (1, 2, 1, 4));
        let spellcheck =
            AttemptCounts { phase: Phase::Spellcheck, attempt: 1, succeeded: 2, failed: 1, cancelled: 0 };
        assert_eq!(status.attempts, [spellcheck]);
        let revision = store.peek(|tx| Box::pin(async move { tx.revision(&owner(), id(1)).await })).await;
        assert_eq!(revision.unwrap(), Some(1));
    })
    .await;
}

#[tokio::test]
async fn pending_messages_are_counted_by_batch_unless_it_has_ended() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.insert_batch(&row(batch(1, 2), owner())).await?;
            tx.insert_batch(&row(batch(2, 0), owner())).await?;
            tx.insert_batch(&row(ended(3, noon()), owner())).await?;
            let of = |number, key: String| message(number, &key, 1);
            let messages = [
                of(1, id(1).to_string()),
                of(2, essay(1, 0).to_string()),
                of(3, essay(1, 1).to_string()),
                of(4, id(2).to_string()),
                of(5, id(3).to_string()),
            ];
            tx.enqueue(&messages).await?;
            for (number, pending) in [(1, 3), (2, 1), (3, 0)] {
                assert_eq!(
                    tx.revision_and_pending(&owner(), id(number)).await?,
                    Some((1, pending)),
                    "{number}"
                );
            }
            assert_eq!(tx.revision_and_pending(&owner(), id(4)).await?, None);
        });
    })
    .await;
}

#[tokio::test]
async fn another_caller_sees_nothing_of_a_batch() {
    on_each(async |store| {
        unit!(store, |tx| {
            insert_running(tx).await;
            tx.append_timeline(&[(id(1), line(1, "accepted"))]).await?;
            assert_eq!(tx.timeline(&owner(), id(1), 0, 10).await?.len(), 1);
            let bob = Owner { user_id: "bob".to_owned(), org_id: None };
            let elsewhere = Owner { org_id: Some("school".to_owned()), ..owner() };
            for other in [bob, elsewhere] {
                assert_eq!(tx.revision(&other, id(1)).await?, None);
                assert_eq!(tx.revision_and_pending(&other, id(1)).await?, None);
                assert!(tx.status_row(&other, id(1)).await?.is_none());
                assert!(tx.essays_page(&other, id(1), None, 10, None).await?.is_none());
                assert!(tx.results_page(&other, id(1), None, 10, None).await?.is_none());
                assert!(tx.essay_detail(&other, essay(1, 0)).await?.is_none());
                assert!(tx.timeline(&other, id(1), 0, 10).await?.is_empty());
                assert!(tx.list(&other, &all()).await?.is_empty());
                assert!(tx.list_totals(&other, &all()).await?.is_empty());
            }
        });
    })
    .await;
}

#[tokio::test]
async fn a_member_of_an_organisation_sees_its_batches_under_that_organisation_only() {
    on_each(async |store| {
        unit!(store, |tx| {
            let member = Owner { org_id: Some("school".to_owned()), ..owner() };
            tx.insert_batch(&row(batch(1, 0), member.clone())).await?;
            assert_eq!(tx.revision(&member, id(1)).await?, Some(1));
            assert_eq!(tx.revision(&owner(), id(1)).await?, None);
        });
    })
    .await;
}

#[tokio::test]
async fn a_list_is_paged_in_both_orders() {
    on_each(async |store| {
        unit!(store, |tx| {
            for number in 1..=3 {
                let made = noon() + Duration::from_mins(number);
                tx.insert_batch(&row(Batch { created_at: made, ..batch(number, 0) }, owner())).await?;
            }
            tx.insert_batch(&row(Batch { kind: Kind::Single, ..batch(4, 1) }, owner())).await?;
            assert_eq!(listed(tx, &all()).await, [id(3), id(2), id(1)]);
            let page = ListFilter { limit: 2, ..all() };
            assert_eq!(listed(tx, &page).await, [id(3), id(2)]);
            let second = (noon() + Duration::from_mins(2), id(2));
            assert_eq!(listed(tx, &ListFilter { after: Some(second), ..page }).await, [id(1)]);
            let up = ListFilter { descending: false, after: Some(second), ..all() };
            assert_eq!(listed(tx, &up).await, [id(3)]);
            assert_eq!(listed(tx, &ListFilter { kind: Kind::Single, ..all() }).await, [id(4)]);
            let since = ListFilter { created_after: Some(second.0), ..all() };
            assert_eq!(listed(tx, &since).await, [id(3), id(2)]);
            let until = ListFilter { created_before: Some(second.0), ..all() };
            assert_eq!(listed(tx, &until).await, [id(1)]);
        });
    })
    .await;
}

#[tokio::test]
async fn a_list_filters_by_status_attention_and_every_label_and_its_totals_agree() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.insert_batch(&row(batch(1, 1), owner())).await?;
            tx.insert_batch(&row(ended(2, noon()), owner())).await?;
            let attention = domain::Attention { code: domain::AttentionCode::ALL[0], since: noon() };
            let stuck = Batch { attention: Some(attention), ..batch(3, 1) };
            tx.insert_batch(&row(stuck, owner())).await?;
            let label = |key: &str, value: &str| (key.to_owned(), Private::from(value));
            tx.insert_labels(id(1), &Labels::from([label("class", "9B"), label("year", "26")])).await?;
            tx.insert_labels(id(2), &Labels::from([label("class", "9B")])).await?;

            let ended = vec![BatchStatus::CompletedSuccessfully, BatchStatus::Failed];
            assert_eq!(listed(tx, &ListFilter { statuses: ended, ..all() }).await, [id(2)]);
            assert_eq!(listed(tx, &ListFilter { attention: Some(true), ..all() }).await, [id(3)]);
            assert_eq!(listed(tx, &ListFilter { attention: Some(false), ..all() }).await, [id(2), id(1)]);
            let nine_b = ListFilter { labels: Labels::from([label("class", "9B")]), ..all() };
            assert_eq!(listed(tx, &nine_b).await, [id(2), id(1)]);
            let both = Labels::from([label("class", "9B"), label("year", "26")]);
            assert_eq!(listed(tx, &ListFilter { labels: both, ..all() }).await, [id(1)]);
            let injected = Labels::from([label("class", "' OR 1=1 --")]);
            assert!(listed(tx, &ListFilter { labels: injected, ..all() }).await.is_empty());

            let expected = [(BatchStatus::CompletedSuccessfully, 1), (BatchStatus::PendingContent, 2)];
            assert_eq!(tx.list_totals(&owner(), &all()).await?, expected);
            assert_eq!(tx.list_totals(&owner(), &nine_b).await?.len(), 2);
        });
    })
    .await;
}

#[tokio::test]
async fn essays_are_paged_with_the_results_of_their_phases() {
    on_each(async |store| {
        unit!(store, |tx| {
            insert_running(tx).await;
            let page = tx.essays_page(&owner(), id(1), None, 2, None).await?.unwrap();
            let positions: Vec<_> = page.iter().map(|row| (row.essay.position, row.phases.len())).collect();
            assert_eq!(positions, [(0, 1), (1, 1)]);
            let rest = tx.essays_page(&owner(), id(1), Some(1), 9, None).await?.unwrap();
            let positions: Vec<_> = rest.iter().map(|row| (row.essay.position, row.phases.len())).collect();
            assert_eq!(positions, [(2, 1), (3, 0)]);
            let failed = tx.essays_page(&owner(), id(1), None, 9, Some(EssayState::Failed)).await?.unwrap();
            assert_eq!(failed.iter().map(|row| row.essay.position).collect::<Vec<_>>(), [1]);
            let succeeded =
                tx.essays_page(&owner(), id(1), None, 9, Some(EssayState::Succeeded)).await?.unwrap();
            assert_eq!(
                succeeded[1].phases[0].essay_id,
                essay(1, 2),
                "results of essays that the filter excludes are skipped"
            );
            assert_eq!(tx.essays_page(&owner(), id(1), Some(3), 9, None).await?, Some(Vec::new()));
        });
    })
    .await;
}

#[tokio::test]
async fn results_show_the_latest_attempt_at_each_phase() {
    on_each(async |store| {
        unit!(store, |tx| {
            insert_running(tx).await;
            tx.revive_failed_in(id(1), Phase::Spellcheck).await?;
            tx.open_essays(id(1), Phase::Spellcheck, 2).await?;
            tx.fail_open_essays(id(1), Phase::Spellcheck, 2, "phase_timeout").await?;
            let failed = Some(EssayState::Failed);
            let results = tx.results_page(&owner(), id(1), None, 9, failed).await?.unwrap();
            assert_eq!(results.len(), 1);
            let latest = &results[0].phases[0];
            assert_eq!((latest.attempt, latest.error_code.as_deref()), (2, Some("phase_timeout")));
            assert_eq!(results[0].phases.len(), 1);
            let detail = tx.essay_detail(&owner(), essay(1, 1)).await?.unwrap();
            assert_eq!(detail.phases.len(), 2);
        });
    })
    .await;
}
