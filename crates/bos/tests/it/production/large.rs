//! Messages and classes at the limits of Kafka.

use super::documents::sent_under;
use super::kafka;
use super::operators::Shell;
use super::road::{Companions, ONE_AT_A_TIME, class, ended, service};
use crate::databases::on_postgres;
use crate::host::Client;
use crate::neighbour::service::configured;
use crate::program::{eventually, plain_batch};
use contract::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use service::companions::CompanionBehaviour;
use service::settings::kafka_settings;

/// The topic whose size limit is lowered for a while.
const NARROW: Topic = Topic::SpellcheckInitiate;

/// Limits the records of the topic to `bytes`; the other settings stay as `bos topics create` sets them.
async fn narrow(kafka: &str, bytes: u32) {
    let settings = kafka_settings(&configured(&[("kafka_bootstrap_servers", kafka)])).unwrap();
    let admin: AdminClient<DefaultClientContext> = settings.client().create().unwrap();
    let (bytes, retention) = (bytes.to_string(), (14 * 24 * 3_600_000_i64).to_string());
    let config = AlterConfig::new(ResourceSpecifier::Topic(NARROW.as_str()))
        .set("max.message.bytes", &bytes)
        .set("min.insync.replicas", "1")
        .set("retention.ms", &retention);
    let altered = admin.alter_configs([&config], &AdminOptions::new()).await.unwrap();
    for altered in altered {
        altered.unwrap();
    }
}

/// F23.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_too_large_for_its_topic_is_parked_blocks_only_its_class_and_is_retried_or_skipped() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let shell = Shell { database: &url, kafka: &kafka, content: &companions.content };
        let service = service(&kafka, &companions.content, &url).await;
        narrow(&kafka, 4_000).await;
        let large = service.hand_in(&class(60, &["spellcheck"])).await;
        let skipped = service.hand_in(&class(60, &["spellcheck"])).await;
        let parked = || shell.rows(&["outbox", "pending"]).into_iter().filter(|row| row["state"] == "parked");
        let mut rows = Vec::new();
        tokio::task::block_in_place(|| {
            eventually("both are parked", || {
                rows = parked().collect();
                rows.len() == 2
            });
        });
        assert!(rows.iter().all(|row| row["error_code"] == "record_too_large"), "{rows:?}");
        assert!(rows.iter().all(|row| row["topic"] == NARROW.as_str()), "{rows:?}");
        let small = service.hand_in(&class(2, &["spellcheck"])).await;
        assert_eq!(ended(&service, &small).await["counts"]["succeeded"], 2, "other batches continue");
        let id = |batch: &str| {
            let row = rows.iter().find(|row| row["key"] == *batch).unwrap();
            row["id"].as_str().unwrap().to_owned()
        };

        assert_eq!(shell.run(&["outbox", "retry", &id(&large)]).code, 0);
        tokio::task::block_in_place(|| {
            eventually("it is parked again while the limit is too low", || parked().count() == 2);
        });
        narrow(&kafka, 2 << 20).await;
        assert_eq!(shell.run(&["outbox", "retry", &id(&large)]).code, 0);
        assert_eq!(
            ended(&service, &large).await["counts"]["succeeded"],
            60,
            "it was sent after the limit was raised"
        );

        assert_eq!(shell.run(&["outbox", "skip", &id(&skipped)]).code, 0);
        assert!(shell.rows(&["outbox", "pending"]).is_empty());
        let status = service.until(&skipped, |status| status["status"] == "processing").await;
        assert_eq!(status["counts"]["in_progress"], 60, "its phase ends by its time-out: {status}");
        service.stop().await;
        companions.stop().await;
    })
    .await;
}

/// F79. There is no Content Service: this tests the accept path only.
#[tokio::test(flavor = "multi_thread")]
async fn ten_classes_of_the_maximum_size_are_accepted_at_once_and_one_essay_more_is_refused() {
    if kafka().is_none() {
        return;
    }
    on_postgres(async |store, url| {
        let service = service("127.0.0.1:1", "http://127.0.0.1:1/v1/content", &url).await;
        let client = Client::at(service.base());
        assert_eq!(client.submit(&plain_batch("too many", 2_001)).await.status, 422);
        let full = plain_batch("full", 2_000);
        futures::future::join_all((0..10).map(|_| service.hand_in(&full))).await;
        let staged = store.read(|tx| Box::pin(async move { tx.staged_depth().await }));
        let staged = staged.await.map_err(|error: store::Error| error).unwrap();
        assert_eq!(staged.rows, 20_000, "every text of every class, and none of the one that was refused");
        service.stop().await;
    })
    .await;
}

/// F79.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_for_a_class_of_the_maximum_size_fits_a_kafka_record() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let service = service(&kafka, &companions.content, &url).await;
        let batch = service.hand_in(&class(2_000, &["spellcheck"])).await;
        assert_eq!(ended(&service, &batch).await["counts"]["succeeded"], 2_000);
        let sent = sent_under(&kafka, &[batch], &[NARROW]).await;
        let commands: Vec<usize> =
            sent.iter().filter(|sent| sent.topic == NARROW).map(|sent| sent.value.len()).collect();
        assert!(matches!(commands[..], [length] if length < 900_000), "{commands:?} bytes");
        service.stop().await;
        companions.stop().await;
    })
    .await;
}
