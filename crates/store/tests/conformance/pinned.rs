//! What PostgreSQL reads to find a message: when a snapshot that another session holds for long keeps rows that are gone in
//! the tables, since no vacuum may take them; and when what it knows of a queue is of a moment when that was empty.

use std::ops::Range;

use sqlx_core::connection::Connection as _;
use sqlx_core::query::query;
use sqlx_core::query_scalar::query_scalar;
use sqlx_postgres::PgConnection;
use store::{Error, Lane, OutboxRow, PendingRow, Sent, Store, Tx};

use crate::databases::on_postgres;
use crate::messages::{mark, message};
use crate::unit;

/// Messages that were sent while the snapshot was held, and how many go in one turn.
const SENT: u32 = 10_000;
const TURN: u32 = 500;
/// So many messages fill a page or two.
const FEW: u32 = 40;
/// Messages that come at once.
const BURST: u32 = 4_000;
/// Looks whose reading is counted.
const LOOKS: i64 = 20;

/// Messages with these numbers, of keys of their own.
fn messages(numbers: Range<u32>) -> Vec<OutboxRow> {
    numbers.map(|n| message(n.into(), &format!("key {n}"), 0)).collect()
}

fn sent(row: &PendingRow) -> Sent {
    Sent { shard: 0, id: row.id, partition: 0, offset: row.id }
}

/// Takes a turn of messages out of the outbox as sent.
async fn send_turn(tx: &mut Tx) -> Result<(), Error> {
    let heads = tx.outbox_heads(&[mark(0, 0)], TURN, TURN).await?;
    assert_eq!(heads.len(), usize::try_from(TURN).unwrap());
    tx.outbox_sent(&heads.iter().map(sent).collect::<Vec<_>>()).await
}

/// Puts messages into the outbox and takes them out again.
async fn send_many(store: &Store) {
    for turn in 0..SENT / TURN {
        let send = store.unit(Lane::Task, move |tx| {
            Box::pin(async move {
                tx.enqueue(&messages(turn * TURN..(turn + 1) * TURN)).await?;
                send_turn(tx).await
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

#[tokio::test]
async fn what_is_known_of_an_empty_queue_makes_no_look_at_a_full_one_slower() {
    on_postgres(async |store, url| {
        let mut server = PgConnection::connect(&url).await.unwrap();
        query("ALTER TABLE outbox SET (autovacuum_enabled = off)").execute(&mut server).await.unwrap();
        // The last of a few messages is still there, or the table would have no page at all.
        unit!(store, |tx| {
            tx.enqueue(&messages(0..FEW)).await?;
            let heads = tx.outbox_heads(&[mark(0, 0)], FEW - 1, FEW - 1).await?;
            tx.outbox_sent(&heads.iter().map(sent).collect::<Vec<_>>()).await?;
        });
        query("VACUUM ANALYZE outbox").execute(&mut server).await.unwrap();
        store.close().await;
        let before = blocks(&mut server, 1).await;

        // One connection, whose plans are kept from the sixth time on.
        let store = Store::connect_postgres(&url, 2).await.unwrap();
        unit!(store, |tx| {
            for _ in 0..6 {
                tx.outbox_heads(&[mark(0, 0)], TURN, TURN).await?;
                tx.outbox_sent(&[Sent { shard: 0, id: -1, partition: 0, offset: 0 }]).await?;
            }
        });
        unit!(store, |tx| { tx.enqueue(&messages(FEW..FEW + BURST - 1)).await? });
        for _ in 0..BURST / TURN {
            unit!(store, |tx| { send_turn(tx).await? });
        }
        store.close().await;
        let read = blocks(&mut server, 1).await - before;
        assert!(read < i64::from(BURST) * 200, "{read} blocks for {BURST} messages");
    })
    .await;
}
