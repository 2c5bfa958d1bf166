//! A PostgreSQL that is stopped, cut off, overloaded, or whose callers disconnect, while the service works.
//!
//! No Kafka listens at the configured address: these tests concern the accept path, which does not need it.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use sqlx_core::connection::Connection as _;
use sqlx_core::query_scalar::query_scalar;
use sqlx_postgres::PgConnection;
use store::Store;
use testbed::proxy::{NetworkFault, Proxy};
use tokio::time::timeout;

use super::{kafka, left_out};
use crate::databases::on_postgres;
use crate::host::vanishing::visit;
use crate::host::{Client, id_of};
use crate::neighbour::service::Service;
use crate::program::{PATIENCE, plain_batch};

/// Longest time until a caller gets 503 when there is no database: what is promised, plus an allowance for a busy machine.
const SOON: Duration = Duration::from_secs(2);
const BUSY: Duration = Duration::from_secs(2);

/// Number of callers that disconnect: `VISITS`, or fewer if they take longer than `VISITING`, but at least `VISITS_AT_LEAST`.
const VISITS: u32 = 1_000;
const VISITING: Duration = Duration::from_secs(6);
const VISITS_AT_LEAST: u32 = 200;

/// Callers at the same time, far more than connections.
const CROWD: usize = 200;

/// Ensures once that an interrupted test run ends the servers that it has started.
static WATCHED: Once = Once::new();

/// A service on a database, without a bus and without a Content Service.
async fn service(url: &str, settings: &[(&str, &str)]) -> Service {
    let own = [("database_url", url), ("kafka_bootstrap_servers", "127.0.0.1:1")];
    Service::start("http://127.0.0.1:1/v1/content".to_owned(), &[&own[..], settings].concat()).await
}

/// The number of batches, as another session sees them.
async fn batches(witness: &mut PgConnection) -> i64 {
    query_scalar("SELECT count(*) FROM batches").fetch_one(witness).await.unwrap()
}

/// F40.
#[tokio::test(flavor = "multi_thread")]
async fn while_postgresql_is_stopped_callers_get_503_and_nothing_acknowledged_is_lost() {
    if kafka().is_none() {
        return;
    }
    WATCHED.call_once(|| testbed::process::watch_signals().unwrap());
    let postgres = match tokio::task::spawn_blocking(testbed::postgres::Server::start).await.unwrap() {
        Ok(postgres) => postgres,
        Err(error) => return left_out("bos-postgres", &format!("a PostgreSQL that is stopped: {error:#}")),
    };
    let store = Store::connect_postgres(&postgres.url(), 4).await.unwrap();
    store.migrate_up().await.unwrap();
    store.close().await;
    let service = service(&postgres.url(), &[]).await;
    let client = Client::at(service.base());

    let (is_down, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let refused = AtomicUsize::new(0);
    let load = futures::stream::iter(0..8)
        .map(async |worker| {
            let mut acknowledged = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                let (begun, was_down) = (Instant::now(), is_down.load(Ordering::SeqCst));
                let answer = client.submit(&plain_batch(&format!("worker {worker}"), 2)).await;
                match answer.status {
                    202 => {
                        // A request that waited for a connection may have reached the restarted server.
                        let is_still_down = is_down.load(Ordering::SeqCst);
                        assert!(!(was_down && is_still_down), "acknowledged without a database");
                        acknowledged.push(id_of(&answer.body));
                    }
                    503 => {
                        assert!(answer.asks_to_wait, "{}", answer.body);
                        assert!(begun.elapsed() < SOON + BUSY, "answered after {:?}", begun.elapsed());
                        refused.fetch_add(usize::from(was_down), Ordering::SeqCst);
                    }
                    status => panic!("{status}: {}", answer.body),
                }
            }
            acknowledged
        })
        .buffer_unordered(8)
        .collect::<Vec<_>>();
    let fault = async {
        while client.get("/v1/batch").await.body["data"].as_array().is_none_or(|rows| rows.len() < 20) {}
        // On another thread, because the callers share this one.
        let mut postgres = postgres;
        let stopped = tokio::task::spawn_blocking(move || {
            postgres.stop_immediately().unwrap();
            postgres
        });
        let mut postgres = stopped.await.unwrap();
        is_down.store(true, Ordering::SeqCst);
        while refused.load(Ordering::SeqCst) < 16 {
            tokio::task::yield_now().await;
        }
        is_down.store(false, Ordering::SeqCst);
        let started = tokio::task::spawn_blocking(move || {
            postgres.restart().unwrap();
            postgres
        });
        let postgres = started.await.unwrap();
        let again = async { while client.submit(&plain_batch("again", 1)).await.status != 202 {} };
        timeout(PATIENCE, again).await.expect("the service continues without a restart");
        is_over.store(true, Ordering::SeqCst);
        postgres
    };
    let (acknowledged, _postgres) = futures::join!(load, fault);
    client.shows(&acknowledged.concat()).await;
    service.stop().await;
}

