//! Operators' commands on a real PostgreSQL and a real Kafka.

use contract::Topic;
use engine::ports::{Broker as _, Record};
use kafka::KafkaBroker;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use serde_json::Value;
use service::companions::CompanionBehaviour;
use service::settings::kafka_settings;
use store::{Lane, OutboxRow, Store};
use uuid::Uuid;

use super::kafka;
use super::road::{Companions, ONE_AT_A_TIME, service};
use crate::databases::on_postgres;
use crate::host::Client;
use crate::neighbour::service::configured;
use crate::program::{Ran, Server, bos, eventually};

/// An operator's shell with the variables of an installation.
pub(super) struct Shell<'a> {
    pub(super) database: &'a str,
    pub(super) kafka: &'a str,
    pub(super) content: &'a str,
}

impl Shell<'_> {
    pub(super) fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = bos(arguments);
        command.env("DATABASE_URL", self.database).env("KAFKA_BOOTSTRAP_SERVERS", self.kafka);
        command.env("CONTENT_SERVICE_URL", self.content).output().unwrap().into()
    }

    /// Runs a command; the JSON lines that it prints.
    pub(super) fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        let ran = self.run(&[arguments, &["-o", "jsonl"]].concat());
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Publishes a message that cannot be parsed to a topic that BOS reads.
async fn poison(kafka: &str) {
    let settings = kafka_settings(&configured(&[("kafka_bootstrap_servers", kafka)])).unwrap();
    let broker = KafkaBroker::new(settings).unwrap();
    let record = Record {
        topic: Topic::BatchPhaseOutcome,
        key: "poison".to_owned(),
        event_id: Uuid::from_u128(1),
        value: br#"{"event_type": "odd", "data": "canary"}"#.to_vec(),
        headers: Vec::new(),
        at: None,
    };
    broker.publish(vec![record]).await.unwrap();
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_checks_an_installation_and_reports_unavailable_dependencies() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let shell = Shell { database: &url, kafka: &kafka, content: &companions.content };
        let states = |rows: &[Value], state: &str| -> Vec<String> {
            let some = rows.iter().filter(|row| row["state"] == state);
            some.map(|row| row["check"].as_str().unwrap().to_owned()).collect()
        };
        let alone = shell.run(&["doctor", "-o", "jsonl"]);
        assert_eq!(alone.code, 4, "{}", alone.stdout);
        let rows = shell.rows(&["doctor"]);
        assert!(states(&rows, "warning").contains(&"replicas".to_owned()), "{rows:?}");
        assert_eq!(states(&rows, "failure"), [""; 0], "{rows:?}");

        let service = service(&kafka, &companions.content, &url).await;
        tokio::task::block_in_place(|| {
            eventually("all checks pass", || shell.run(&["doctor"]).code == 0);
        });
        let checked = shell.run(&["topics", "check"]);
        assert_eq!(checked.code, 0, "{}", checked.stdout);

        // Each unavailable dependency fails its own checks only.
        let away = Shell { kafka: "127.0.0.1:1", content: "http://127.0.0.1:1", ..shell };
        let rows = away.rows(&["doctor"]);
        assert_eq!(states(&rows, "failure"), ["kafka", "content service"], "{rows:?}");
        assert!(states(&rows, "ok").contains(&"replicas".to_owned()), "{rows:?}");
        service.stop().await;
        companions.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_shown_without_text_and_can_be_replayed_and_dropped() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let shell = Shell { database: &url, kafka: &kafka, content: &companions.content };
        let service = service(&kafka, &companions.content, &url).await;
        poison(&kafka).await;
        let mut letters = Vec::new();
        tokio::task::block_in_place(|| {
            eventually("it is a dead letter", || {
                letters = shell.rows(&["dead-letter", "list"]);
                !letters.is_empty()
            });
        });
        let id = letters[0]["id"].as_str().unwrap();
        let shown = shell.run(&["dead-letter", "show", id, "-o", "json"]);
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        assert!(!shown.stdout.contains("canary"), "{}", shown.stdout);
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
        assert_eq!(
            (&shown["record"]["is_the_same"], &shown["record"]["key"]),
            (&true.into(), &"poison".into())
        );
        assert_eq!(shown["record"]["envelope"]["event_type"], "odd");

        let replayed = shell.run(&["dead-letter", "replay", id, "-o", "jsonl"]);
        assert_eq!(replayed.code, 4, "{}", replayed.stderr);
        let replayed: Value = serde_json::from_str(&replayed.stdout).unwrap();
        assert_eq!((&replayed["outcome"], &replayed["is_forgotten"]), (&"unusable".into(), &false.into()));
        assert_eq!(shell.run(&["dead-letter", "drop", id]).code, 0);
        assert_eq!(shell.run(&["dead-letter", "show", id]).code, 3);
        assert_eq!(shell.run(&["dead-letter", "replay", id]).code, 3);
        service.stop().await;
        companions.stop().await;
    })
    .await;
}

