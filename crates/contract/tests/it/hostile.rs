//! Malicious and damaged records.

use std::fmt::Write as _;

use contract::read::{MAX_DEPTH, MAX_ESSAYS, MAX_VALUE_BYTES};
use contract::*;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::FIXTURES;
use crate::samples::{BATCH, ESSAYS};

const CANARY: &str = "Canary-Pupil-7431";

fn code(topic: Topic, bytes: &[u8]) -> &'static str {
    read(topic, bytes).unwrap_err().code()
}

fn code_of(data: &Value) -> &'static str {
    let bytes = serde_json::to_vec(&json!({ "data": data })).unwrap();
    code(Topic::BatchPhaseOutcome, &bytes)
}

#[test]
fn a_value_that_is_not_an_envelope_has_its_own_code() {
    let topic = Topic::SpellcheckPhaseCompleted;
    let cases: [(&[u8], &str); 14] = [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xff\xfe{}", "not_utf8"),
        (b"{\"data\": \"\xc3\"}", "not_utf8"),
        (b"{", "not_json"),
        (b"{\"data\": {}} x", "not_json"),
        (b"hello", "not_json"),
        (b"{\"data\": {\"entity_id\": 1e999}}", "not_json"),
        (b"null", "not_an_envelope"),
        (b"[{}, {}]", "not_an_envelope"),
        (b"{}", "not_an_envelope"),
        (b"{\"data\": null}", "not_an_envelope"),
        (b"{\"data\": [\"positional\"]}", "wrong_type"),
        (b"{\"data\": {}}", "missing_field"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(code(topic, bytes), expected, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_record_that_is_too_large_is_refused_before_parsing() {
    let bytes = vec![b'['; 5 * 1024 * 1024];
    assert_eq!(code(Topic::BatchPhaseOutcome, &bytes), "too_large");
    assert_ne!(code(Topic::BatchPhaseOutcome, &vec![b' '; MAX_VALUE_BYTES]), "too_large");
}

#[test]
fn a_record_that_is_too_deep_is_refused_also_in_ignored_fields() {
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"data": {{}}, "unknown": {open}{close}}}"#)
    };
    assert_eq!(code(Topic::BatchPhaseOutcome, nested(100_000).as_bytes()), "too_deep");
    assert_eq!(code(Topic::BatchPhaseOutcome, nested(MAX_DEPTH).as_bytes()), "too_deep");
    assert_eq!(code(Topic::BatchPhaseOutcome, nested(MAX_DEPTH - 1).as_bytes()), "missing_field");
}

#[test]
fn a_list_of_too_many_essays_is_refused() {
    let outcome = |essays: usize| json!({ "batch_id": BATCH, "phase_name": "nlp", "phase_status": "failed", "failed_essay_ids": vec![ESSAYS[0]; essays] });
    let bytes = serde_json::to_vec(&json!({ "data": outcome(MAX_ESSAYS) })).unwrap();
    assert!(read(Topic::BatchPhaseOutcome, &bytes).is_ok());
    assert_eq!(code_of(&outcome(MAX_ESSAYS + 1)), "too_many_essays");
    let mut million = String::from(r#"{"data":{"failed_essay_ids":[0"#);
    (0..1_000_000).for_each(|_| million.write_str(",0").unwrap());
    million.push_str("]}}");
    assert_eq!(code(Topic::BatchPhaseOutcome, million.as_bytes()), "wrong_type");
}

#[test]
fn an_error_names_the_field_and_never_its_value() {
    let id = json!(BATCH);
    let cases = [
        (json!({ "batch_id": { CANARY: CANARY } }), "data.batch_id has the wrong type"),
        (json!({ "batch_id": CANARY }), "data.batch_id is not an id of BOS"),
        (json!({ "batch_id": id, "phase_name": CANARY }), "data.phase_name has an unknown value"),
        (json!({ "batch_id": id }), "data.phase_name is missing"),
        (json!({ "failed_essay_ids": [ESSAYS[0], CANARY] }), "data.failed_essay_ids[1] has the wrong type"),
        (
            json!({ "processed_essays": [{ "essay_id": ESSAYS[0], "text_storage_id": format!("{CANARY}\r\n") }] }),
            "data.processed_essays[0].text_storage_id has the wrong type",
        ),
        (json!({ "processed_essays": [{ CANARY: 1 }] }), "data.processed_essays[0] has the wrong type"),
        (json!({ "processed_essays": CANARY, CANARY: CANARY }), "data.processed_essays has the wrong type"),
    ];
    for (data, expected) in cases {
        let bytes = serde_json::to_vec(&json!({ "data": data })).unwrap();
        let error = read(Topic::BatchPhaseOutcome, &bytes).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains(CANARY));
    }
}

/// Random JSON with the names of real fields, and with canaries as texts and as other names.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!(CANARY)),
        Just(json!(BATCH)),
        Just(json!("completed")),
        Just(json!("nlp")),
    ];
    let name = prop::sample::select(vec![
        "data",
        "event_id",
        "entity_ref",
        "entity_id",
        "batch_id",
        "status",
        "phase_name",
        "phase_status",
        "processed_essays",
        "essays_to_process",
        "storage_metadata",
        "references",
        "corrected_text",
        "nlp_metrics",
        CANARY,
    ]);
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn refuse_without_quoting(topic: Topic, bytes: &[u8]) -> Result<(), TestCaseError> {
    for error in [read(topic, bytes).err(), read_neighbour(topic, bytes).err()].into_iter().flatten() {
        prop_assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_json_makes_a_reader_panic_or_quote(
        data in any_json(),
        topic in prop::sample::select(Topic::ALL.to_vec()),
    ) {
        refuse_without_quoting(topic, &serde_json::to_vec(&json!({ "data": data })).unwrap())?;
        refuse_without_quoting(topic, &serde_json::to_vec(&data).unwrap())?;
    }

    #[test]
    fn no_damage_to_a_record_makes_a_reader_panic(
        fixture in prop::sample::select((0..FIXTURES.len()).collect::<Vec<_>>()),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let fixture = &FIXTURES[fixture];
        let mut bytes = fixture.bytes();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        refuse_without_quoting(fixture.topic, &bytes)?;
        bytes.truncate(cut.index(bytes.len()));
        refuse_without_quoting(fixture.topic, &bytes)?;
    }
}
