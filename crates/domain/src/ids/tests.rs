use chrono::DateTime;
use proptest::prelude::*;
use uuid::{Uuid, uuid};

use super::{BatchId, CorrelationId, EssayId, IdError, Slot, StorageId, event_id};
use crate::Phase;

fn batch() -> BatchId {
    BatchId::new(DateTime::from_timestamp_millis(0x0197_0a0b_0c0d).unwrap(), Slot::new(0xabc), u64::MAX)
}

#[test]
fn a_batch_id_is_a_version_7_uuid_that_carries_its_slot() {
    assert_eq!(batch().to_string(), "01970a0b-0c0d-7abc-bfff-ffffffff0000");
    assert_eq!(batch().slot(), Slot::new(0xabc));
}

#[test]
fn an_essay_id_is_its_batch_id_with_the_position_in_the_low_bits() {
    let essay = EssayId::new(batch(), 0);
    assert_eq!(essay.to_string(), "01970a0b-0c0d-7abc-bfff-ffffffff0001");
    assert_eq!(
        EssayId::new(batch(), EssayId::LAST_POSITION).to_string(),
        "01970a0b-0c0d-7abc-bfff-ffffffffffff"
    );
    assert_eq!(format!("{essay:?}"), essay.to_string());
}

#[test]
fn ids_of_others_are_foreign_and_other_spellings_malformed() {
    let version_4 = uuid!("01970a0b-0c0d-4abc-bfff-ffffffff0000");
    let other_variant = uuid!("01970a0b-0c0d-7abc-cfff-ffffffff0001");
    assert_eq!(BatchId::from_uuid(version_4), Err(IdError::Foreign));
    assert_eq!(EssayId::try_from(other_variant), Err(IdError::Foreign));
    assert_eq!("01970a0b0c0d7abcbfffffffffff0000".parse::<BatchId>(), Err(IdError::Malformed));
    assert_eq!("not an id at all, though 36 letters.".parse::<BatchId>(), Err(IdError::Malformed));
}

#[test]
fn ids_are_strings_in_json_and_are_checked_when_read() {
    let json = serde_json::to_string(&batch()).unwrap();
    assert_eq!(json, "\"01970a0b-0c0d-7abc-bfff-ffffffff0000\"");
    assert_eq!(serde_json::from_str::<BatchId>(&json).unwrap(), batch());
    assert!(serde_json::from_str::<EssayId>(&json).is_err());
    assert!(serde_json::from_str::<StorageId>("\"../etc\"").is_err());
}

#[test]
fn a_storage_id_has_a_small_alphabet_and_a_length() {
    for good in ["0", "0123abcDEF_-", &"a".repeat(128)] {
        assert_eq!(good.parse::<StorageId>().unwrap().as_str(), good);
    }
    for bad in ["", "a b", "a/b", "ä", "a\n", &"a".repeat(129)] {
        assert_eq!(bad.parse::<StorageId>(), Err(IdError::Malformed));
    }
}

#[test]
fn a_slot_comes_from_the_first_bytes_of_a_hash_and_falls_in_a_shard() {
    assert_eq!(Slot::from_hash(&[0xff, 0x01, 0x99]).get(), 0xf01);
    assert_eq!(Slot::from_hash(&[]).get(), 0);
    assert_eq!((Slot::new(65).shard(64), Slot::new(65).shard(1), Slot::new(65).shard(0)), (1, 0, 0));
}

/// Neighbours deduplicate by these ids, also across releases: none of these values may ever change.
#[test]
fn derived_ids_never_change() {
    let own = CorrelationId(Uuid::from_u128(1));
    assert_eq!(own.for_attempt(3, Phase::Nlp, 1), own);
    let derived = [
        own.for_attempt(2, Phase::Spellcheck, 2).to_string(),
        event_id("topic", "batch", 1, None, None, "").to_string(),
        event_id("topic", "batch", 1, Some(Phase::Nlp), Some(2), "essay").to_string(),
    ];
    insta::assert_snapshot!(derived.join("\n"), @r"
    d1403529-172c-5b63-bf9e-94fd0386ae2e
    27d0707b-127e-50db-bc25-3c71b2e1c71a
    4c695ba0-fe11-5339-a306-75bde381ba91
    ");
}

proptest! {
    #[test]
    fn an_essay_id_holds_its_batch_its_position_and_its_slot(
        millis in 0..(1i64 << 47),
        slot in 0..Slot::COUNT,
        random in any::<u64>(),
        position in 0..=EssayId::LAST_POSITION,
    ) {
        let at = DateTime::from_timestamp_millis(millis).unwrap();
        let batch = BatchId::new(at, Slot::new(slot), random);
        let essay = EssayId::new(batch, position);
        prop_assert_eq!((essay.batch(), essay.position(), essay.slot().get()), (batch, position, slot));
        prop_assert_eq!(BatchId::from_uuid(batch.as_uuid()), Ok(batch));
        prop_assert_eq!(EssayId::try_from(essay.as_uuid()), Ok(essay));
        prop_assert_eq!(BatchId::from_uuid(essay.as_uuid()), Err(IdError::Foreign));
        prop_assert_eq!(EssayId::try_from(batch.as_uuid()), Err(IdError::Foreign));
        prop_assert_eq!(batch.to_string().parse(), Ok(batch));
    }
}
