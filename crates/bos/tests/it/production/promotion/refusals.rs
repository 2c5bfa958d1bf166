//! What a promotion refuses, before anything is changed.

use service::companions::CompanionBehaviour;
use store::promotion::Promotion;
use store::{Lane, Store};
use tokio::sync::Mutex;

use super::super::kafka;
use super::super::road::{Companions, ONE_AT_A_TIME};
use super::promote;
use crate::databases::on_postgres;
use crate::program::{Ran, Server, bos};

#[track_caller]
fn refused(ran: &Ran, code: &str) {
    assert_eq!(ran.code, 2, "{} {}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(&format!("({code}")), "{}", ran.stderr);
    assert!(!ran.stderr.contains("postgres://postgres"), "{}", ran.stderr);
}

async fn claim(store: &Store, id: u128) {
    let unit = store.unit(Lane::Caller, move |tx| {
        let promotion = Promotion { id: uuid::Uuid::from_u128(id), copied: Vec::new(), is_done: false };
        Box::pin(async move { tx.claim_promotion(promotion).await })
    });
    let claimed: Result<_, store::Error> = unit.await;
    claimed.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_cannot_succeed_is_refused_with_its_code_and_changes_nothing() {
    let Some(kafka) = kafka() else { return };
    let _alone = Mutex::lock(&ONE_AT_A_TIME).await;
    on_postgres(async |store, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let content = companions.content.clone();
        let away = "http://127.0.0.1:1/v1/content";
        let server = Server::start();
        let folder = server.data().to_str().unwrap().to_owned();
        refused(&promote(&folder, &url, &kafka, &content, &[]), "source_in_use");
        server.terminate();
        let mut server = server;
        assert!(server.ended().success());

        refused(&promote("nowhere", &url, &kafka, &content, &[]), "no_source");
        refused(&promote(&folder, &url, &kafka, away, &[]), "content_unreachable");
        refused(&promote(&folder, &url, "127.0.0.1:1", &content, &[]), "kafka_unreachable");
        let none = bos(&["promote", "--data-dir", &folder, "--content", &content]).output().unwrap().into();
        refused(&none, "no_target");

        let unit = store.unit(Lane::Caller, |tx| Box::pin(tx.heartbeat("another")));
        let beaten: Result<_, store::Error> = unit.await;
        beaten.unwrap();
        refused(&promote(&folder, &url, &kafka, &content, &[]), "target_in_use");
        let unit = store.unit(Lane::Caller, |tx| Box::pin(tx.delete_replica("another")));
        let gone: Result<_, store::Error> = unit.await;
        gone.unwrap();

        claim(&store, 7).await;
        refused(&promote(&folder, &url, &kafka, &content, &[]), "target_of_another");
        let ran = bos(&["serve", "--port", "0", "--data-dir", &folder])
            .env("DATABASE_URL", &url)
            .env("KAFKA_BOOTSTRAP_SERVERS", &kafka)
            .env("CONTENT_SERVICE_URL", &content)
            .output()
            .unwrap();
        refused(&ran.into(), "promotion_unfinished");
        companions.stop().await;
    })
    .await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let made = bos(&["token", "create", "--user", "anna"]).env("DATABASE_URL", &url).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let server = Server::start();
        server.terminate();
        let mut server = server;
        assert!(server.ended().success());
        let folder = server.data().to_str().unwrap().to_owned();
        refused(&promote(&folder, &url, &kafka, &companions.content, &[]), "target_not_empty");
        // The folder can still be served.
        let server = Server::on(server.data(), &[]);
        assert_eq!(server.run(&["batch", "list"]).code, 0);
        companions.stop().await;
    })
    .await;
}
