//! Batches and essays to store.

use chrono::{DateTime, Utc};
use domain::{Batch, BatchId, CorrelationId, EssayId, Kind, Language, Slot, Stage, StorageId};
use store::{BatchRow, Details, NewEssay, Owner, Private, StoredEssay, TimelineRow, Tx};
use testbed::databases::noon;
use uuid::Uuid;

pub(crate) fn id(number: u64) -> BatchId {
    BatchId::new(noon(), Slot::new(7), number)
}

pub(crate) fn owner() -> Owner {
    Owner { user_id: "ann".to_owned(), org_id: None }
}

pub(crate) fn batch(number: u64, essays: u32) -> Batch {
    let at = noon();
    Batch {
        id: id(number),
        correlation_id: CorrelationId(Uuid::from_u128(u128::from(number))),
        kind: Kind::Class,
        language: Language::En,
        revision: 1,
        run: 1,
        total: essays,
        stored: 0,
        waiting: essays,
        succeeded: 0,
        failed: 0,
        paused: false,
        unregistered: false,
        plan: Vec::new(),
        phases: Vec::new(),
        stage: Stage::Storing { open: false, pending: essays },
        waiting_on: None,
        attention: None,
        late_news: 0,
        created_at: at,
        updated_at: at,
        ended_at: None,
    }
}

pub(crate) fn ended(number: u64, at: DateTime<Utc>) -> Batch {
    Batch { stage: Stage::Ended { end: domain::End::Succeeded }, ended_at: Some(at), ..batch(number, 0) }
}

/// The row of a new batch.
pub(crate) fn row(batch: Batch, owner: Owner) -> BatchRow {
    BatchRow {
        batch,
        owner,
        shard: 0,
        next_key_seq: 0,
        name: Some(Private::from("9B argumentative text")),
        details: Details {
            course_code: Some("ENG5".to_owned()),
            essay_instructions: Some(Private::from("Argue.")),
            ..Details::default()
        },
    }
}

pub(crate) fn essay(batch: u64, position: u16) -> EssayId {
    EssayId::new(id(batch), position)
}

pub(crate) fn stored(essay_id: EssayId, storage_id: StorageId, size_bytes: i64) -> StoredEssay {
    StoredEssay { essay_id, storage_id, size_bytes }
}

pub(crate) fn text(name: &str) -> StorageId {
    name.parse().unwrap()
}

/// Inserts a batch of ann's with essays whose texts are not stored.
pub(crate) async fn insert(tx: &mut Tx, number: u64, essays: u16) -> BatchId {
    let id = id(number);
    tx.insert_batch(&row(batch(number, u32::from(essays)), owner())).await.unwrap();
    let essays: Vec<_> = (0..essays)
        .map(|position| NewEssay {
            essay_id: essay(number, position),
            client_ref: Some(Private(format!("s-{position:03}"))),
            size_bytes: Some(1_000),
        })
        .collect();
    tx.insert_essays(id, &essays).await.unwrap();
    id
}

/// As [`insert`], with every text stored as `text-<position>`.
pub(crate) async fn insert_stored(tx: &mut Tx, number: u64, essays: u16) -> BatchId {
    let batch = insert(tx, number, essays).await;
    let texts: Vec<_> =
        (0..essays).map(|at| stored(essay(number, at), text(&format!("text-{at}")), 1_000)).collect();
    assert_eq!(tx.record_stored_texts(batch, &texts).await.unwrap(), u32::from(essays));
    batch
}

/// A line of a timeline.
pub(crate) fn line(revision: i64, reason: &str) -> TimelineRow {
    TimelineRow {
        revision,
        at: noon(),
        reason: reason.to_owned(),
        entries: "[]".to_owned(),
        correlation_id: None,
    }
}
