//! A database restored from a backup as `docs/operations.md` describes: Kafka and the callers are ahead of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chrono::TimeDelta;
use contract::Topic;
use engine::ports::{Clock as _, SystemClock};
use kafka::settings::KafkaSettings;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use service::companions::CompanionBehaviour;
use service::settings::kafka_settings;
use sqlx_core::connection::Connection as _;
use sqlx_core::query_as::query_as;
use sqlx_core::raw_sql::raw_sql;
use sqlx_postgres::PgConnection;
use uuid::Uuid;

use super::operators::Shell;
use super::road::{Companions, ONE_AT_A_TIME, class, ended, service};
use super::{kafka, left_out};
use crate::databases::on_postgres;
use crate::host::{Client, id_of};
use crate::neighbour::service::configured;
use crate::program::{Server, eventually};

const GROUP: &str = engine::consumer::CONSUMER;
const PATIENCE: Duration = Duration::from_secs(30);

/// The path of one of PostgreSQL's client programs, if it is installed.
fn program(name: &str) -> Option<PathBuf> {
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|folders| folders.filter_map(|folder| Some(folder.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    debian.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = debian.into_iter().rev().chain(std::env::split_paths(&path));
    all.map(|folder| folder.join(name)).find(|program| program.is_file())
}

fn run(program: &Path, arguments: &[&OsStr]) {
    let ran = Command::new(program).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// Resets the group's offsets, as `kafka-consumer-groups.sh --reset-offsets --to-datetime` does for the topics that BOS reads.
fn read_again_since(settings: &KafkaSettings, milliseconds: i64) {
    let client: BaseConsumer = settings.consumer(GROUP).create().unwrap();
    let mut places = TopicPartitionList::new();
    for topic in Topic::READ {
        let metadata = client.fetch_metadata(Some(topic.as_str()), PATIENCE).unwrap();
        for partition in metadata.topics()[0].partitions() {
            places
                .add_partition_offset(topic.as_str(), partition.id(), Offset::Offset(milliseconds))
                .unwrap();
        }
    }
    let places = client.offsets_for_times(places, PATIENCE).unwrap();
    client.commit(&places, CommitMode::Sync).unwrap();
}

/// The events sent about a batch, by id.
async fn events_sent(owner: &mut PgConnection, batch: &str) -> BTreeMap<Uuid, Vec<u8>> {
    let rows: Vec<(Uuid, Vec<u8>)> =
        query_as("SELECT event_id, payload FROM outbox_sent WHERE ordering_key = $1")
            .bind(batch)
            .fetch_all(owner)
            .await
            .unwrap();
    rows.into_iter().collect()
}

/// The events without their timestamps, which differ when a decision is made again.
fn without_times_of(events: &BTreeMap<Uuid, Vec<u8>>) -> BTreeMap<Uuid, Value> {
    let timeless = events.iter().map(|(id, bytes)| {
        let mut envelope = serde_json::from_slice(bytes).unwrap();
        without_times(&mut envelope);
        (*id, envelope)
    });
    timeless.collect()
}

const TIMES: [&str; 3] = ["event_timestamp", "timestamp", "processing_duration_seconds"];

fn without_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !TIMES.contains(&&**key));
            fields.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// F53.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_catches_up_with_kafka_and_resends_events_with_the_same_ids() {
    let Some(kafka) = kafka() else { return };
    let (Some(dump), Some(restore)) = (program("pg_dump"), program("pg_restore")) else {
        return left_out("bos-restore", "a restored database: install PostgreSQL's client programs");
    };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let shell = Shell { database: &url, kafka: &kafka, content: &companions.content };
        let running = service(&kafka, &companions.content, &url).await;
        let done = running.hand_in(&class(2, &["spellcheck", "nlp"])).await;
        ended(&running, &done).await;
        running.stop().await;
        // At the time of the backup the messages of this batch have not been sent.
        let folder = tempfile::tempdir().unwrap();
        let told = [
            ("DATABASE_URL", &*url),
            ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1"),
            ("CONTENT_SERVICE_URL", &*companions.content),
        ];
        let alone = Server::told(&folder.path().join("data"), &[], &told);
        let client = Client::of(&alone);
        let open = id_of(&client.submit(&class(3, &["spellcheck", "nlp"])).await.body);
        while client.get(&format!("/v1/batch/{open}/status")).await.body["waiting_on"]["code"]
            != "bus_unreachable"
        {
            tokio::task::yield_now().await;
        }
        alone.kill();
        let mut owner = PgConnection::connect(&url).await.unwrap();
        // The test does not wait until the leases of the killed server expire.
        let forgotten = "DELETE FROM replicas; UPDATE leases SET lease_until = 'epoch'";
        raw_sql(forgotten).execute(&mut owner).await.unwrap();

        let file = folder.path().join("backup");
        let (to, from): (&OsStr, &OsStr) = (file.as_ref(), url.as_ref());
        run(&dump, &["--format=custom".as_ref(), "--file".as_ref(), to, from]);

        let running = service(&kafka, &companions.content, &url).await;
        let before = ended(&running, &open).await;
        assert_eq!(before["counts"]["succeeded"], 3);
        let client = Client::at(running.base());
        let later = client.submit_under("later", &class(2, &["spellcheck"])).await;
        let lost = id_of(&later.body);
        ended(&running, &lost).await;
        running.stop().await;
        let first = events_sent(&mut owner, &open).await;
        assert_eq!(first.len(), 4, "the registration, two commands, and the completion event");

        raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").execute(&mut owner).await.unwrap();
        run(&restore, &["--exit-on-error".as_ref(), "--dbname".as_ref(), from, to]);
        assert_eq!(shell.run(&["migrate", "status"]).code, 0);
        let settings = kafka_settings(&configured(&[("kafka_bootstrap_servers", &kafka)])).unwrap();
        let an_hour_ago = (SystemClock::default().now() - TimeDelta::hours(1)).timestamp_millis();
        tokio::task::block_in_place(|| read_again_since(&settings, an_hour_ago));

        let running = service(&kafka, &companions.content, &url).await;
        let client = Client::at(running.base());
        let after = ended(&running, &open).await;
        assert_eq!(after["counts"], before["counts"], "{after}");
        assert_eq!(after["phases"][1]["status"], before["phases"][1]["status"], "{after}");
        client.shows(std::slice::from_ref(&done)).await;
        assert_eq!(
            client.get(&format!("/v1/batch/{lost}")).await.status,
            404,
            "it was submitted after the backup"
        );
        let again = client.submit_under("later", &class(2, &["spellcheck"])).await;
        assert_eq!((again.status, again.is_replayed), (202, false), "{}", again.body);
        assert_eq!(ended(&running, &id_of(&again.body)).await["counts"]["succeeded"], 2);

        let is_sent = || shell.rows(&["outbox", "pending"]).is_empty();
        tokio::task::block_in_place(|| eventually("everything is sent", is_sent));
        let again = events_sent(&mut owner, &open).await;
        assert_eq!(
            without_times_of(&again),
            without_times_of(&first),
            "each event has the id of the first time"
        );

        assert_eq!(shell.run(&["outbox", "replay", "--since", "1h", "--yes"]).code, 0);
        tokio::task::block_in_place(|| eventually("everything is sent again", is_sent));
        assert_eq!(events_sent(&mut owner, &open).await, again, "with the same bytes");
        let same = running.until(&open, |_| true).await;
        assert_eq!(same["revision"], after["revision"], "the replay has changed nothing");
        running.stop().await;
        companions.stop().await;
    })
    .await;
}
