//! The whole road on a real PostgreSQL and a real Kafka, with the companions as the platform's services.

use std::sync::LazyLock;
use std::time::Duration;

use companions::Misbehaviour;
use contract::Topic;
use kafka::admin::Admin;
use serde_json::{Value, json};
use service::companions::{CompanionBehaviour, run};
use service::settings::kafka_settings;
use store::Store;
use telemetry::Tasks;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::documents::{judge, sent_under};
use super::kafka;
use crate::databases::on_postgres;
use crate::neighbour::service::{Service, configured};
use crate::program::PATIENCE;

/// Serializes the tests, because they share one consumer group and would read each other's records.
pub(crate) static ONE_AT_A_TIME: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);

/// The companions on the other side of Kafka.
pub(super) struct Companions {
    pub(super) content: String,
    end: CancellationToken,
    tasks: Tasks,
    _folder: TempDir,
}

impl Companions {
    pub(super) async fn start(kafka: &str, behaviour: CompanionBehaviour) -> Self {
        Self::start_with(kafka, behaviour, &[]).await
    }

    /// With these settings.
    pub(super) async fn start_with(
        kafka: &str,
        behaviour: CompanionBehaviour,
        settings: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = [
            ("kafka_bootstrap_servers", kafka),
            ("kafka_session_timeout", "6s"),
            ("data_dir", folder.path().to_str().unwrap()),
        ];
        let config = configured(&[own.as_slice(), settings].concat());
        let settings = kafka_settings(&config).unwrap();
        let made = Admin::new(&settings).unwrap().create(Topic::ALL).await.unwrap();
        assert!(
            made.iter().all(|(_, made)| !matches!(made, kafka::admin::CreateOutcome::Failed(_))),
            "{made:?}"
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let content = format!("http://{}/v1/content", listener.local_addr().unwrap());
        let (end, tasks) = (CancellationToken::new(), Tasks::new());
        let (tell, ready) = oneshot::channel();
        let work = run(config, settings, listener, behaviour, end.clone(), move || tell.send(()).unwrap());
        tasks.spawn("companions", async { work.await.unwrap() });
        timeout(PATIENCE, ready).await.unwrap().unwrap();
        Self { content, end, tasks, _folder: folder }
    }

    pub(super) async fn stop(self) {
        self.end.cancel();
        assert!(self.tasks.shutdown(Duration::from_secs(20)).await.is_empty(), "the companions do not stop");
    }
}

pub(super) async fn service(kafka: &str, content: &str, database: &str) -> Service {
    let settings = [
        ("kafka_bootstrap_servers", kafka),
        ("kafka_session_timeout", "6s"),
        ("database_url", database),
        ("outcome_grace", "2s"),
    ];
    Service::start(content.to_owned(), &settings).await
}

pub(super) fn class(essays: usize, phases: &[&str]) -> Value {
    let essays: Vec<Value> = (0..essays)
        .map(|n| json!({"text": format!("Essay {n}. I recieve teh letter."), "client_ref": format!("s-{n}")}))
        .collect();
    json!({"essays": essays, "phases": phases, "course_code": "ENG5"})
}

pub(super) async fn ended(service: &Service, batch: &str) -> Value {
    service.until(batch, |status| !status["ended_at"].is_null()).await
}

/// Waits until no message waits, and asserts that `sent` messages are archived and that there is no dead letter.
async fn nothing_waits(store: &Store, sent: i64) {
    let quiet = async {
        loop {
            let depth = store.read(|tx| Box::pin(async move { tx.outbox_depth().await })).await.unwrap();
            if depth.pending == 0 {
                assert_eq!(depth.parked, 0);
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, quiet).await.expect("everything is sent");
    let by_topic = store
        .read(|tx| {
            Box::pin(async move {
                let now = tx.now();
                tx.sent_by_topic(now - Duration::from_hours(1), now + Duration::from_hours(1)).await
            })
        })
        .await
        .unwrap();
    assert_eq!(by_topic.iter().map(|topic| topic.messages).sum::<i64>(), sent);
    let letters = store.read(|tx| Box::pin(async move { tx.dead_letter_depth().await })).await.unwrap();
    assert_eq!(letters.rows, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_is_processed_through_spellcheck_and_nlp() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |store, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::default()).await;
        let service = service(&kafka, &companions.content, &url).await;
        let batch = service.hand_in(&class(5, &["spellcheck", "nlp"])).await;
        let status = ended(&service, &batch).await;
        assert_eq!(status["status"], "completed_successfully", "{status}");
        assert_eq!(status["counts"]["succeeded"], 5, "{status}");
        for essay in service.essays(&batch).await {
            assert_eq!(essay["state"], "succeeded");
        }
        // The registration, five provisioned texts, two commands, and the completion event.
        nothing_waits(&store, 9).await;
        let ready = service.get("/readyz").await;
        assert_eq!(ready["degraded"], json!([]), "{ready}");
        let single = service.trigger("I recieve teh letter.").await;

        let of_class = [
            Topic::BatchEssaysRegistered,
            Topic::EssayContentProvisioned,
            Topic::SpellcheckInitiate,
            Topic::NlpInitiateV2,
            Topic::BatchPipelineCompleted,
            Topic::EssaySpellcheckRequested,
            Topic::BatchPhaseOutcome,
        ];
        let documents = sent_under(&kafka, &[batch, single], &of_class).await;
        for document in &documents {
            let envelope: Value = serde_json::from_slice(&document.value).unwrap();
            assert_eq!(envelope["schema_version"], 1, "{envelope}");
        }
        judge(&documents);
        service.stop().await;
        companions.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_work_of_one_database_and_send_nothing_twice() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |store, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let one = service(&kafka, &companions.content, &url).await;
        let other = service(&kafka, &companions.content, &url).await;
        let mut batches = Vec::new();
        for _ in 0..10 {
            batches.push(one.hand_in(&class(4, &["spellcheck", "nlp"])).await);
            batches.push(other.hand_in(&class(4, &["spellcheck", "nlp"])).await);
        }
        for batch in &batches {
            // Each process reports the batch, whichever process did the work.
            assert_eq!(ended(&one, batch).await["counts"]["succeeded"], 4);
            assert_eq!(ended(&other, batch).await["counts"]["succeeded"], 4);
        }
        nothing_waits(&store, 20 * 8).await;
        one.stop().await;
        other.stop().await;
        companions.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicated_and_reordered_messages_change_no_result_and_failures_are_counted() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let misbehaviour = Misbehaviour {
            fail_rate: 0.2,
            content_fail_rate: 0.3,
            duplicate_rate: 0.5,
            reorder: true,
            seed: 7,
            ..Misbehaviour::default()
        };
        let companions = Companions::start(&kafka, CompanionBehaviour { instant: true, misbehaviour }).await;
        let service = service(&kafka, &companions.content, &url).await;
        let mut failed = 0;
        for _ in 0..5 {
            let batch = service.hand_in(&class(8, &["spellcheck", "nlp"])).await;
            let status = ended(&service, &batch).await;
            let counts = &status["counts"];
            failed += counts["failed"].as_u64().unwrap();
            assert_eq!(
                counts["succeeded"].as_u64().unwrap() + counts["failed"].as_u64().unwrap(),
                8,
                "{status}"
            );
        }
        assert!(failed > 0, "some essays fail on purpose");
        service.stop().await;
        companions.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_is_accepted_while_kafka_is_unavailable_and_continues_when_it_is_back() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        // No process listens at this address yet.
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = door.local_addr().unwrap();
        drop(door);
        let service = service(&address.to_string(), &companions.content, &url).await;
        let batch = service.hand_in(&class(3, &["spellcheck"])).await;
        service.until(&batch, |status| status["waiting_on"]["code"] == "bus_unreachable").await;
        let degraded = async {
            while service.get("/readyz").await["degraded"][0]["name"] != "bus" {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, degraded).await.expect("/readyz names the bus");

        let door = TcpListener::bind(address).await.unwrap();
        let (door_opened, real) = (CancellationToken::new(), kafka.clone());
        let forwarding = door_opened.clone().run_until_cancelled_owned(async move {
            loop {
                let (mut inside, _) = door.accept().await.unwrap();
                let mut outside = TcpStream::connect(&real).await.unwrap();
                // The client sends one request here; the answer names the real address.
                let both = tokio::io::copy_bidirectional(&mut inside, &mut outside);
                // The client reconnects after any end of a connection.
                let _ = timeout(Duration::from_secs(1), both).await;
            }
        });
        let tasks = Tasks::new();
        tasks.spawn("forwarding", async { forwarding.await.unwrap_or(()) });
        assert_eq!(ended(&service, &batch).await["counts"]["succeeded"], 3);
        service.stop().await;
        door_opened.cancel();
        companions.stop().await;
    })
    .await;
}

/// F74.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_stops_in_time_while_kafka_is_unavailable_and_the_next_one_sends_the_messages() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let alone = service("127.0.0.1:1", &companions.content, &url).await;
        let batch = alone.hand_in(&class(2, &["spellcheck"])).await;
        alone.until(&batch, |status| status["waiting_on"]["code"] == "bus_unreachable").await;
        // `stop` fails if it takes longer than 10 s.
        alone.stop().await;
        let service = service(&kafka, &companions.content, &url).await;
        assert_eq!(ended(&service, &batch).await["counts"]["succeeded"], 2);
        service.stop().await;
        companions.stop().await;
    })
    .await;
}

/// F69.
#[tokio::test(flavor = "multi_thread")]
async fn one_available_broker_of_the_list_is_enough() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let service = service(&format!("127.0.0.1:1,{kafka},127.0.0.1:2"), &companions.content, &url).await;
        let batch = service.hand_in(&class(2, &["spellcheck"])).await;
        assert_eq!(ended(&service, &batch).await["counts"]["succeeded"], 2);
        let ready = service.get("/readyz").await;
        assert_eq!(ready["degraded"], json!([]), "{ready}");
        service.stop().await;
        companions.stop().await;
    })
    .await;
}
