//! The partitions of `outbox_sent`, which only PostgreSQL has.

use std::time::Duration;

use sqlx_core::connection::Connection as _;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnection;
use store::{PartitionMaintenance, Sent, Tx};

use crate::databases::{on_postgres, on_sqlite};
use crate::messages::{mark, message};
use crate::unit;

const WEEK: Duration = Duration::from_hours(7 * 24);

async fn run(connection: &mut PgConnection, text: &str) {
    sqlx_core::raw_sql::raw_sql(AssertSqlSafe(text.to_owned())).execute(connection).await.unwrap();
}

async fn number(connection: &mut PgConnection, text: &str) -> i64 {
    sqlx_core::query_scalar::query_scalar(AssertSqlSafe(text.to_owned())).fetch_one(connection).await.unwrap()
}

const PARTITIONS: &str = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'outbox_sent'::regclass";
const IN_DEFAULT: &str = "SELECT count(*) FROM outbox_sent_default";

async fn send(tx: &mut Tx, event: u128) {
    tx.enqueue(&[message(event, "a", i64::try_from(event).unwrap())]).await.unwrap();
    let id = tx.outbox_heads(&[mark(0, 0)], 1, 1).await.unwrap().remove(0).id;
    tx.outbox_sent(&[Sent { shard: 0, id, partition: 0, offset: 0 }]).await.unwrap();
}

/// Creates the partition of the day this many days ago, as the service would have done then.
fn old(days: u32) -> String {
    format!(
        "DO $$ DECLARE day date := (now() AT TIME ZONE 'UTC')::date - {days}; BEGIN \
         EXECUTE format('CREATE TABLE outbox_sent_%s PARTITION OF outbox_sent FOR VALUES FROM (%L) TO (%L)', \
         to_char(day, 'YYYYMMDD'), day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00'); END $$"
    )
}

#[tokio::test]
async fn the_next_days_have_partitions_and_the_default_one_stays_empty() {
    on_postgres(async |store, url| {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        assert_eq!(
            number(&mut connection, PARTITIONS).await,
            4,
            "today, the next two days, and the DEFAULT one"
        );
        assert_eq!(
            store.maintain_partitions(WEEK).await.unwrap(),
            PartitionMaintenance::default(),
            "there is nothing to do"
        );
        unit!(store, |tx| { send(tx, 1).await });
        assert_eq!(number(&mut connection, IN_DEFAULT).await, 0);
        assert_eq!(number(&mut connection, "SELECT count(*) FROM outbox_sent").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_partition_is_dropped_when_all_its_rows_have_expired_and_no_sooner() {
    on_postgres(async |store, url| {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        for days in [7, 8, 30] {
            run(&mut connection, &old(days)).await;
        }
        // A crash between detaching and dropping leaves this.
        run(&mut connection, "CREATE TABLE outbox_sent_20200101 (LIKE outbox_sent)").await;
        let done = store.maintain_partitions(WEEK).await.unwrap();
        assert_eq!(done, PartitionMaintenance { created: 0, dropped: 3, is_denied: false });
        assert_eq!(
            number(&mut connection, PARTITIONS).await,
            5,
            "the partition of seven days ago has rows that have not expired"
        );
    })
    .await;
}

#[tokio::test]
async fn a_day_with_rows_in_the_default_partition_stays_there_and_later_days_get_partitions() {
    on_postgres(async |store, url| {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        run(
            &mut connection,
            "DO $$ DECLARE t text; BEGIN FOR t IN SELECT relname FROM pg_class WHERE relname ~ '^outbox_sent_[0-9]{8}$' \
             LOOP EXECUTE 'DROP TABLE ' || t; END LOOP; END $$",
        )
        .await;
        unit!(store, |tx| { send(tx, 1).await });
        assert_eq!(number(&mut connection, IN_DEFAULT).await, 1);
        assert_eq!(store.maintain_partitions(WEEK).await.unwrap().created, 2);
        unit!(store, |tx| {
            send(tx, 2).await;
            let tomorrow = tx.now() + Duration::from_hours(24);
            assert_eq!(tx.prune_sent_days(tx.now(), 10).await?, 0, "the day is not over");
            assert_eq!(tx.prune_sent_days(tomorrow, 10).await?, 2);
        });
    })
    .await;
}

#[tokio::test]
async fn while_a_relay_archives_maintenance_gives_up_and_delays_no_other_session() {
    on_postgres(async |store, url| {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        run(&mut connection, &old(30)).await;
        run(&mut connection, "BEGIN; LOCK TABLE outbox_sent IN ROW EXCLUSIVE MODE").await;
        let busy = store.maintain_partitions(WEEK).await.unwrap_err();
        assert!(busy.is_transient(), "{busy}");
        run(&mut connection, "COMMIT").await;
        assert_eq!(store.maintain_partitions(WEEK).await.unwrap().dropped, 1);
    })
    .await;
}

#[tokio::test]
async fn sqlite_has_no_partitions() {
    on_sqlite(async |store| {
        assert_eq!(store.maintain_partitions(WEEK).await.unwrap(), PartitionMaintenance::default());
    })
    .await;
}
