//! The trace of a batch in an embedded installation.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};

use super::collector::{Collector, hex};
use super::{CALLER, TRACE, hand_in};
use crate::host::Client;
use crate::program::Server;

fn class() -> Value {
    let essays: Vec<Value> = (0..3)
        .map(|n| json!({"client_ref": format!("pupil-{n}"), "text": "I recieve teh SECRET letter."}))
        .collect();
    json!({"name": "SECRET class", "essays": essays, "phases": ["spellcheck", "nlp"]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_trace_from_the_request_to_the_last_result() {
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("otel_exporter_otlp_endpoint={}", collector.endpoint);
    let mut server = Server::on(&folder.path().join("data"), &[&endpoint]);
    let client = Client::of(&server);
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let accepted = hand_in(&client, &class(), &[("traceparent", &traceparent)]).await;
    let batch = accepted["batch_id"].as_str().unwrap();
    assert_eq!(client.ended(batch).await["status"], "completed_successfully");
    server.terminate();
    assert_eq!(server.ended().code(), Some(0));

    assert_eq!(collector.service(), "batch-orchestrator-service");
    let all = collector.spans();
    all.are_different();
    let spans = all.of_trace(TRACE);
    let about = all.of_batch(batch);
    assert!(about.0.iter().all(|span| hex(&span.trace_id) == TRACE), "{:?}", about.names());

    let request = spans.only("POST /v1/batch");
    assert_eq!(request.kind(), SpanKind::Server);
    assert_eq!(hex(&request.parent_span_id), CALLER);
    for span in &spans.0 {
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
        assert!(
            span.span_id == request.span_id || spans.parent(span).is_some(),
            "{} has no parent",
            span.name
        );
    }

    assert_eq!(spans.road(spans.only("decide accepted")), ["POST /v1/batch", "decide accepted"]);
    let stored = spans.named("decide texts_stored");
    assert_eq!(spans.road(stored[0]), ["POST /v1/batch", "store texts", "decide texts_stored"]);
    for message in spans.of_kind(SpanKind::Consumer) {
        let sender = spans.parent(message).unwrap();
        assert_eq!(sender.kind(), SpanKind::Producer, "{} under {}", message.name, sender.name);
    }
    // Each step is a child of the one before it, through companions that pass the trace on.
    let last = spans.last_result();
    let road = [
        "POST /v1/batch",
        "store texts",
        "decide texts_stored",
        "send huleedu.batch.essays.registered.v1",
        "process huleedu.batch.content.provisioning.completed.v1",
        "decide registered",
        "send huleedu.els.spellcheck.initiate.command.v1",
        "process huleedu.els.batch.phase.outcome.v1",
        "decide phase_outcome",
        "send huleedu.batch.nlp.initiate.command.v2",
        "process huleedu.els.batch.phase.outcome.v1",
        "decide phase_outcome",
    ];
    assert_eq!(spans.road(last), road);

    let said = format!("{:?}", all.0);
    assert!(!said.contains("SECRET") && !said.contains("pupil"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_begins_at_the_service_has_the_correlation_id_and_an_unsampled_one_has_no_spans() {
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("otel_exporter_otlp_endpoint={}", collector.endpoint);
    let settings = [endpoint.as_str(), "otel_service_name=bos-of-a-test"];
    let headers = [("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc,x-tenant=school")];
    let mut server = Server::told(&folder.path().join("data"), &settings, &headers);
    let client = Client::of(&server);
    let unkept = format!("00-{TRACE}-{CALLER}-00");
    let first = hand_in(&client, &class(), &[]).await;
    let second = hand_in(&client, &class(), &[("traceparent", &unkept)]).await;
    for accepted in [&first, &second] {
        client.ended(accepted["batch_id"].as_str().unwrap()).await;
    }
    server.terminate();
    assert_eq!(server.ended().code(), Some(0));

    assert_eq!(collector.service(), "bos-of-a-test");
    assert_eq!(collector.header("authorization"), "Bearer abc");
    assert_eq!(collector.header("x-tenant"), "school");
    let all = collector.spans();
    let spans = all.of_batch(first["batch_id"].as_str().unwrap());
    let trace = first["correlation_id"].as_str().unwrap().replace('-', "");
    assert!(!spans.0.is_empty());
    assert!(spans.0.iter().all(|span| hex(&span.trace_id) == trace), "{:?}", spans.names());
    assert!(all.of_trace(&trace).only("POST /v1/batch").parent_span_id.is_empty());
    assert!(all.of_trace(TRACE).0.is_empty());
    assert!(all.of_batch(second["batch_id"].as_str().unwrap()).0.is_empty());
}
