//! A database whose clock jumps, with two processes that follow it.

use service::companions::CompanionBehaviour;
use sqlx_core::connection::Connection as _;
use sqlx_core::query::query;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnection;
use tokio::time::timeout;

use super::kafka;
use super::road::{Companions, ONE_AT_A_TIME, class, ended, service};
use crate::databases::on_postgres;
use crate::program::PATIENCE;

/// Statements that replace `clock_timestamp()` in later sessions by PostgreSQL's time plus the interval in a table.
const CLOCK: [&str; 4] = [
    "CREATE SCHEMA clock",
    "CREATE TABLE clock.is_off AS SELECT interval '0' AS \"by\"",
    "CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE \
     AS 'SELECT pg_catalog.clock_timestamp() + \"by\" FROM clock.is_off'",
    // `pg_catalog` is searched first unless the search path names it.
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, clock, pg_catalog', current_database()); END $$",
];

/// A session that moves the clock and reads the tables.
struct Witness(PgConnection);

impl Witness {
    async fn of(url: &str) -> Self {
        let mut connection = PgConnection::connect(url).await.unwrap();
        for statement in CLOCK {
            query(statement).execute(&mut connection).await.unwrap();
        }
        // Only a new session has the search path, and so the clock that can be moved.
        Self(PgConnection::connect(url).await.unwrap())
    }

    async fn clock_is_off_by(&mut self, hours: i32) {
        let moved = format!("UPDATE clock.is_off SET \"by\" = interval '{hours} hours'");
        query(AssertSqlSafe(moved)).execute(&mut self.0).await.unwrap();
    }

    async fn number(&mut self, question: &'static str) -> i64 {
        query_scalar(question).fetch_one(&mut self.0).await.unwrap()
    }

    async fn until_none(&mut self, question: &'static str) {
        let none = async { while self.number(question).await > 0 {} };
        timeout(PATIENCE, none).await.expect(question);
    }
}

/// F49.
#[tokio::test(flavor = "multi_thread")]
async fn when_the_clock_of_the_database_goes_back_an_hour_no_lease_moves_and_new_work_continues() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let mut witness = Witness::of(&url).await;
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let one = service(&kafka, &companions.content, &url).await;
        let other = service(&kafka, &companions.content, &url).await;
        witness.until_none("SELECT 2 - count(DISTINCT owner) FROM leases").await;
        let epochs = "SELECT CAST(sum(epoch) AS BIGINT) FROM leases";
        let shared = witness.number(epochs).await;

        let under_way = one.hand_in(&class(3, &["spellcheck"])).await;
        witness.clock_is_off_by(-1).await;
        let afterwards = other.hand_in(&class(3, &["spellcheck"])).await;
        assert_eq!(ended(&one, &afterwards).await["counts"]["succeeded"], 3);
        let of_before =
            "SELECT count(*) FROM leases WHERE lease_until > clock_timestamp() + interval '1 minute'";
        witness.until_none(of_before).await;
        assert_eq!(witness.number(epochs).await, shared, "no lease has changed hands");

        // Work that was waiting at the moment of the jump waits for the hour to pass, and then ends.
        witness.clock_is_off_by(0).await;
        assert_eq!(ended(&other, &under_way).await["counts"]["succeeded"], 3);
        witness.until_none("SELECT count(*) FROM outbox").await;
        // For each batch: the registration, three provisioned texts, one command, and the completion event.
        assert_eq!(witness.number("SELECT count(*) FROM outbox_sent").await, 12);
        one.stop().await;
        other.stop().await;
        companions.stop().await;
    })
    .await;
}