/// F41.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_found_by_its_idempotency_key() {
    if kafka().is_none() {
        return;
    }
    on_postgres(async |_, url| {
        let (_, address) = url.split_once('@').unwrap();
        let (address, _) = address.split_once('/').unwrap();
        let proxy = Proxy::listen().unwrap();
        proxy.forward_to(address.rsplit_once(':').unwrap().1.parse().unwrap());
        let through = url.replace(address, &format!("127.0.0.1:{}", proxy.port()));
        let service = service(&through, &[]).await;
        let client = Client::at(service.base());
        let mut witness = PgConnection::connect(&url).await.unwrap();
        for number in 0..5 {
            let (key, batch) = (format!("key-{number}"), plain_batch("cut", 3));
            proxy.set(NetworkFault::CutAt(b"COMMIT"));
            let unknown = client.submit_under(&key, &batch).await;
            assert_eq!(unknown.status, 503, "{}", unknown.body);
            assert!(unknown.asks_to_wait, "{}", unknown.body);
            assert_eq!(batches(&mut witness).await, number + 1, "it was committed, and the answer was lost");
            // A second answer may be lost too.
            assert_eq!(client.submit_under(&key, &batch).await.status, 503);
            proxy.set(NetworkFault::None);
            let mut known = client.submit_under(&key, &batch).await;
            while known.status == 503 {
                known = client.submit_under(&key, &batch).await;
            }
            assert_eq!((known.status, known.is_replayed), (202, true), "{}", known.body);
            assert_eq!(batches(&mut witness).await, number + 1);
        }
        assert!(proxy.affected() >= 5);
        service.stop().await;
    })
    .await;
}

/// Number of sessions of the service that have been idle in a transaction for more than 1 s.
async fn idle_in_transaction(witness: &mut PgConnection) -> i64 {
    query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bos' \
         AND state LIKE 'idle in transaction%' AND state_change < clock_timestamp() - interval '1 s'",
    )
    .fetch_one(witness)
    .await
    .unwrap()
}

/// F45: when a caller disconnects, its handler is dropped wherever it was waiting.
#[tokio::test(flavor = "multi_thread")]
async fn callers_that_disconnect_leave_no_open_transaction_and_lose_no_acknowledged_batch() {
    if kafka().is_none() {
        return;
    }
    on_postgres(async |_, url| {
        // Few connections, so that many callers disconnect while they wait for one.
        let service = service(&url, &[("database_max_connections", "4")]).await;
        let address = service.base().trim_start_matches("http://").parse().unwrap();
        let began = Instant::now();
        let acknowledged: Vec<String> = futures::stream::iter(0..VISITS)
            .map(async |number| {
                if number >= VISITS_AT_LEAST && began.elapsed() > VISITING {
                    None
                } else {
                    visit(address, number).await
                }
            })
            .buffer_unordered(48)
            .filter_map(async |id| id)
            .collect()
            .await;
        assert!(
            acknowledged.len() >= usize::try_from(VISITS_AT_LEAST / 8).unwrap(),
            "{}",
            acknowledged.len()
        );
        let mut witness = PgConnection::connect(&url).await.unwrap();
        for id in &acknowledged {
            let seen: i64 = query_scalar("SELECT count(*) FROM batches WHERE batch_id = $1")
                .bind(id.parse::<uuid::Uuid>().unwrap())
                .fetch_one(&mut witness)
                .await
                .unwrap();
            assert_eq!(seen, 1, "{id} was acknowledged, but another session does not see it");
        }
        // A transaction that was left open would be older than 1 s after this.
        let client = Client::at(service.base());
        let later = Instant::now();
        while later.elapsed() < Duration::from_millis(1_500) {
            client.accepted("later").await;
        }
        assert_eq!(idle_in_transaction(&mut witness).await, 0);
        service.stop().await;
    })
    .await;
}

/// F46.
#[tokio::test(flavor = "multi_thread")]
async fn with_few_connections_many_callers_are_answered_soon_and_background_tasks_keep_theirs() {
    if kafka().is_none() {
        return;
    }
    on_postgres(async |_, url| {
        let service = service(&url, &[("database_max_connections", "2"), ("lease_renewal", "500ms")]).await;
        let client = Client::at(service.base());
        client.accepted("before").await;
        let mut witness = PgConnection::connect(&url).await.unwrap();
        // A submission now holds a connection until this lock is released. The background tasks, which reach no Content
        // Service, need none of these rows.
        let mut lock = witness.begin().await.unwrap();
        sqlx_core::query::query("LOCK TABLE essays IN EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
        let leased = async || -> i64 {
            let mut other = PgConnection::connect(&url).await.unwrap();
            query_scalar("SELECT CAST(extract(epoch FROM max(lease_until)) * 1000 AS BIGINT) FROM leases")
                .fetch_one(&mut other)
                .await
                .unwrap()
        };
        let before = leased().await;
        let crowd = futures::stream::iter(0..CROWD)
            .map(async |number| {
                let begun = Instant::now();
                let answer = client.submit(&plain_batch(&format!("crowd {number}"), 1)).await;
                assert!(answer.asks_to_wait, "{}", answer.body);
                (answer.status, begun.elapsed())
            })
            .buffer_unordered(CROWD)
            .collect::<Vec<_>>();
        let mut longest = Duration::ZERO;
        let mut with_a_connection = 0;
        for (status, took) in crowd.await {
            match status {
                503 => longest = longest.max(took),
                // It had a connection, and the wait for the lock timed out.
                409 => with_a_connection += 1,
                status => panic!("{status} although nothing can be stored"),
            }
        }
        assert!(longest < SOON + BUSY, "the last was answered after {longest:?}");
        assert!(with_a_connection < 4, "{with_a_connection}");
        assert!(leased().await > before, "the leases were renewed meanwhile");
        lock.rollback().await.unwrap();
        client.accepted("after").await;
        service.stop().await;
    })
    .await;
}
