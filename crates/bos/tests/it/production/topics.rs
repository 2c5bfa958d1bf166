//! Topics that get more partitions, or are deleted and created again, while the service works.

use std::time::Duration;

use companions::Misbehaviour;
use contract::Topic;
use kafka::settings::KafkaSettings;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use service::companions::CompanionBehaviour;
use service::settings::kafka_settings;

use super::kafka;
use super::operators::Shell;
use super::road::{Companions, ONE_AT_A_TIME, class, ended};
use crate::databases::on_postgres;
use crate::host::Client;
use crate::neighbour::service::{Service, configured};

/// Two topics that BOS writes and two that it reads. A class has one message on the first and on the last, and many on the others.
const OURS: [Topic; 4] = [
    Topic::SpellcheckInitiate,
    Topic::EssayContentProvisioned,
    Topic::SpellcheckPhaseCompleted,
    Topic::BatchPhaseOutcome,
];

/// The new number of partitions, and the one that a topic is created with.
const WIDE: i32 = 8;
const MADE_WITH: i32 = 6;

/// Whether there are records on the partitions that were added.
fn is_wide_in_use(settings: &KafkaSettings, topic: Topic) -> bool {
    let client: BaseConsumer = settings.consumer("test").create().unwrap();
    (MADE_WITH..WIDE).any(|partition| {
        let marks = client.fetch_watermarks(topic.as_str(), partition, Duration::from_secs(10));
        marks.is_ok_and(|(_, end)| end > 0)
    })
}

/// F24.
#[tokio::test(flavor = "multi_thread")]
async fn topics_that_get_partitions_or_are_created_again_delay_messages_and_lose_none() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        // A delay, so that earlier batches are still in progress when the partitions are added.
        let misbehaviour = Misbehaviour { delay: Duration::from_millis(200), ..Misbehaviour::default() };
        let companions = Companions::start(&kafka, CompanionBehaviour { instant: true, misbehaviour }).await;
        let shell = Shell { database: &url, kafka: &kafka, content: &companions.content };
        let settings = [
            ("kafka_bootstrap_servers", &*kafka),
            ("kafka_session_timeout", "6s"),
            ("kafka_message_timeout", "2s"),
            ("database_url", &*url),
        ];
        let service = Service::start(companions.content.clone(), &settings).await;
        let client = Client::at(service.base());
        let settings = kafka_settings(&configured(&[("kafka_bootstrap_servers", &kafka)])).unwrap();
        let admin: AdminClient<DefaultClientContext> = settings.client().create().unwrap();
        let through = async || {
            let batch = service.hand_in(&class(2, &["spellcheck"])).await;
            assert_eq!(ended(&service, &batch).await["counts"]["succeeded"], 2);
        };
        through().await;

        let mut under_way = Vec::new();
        for _ in 0..8 {
            under_way.push(service.hand_in(&class(5, &["spellcheck"])).await);
        }
        let wider = OURS.map(|topic| NewPartitions::new(topic.as_str(), WIDE.try_into().unwrap()));
        for made in admin.create_partitions(&wider, &AdminOptions::new()).await.unwrap() {
            made.unwrap();
        }
        let last = under_way.last().unwrap();
        let status = service.get(&format!("/v1/batch/{last}/status")).await;
        assert_eq!(status["counts"]["total"], 5, "{status}");
        assert!(status["ended_at"].is_null(), "no batch is in progress");
        for batch in &under_way {
            assert_eq!(ended(&service, batch).await["counts"]["succeeded"], 5);
        }
        while !OURS.iter().all(|topic| is_wide_in_use(&settings, *topic)) {
            through().await;
        }

        let names = OURS.map(Topic::as_str);
        for deleted in admin.delete_topics(&names, &AdminOptions::new()).await.unwrap() {
            deleted.unwrap();
        }
        let waiting = service.hand_in(&class(3, &["spellcheck"])).await;
        client.until_degraded_by(Some("topic_missing")).await;
        service.until(&waiting, |status| status["waiting_on"]["code"] == "bus_unreachable").await;
        let found = shell.rows(&["doctor"]);
        for name in names {
            let is_told =
                |row: &serde_json::Value| row["state"] == "failure" && row.to_string().contains(name);
            assert!(found.iter().any(is_told), "{name}: {found:?}");
        }

        assert_eq!(shell.run(&["topics", "create"]).code, 0);
        assert_eq!(ended(&service, &waiting).await["counts"]["succeeded"], 3);
        through().await;
        service.stop().await;
        companions.stop().await;
    })
    .await;
}
