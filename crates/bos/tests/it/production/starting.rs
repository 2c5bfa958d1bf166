//! A PostgreSQL that is away when the service starts, and while it works.

use std::time::{Duration, Instant};

use service::run::{self, Ready, RunOptions};
use telemetry::Tasks;
use testbed::postgres;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{apart, migrated, started_or_left_out};
use crate::host::Client;
use crate::neighbour::service::configured;
use crate::program::{PATIENCE, Ran, bos, plain_batch};

/// Requests that are sent one after the other while the database is away.
const REQUESTS: u32 = 20;

/// A stopped server whose database has the tables; `None` if there are no programs of PostgreSQL.
async fn stopped() -> Option<postgres::Server> {
    let start = || postgres::Server::start().map(Some);
    let server = started_or_left_out("bos-postgres", "a PostgreSQL that is away at the start", start).await?;
    migrated(&server.url()).await;
    Some(stop(server).await)
}

async fn stop(mut server: postgres::Server) -> postgres::Server {
    let stop = move || server.stop_immediately().map(|()| server);
    apart(stop).await.unwrap()
}

async fn restart(mut server: postgres::Server) -> postgres::Server {
    let restart = move || server.restart().map(|()| server);
    apart(restart).await.unwrap()
}

/// A service that starts, without a bus and without a Content Service.
struct Started {
    client: Client,
    ready: oneshot::Receiver<Ready>,
    end: CancellationToken,
    tasks: Tasks,
    _folder: tempfile::TempDir,
}

impl Started {
    async fn on(url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = configured(&[
            ("data_dir", folder.path().to_str().unwrap()),
            ("database_url", url),
            ("kafka_bootstrap_servers", "127.0.0.1:1"),
            ("content_service_url", "http://127.0.0.1:1/v1/content"),
        ]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::at(&format!("http://{}", listener.local_addr().unwrap()));
        let (end, tasks) = (CancellationToken::new(), Tasks::new());
        let (tell, ready) = oneshot::channel();
        let told = move |ready: Ready| tell.send(ready).unwrap();
        let service = run::run(config, listener, RunOptions::default(), end.clone(), Box::new(told));
        tasks.spawn("service", async { service.await.unwrap() });
        Self { client, ready, end, tasks, _folder: folder }
    }

    /// Waits until `/readyz` names the database.
    async fn until_waiting(&self) {
        let waiting = async {
            loop {
                let ready = self.client.get("/readyz").await;
                assert_eq!((ready.status, &ready.body["store"]), (503, &"unavailable".into()));
                if ready.body["degraded"][0]["code"] == "database_unreachable" {
                    return;
                }
            }
        };
        timeout(PATIENCE, waiting).await.expect("/readyz says what the service waits for");
    }

    async fn stop(self) {
        self.end.cancel();
        assert!(self.tasks.shutdown(Duration::from_secs(10)).await.is_empty(), "the service does not stop");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_postgresql_is_away_at_the_start_waits_for_it_and_says_so() {
    let Some(server) = stopped().await else { return };
    let mut service = Started::on(&server.url()).await;
    assert_eq!(service.client.get("/healthz").await.status, 200);
    service.until_waiting().await;
    let refused = service.client.submit(&plain_batch("early", 1)).await;
    assert_eq!((refused.status, refused.asks_to_wait), (503, true), "{}", refused.body);
    assert_eq!(refused.body["retryable"], true);
    let server = restart(server).await;
    timeout(PATIENCE, &mut service.ready).await.expect("it starts once the database is there").unwrap();
    service.client.accepted("after").await;
    assert_eq!(service.client.get("/readyz").await.status, 200);
    service.stop().await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_without_a_kafka_says_so_within_seconds() {
    let Some(server) = stopped().await else { return };
    let server = restart(server).await;
    let begun = Instant::now();
    let mut command = bos(&["audit"]);
    command.env("DATABASE_URL", server.url()).env("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1");
    let ran: Ran = command.output().unwrap().into();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot reach Kafka"), "{}", ran.stderr);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_waits_for_postgresql_stops_when_it_is_told_to() {
    let Some(server) = stopped().await else { return };
    let service = Started::on(&server.url()).await;
    service.until_waiting().await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgresql_is_away_requests_are_refused_at_once() {
    let Some(server) = stopped().await else { return };
    let server = restart(server).await;
    let mut service = Started::on(&server.url()).await;
    timeout(PATIENCE, &mut service.ready).await.unwrap().unwrap();
    service.client.accepted("before").await;
    let server = stop(server).await;
    let begun = Instant::now();
    for _ in 0..REQUESTS {
        let refused = service.client.submit(&plain_batch("away", 1)).await;
        assert_eq!((refused.status, refused.asks_to_wait), (503, true), "{}", refused.body);
        assert_eq!(service.client.get("/readyz").await.status, 503);
    }
    // A pool would repeat each refused connection for 2 s.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let server = restart(server).await;
    let again = async { while service.client.submit(&plain_batch("again", 1)).await.status != 202 {} };
    timeout(PATIENCE, again).await.expect("the service continues without a restart");
    service.stop().await;
    drop(server);
}
