//! A full disk under Kafka, which ends the broker.

use bos::run::companions::How;
use testbed::kafka;
use testbed::small_disk::SmallDisk;
use tokio::time::timeout;

use super::callers::Callers;
use super::road::{Companions, ONE_AT_A_TIME, ended, service};
use super::{left_out, started};
use crate::databases::on_postgres;
use crate::host::Client;
use crate::program::PATIENCE;

/// A broker with its data on a small disk.
async fn broker() -> Option<(SmallDisk, kafka::Server)> {
    let why = match started(kafka::Server::start_on_small_disk).await {
        Ok(Some(broker)) => return Some(broker),
        Ok(None) => "only root may mount a small one".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    left_out("bos-full-broker", &format!("a full disk under Kafka: {why}"));
    None
}

/// F26.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_broker_holds_messages_up_and_loses_none() {
    if super::kafka().is_none() {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |store, url| {
        let Some((disk, mut broker)) = broker().await else { return };
        let servers = broker.bootstrap_servers();
        let companions = Companions::start(&servers, How { instant: true, ..How::default() }).await;
        let service = service(&servers, &companions.content, &url).await;
        let client = Client::at(service.base());
        let callers = Callers::of(&client);
        let fault = async {
            callers.until_acknowledged(4).await;
            let disk = started(move || disk.fill().map(|()| disk)).await.unwrap();
            // The log of the topics has room in its last files for a while; the broker ends when it needs another.
            let ended = started(move || {
                while broker.check().is_ok() {
                    std::thread::yield_now();
                }
                anyhow::Ok(broker)
            });
            let mut broker = timeout(PATIENCE, ended).await.expect("the broker has met the end").unwrap();
            callers.until_acknowledged(4).await;
            callers.stop();
            let waiting = store.read(|tx| Box::pin(async move { tx.outbox_depth().await })).await.unwrap();
            assert!(waiting.pending > 0 && waiting.parked == 0, "{waiting:?}");
            let healed = started(move || {
                disk.clear()?;
                broker.restart()?;
                anyhow::Ok((disk, broker))
            });
            healed.await.unwrap()
        };
        let (ids, _servers) = futures::join!(callers.hand_in(), fault);
        for id in ids {
            let status = ended(&service, &id).await;
            assert_eq!(status["counts"]["succeeded"], 2, "{status}");
        }
        service.stop().await;
        companions.stop().await;
    })
    .await;
}
