//! Mutation tests of the audit: one world without violations, and for every invariant changes that violate it.

use chrono::TimeDelta;
use contract::Topic;
use invariants::Judge;
use serde_json::json;

use super::*;

const BATCH: Uuid = Uuid::from_u128(0x0190_0000_0000_7abc_8000_0000_0000_0000);
const ESSAY: Uuid = Uuid::from_u128(0x0190_0000_0000_7abc_8000_0000_0000_0001);

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

/// The content of the topics and the tables.
struct World {
    window: AuditWindow,
    records: Vec<Record>,
    committed: Vec<CommittedRow>,
    applied: Vec<Uuid>,
    aside: Vec<DeadLetterPosition>,
}

/// A message of the service, as a row and as a record.
fn message(number: i64, topic: Topic, offset: i64) -> (CommittedRow, Record) {
    let event_id = Uuid::from_u128(u128::try_from(number).unwrap());
    let payload = json!({"data": {"essays_to_process": [{"essay_id": ESSAY}]}}).to_string().into_bytes();
    let row = CommittedRow {
        place: (0, number),
        sent_at: Some(at(10)),
        parked: false,
        created_at: at(number),
        event_id,
        ordering_key: BATCH.to_string(),
        key_seq: number,
        topic: topic.as_str().to_owned(),
        kafka_key: BATCH.to_string(),
        payload: payload.clone(),
    };
    let headers = [
        ("event_id", event_id.to_string()),
        ("source_service", "batch-orchestrator-service".to_owned()),
        ("key_seq", number.to_string()),
        ("attempt", "1".to_owned()),
    ];
    let record = Record {
        topic,
        partition: 2,
        offset,
        at_ms: number * 1_000,
        key: BATCH.to_string().into_bytes(),
        value: payload,
        headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
    };
    (row, record)
}

/// An event of the lifecycle service.
fn outcome(number: u128, offset: i64) -> Record {
    let topic = Topic::BatchPhaseOutcome;
    let value = json!({
        "event_id": Uuid::from_u128(number), "event_type": topic.as_str(), "event_timestamp": "2026-01-05T12:00:00Z",
        "source_service": "essay-lifecycle-service", "correlation_id": Uuid::from_u128(7),
        "data": {
            "batch_id": BATCH, "phase_name": "spellcheck", "phase_status": "completed_successfully",
            "processed_essays": [], "failed_essay_ids": [], "correlation_id": Uuid::from_u128(7),
        },
    });
    Record {
        topic,
        partition: 1,
        offset,
        at_ms: 0,
        key: Vec::new(),
        value: value.to_string().into_bytes(),
        headers: Vec::new(),
    }
}

impl World {
    /// Two commands and the end of a pipeline; an applied outcome, one that is not consumed yet, and an unreadable record.
    fn good() -> Self {
        let unreadable = Record { value: b"nonsense".to_vec(), ..outcome(0, 1) };
        let ours = [
            message(1, Topic::SpellcheckInitiate, 0),
            message(2, Topic::NlpInitiateV2, 0),
            message(3, Topic::BatchPipelineCompleted, 0),
        ];
        let (committed, mut records): (Vec<_>, Vec<_>) = ours.into_iter().unzip();
        records.extend([outcome(50, 0), unreadable, outcome(51, 2)]);
        let far = at(1_000);
        let positions = BTreeMap::from([((Topic::BatchPhaseOutcome, 1), 2)]);
        Self {
            window: AuditWindow { positions, since: None, until: far, patience: at(100), skew_ms: 0 },
            records,
            committed,
            applied: vec![Uuid::from_u128(50)],
            aside: vec![(Topic::BatchPhaseOutcome.as_str().to_owned(), 1, 1)],
        }
    }

    fn findings(self) -> Vec<Evaluation> {
        let mut audit = Audit::new(self.window);
        self.records.iter().for_each(|record| audit.record(record));
        audit.batch(BATCH);
        self.committed.iter().for_each(|row| audit.committed(row));
        self.applied.iter().for_each(|event| audit.applied(*event));
        self.aside.into_iter().for_each(|place| audit.set_aside(place));
        audit.finish()
    }
}

/// The invariants that are violated in the world after this change.
fn broken(make_bad: impl FnOnce(&mut World)) -> Vec<&'static str> {
    let mut world = World::good();
    make_bad(&mut world);
    let findings = world.findings();
    findings.iter().filter(|finding| finding.violations > 0).map(|finding| finding.invariant.id()).collect()
}

#[test]
fn a_world_without_violations_passes_and_every_invariant_is_evaluated() {
    let findings = World::good().findings();
    assert_eq!(
        findings.iter().filter(|finding| finding.violations > 0).collect::<Vec<_>>(),
        [] as [&Evaluation; 0]
    );
    assert!(findings.iter().all(|finding| finding.checked > 0));
    let evaluated: Vec<_> = findings.iter().map(|finding| finding.invariant).collect();
    assert_eq!(evaluated, Invariant::evaluated_by(Judge::Audit).collect::<Vec<_>>());
}

#[test]
fn i2_two_events_that_command_the_same_phase_of_an_essay_are_a_violation() {
    let again = |world: &mut World| {
        let (row, record) = message(4, Topic::SpellcheckInitiate, 1);
        world.committed.push(row);
        world.records.push(record);
    };
    assert_eq!(broken(again), ["I2"]);
    let sent_again = |world: &mut World| {
        let (row, mut record) = message(4, Topic::SpellcheckInitiate, 1);
        record.headers.push(("resend".to_owned(), "1".to_owned()));
        world.committed.push(row);
        world.records.push(record);
    };
    assert_eq!(broken(sent_again), [""; 0], "a command that is sent again has a number of its own");
}

