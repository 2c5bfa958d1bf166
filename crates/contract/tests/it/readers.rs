//! The readers: records of other services in the forms of both generations, and our own.

use contract::*;
use serde_json::{Value, json};

use crate::fixtures::FIXTURES;
use crate::samples::{BATCH, CORRELATION, ESSAYS, samples};

/// The result of the reader that reads this topic.
fn read_by_either(topic: Topic, bytes: &[u8]) -> String {
    match read(topic, bytes) {
        Err(ReadError::NotRead { .. }) => format!("{:#?}", read_neighbour(topic, bytes).unwrap()),
        read => format!("{:#?}", read.unwrap()),
    }
}

#[test]
fn every_fixture_is_read_as_in_its_snapshot() {
    for fixture in FIXTURES {
        let name = format!("read_{}_{}", fixture.generation, fixture.name);
        insta::assert_snapshot!(name, read_by_either(fixture.topic, &fixture.bytes()));
    }
}

#[test]
fn written_records_can_be_read_back() {
    for sample in samples().iter().filter(|sample| sample.topic != Topic::BatchPipelineCompleted) {
        insta::assert_snapshot!(
            format!("reread_{}", sample.name),
            read_by_either(sample.topic, &sample.bytes)
        );
    }
}

#[test]
fn each_topic_has_the_reader_of_the_table() {
    for topic in Topic::ALL {
        let bos = read(*topic, b"{}").unwrap_err().code() != "not_read";
        let neighbour = read_neighbour(*topic, b"{}").unwrap_err().code() != "not_read";
        assert_eq!(bos, Topic::READ.contains(topic), "{topic}");
        assert_eq!(bos || neighbour, *topic != Topic::BatchPipelineCompleted, "{topic}");
        assert!(!(bos && neighbour), "{topic}");
    }
}

fn thin(change: impl FnOnce(&mut Value)) -> Result<Incoming, ReadError> {
    let mut record = json!({
        "event_id": "7f3e2d1c-0b9a-5877-8665-544332211000",
        "event_timestamp": "2026-03-02T08:15:30.250000Z",
        "correlation_id": CORRELATION,
        "data": { "entity_id": ESSAYS[0], "batch_id": BATCH, "status": "completed", "corrected_text_storage_id": "ab" },
    });
    change(&mut record);
    read(Topic::SpellcheckPhaseCompleted, &serde_json::to_vec(&record).unwrap())
}

fn verdict(incoming: &Incoming) -> Verdict {
    let IncomingBody::EssaySpellchecked { verdict, .. } = incoming.body else { panic!("{incoming:?}") };
    verdict
}

#[test]
fn unknown_fields_and_missing_defaults_change_nothing() {
    let plain = thin(|_| {}).unwrap();
    let decorated = thin(|record| {
        record["novelty"] = json!({ "of": ["next", { "year": 1 }] });
        record["data"]["novelty"] = json!([[1.5, null, "x"]]);
        record["metadata"] = json!("anything");
    });
    assert_eq!(decorated.unwrap(), plain);
    let bare = thin(|record| {
        record.as_object_mut().unwrap().remove("event_timestamp");
        record.as_object_mut().unwrap().remove("correlation_id");
    });
    assert_eq!(bare.unwrap(), Incoming { at: None, correlation_id: None, ..plain });
}

#[test]
fn a_record_without_an_event_id_has_the_same_id_on_each_delivery() {
    let nameless = |status: &str| {
        let status = status.to_owned();
        thin(move |record| {
            record.as_object_mut().unwrap().remove("event_id");
            record["data"]["status"] = status.into();
        })
        .unwrap()
        .event_id
    };
    assert_eq!(nameless("completed"), nameless("completed"));
    assert_ne!(nameless("completed"), nameless("failed"));
}

#[test]
fn verdicts_of_both_generations_are_read() {
    for (word, expected) in [
        ("spellchecked_success", Verdict::Succeeded),
        ("completed", Verdict::Succeeded),
        ("success", Verdict::Succeeded),
        ("spellcheck_failed", Verdict::Failed),
        ("failed", Verdict::Failed),
    ] {
        assert_eq!(verdict(&thin(|record| record["data"]["status"] = word.into()).unwrap()), expected);
    }
    for word in ["in_progress", "awaiting_spellcheck", ""] {
        assert_eq!(
            thin(|record| record["data"]["status"] = word.into()),
            Err(ReadError::UnknownWord { path: "data.status" })
        );
    }
}

