//! A Kafka that authenticates the user but denies it rights.

use engine::consumer::CONSUMER;
use service::companions::CompanionBehaviour;
use store::LowWaterMark;
use testbed::kafka::acls::{Right, allow};
use testbed::kafka::tls::GUEST;

use super::encrypted::Doors;
use super::road::{Companions, ONE_AT_A_TIME, class, ended};
use super::{apart, kafka};
use crate::databases::on_postgres;
use crate::host::Client;
use crate::program::PATIENCE;

/// F25. The granted rights stay, which affects no other test, because no other test uses this user.
#[tokio::test(flavor = "multi_thread")]
async fn messages_wait_until_kafka_grants_the_rights_and_no_attempt_is_counted() {
    let (Some(kafka), Some(doors)) = (kafka(), Doors::find()) else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |store, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let service = doors.service(GUEST, &companions.content, &url).await;
        let client = Client::at(service.base());
        let batch = service.hand_in(&class(3, &["spellcheck"])).await;
        client.until_degraded_by(Some("broker_forbids")).await;
        service.until(&batch, |status| status["waiting_on"]["code"] == "bus_unreachable").await;
        let allowed = |rights: &'static [Right]| {
            let kafka = kafka.clone();
            apart(move || allow(&kafka, rights))
        };

        // An idempotent producer needs the right to write to any topic; messages to other topics are still refused one by one.
        allowed(&[Right::Write("huleedu.batch.essays.")]).await.unwrap();
        let is_other = |(topic, _): &(String, u32)| topic != "huleedu.batch.essays.registered.v1";
        until_waiting(&store, |waiting| waiting.iter().all(is_other)).await;
        let waiting = topics_waiting(&store).await;
        assert_eq!(waiting.len(), 3, "each essay's message: {waiting:?}");
        assert!(waiting.iter().all(|(_, attempts)| *attempts == 0), "{waiting:?}");
        let depth = store.read(|tx| Box::pin(async move { tx.outbox_depth().await })).await.unwrap();
        assert_eq!(depth.parked, 0, "{depth:?}");

        allowed(&[Right::Write("huleedu."), Right::Read("huleedu.")]).await.unwrap();
        // Everything is sent now, but nothing is read before the user may join the group.
        until_waiting(&store, <[_]>::is_empty).await;
        allowed(&[Right::Join(CONSUMER)]).await.unwrap();
        let status = ended(&service, &batch).await;
        assert_eq!(status["status"], "completed_successfully", "{status}");
        service.stop().await;
        companions.stop().await;
    })
    .await;
}

async fn until_waiting(store: &store::Store, is_so: impl Fn(&[(String, u32)]) -> bool) {
    let seen = async {
        while !is_so(&topics_waiting(store).await) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("the allowed messages are sent");
}

/// The topics of the messages that are sent next, each with its counted attempts.
async fn topics_waiting(store: &store::Store) -> Vec<(String, u32)> {
    let marks: Vec<LowWaterMark<i64>> = (0..64).map(|shard| LowWaterMark { shard, low: 0 }).collect();
    let heads = store
        .read(move |tx| {
            let marks = marks.clone();
            Box::pin(async move { tx.outbox_heads(&marks, 100, 100).await })
        })
        .await;
    heads.unwrap().into_iter().map(|row| (row.message.topic, row.attempts)).collect()
}
