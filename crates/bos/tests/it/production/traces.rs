//! A batch is one trace over Kafka too, because the headers of messages carry it.

use std::collections::BTreeSet;

use contract::Topic;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;
use service::companions::CompanionBehaviour;

use super::documents::sent_under;
use super::kafka;
use super::road::{Companions, ONE_AT_A_TIME};
use crate::databases::on_postgres;
use crate::host::Client;
use crate::program::Server;
use crate::traces::collector::{Collector, hex};
use crate::traces::{CALLER, TRACE, hand_in};

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_over_kafka_is_one_trace_by_its_headers() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let collector = Collector::start().await;
        let folder = tempfile::tempdir().unwrap();
        let settings = [
            format!("kafka_bootstrap_servers={kafka}"),
            "kafka_session_timeout=6s".to_owned(),
            format!("content_service_url={}", companions.content),
            format!("otel_exporter_otlp_endpoint={}", collector.endpoint),
        ];
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let mut server = Server::told(&folder.path().join("data"), &settings, &[("DATABASE_URL", &url)]);
        let client = Client::of(&server);
        let essays: Vec<_> = (0..3).map(|n| json!({"text": format!("Essay {n}.")})).collect();
        let class = json!({"essays": essays, "phases": ["spellcheck"], "course_code": "ENG5"});
        let traceparent = format!("00-{TRACE}-{CALLER}-01");
        let accepted = hand_in(&client, &class, &[("traceparent", &traceparent)]).await;
        let batch = accepted["batch_id"].as_str().unwrap().to_owned();
        assert_eq!(client.ended(&batch).await["status"], "completed_successfully");

        let topics = [Topic::BatchEssaysRegistered, Topic::SpellcheckInitiate, Topic::BatchPipelineCompleted];
        let messages = sent_under(&kafka, std::slice::from_ref(&batch), &topics).await;
        let traces: BTreeSet<Option<String>> = messages
            .iter()
            .map(|message| message.trace.map(|place| format!("{:032x}", place.trace())))
            .collect();
        assert_eq!(traces, BTreeSet::from([Some(TRACE.to_owned())]));
        server.terminate();
        assert_eq!(server.ended().code(), Some(0));

        let all = collector.spans();
        all.are_different();
        assert!(all.of_batch(&batch).0.iter().all(|span| hex(&span.trace_id) == TRACE));
        let spans = all.of_trace(TRACE);
        let sent: BTreeSet<String> =
            spans.of_kind(SpanKind::Producer).map(|span| hex(&span.span_id)).collect();
        // The registration, three provisioned texts, a command, and the completion event: each has a span of its own, which its
        // header names.
        assert_eq!(sent.len(), 6);
        let ours: Vec<_> = messages.iter().filter(|message| topics.contains(&message.topic)).collect();
        for message in ours {
            assert!(sent.contains(&format!("{:016x}", message.trace.unwrap().span())), "{}", message.topic);
        }
        for upload in spans.named("POST") {
            assert_eq!(upload.kind(), SpanKind::Client);
            assert_eq!(spans.road(upload), ["POST /v1/batch", "store texts", "POST"]);
        }
        assert_eq!(spans.named("POST").len(), 3);
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
        ];
        // The lifecycle service answers after the registration or after a text, whichever it receives last.
        let mut walked = spans.road(last);
        walked[3] = road[3];
        assert_eq!(walked, road);
        companions.stop().await;
    })
    .await;
}
