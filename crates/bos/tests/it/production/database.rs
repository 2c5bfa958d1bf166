//! A PostgreSQL that is stopped, cut off, crowded or deserted by callers, under a service that works.
//!
//! The bus is an address where nobody listens: what is tried here is the way in, which needs no bus.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use sqlx_core::connection::Connection as _;
use sqlx_core::query_scalar::query_scalar;
use sqlx_postgres::PgConnection;
use store::Store;
use testbed::proxy::{Proxy, Trouble};
use tokio::time::timeout;

use super::{kafka, left_out};
use crate::databases::on_postgres;
use crate::host::vanishing::visit;
use crate::host::{Client, id_of};
use crate::neighbour::service::Service;
use crate::program::{PATIENCE, plain_batch};

/// How long a caller waits at most to hear that there is no database: what is promised, and a busy machine's share.
const SOON: Duration = Duration::from_secs(2);
const BUSY: Duration = Duration::from_secs(2);

/// Callers who hang up: so many, or fewer where they take longer than this time, but never fewer than the last number.
const VISITS: u32 = 1_000;
const VISITING: Duration = Duration::from_secs(6);
const VISITS_AT_LEAST: u32 = 200;

/// Far more callers at the same time than connections.
const CROWD: usize = 200;

/// A stopped run ends the servers that it has started.
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
async fn while_postgres_is_stopped_everybody_is_asked_to_come_back_and_then_it_goes_on_with_nothing_lost() {
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
                        // Who waited for a connection may have met the new start.
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
        // Not on this thread, which the callers share.
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
        timeout(PATIENCE, again).await.expect("it goes on without a restart");
        is_over.store(true, Ordering::SeqCst);
        postgres
    };
    let (acknowledged, _postgres) = futures::join!(load, fault);
    client.shows(&acknowledged.concat()).await;
    service.stop().await;
}

/// F41.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_found_by_its_key_and_made_once() {
    if kafka().is_none() {
        return;
    }
    on_postgres(async |_, url| {
        let (_, address) = url.split_once('@').unwrap();
        let (address, _) = address.split_once('/').unwrap();
        let proxy = Proxy::listen().unwrap();
        proxy.pass_on_to(address.rsplit_once(':').unwrap().1.parse().unwrap());
        let through = url.replace(address, &format!("127.0.0.1:{}", proxy.port()));
        let service = service(&through, &[]).await;
        let client = Client::at(service.base());
        let mut witness = PgConnection::connect(&url).await.unwrap();
        for number in 0..5 {
            let (key, batch) = (format!("key-{number}"), plain_batch("cut", 3));
            proxy.set(Trouble::CutAt(b"COMMIT"));
            let unknown = client.submit_under(&key, &batch).await;
            assert_eq!(unknown.status, 503, "{}", unknown.body);
            assert!(unknown.asks_to_wait, "{}", unknown.body);
            assert_eq!(batches(&mut witness).await, number + 1, "it was committed, and nobody was told");
            // Not only the next one may be lost.
            assert_eq!(client.submit_under(&key, &batch).await.status, 503);
            proxy.set(Trouble::None);
            let mut known = client.submit_under(&key, &batch).await;
            while known.status == 503 {
                known = client.submit_under(&key, &batch).await;
            }
            assert_eq!((known.status, known.is_replayed), (202, true), "{}", known.body);
            assert_eq!(batches(&mut witness).await, number + 1);
        }
        assert!(proxy.harmed() >= 5);
        service.stop().await;
    })
    .await;
}

/// Sessions of the service that sit in an open transaction.
async fn idle_in_transaction(witness: &mut PgConnection) -> i64 {
    query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bos' \
         AND state LIKE 'idle in transaction%' AND state_change < clock_timestamp() - interval '1 s'",
    )
    .fetch_one(witness)
    .await
    .unwrap()
}

/// F45: a caller that hangs up ends its handler wherever that was waiting.
#[tokio::test(flavor = "multi_thread")]
async fn callers_that_hang_up_leave_no_session_in_a_transaction_and_hide_nothing_that_was_acknowledged() {
    if kafka().is_none() {
        return;
    }
    on_postgres(async |_, url| {
        // Few connections, so that many callers hang up while they wait for one.
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
            assert_eq!(seen, 1, "{id} was acknowledged and another session does not see it");
        }
        // Whatever such a session had begun would be older than that by now.
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
async fn a_crowd_at_few_connections_is_answered_soon_and_our_own_tasks_keep_theirs() {
    if kafka().is_none() {
        return;
    }
    on_postgres(async |_, url| {
        let service = service(&url, &[("database_max_connections", "2"), ("lease_renewal", "500ms")]).await;
        let client = Client::at(service.base());
        client.accepted("before").await;
        let mut witness = PgConnection::connect(&url).await.unwrap();
        // Whoever hands in now holds a connection until this lock goes. Our own tasks, which find no Content Service, need none
        // of these rows.
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
                // It had the connection, and waited for the lock in vain.
                409 => with_a_connection += 1,
                status => panic!("{status} while nothing can be stored"),
            }
        }
        assert!(longest < SOON + BUSY, "the last was answered after {longest:?}");
        assert!(with_a_connection < 4, "{with_a_connection}");
        assert!(leased().await > before, "the leases were renewed beside the crowd");
        lock.rollback().await.unwrap();
        client.accepted("after").await;
        service.stop().await;
    })
    .await;
}
