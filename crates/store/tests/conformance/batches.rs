use domain::Phase;
use store::{BatchSave, Details, Error, Labels, Owner, Private};

use crate::databases::on_each;
use crate::samples::{batch, id, new_batch, owner};
use crate::unit;

#[tokio::test]
async fn a_batch_comes_back_as_it_was_stored() {
    on_each(async |store| {
        unit!(store, |tx| {
            let new = new_batch(owner());
            tx.insert_batch(&batch(1, 3), &new).await?;
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
async fn a_save_raises_the_revision_and_one_at_another_revision_is_a_conflict() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.insert_batch(&batch(1, 3), &new_batch(owner())).await?;
            let mut next = batch(1, 3);
            next.plan = vec![Phase::Spellcheck];
            tx.insert_batch(&batch(2, 3), &new_batch(owner())).await?;
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
async fn details_and_labels_are_kept_beside_the_state() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.insert_batch(&batch(1, 3), &new_batch(owner())).await?;
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
            for stranger in strangers() {
                assert!(tx.labels(&stranger, id(1)).await?.is_empty());
            }
        });
    })
    .await;
}

fn strangers() -> [Owner; 2] {
    [
        Owner { user_id: "bob".to_owned(), org_id: None },
        Owner { org_id: Some("school".to_owned()), ..owner() },
    ]
}

#[tokio::test]
async fn a_caller_locks_its_own_batches_and_nobody_elses() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.insert_batch(&batch(1, 3), &new_batch(owner())).await?;
            let found = tx.own_batch_for_update(&owner(), id(1)).await?;
            assert_eq!(found.map(|row| row.batch), Some(batch(1, 3)));
            assert!(tx.own_batch_for_update(&owner(), id(2)).await?.is_none());
            for stranger in strangers() {
                assert!(tx.own_batch_for_update(&stranger, id(1)).await?.is_none());
            }
        });
    })
    .await;
}

#[tokio::test]
async fn several_batches_are_locked_in_the_order_of_their_ids() {
    on_each(async |store| {
        unit!(store, |tx| {
            for number in [3, 1, 2] {
                tx.insert_batch(&batch(number, 0), &new_batch(owner())).await?;
            }
            let found = tx.batches_for_update(&[id(3), id(1), id(9), id(3)]).await?;
            assert_eq!(found.iter().map(|row| row.batch.id).collect::<Vec<_>>(), [id(1), id(3)]);
            assert!(tx.batches_for_update(&[]).await?.is_empty());
        });
    })
    .await;
}

#[test]
fn what_a_person_wrote_is_not_in_debug_output() {
    let new = new_batch(owner());
    let shown = format!("{new:?}");
    for word in ["ann", "argumentative", "Argue"] {
        assert!(!shown.contains(word), "{word} is in {shown}");
    }
}