#[test]
fn outcomes_of_both_generations_are_read() {
    for (word, expected) in [
        ("completed", OutcomeStatus::CompletedSuccessfully),
        ("partially_completed", OutcomeStatus::CompletedWithFailures),
        ("failed", OutcomeStatus::FailedCritically),
        ("completed_successfully", OutcomeStatus::CompletedSuccessfully),
        ("completed_with_failures", OutcomeStatus::CompletedWithFailures),
        ("failed_critically", OutcomeStatus::FailedCritically),
    ] {
        let record = json!({ "data": { "batch_id": BATCH, "phase_name": "nlp", "phase_status": word } });
        let incoming = read(Topic::BatchPhaseOutcome, &serde_json::to_vec(&record).unwrap()).unwrap();
        let IncomingBody::PhaseOutcome { outcome, processed, failed, .. } = incoming.body else { panic!() };
        assert_eq!((outcome, processed.len(), failed.len()), (expected, 0, 0));
    }
}

#[test]
fn ids_may_be_nested_or_flat() {
    let nested = json!({ "entity_id": ESSAYS[0], "entity_type": "essay", "parent_id": BATCH });
    let flat = thin(|_| {}).unwrap();
    let nested = thin(|record| {
        let data = record["data"].as_object_mut().unwrap();
        data.remove("entity_id");
        data.remove("batch_id");
        data.insert("entity_ref".to_owned(), nested);
    });
    assert_eq!(nested.unwrap(), flat);
}

#[test]
fn the_corrected_text_is_the_first_reference_under_any_key() {
    for inner in
        [json!({ "default": "ab" }), json!({ "storage_id": "ab" }), json!({ "a": null, "b": "", "c": "ab" })]
    {
        let read = thin(|record| {
            let data = record["data"].as_object_mut().unwrap();
            data.remove("corrected_text_storage_id");
            data.insert("storage_metadata".to_owned(), json!({ "references": { "corrected_text": inner } }));
        });
        let IncomingBody::EssaySpellchecked { corrected_text_storage_id, .. } = read.unwrap().body else {
            panic!()
        };
        assert_eq!(corrected_text_storage_id.as_deref(), Some("ab"));
    }
}

#[test]
fn an_error_code_that_is_a_sentence_is_dropped() {
    for (given, expected) in [("dictionary_missing", Some("dictionary_missing")), ("Anna wrote: teh", None)] {
        let read = thin(|record| record["data"]["error_code"] = given.into()).unwrap();
        let IncomingBody::EssaySpellchecked { reason, .. } = read.body else { panic!() };
        assert_eq!(reason.map(|reason| reason.code).as_deref(), expected);
    }
}

#[test]
fn an_id_that_is_not_a_uuid_is_foreign() {
    let error = thin(|record| record["data"]["entity_id"] = "essay-12".into()).unwrap_err();
    assert!(error.is_foreign());
    assert_eq!(error, ReadError::ForeignId { path: "data.entity_id" });
    assert!(!thin(|record| record["data"]["entity_id"] = "".into()).unwrap_err().is_foreign());
}

#[test]
fn open_objects_may_hold_anything() {
    let mut record: Value = serde_json::from_slice(&FIXTURES[10].bytes()).unwrap();
    assert_eq!(FIXTURES[10].topic, Topic::EssayNlpCompleted);
    record["data"]["processing_metadata"] =
        json!({ "lix": "n/a", "type_token_ratio": 1, "flesch_reading_ease": [] });
    let read = read(Topic::EssayNlpCompleted, &serde_json::to_vec(&record).unwrap()).unwrap();
    let IncomingBody::EssayNlpDone { figures, .. } = read.body else { panic!() };
    assert_eq!((figures.lix, figures.type_token_ratio, figures.flesch), (None, Some(1.0), None));
    let read = thin(|record| {
        record["data"]["system_metadata"] = json!({ "error_info": { "error_code": { "a": 1 } } });
    });
    assert!(matches!(read.unwrap().body, IncomingBody::EssaySpellchecked { reason: None, .. }));
}
