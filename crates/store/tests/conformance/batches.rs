//! Batches, their details and labels.

use domain::Phase;
use store::{BatchSave, Details, Error, Labels, Owner, Private};

use crate::databases::on_each;
use crate::samples::{batch, id, owner, row};
use crate::unit;

#[tokio::test]
async fn a_stored_batch_is_read_unchanged() {
    on_each(async |store| {
        unit!(store, |tx| {
            let new = row(batch(1, 3), owner());
            tx.insert_batch(&new).await?;
            for found in [tx.batch(id(1)).await?, tx.batch_for_update(id(1)).await?] {
                let found = found.unwrap();
                assert_eq!(found.batch, batch(1, 3));
                assert_eq!((found.owner, found.shard, found.next_key_seq), (owner(), 0, 0));
                assert_eq!((found.name, found.details), (new.name.clone(), new.details.clone()));
            }
            assert!(tx.batch(id(2)).await?.is_none());
        });
    })
    .await;
}

#[tokio::test]
async fn an_update_increments_the_revision_and_one_from_another_revision_is_a_conflict() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.insert_batch(&row(batch(1, 3), owner())).await?;
            let mut next = batch(1, 3);
            next.plan = vec![Phase::Spellcheck];
            tx.insert_batch(&row(batch(2, 3), owner())).await?;
            let other = batch(2, 3);
            let save = BatchSave { batch: &next, expected: 1, next_key_seq: 5 };
            tx.save_batches(&[save, BatchSave { batch: &other, expected: 1, next_key_seq: 7 }]).await?;
            let lost = tx.save_batches(&[BatchSave { next_key_seq: 9, ..save }]).await;
            assert!(matches!(lost, Err(Error::Conflict { source: None, .. })));
            let found = tx.batch(id(1)).await?.unwrap();
            assert_eq!((found.batch.revision, found.next_key_seq), (2, 5));
            assert_eq!(found.batch.plan, [Phase::Spellcheck]);
            let other = tx.batch(id(2)).await?.unwrap();
            assert_eq!((other.batch.revision, other.next_key_seq), (2, 7));
            assert!(other.batch.plan.is_empty());
        });
    })
    .await;
}

#[tokio::test]
async fn details_and_labels_are_stored_beside_the_state() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.insert_batch(&row(batch(1, 3), owner())).await?;
            let details = Details { prompt_storage_id: Some("prompt".to_owned()), ..Details::default() };
            tx.save_details(id(1), &details).await?;
            assert_eq!(tx.batch(id(1)).await?.unwrap().details, details);

            let labels = Labels::from([
                ("class".to_owned(), Private::from("9B")),
                ("ärende".to_owned(), Private::from("🖋 \" \\")),
            ]);
            tx.insert_labels(id(1), &labels).await?;
            assert_eq!(tx.labels(&owner(), id(1)).await?, labels);
            assert!(tx.labels(&owner(), id(2)).await?.is_empty());
            for other in other_owners() {
                assert!(tx.labels(&other, id(1)).await?.is_empty());
            }
        });
    })
    .await;
}

fn other_owners() -> [Owner; 2] {
    [
        Owner { user_id: "bob".to_owned(), org_id: None },
        Owner { org_id: Some("school".to_owned()), ..owner() },
    ]
}

#[tokio::test]
async fn a_caller_locks_only_its_own_batches() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.insert_batch(&row(batch(1, 3), owner())).await?;
            let found = tx.own_batch_for_update(&owner(), id(1)).await?;
            assert_eq!(found.map(|row| row.batch), Some(batch(1, 3)));
            assert!(tx.own_batch_for_update(&owner(), id(2)).await?.is_none());
            for other in other_owners() {
                assert!(tx.own_batch_for_update(&other, id(1)).await?.is_none());
            }
        });
    })
    .await;
}

#[tokio::test]
async fn several_batches_are_locked_in_id_order() {
    on_each(async |store| {
        unit!(store, |tx| {
            for number in [3, 1, 2] {
                tx.insert_batch(&row(batch(number, 0), owner())).await?;
            }
            let found = tx.batches_for_update(&[id(3), id(1), id(9), id(3)]).await?;
            assert_eq!(found.iter().map(|row| row.batch.id).collect::<Vec<_>>(), [id(1), id(3)]);
            assert!(tx.batches_for_update(&[]).await?.is_empty());
        });
    })
    .await;
}

#[test]
fn debug_output_shows_no_private_values() {
    let new = row(batch(1, 3), owner());
    let shown = format!("{new:?}");
    for word in ["ann", "argumentative", "Argue"] {
        assert!(!shown.contains(word), "{word} is in {shown}");
    }
}
