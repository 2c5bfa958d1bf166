//! What administrators do about the outbox and about dead letters.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use chrono::{DateTime, Utc};
use contract::{BatchContentProvisioningCompleted, CourseCode, Envelope, EssayRef, Source, Topic};
use domain::{BatchId, EssayId};
use engine::LocalBroker;
use engine::consumer::CONSUMER;
use engine::ports::{Broker as _, Record};
use serde_json::{Value, json};
use store::{DeadLetter, Lane, OutboxRow, Store};
use uuid::Uuid;

use super::{Answer, Api};
use crate::databases::on_postgres;

/// Adds a parked message to the outbox; returns its id.
pub(super) async fn park(store: &Store, number: u128) -> String {
    let unit = store.unit(Lane::Task, move |tx| {
        Box::pin(async move {
            let event_id = Uuid::from_u128(number);
            let row = OutboxRow {
                shard: 3,
                event_id,
                ordering_key: format!("parked-{number}"),
                key_seq: 1,
                topic: Topic::BatchPhaseOutcome.as_str().to_owned(),
                kafka_key: "k".to_owned(),
                payload: b"{\"text\": \"canary\"}".to_vec(),
                headers: "{}".to_owned(),
            };
            tx.enqueue(&[row]).await?;
            let rows = tx.outbox_rows(None, 10_000).await?;
            let row = rows.into_iter().find(|row| row.event_id == event_id).map(|row| (row.shard, row.id));
            let (shard, id) = row.unwrap();
            tx.park_outbox(shard, id, "record_too_large").await?;
            Ok::<_, store::Error>(format!("{shard}/{id}"))
        })
    });
    unit.await.unwrap()
}

/// Adds the dead letter of the message at this offset; returns its id.
pub(super) async fn set_aside(store: &Store, offset: i64) -> String {
    set_aside_on(store, Topic::BatchPhaseOutcome, offset).await
}

async fn set_aside_on(store: &Store, topic: Topic, offset: i64) -> String {
    let unit = store.unit(Lane::Task, move |tx| {
        Box::pin(async move {
            let letter = DeadLetter {
                consumer: CONSUMER.to_owned(),
                topic: topic.as_str().to_owned(),
                partition: 0,
                offset,
                event_id: None,
                batch_id: None,
                error_code: "wrong_type".to_owned(),
                value_sha256: vec![1; 32],
                at: DateTime::<Utc>::UNIX_EPOCH,
                after_revision: None,
            };
            tx.insert_dead_letter(&letter).await
        })
    });
    let inserted: Result<bool, store::Error> = unit.await;
    assert!(inserted.unwrap());
    format!("{topic}/0/{offset}")
}

async fn on_embedded_bus() -> (Api, LocalBroker) {
    let folder = tempfile::tempdir().unwrap();
    let store = Api::database(&folder);
    let bus = LocalBroker::open(store.clone()).await.unwrap();
    (Api::made(store, folder, |_| {}, Some(Arc::new(bus.clone()))).await, bus)
}

async fn post(api: &Api, path: &str) -> Answer {
    api.send(Request::post(path).body(Body::empty()).unwrap()).await
}

