//! A neighbour that is away for so long that no more is taken in.

use serde_json::Value;
use service::companions::How;
use testbed::proxy::Proxy;
use tokio::time::timeout;

use super::kafka;
use super::road::{Companions, ONE_AT_A_TIME, class, ended};
use crate::databases::on_postgres;
use crate::host::{Client, id_of};
use crate::neighbour::service::Service;
use crate::program::PATIENCE;

/// A door that is shut until somebody is behind it.
fn door() -> (Proxy, String) {
    let door = Proxy::listen().unwrap();
    let address = format!("127.0.0.1:{}", door.port());
    (door, address)
}

fn open(door: &Proxy, address: &str) {
    door.pass_on_to(address.rsplit_once(':').unwrap().1.parse().unwrap());
}

/// Hands in classes until no more are taken, and gives those that were.
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
    timeout(PATIENCE, full).await.expect("there is a cap");
    taken
}

/// All that was taken ends, and more is taken.
async fn goes_on(service: &Service, client: &Client, mut taken: Vec<String>) {
    let more = async {
        loop {
            let answer = client.submit(&class(2, &["spellcheck"])).await;
            if answer.status == 202 {
                return id_of(&answer.body);
            }
        }
    };
    taken.push(timeout(PATIENCE, more).await.expect("more is taken when there is room"));
    for batch in taken {
        assert_eq!(ended(service, &batch).await["counts"]["succeeded"], 2);
    }
}

/// Fills a service that is led to a shut door, opens the door to what is behind it, and sees everything end.
async fn fills_and_goes_on(content: String, settings: &[(&str, &str)], door: &Proxy, behind: &str) {
    let service = Service::start(content, settings).await;
    let client = Client::at(service.base());
    let taken = until_full(&client).await;
    client.shows(&taken).await;
    open(door, behind);
    goes_on(&service, &client, taken).await;
    service.stop().await;
}

/// F78.
#[tokio::test(flavor = "multi_thread")]
async fn while_kafka_is_away_no_more_is_taken_than_the_outbox_may_hold_and_all_of_it_ends() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, How { instant: true, ..How::default() }).await;
        let (door, address) = door();
        let settings = [
            ("kafka_bootstrap_servers", &*address),
            ("kafka_session_timeout", "6s"),
            ("database_url", &*url),
            ("max_outbox_rows", "10"),
        ];
        fills_and_goes_on(companions.content.clone(), &settings, &door, &kafka).await;
        companions.stop().await;
    })
    .await;
}

/// F62b.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_content_service_is_away_no_more_is_taken_than_may_be_staged_and_all_of_it_ends() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, How { instant: true, ..How::default() }).await;
        let (door, address) = door();
        let settings = [
            ("kafka_bootstrap_servers", &*kafka),
            ("kafka_session_timeout", "6s"),
            ("database_url", &*url),
            ("max_staged_size", "500B"),
            ("retry_max_delay", "1s"),
        ];
        let behind = companions.content.trim_start_matches("http://").trim_end_matches("/v1/content");
        fills_and_goes_on(companions.content.replace(behind, &address), &settings, &door, behind).await;
        companions.stop().await;
    })
    .await;
}
