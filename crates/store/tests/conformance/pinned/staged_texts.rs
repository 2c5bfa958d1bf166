//! Ingest's statements about staged texts.

use domain::EssayId;
use store::{Error, StagedText, Store, Tx};
use uuid::Uuid;

use super::{
    Analyzed, BURST, PLANNED, SENT, TURN, alone_and_beside_another_database, assert_from_the_mark,
    beside_another_database, blocks_of_looks, without_vacuum,
};
use crate::databases::noon;
use crate::messages::mark;
use crate::samples::{essay, id};
use crate::unit;

/// Texts of a batch.
const TEXTS: u16 = 50;

/// Stages the first texts of a batch.
async fn stage(tx: &mut Tx, batch: u64, texts: u16) -> Result<Vec<EssayId>, Error> {
    let essays: Vec<_> = (0..texts).map(|position| essay(batch, position)).collect();
    let texts: Vec<_> = essays.iter().map(|&essay| (essay, StagedText::Body(b"An essay."))).collect();
    tx.stage_texts(0, id(batch), &texts).await?;
    Ok(essays)
}

#[tokio::test]
async fn a_transaction_elsewhere_makes_no_look_for_staged_texts_from_the_mark_slower() {
    beside_another_database(async |store, url| {
        without_vacuum(&url, "staged_texts").await;
        for batch in 0..u64::from(SENT / u32::from(TEXTS)) {
            unit!(store, |tx| {
                let essays = stage(tx, batch, TEXTS).await?;
                tx.delete_staged(0, id(batch), &essays).await?;
            });
        }
        let last = id(u64::from(SENT));
        unit!(store, |tx| { stage(tx, u64::from(SENT), 1).await? });
        store.close().await;

        let look = async |store: &Store, from: Uuid| {
            let found = store.read(move |tx| {
                Box::pin(async move {
                    let low = tx.staged_low(&[mark(0, from)]).await?;
                    let due = tx.due_staged(&[mark(0, from)], tx.now(), TURN, 1 << 20).await?;
                    Ok::<_, Error>((low, due.len()))
                })
            });
            assert_eq!(found.await.unwrap(), (vec![mark(0, last.as_uuid())], 1));
        };
        let from_the_mark =
            blocks_of_looks(&url, "staged_texts", async |store| look(store, last.as_uuid()).await).await;
        let from_the_start =
            blocks_of_looks(&url, "staged_texts", async |store| look(store, Uuid::nil()).await).await;
        assert_from_the_mark(from_the_mark, from_the_start);
    })
    .await;
}

#[tokio::test]
async fn statistics_of_few_staged_texts_make_no_storing_of_many_slower() {
    alone_and_beside_another_database(async |store, url| {
        unit!(store, |tx| { stage(tx, 0, TEXTS).await? });
        let analyzed = Analyzed::new(store, &url, "staged_texts").await;
        let store = &analyzed.store;
        unit!(store, |tx| {
            for _ in 0..PLANNED {
                tx.staged_low(&[mark(0, Uuid::max())]).await?;
                tx.due_staged(&[mark(0, Uuid::max())], tx.now(), TURN, 1 << 20).await?;
                tx.postpone_staged(0, id(1), &[essay(1, 0)], noon(), true).await?;
                tx.delete_staged(0, id(1), &[essay(1, 0)]).await?;
                tx.delete_all_staged(0, id(1)).await?;
            }
        });
        let classes = u64::from(BURST / u32::from(TEXTS));
        for batch in 1..=classes {
            unit!(store, |tx| { stage(tx, batch, TEXTS).await? });
        }
        for batch in 1..=classes {
            unit!(store, |tx| {
                let from = [mark(0, id(batch).as_uuid())];
                assert_eq!(tx.staged_low(&from).await?, from);
                let due = tx.due_staged(&from, tx.now(), TEXTS.into(), 1 << 20).await?;
                let essays: Vec<_> = due.iter().map(|row| row.essay).collect();
                let (postponed, stored) = essays.split_at(essays.len() / 2);
                tx.postpone_staged(0, id(batch), postponed, noon(), true).await?;
                tx.delete_staged(0, id(batch), stored).await?;
                assert_eq!(tx.delete_all_staged(0, id(batch)).await?, u64::from(TEXTS) / 2);
            });
        }
        let read = analyzed.blocks_read().await;
        assert!(read < i64::from(BURST) * 40, "{read} blocks for {BURST} texts");
    })
    .await;
}