async fn parked(store: &Store, key: &'static str, number: u128) {
    let unit = store.unit(Lane::Caller, move |tx| {
        Box::pin(async move {
            let message = OutboxRow {
                shard: 0,
                event_id: Uuid::from_u128(number),
                ordering_key: key.to_owned(),
                key_seq: 0,
                topic: Topic::BatchPipelineCompleted.as_str().to_owned(),
                kafka_key: key.to_owned(),
                payload: b"{}".to_vec(),
                headers: "{}".to_owned(),
            };
            tx.enqueue(&[message]).await?;
            for row in tx.outbox_rows(None, 10).await? {
                tx.park_outbox(row.shard, row.id, "record_too_large").await?;
            }
            Ok::<_, store::Error>(())
        })
    });
    unit.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_messages_are_retried_or_skipped_and_sent_ones_replayed() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |store, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let shell = Shell { database: &url, kafka: &kafka, content: &companions.content };
        parked(&store, "one", 1).await;
        parked(&store, "two", 2).await;
        let rows = shell.rows(&["outbox", "pending"]);
        assert!(rows.iter().all(|row| row["state"] == "parked"), "{rows:?}");
        let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(shell.run(&["outbox", "skip", ids[0]]).code, 0);
        assert_eq!(shell.run(&["outbox", "skip", ids[0]]).code, 3);
        assert_eq!(shell.run(&["outbox", "retry", ids[1], ids[0]]).code, 4);

        let service = service(&kafka, &companions.content, &url).await;
        let is_empty = || shell.rows(&["outbox", "pending"]).is_empty();
        tokio::task::block_in_place(|| eventually("it is sent", is_empty));
        service.stop().await;

        let sent = |rows: &[Value]| rows.iter().filter_map(|row| row["messages"].as_i64()).sum::<i64>();
        assert_eq!(sent(&shell.rows(&["outbox", "replay", "--since", "1h", "--dry-run"])), 1);
        assert!(is_empty(), "a dry run changes nothing");
        assert_eq!(shell.run(&["outbox", "replay", "--since", "1h"]).code, 2);
        assert!(is_empty(), "without --yes nothing is sent");
        assert_eq!(shell.run(&["outbox", "replay", "--since", "1h", "--yes"]).code, 0);
        let again = shell.rows(&["outbox", "pending"]);
        assert_eq!((again.len(), &again[0]["event_id"]), (1, &rows[1]["event_id"]));
        companions.stop().await;
    })
    .await;
}

/// F72. No process uses this topic.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_is_reported_with_the_command_that_creates_it() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let settings = kafka_settings(&configured(&[("kafka_bootstrap_servers", &kafka)])).unwrap();
        let admin: AdminClient<DefaultClientContext> = settings.client().create().unwrap();
        let missing = Topic::NlpInitiateV1.as_str();
        admin.delete_topics(&[missing], &AdminOptions::new()).await.unwrap().pop().unwrap().unwrap();

        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let told = [
            ("DATABASE_URL", &*url),
            ("KAFKA_BOOTSTRAP_SERVERS", &*kafka),
            ("CONTENT_SERVICE_URL", &*companions.content),
        ];
        let server = Server::told_and_logging(&folder.path().join("data"), &told, &log);
        let client = Client::of(&server);
        client.until_degraded_by(Some("topic_missing")).await;
        assert_eq!(client.get("/readyz").await.status, 200, "submissions are accepted meanwhile");
        let said = std::fs::read_to_string(&log).unwrap();
        let line = said.lines().find(|line| line.contains(missing)).expect("the log names it");
        assert!(line.contains("bos topics create"), "{line}");

        let shell = Shell { database: &url, kafka: &kafka, content: &companions.content };
        assert_eq!(shell.run(&["topics", "create"]).code, 0);
        client.until_degraded_by(None).await;
        companions.stop().await;
    })
    .await;
}