async fn delete(api: &Api, path: &str) -> Answer {
    api.send(Request::delete(path).body(Body::empty()).unwrap()).await
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn parked_messages_are_listed_retried_and_skipped() {
    let api = Api::open().await;
    let store = api.engine.store();
    let (first, second) = (park(store, 1).await, park(store, 2).await);
    let answer = api.get("/v1/outbox").await;
    let list = answer.json();
    assert_eq!(ids(&list), [&first, &second]);
    assert_eq!((&list["depth"]["pending"], &list["depth"]["parked"]), (&json!(0), &json!(2)));
    let row = &list["data"][0];
    assert_eq!((&row["state"], &row["error_code"]), (&json!("parked"), &json!("record_too_large")));
    assert!(!answer.body.contains("canary"), "no payload: {}", answer.body);
    assert_eq!(ids(&api.get("/v1/outbox?limit=1").await.json()), [&first]);

    let retried = post(&api, &format!("/v1/outbox/{first}/retry")).await;
    assert_eq!(retried.json(), json!({"id": first, "outcome": "pending"}));
    let skipped = api.post_json(&format!("/v1/outbox/{second}/skip"), &json!({})).await;
    assert_eq!(skipped.json(), json!({"id": second, "outcome": "skipped"}));
    let list = api.get("/v1/outbox").await.json();
    assert_eq!((ids(&list), &list["data"][0]["state"]), (vec![first.as_str()], &json!("pending")));

    for verb in ["retry", "skip"] {
        for id in [first.as_str(), second.as_str(), "0/0", "a/b", "1/%FF", "9223372036854775808/1"] {
            post(&api, &format!("/v1/outbox/{id}/{verb}")).await.problem(404, "not_found");
        }
    }
}

/// The ids of a list, page by page.
async fn ids_by_page(api: &Api, path: &str, limit: usize) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let list = api.get(&format!("{path}?limit={limit}{cursor}")).await.json();
        pages.push(ids(&list).into_iter().map(str::to_owned).collect());
        let next = list["next_cursor"].as_str().map(str::to_owned);
        assert_eq!(list["has_more"], next.is_some(), "{list}");
        let Some(next) = next else { return pages };
        cursor = format!("&cursor={next}");
    }
}

async fn lists_are_paged(api: &Api) {
    let store = api.engine.store();
    let (mut messages, mut letters) = (Vec::new(), Vec::new());
    for number in 1..=4 {
        messages.push(park(store, number).await);
        // All were dead-lettered at one time, so their positions decide.
        letters.push(set_aside(store, number.try_into().unwrap()).await);
    }
    for (path, all) in [("/v1/outbox", messages), ("/v1/dead-letters", letters)] {
        let pages = ids_by_page(api, path, 3).await;
        assert_eq!(pages, [all[..3].to_vec(), all[3..].to_vec()]);
        assert_eq!(ids_by_page(api, path, 4).await, [all], "a full last page says that it is the last");
        for cursor in [
            "x",
            "1",
            "%00",
            "1/a/b",
            "99999999999999999999/1/2",
            "9223372036854775807/b/t/1/2",
            "1/b%00/t/1/2",
        ] {
            let problem = api.get(&format!("{path}?cursor={cursor}")).await.problem(400, "invalid_parameter");
            assert_eq!(problem["errors"][0]["parameter"], "cursor", "{problem}");
        }
    }
}

#[tokio::test]
async fn messages_and_dead_letters_are_listed_page_by_page() {
    lists_are_paged(&Api::open().await).await;
    on_postgres(async |store, _| lists_are_paged(&Api::on(store).await).await).await;
}

