//! A database whose clock jumps, under two processes that live by it.

use service::companions::How;
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

/// What a session asks for the time, in its own schema's words: PostgreSQL's answer, and as much more as is written down.
const CLOCK: [&str; 4] = [
    "CREATE SCHEMA clock",
    "CREATE TABLE clock.is_off AS SELECT interval '0' AS \"by\"",
    "CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE \
     AS 'SELECT pg_catalog.clock_timestamp() + \"by\" FROM clock.is_off'",
    // The system's own names come first unless they are named.
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, clock, pg_catalog', current_database()); END $$",
];

/// The database's operator.
struct Witness(PgConnection);

impl Witness {
    async fn of(url: &str) -> Self {
        let mut connection = PgConnection::connect(url).await.unwrap();
        for statement in CLOCK {
            query(statement).execute(&mut connection).await.unwrap();
        }
        // The next session has the clock that can be moved.
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
async fn a_clock_of_the_database_that_goes_back_an_hour_moves_no_lease_and_new_work_goes_on() {
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let mut witness = Witness::of(&url).await;
        let companions = Companions::start(&kafka, How { instant: true, ..How::default() }).await;
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
        assert_eq!(witness.number(epochs).await, shared, "each holder holds what it held");

        // What waited at the moment of the jump waits for the hour to pass, and then ends as well.
        witness.clock_is_off_by(0).await;
        assert_eq!(ended(&other, &under_way).await["counts"]["succeeded"], 3);
        witness.until_none("SELECT count(*) FROM outbox").await;
        // Of each: registration, three texts, one command, and the word that the pipeline has ended.
        assert_eq!(witness.number("SELECT count(*) FROM outbox_sent").await, 12);
        one.stop().await;
        other.stop().await;
        companions.stop().await;
    })
    .await;
}
