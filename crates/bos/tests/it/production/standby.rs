//! A standby of PostgreSQL that takes over, behind an address that always leads to the primary.

use futures::StreamExt as _;
use service::companions::CompanionBehaviour;
use sqlx_core::connection::Connection as _;
use sqlx_core::query::query;
use sqlx_core::query_scalar::query_scalar;
use sqlx_postgres::PgConnection;
use testbed::postgres;
use testbed::proxy::Proxy;
use tokio::time::timeout;

use super::callers::{Callers, all_end};
use super::road::{Companions, ONE_AT_A_TIME, service};
use super::{kafka, migrated, started_or_left_out};
use crate::host::Client;
use crate::program::{PATIENCE, Server, plain_batch};

/// Classes that are acknowledged before the standby takes over.
const BEFORE: usize = 12;

/// A primary and its synchronous standby.
struct Pair {
    primary: postgres::Server,
    standby: postgres::Server,
    /// Forwards to the primary.
    address: Proxy,
}

impl Pair {
    /// Starts both, with the tables of BOS; `None` if that is not possible here.
    async fn start() -> Option<Self> {
        let start = || {
            let mut primary = postgres::Server::start()?;
            let standby = primary.standby()?;
            anyhow::Ok(Some((primary, standby)))
        };
        let pair = started_or_left_out("bos-standby", "a standby that takes over", start);
        let (primary, standby) = pair.await?;
        migrated(&primary.url()).await;
        let address = Proxy::listen().unwrap();
        address.forward_to(primary.port());
        Some(Self { primary, standby, address })
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.address.port())
    }

    /// A session with the first primary, after asserting that its commits wait for the standby.
    async fn witness(&self) -> PgConnection {
        let mut witness = PgConnection::connect(&self.primary.url()).await.unwrap();
        let waited_for: i64 =
            query_scalar("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
                .fetch_one(&mut witness)
                .await
                .unwrap();
        assert_eq!(waited_for, 1, "a commit waits for the standby");
        witness
    }
}

/// F48.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_to_the_standby_all_acknowledged_batches_exist_and_end() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    let Some(pair) = Pair::start().await else { return };
    drop(pair.witness().await);
    let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
    let service = service(&kafka, &companions.content, &pair.url()).await;
    let client = Client::at(service.base());

    let callers = Callers::of(&client);
    let fault = async {
        callers.until_acknowledged(BEFORE).await;
        let (primary, standby) = (pair.primary, pair.standby);
        let killed = tokio::task::spawn_blocking(move || {
            let mut primary = primary;
            primary.kill().unwrap();
            primary
        });
        let primary = killed.await.unwrap();
        callers.until_refused(4).await;
        let promoted = tokio::task::spawn_blocking(move || {
            standby.promote().unwrap();
            standby
        });
        let standby = promoted.await.unwrap();
        pair.address.forward_to(standby.port());
        callers.until_acknowledged(4).await;
        callers.stop();
        (primary, standby)
    };
    let (ids, _servers) = futures::join!(callers.hand_in(), fault);
    all_end(&ids, &service).await;
    service.stop().await;
    companions.stop().await;
}

/// F48: fencing a server does not have to end its sessions.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_with_a_server_that_became_read_only_are_closed_and_the_primary_is_used() {
    if kafka().is_none() {
        return;
    }
    let Some(pair) = Pair::start().await else { return };
    let mut witness = pair.witness().await;
    let folder = tempfile::tempdir().unwrap();
    let told = [
        ("DATABASE_URL", &*pair.url()),
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1"),
        ("CONTENT_SERVICE_URL", "http://127.0.0.1:1/v1/content"),
    ];
    let server = Server::told(&folder.path().join("data"), &[], &told);
    let client = Client::of(&server);
    let crowd = async |name: &str| -> Vec<String> {
        futures::stream::iter(0..24).map(|_| client.accepted(name)).buffer_unordered(24).collect().await
    };
    let before = crowd("before").await;
    client.shows(&before).await;

    for change in ["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"] {
        query(change).execute(&mut witness).await.unwrap();
    }
    pair.address.forward_to(pair.standby.port());
    let batch = plain_batch("fenced", 1);
    let fenced = async { while client.submit(&batch).await.status != 503 {} };
    timeout(PATIENCE, fenced).await.expect("the server refuses writes");
    for answer in futures::future::join_all((0..8).map(|_| client.submit(&batch))).await {
        assert_eq!((answer.status, answer.asks_to_wait), (503, true), "{}", answer.body);
    }

    let promoted = tokio::task::spawn_blocking(move || {
        pair.standby.promote().unwrap();
        pair
    });
    let _pair = promoted.await.unwrap();
    let again = async { while client.submit(&batch).await.status != 202 {} };
    timeout(PATIENCE, again).await.expect("the service continues without a restart");
    let after = crowd("after").await;
    client.shows(&[before, after].concat()).await;
}
