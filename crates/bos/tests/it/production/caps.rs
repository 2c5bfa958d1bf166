//! An outage of a dependency so long that new submissions are refused.

use serde_json::Value;
use service::companions::CompanionBehaviour;
use testbed::proxy::Proxy;
use tokio::time::timeout;

use super::kafka;
use super::road::{Companions, ONE_AT_A_TIME, class, ended};
use crate::databases::on_postgres;
use crate::host::{Client, id_of};
use crate::neighbour::service::Service;
use crate::program::PATIENCE;

/// A proxy that refuses connections until [`open`] gives it a target, and its address.
fn closed_proxy() -> (Proxy, String) {
    let proxy = Proxy::listen().unwrap();
    let address = format!("127.0.0.1:{}", proxy.port());
    (proxy, address)
}

fn open(proxy: &Proxy, address: &str) {
    proxy.forward_to(address.rsplit_once(':').unwrap().1.parse().unwrap());
}

/// Submits classes until one is refused; the ids of the accepted ones.
async fn until_full(client: &Client) -> Vec<String> {
    let mut taken = Vec::new();
    let full = async {
        loop {
            let answer = client.submit(&class(2, &["spellcheck"])).await;
            if answer.status != 202 {
                assert_eq!((answer.status, &answer.body["code"]), (503, &Value::from("backlog_full")));
                assert!(answer.asks_to_wait, "{}", answer.body);
                return;
            }
            taken.push(id_of(&answer.body));
        }
    };
    timeout(PATIENCE, full).await.expect("the limit refuses submissions");
    taken
}

/// Asserts that submissions are accepted again, and that all accepted batches end.
async fn recovers(service: &Service, client: &Client, mut taken: Vec<String>) {
    let more = async {
        loop {
            let answer = client.submit(&class(2, &["spellcheck"])).await;
            if answer.status == 202 {
                return id_of(&answer.body);
            }
        }
    };
    taken.push(timeout(PATIENCE, more).await.expect("submissions are accepted again"));
    for batch in taken {
        assert_eq!(ended(service, &batch).await["counts"]["succeeded"], 2);
    }
}

/// Fills a service behind a closed proxy, opens the proxy to the dependency, and waits until all batches end.
async fn fills_and_recovers(content: String, settings: &[(&str, &str)], proxy: &Proxy, behind: &str) {
    let service = Service::start(content, settings).await;
    let client = Client::at(service.base());
    let taken = until_full(&client).await;
    client.shows(&taken).await;
    open(proxy, behind);
    recovers(&service, &client, taken).await;
    service.stop().await;
}

/// F78.
#[tokio::test(flavor = "multi_thread")]
async fn during_an_outage_of_kafka_the_outbox_stays_within_its_limit_and_all_accepted_work_ends() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let (proxy, address) = closed_proxy();
        let settings = [
            ("kafka_bootstrap_servers", &*address),
            ("kafka_session_timeout", "6s"),
            ("database_url", &*url),
            ("max_outbox_rows", "10"),
        ];
        fills_and_recovers(companions.content.clone(), &settings, &proxy, &kafka).await;
        companions.stop().await;
    })
    .await;
}

/// F62b.
#[tokio::test(flavor = "multi_thread")]
async fn during_an_outage_of_content_staged_texts_stay_within_their_limit_and_all_accepted_work_ends() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let (proxy, address) = closed_proxy();
        let settings = [
            ("kafka_bootstrap_servers", &*kafka),
            ("kafka_session_timeout", "6s"),
            ("database_url", &*url),
            ("max_staged_size", "500B"),
            ("retry_max_delay", "1s"),
        ];
        let behind = companions.content.trim_start_matches("http://").trim_end_matches("/v1/content");
        fills_and_recovers(companions.content.replace(behind, &address), &settings, &proxy, behind).await;
        companions.stop().await;
    })
    .await;
}
