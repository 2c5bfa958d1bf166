//! A full disk under Kafka, which ends the broker.

use service::companions::CompanionBehaviour;
use testbed::kafka;
use tokio::time::timeout;

use super::callers::{Callers, all_end};
use super::road::{Companions, ONE_AT_A_TIME, service};
use super::{apart, started_or_left_out};
use crate::databases::on_postgres;
use crate::host::Client;
use crate::program::PATIENCE;

/// F26.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_broker_delays_messages_and_loses_none() {
    if super::kafka().is_none() {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |store, url| {
        let start = kafka::Server::start_on_small_disk;
        let broker = started_or_left_out("bos-full-broker", "a full disk under Kafka", start);
        let Some((disk, mut broker)) = broker.await else { return };
        let servers = broker.bootstrap_servers();
        let companions = Companions::start(&servers, CompanionBehaviour::instant()).await;
        let service = service(&servers, &companions.content, &url).await;
        let client = Client::at(service.base());
        let callers = Callers::of(&client);
        let fault = async {
            callers.until_acknowledged(4).await;
            let disk = apart(move || disk.fill().map(|()| disk)).await.unwrap();
            // The current segment files still have space; the broker ends when it needs another file.
            let ended = apart(move || {
                while broker.check().is_ok() {
                    std::thread::yield_now();
                }
                anyhow::Ok(broker)
            });
            let mut broker = timeout(PATIENCE, ended).await.expect("the broker has ended").unwrap();
            callers.until_acknowledged(4).await;
            callers.stop();
            let waiting = store.read(|tx| Box::pin(async move { tx.outbox_depth().await })).await.unwrap();
            assert!(waiting.pending > 0 && waiting.parked == 0, "{waiting:?}");
            let healed = apart(move || {
                disk.clear()?;
                broker.restart()?;
                anyhow::Ok((disk, broker))
            });
            healed.await.unwrap()
        };
        let (ids, _servers) = futures::join!(callers.hand_in(), fault);
        all_end(&ids, &service).await;
        service.stop().await;
        companions.stop().await;
    })
    .await;
}