#[tokio::test]
async fn a_dead_letter_is_listed_shown_without_its_content_replayed_and_dropped() {
    let (api, bus) = on_embedded_bus().await;
    let record = Record {
        topic: Topic::BatchPhaseOutcome,
        key: "k".to_owned(),
        event_id: Uuid::from_u128(7),
        value: br#"{"event_id": "e-1", "secret": "canary", "data": {"essay": "canary"}}"#.to_vec(),
        headers: Vec::new(),
        at: None,
    };
    let offset = bus.send(record).await.unwrap().offset;
    let store = api.engine.store();
    let (here, gone) = (set_aside(store, offset).await, set_aside(store, offset + 1_000).await);

    let list = api.get("/v1/dead-letters").await.json();
    assert_eq!((ids(&list).len(), &list["depth"]["rows"]), (2, &json!(2)));
    assert_eq!(list["data"][0]["error_code"], "wrong_type");
    assert_eq!(ids(&api.get("/v1/dead-letters?limit=1").await.json()).len(), 1);

    let shown = api.get(&format!("/v1/dead-letters/{here}")).await;
    let detail = shown.json();
    assert_eq!((&detail["id"], &detail["record"]["envelope"]), (&json!(here), &json!({"event_id": "e-1"})));
    assert_eq!(
        (&detail["record"]["is_the_same"], &detail["record"]["data_fields"]),
        (&json!(false), &json!(["essay"]))
    );
    assert!(!shown.body.contains("canary"), "{}", shown.body);
    assert_eq!(api.get(&format!("/v1/dead-letters/{gone}")).await.json()["record"], Value::Null);

    let replayed = post(&api, &format!("/v1/dead-letters/{here}/replay")).await.json();
    assert_eq!((&replayed["outcome"], &replayed["is_forgotten"]), (&json!("unusable"), &json!(false)));
    assert!(replayed["error_code"].is_string(), "{replayed}");
    let replayed = post(&api, &format!("/v1/dead-letters/{gone}/replay")).await.json();
    assert_eq!(replayed, json!({"id": gone, "outcome": "gone", "is_forgotten": false}));

    for id in [&here, &gone] {
        let path = format!("/v1/dead-letters/{id}");
        assert_eq!(delete(&api, &path).await.status, StatusCode::NO_CONTENT);
        delete(&api, &path).await.problem(404, "not_found");
        api.get(&path).await.problem(404, "not_found");
        post(&api, &format!("{path}/replay")).await.problem(404, "not_found");
    }
    for id in ["other.topic/0/1", "a/b/c", "a%2F0/1/2", "%FF/0/1"] {
        api.get(&format!("/v1/dead-letters/{id}")).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_replayed_message_is_applied_and_its_dead_letter_deleted() {
    let (api, bus) = on_embedded_bus().await;
    let id = api.batch_of(1).await;
    api.store_texts(&id).await;
    let batch: BatchId = id.parse().unwrap();
    let essay_id = EssayId::new(batch, 0).as_uuid();
    let topic = Topic::BatchContentProvisioningCompleted;
    let essays = [EssayRef { essay_id, text_storage_id: "0".repeat(32) }];
    let event_id = Uuid::from_u128(8);
    let at = DateTime::UNIX_EPOCH;
    let correlation = Uuid::from_u128(9);
    let payload = BatchContentProvisioningCompleted::new(
        batch.as_uuid(),
        &essays,
        1,
        CourseCode::Eng5,
        "local",
        correlation,
        at,
    );
    let envelope =
        Envelope::new(topic, event_id, correlation, at, Source::EssayLifecycleService, payload, None);
    let record = Record {
        topic,
        key: id.clone(),
        event_id,
        value: envelope.to_bytes(),
        headers: Vec::new(),
        at: None,
    };
    let offset = bus.send(record).await.unwrap().offset;
    let letter = set_aside_on(api.engine.store(), topic, offset).await;

    let path = format!("/v1/dead-letters/{letter}");
    let replayed = post(&api, &format!("{path}/replay")).await.json();
    assert_eq!(replayed, json!({"id": letter, "outcome": "applied", "is_forgotten": true}));
    assert_eq!(api.get(&format!("/v1/batch/{id}/status")).await.json()["status"], "ready");
    api.get(&path).await.problem(404, "not_found");
    let letter = set_aside_on(api.engine.store(), topic, offset).await;
    let replayed = post(&api, &format!("/v1/dead-letters/{letter}/replay")).await.json();
    assert_eq!((&replayed["outcome"], &replayed["is_forgotten"]), (&json!("duplicate"), &json!(true)));
}

#[tokio::test]
async fn unknown_parameters_limits_and_bodies_are_refused() {
    let api = Api::open().await;
    let id = park(api.engine.store(), 1).await;
    for path in ["/v1/outbox", "/v1/dead-letters"] {
        api.get(&format!("{path}?limt=5")).await.problem(400, "unknown_parameter");
        for limit in ["0", "501", "x"] {
            api.get(&format!("{path}?limit={limit}")).await.problem(400, "invalid_parameter");
        }
    }
    api.get("/v1/dead-letters/t/0/1?x=1").await.problem(400, "unknown_parameter");
    let retry = format!("/v1/outbox/{id}/retry");
    post(&api, &format!("{retry}?now=1")).await.problem(400, "unknown_parameter");
    assert_eq!(api.post_json(&retry, &json!({"force": true})).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(post(&api, &retry).await.status, StatusCode::OK);
}
