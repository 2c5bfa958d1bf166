//! The written records, byte for byte.

use chrono::DateTime;
use contract::*;
use uuid::Uuid;

use crate::samples::{BATCH, CORRELATION, ESSAYS, at, command, samples};

#[test]
fn every_payload_is_written_as_in_its_snapshot() {
    for sample in samples() {
        insta::assert_snapshot!(format!("written_{}", sample.name), sample.pretty);
    }
}

#[test]
fn the_event_type_is_the_topic_with_one_exception() {
    for topic in Topic::ALL {
        let pipeline = *topic == Topic::BatchPipelineCompleted;
        let expected = if pipeline { "batch.pipeline.completed" } else { topic.as_str() };
        assert_eq!(topic.event_type(), expected);
        assert_eq!(topic.as_str().parse(), Ok(*topic));
    }
}

#[test]
fn headers_repeat_the_envelope() {
    let payload = SpellcheckRequested::new(ESSAYS[0], None, "0a", Language::English, at());
    let envelope = Envelope::new(
        Topic::EssaySpellcheckRequested,
        BATCH,
        CORRELATION,
        at(),
        Source::BatchService,
        payload,
        None,
    );
    let delivery = Delivery { key_seq: 7, attempt: Some(2), resend: 1, traceparent: Some("00-ab-cd-01") };
    insta::assert_debug_snapshot!(headers(&envelope, delivery), @r#"
    [
        (
            "event_id",
            "0198b3d2-5a10-7c3e-9a51-2f60c4d81e07",
        ),
        (
            "event_type",
            "huleedu.essay.spellcheck.requested.v1",
        ),
        (
            "source_service",
            "batch-service",
        ),
        (
            "trace_id",
            "6a0b5c1e-4d2f-5e3a-8b7c-9d0e1f2a3b4c",
        ),
        (
            "schema_version",
            "1",
        ),
        (
            "occurred_at",
            "2026-03-02T08:15:30.250000Z",
        ),
        (
            "content_type",
            "application/json",
        ),
        (
            "key_seq",
            "7",
        ),
        (
            "attempt",
            "2",
        ),
        (
            "resend",
            "1",
        ),
        (
            "traceparent",
            "00-ab-cd-01",
        ),
    ]
    "#);
    assert_eq!(headers(&envelope, Delivery::default()).len(), 8);
}

#[test]
fn class_context_is_sent_when_given_and_never_shown_by_debug() {
    let context = "Anna's task";
    let command =
        Command { essay_instructions: context.into(), class_designation: context.into(), ..command() };
    let payload = InitiateCjAssessment::new(&command, at());
    assert!(!format!("{command:?} {payload:?}").contains("Anna"));
    assert_eq!(serde_json::to_string(&payload).unwrap().matches(context).count(), 2);
}

#[test]
fn names_of_students_and_teachers_are_always_empty() {
    for sample in samples() {
        let json = String::from_utf8(sample.bytes).unwrap();
        for (field, empty) in [("student_name", "null"), ("teacher_name", "\"\"")] {
            let said = json.matches(&format!("\"{field}\":")).count();
            let empty = json.matches(&format!("\"{field}\":{empty}")).count();
            assert_eq!(said, empty, "{field} in {}", sample.name);
        }
    }
}

#[test]
fn a_command_for_the_largest_batch_fits_a_record() {
    let essays = (0..2_000)
        .map(|n| EssayRef { essay_id: Uuid::from_u128(n), text_storage_id: format!("{n:032x}") })
        .collect();
    let command = Command { essays, ..command() };
    let metadata = Some(command.metadata());
    let data = InitiateCjAssessment::new(&command, at());
    let source = Source::BatchOrchestratorService;
    let envelope =
        Envelope::new(Topic::CjAssessmentInitiate, BATCH, CORRELATION, at(), source, data, metadata);
    let bytes = envelope.to_bytes();
    assert!(bytes.len() < 900_000, "{} bytes", bytes.len());
    assert!(matches!(
        read_neighbour(Topic::CjAssessmentInitiate, &bytes).unwrap().body,
        NeighbourBody::InitiatePhase { essays, .. } if essays.len() == 2_000
    ));
}

#[test]
fn a_number_that_is_not_finite_is_written_as_zero() {
    let summary = PipelineSummary {
        batch_id: BATCH,
        completed_phases: &[],
        final_status: FinalStatus::Cancelled,
        processing_duration_seconds: f64::NAN,
        successful_essay_count: 0,
        failed_essay_count: 0,
        correlation_id: CORRELATION,
    };
    let written = serde_json::to_value(PipelineCompleted::new(&summary, DateTime::UNIX_EPOCH)).unwrap();
    assert_eq!(written["processing_duration_seconds"], 0.0);
    assert_eq!(written["metadata"]["timestamp"], "1970-01-01T00:00:00Z");
}
