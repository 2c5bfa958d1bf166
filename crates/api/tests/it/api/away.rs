//! During an outage of the event bus, the status and the tag of a batch show how many of its messages wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use axum::http::StatusCode;
use contract::Topic;
use engine::News;
use engine::ports::{Broker, BrokerError, Delivery, Record, RecordPosition, SendError, Subscription};
use futures::future::BoxFuture;
use serde_json::json;

use super::{Api, batch};
use crate::databases::on_postgres;

/// A bus that the test makes available or unavailable. These tests send no messages.
#[derive(Debug, Default)]
struct Switch {
    is_away: AtomicBool,
}

#[async_trait]
impl Broker for Switch {
    fn send(&self, _: Record) -> BoxFuture<'static, Result<RecordPosition, SendError>> {
        Box::pin(async { Err(SendError::Unavailable { code: "broker_unreachable" }) })
    }

    async fn publish(&self, _: Vec<Record>) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn subscribe(&self, _: &'static str, _: Vec<Topic>) -> Result<Box<dyn Subscription>, BrokerError> {
        Err(BrokerError { doing: "subscribe", source: "not used by these tests".into() })
    }

    async fn fetch(&self, _: Topic, _: Vec<RecordPosition>) -> Result<Vec<Delivery>, BrokerError> {
        Err(BrokerError { doing: "fetch", source: "not used by these tests".into() })
    }

    fn outage(&self) -> Option<&'static str> {
        self.is_away.load(Ordering::SeqCst).then_some("broker_unreachable")
    }
}

async fn assert_the_outage_is_shown(api: &Api, bus: &Switch) {
    let away = |is_away| bus.is_away.store(is_away, Ordering::SeqCst);
    let mut body = batch(3);
    body["phases"] = json!(["spellcheck"]);
    let id = api.post_json("/v1/batch", &body).await.json()["batch_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/batch/{id}/status");
    away(true);
    let status = api.get(&path).await;
    assert_eq!((status.header("etag"), &status.json()["waiting_on"]["code"]), ("\"1\"", &json!("texts")));

    // The registration and three texts.
    api.store_texts(&id).await;
    let held = api.get(&path).await;
    let tag = held.header("etag").to_owned();
    assert!(tag.starts_with("\"2-"), "{tag}");
    let status = held.json();
    assert_eq!((&status["revision"], &status["waiting_on"]["code"]), (&json!(2), &json!("bus_unreachable")));
    assert_eq!(status["waiting_on"]["detail"], "4 messages");
    assert_eq!(status["waiting_on"]["since"], status["updated_at"]);
    assert_eq!(
        status["sentence"],
        "3 essays stored; waiting for the registration at the lifecycle service; 4 messages wait for the event bus, which is \
         unavailable."
    );
    let whole = api.get(&format!("/v1/batch/{id}")).await;
    assert_eq!((whole.header("etag"), &whole.json()["waiting_on"]), (tag.as_str(), &status["waiting_on"]));
    for path in [&path, &format!("/v1/batch/{id}")] {
        assert_eq!(api.get_with(path, "if-none-match", &tag).await.status, StatusCode::NOT_MODIFIED);
        assert_eq!(api.get_with(path, "if-none-match", "\"2\"").await.status, StatusCode::OK);
    }
    let waiting = format!("{path}?wait=20s");
    let (news, ()) = tokio::join!(api.get_with(&waiting, "if-none-match", &tag), async {
        tokio::task::yield_now().await;
        away(false);
    });
    assert_eq!((news.status, news.header("etag")), (StatusCode::OK, "\"2\""));
    assert_eq!(news.json()["waiting_on"]["code"], "registration");

    // Another batch has no waiting messages, and an ended batch waits for nothing.
    away(true);
    let other = api.batch_of(1).await;
    let other = api.get(&format!("/v1/batch/{other}/status")).await.json();
    assert_eq!(other["waiting_on"]["code"], "texts");
    api.tell(id.parse().unwrap(), News::Cancel(domain::CancelMode::Abandon)).await;
    let ended = api.get(&path).await;
    assert_eq!((ended.header("etag"), &ended.json()["waiting_on"]), ("\"3\"", &json!(null)));
}

#[tokio::test]
async fn status_and_tag_show_messages_that_wait_for_the_bus() {
    let bus = Arc::<Switch>::default();
    let api = Api::on_bus(None, Arc::<Switch>::clone(&bus)).await;
    assert_the_outage_is_shown(&api, &bus).await;
}

#[tokio::test]
async fn status_and_tag_show_messages_that_wait_for_the_bus_on_postgresql() {
    on_postgres(async |store, _| {
        let bus = Arc::<Switch>::default();
        let api = Api::on_bus(Some(store), Arc::<Switch>::clone(&bus)).await;
        assert_the_outage_is_shown(&api, &bus).await;
    })
    .await;
}