#[test]
fn i4_a_duplicate_that_differs_is_a_violation() {
    let again = |change: fn(&mut Record)| {
        move |world: &mut World| {
            let mut copy = Record { offset: 9, at_ms: 9_000, ..world.records[0].clone() };
            change(&mut copy);
            world.records.push(copy);
        }
    };
    assert_eq!(broken(again(|_| ())), [""; 0], "an equal record is a duplicate and not a violation");
    assert_eq!(broken(again(|record| record.value.push(b' '))), ["I4"]);
    assert_eq!(broken(again(|record| record.key.push(b' '))), ["I4"]);
    assert_eq!(broken(again(|record| record.partition = 5)), ["I4"]);
    assert_eq!(
        broken(|world| world.committed[0].payload.push(b' ')),
        ["I4"],
        "the record differs from the committed bytes"
    );
}

#[test]
fn i5_another_order_and_another_partition_are_violations() {
    assert_eq!(broken(|world| world.records[1].at_ms = 500), ["I5"], "sent before an earlier number");
    let behind = |world: &mut World| {
        world.records[1].topic = Topic::SpellcheckInitiate;
        world.records[0].offset = 5;
        world.records[1].offset = 4;
        world.records.swap(0, 1);
        world.committed[1].topic = Topic::SpellcheckInitiate.as_str().to_owned();
        world.records[0].headers.retain(|(name, _)| name != "attempt");
    };
    assert_eq!(broken(behind), ["I5"], "on one partition");
    let elsewhere = |world: &mut World| {
        let (row, mut record) = message(4, Topic::BatchPipelineCompleted, 1);
        record.partition = 3;
        world.committed.push(row);
        world.records.push(record);
    };
    assert_eq!(broken(elsewhere), ["I5"], "a key on two partitions");
    let tolerated = |world: &mut World| {
        world.records[1].at_ms = 500;
        world.window.skew_ms = 1_000;
    };
    assert_eq!(broken(tolerated), [""; 0], "within the tolerance for clocks");
}

#[test]
fn i6_an_event_that_is_not_committed_or_not_on_its_topic_is_a_violation() {
    assert_eq!(broken(|world| drop(world.committed.remove(0))), ["I6"], "on the topic and not committed");
    assert_eq!(broken(|world| drop(world.records.remove(2))), ["I6"], "committed, sent and not on the topic");
    let waits = |world: &mut World| {
        world.records.remove(2);
        world.committed[2].sent_at = None;
        world.window.patience = at(0);
    };
    assert_eq!(broken(waits), [""; 0], "it is not sent yet");
    let later = |world: &mut World| {
        world.records.remove(2);
        world.window.until = at(10);
    };
    assert_eq!(broken(later), [""; 0], "it was sent after the topics were read");
    let earlier = |world: &mut World| {
        world.records.remove(0);
        world.window.since = Some(at(2));
    };
    assert_eq!(broken(earlier), [""; 0], "it is older than what was read");
}

#[test]
fn i9_a_consumed_record_without_a_row_is_a_violation() {
    assert_eq!(broken(|world| world.applied.clear()), ["I9"], "news of a batch in the database");
    assert_eq!(broken(|world| world.aside.clear()), ["I9"], "an unreadable record");
    let refused = |world: &mut World| {
        world.applied.clear();
        world.aside.push((Topic::BatchPhaseOutcome.as_str().to_owned(), 1, 0));
    };
    assert_eq!(broken(refused), [""; 0], "it is a dead letter");
    let foreign = |world: &mut World| {
        let value = String::from_utf8(world.records[3].value.clone()).unwrap();
        let other = value.replace(&BATCH.to_string(), "01900000-0000-7abc-8000-000000010000");
        world.records[3].value = other.into_bytes();
        world.applied.clear();
    };
    assert_eq!(broken(foreign), [""; 0], "it belongs to a batch that is not in the database");
}

/// The record names a batch, and an essay whose id belongs to another batch.
#[test]
fn i9_a_contradictory_record_without_a_dead_letter_is_a_violation() {
    let contradicts = |aside: bool| {
        move |world: &mut World| {
            let topic = Topic::SpellcheckPhaseCompleted;
            let value = json!({
                "event_id": Uuid::from_u128(60), "event_type": topic.as_str(),
                "event_timestamp": "2026-01-05T12:00:00Z", "source_service": "spellchecker_service",
                "correlation_id": Uuid::from_u128(7),
                "data": {
                    "entity_id": ESSAY, "batch_id": Uuid::from_u128(9), "correlation_id": Uuid::from_u128(7),
                    "status": "completed_successfully", "corrected_text_storage_id": "text-1", "error_code": null,
                    "processing_duration_ms": 5, "timestamp": "2026-01-05T12:00:00Z",
                },
            });
            let value = value.to_string().into_bytes();
            world.records.push(Record { topic, value, ..outcome(60, 0) });
            world.window.positions.insert((topic, 1), 1);
            if aside {
                world.aside.push((topic.as_str().to_owned(), 1, 0));
            }
        }
    };
    assert_eq!(broken(contradicts(false)), ["I9"]);
    assert_eq!(broken(contradicts(true)), [""; 0]);
}

#[test]
fn i10_a_message_that_waits_too_long_or_is_parked_is_a_violation() {
    let waits = |world: &mut World| world.committed[2].sent_at = None;
    assert_eq!(broken(waits), ["I10"]);
    let parked = |world: &mut World| {
        waits(world);
        world.committed[2].parked = true;
        world.window.patience = at(0);
    };
    assert_eq!(broken(parked), ["I10"]);
}
