//! A snapshot that another session holds for long: rows that are gone stay in the tables, for no vacuum may take them.

use sqlx_core::connection::Connection as _;
use sqlx_core::query::query;
use sqlx_core::query_scalar::query_scalar;
use sqlx_postgres::PgConnection;
use store::{Error, Lane, PendingRow, Sent, Store};

use crate::databases::on_postgres;
use crate::messages::{mark, message};
use crate::unit;

/// Messages that were sent while the snapshot was held, and how many go in one turn.
const SENT: u32 = 10_000;
const TURN: u32 = 500;
/// Looks whose reading is counted.
const LOOKS: i64 = 20;

/// Puts messages of keys of their own into the outbox and takes them out again as sent.
async fn send_many(store: &Store) {
    for turn in 0..SENT / TURN {
        let send = store.unit(Lane::Task, move |tx| {
            Box::pin(async move {
                let numbers = turn * TURN..(turn + 1) * TURN;
                let messages: Vec<_> = numbers.map(|n| message(n.into(), &format!("key {n}"), 0)).collect();
                tx.enqueue(&messages).await?;
                let heads = tx.outbox_heads(&[mark(0, 0)], TURN, TURN).await?;
                assert_eq!(heads.len(), messages.len());
                let sent = |row: &PendingRow| Sent { shard: 0, id: row.id, partition: 0, offset: row.id };
                tx.outbox_sent(&heads.iter().map(sent).collect::<Vec<_>>()).await
            })
        });
        send.await.unwrap();
    }
}

/// Looks for messages from this number on, over a connection that is closed afterwards: a session tells what it has read
/// when it ends.
async fn look(url: &str, low: i64) {
    let store = Store::connect_postgres(url, 2).await.unwrap();
    for _ in 0..LOOKS {
        let found = store
            .read(move |tx| Box::pin(async move { tx.outbox_heads(&[mark(0, low)], TURN, TURN).await }))
            .await;
        assert_eq!(found.unwrap().len(), 1);
    }
    store.close().await;
}

/// Blocks of the outbox and its indexes that all sessions have read so far, once only `sessions` of them are left.
async fn blocks(witness: &mut PgConnection, sessions: i64) -> i64 {
    const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
    const BLOCKS: &str = "SELECT CAST(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit AS BIGINT) \
         FROM pg_statio_user_tables WHERE relname = 'outbox'";
    while query_scalar::<_, i64>(SESSIONS).fetch_one(&mut *witness).await.unwrap() > sessions {}
    query_scalar(BLOCKS).fetch_one(witness).await.unwrap()
}

#[tokio::test]
async fn a_snapshot_held_elsewhere_makes_no_look_from_the_mark_slower() {
    on_postgres(async |store, url| {
        let mut holder = PgConnection::connect(&url).await.unwrap();
        // What it reads would be counted as well.
        query("ALTER TABLE outbox SET (autovacuum_enabled = off)").execute(&mut holder).await.unwrap();
        let mut snapshot = holder.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
        query("SELECT count(*) FROM outbox").execute(&mut *snapshot).await.unwrap();
        send_many(&store).await;
        query("VACUUM outbox").execute(&mut PgConnection::connect(&url).await.unwrap()).await.unwrap();
        unit!(store, |tx| { tx.enqueue(&[message(u128::from(SENT), "key", 0)]).await? });
        let low = store
            .read(|tx| Box::pin(async move { Ok::<_, Error>(tx.outbox_low(&[mark(0, 0)]).await?[0].low) }))
            .await
            .unwrap();
        store.close().await;

        let mut witness = PgConnection::connect(&url).await.unwrap();
        let before = blocks(&mut witness, 2).await;
        look(&url, low).await;
        let from_the_mark = blocks(&mut witness, 2).await - before;
        look(&url, 0).await;
        let from_the_start = blocks(&mut witness, 2).await - before - from_the_mark;
        snapshot.rollback().await.unwrap();

        assert!(from_the_start > LOOKS * 100, "the rows are not there: {from_the_start} blocks");
        assert!(from_the_mark <= LOOKS * 10, "{from_the_mark} blocks in {LOOKS} looks");
    })
    .await;
}
