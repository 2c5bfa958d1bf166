//! How many blocks PostgreSQL reads to find a row of a queue, when deleted rows cannot be skipped because another session holds
//! a snapshot or a transaction, and when the statistics of the table are of a moment when it was empty.

mod staged_texts;
mod timers;

use std::ops::Range;

use sqlx_core::connection::Connection as _;
use sqlx_core::query::query;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnection;
use store::{Error, Lane, OutboxRow, PendingRow, Sent, Store, Tx};

use crate::databases::{noon, on_postgres};
use crate::messages::{mark, message};
use crate::unit;

/// Messages sent while the snapshot is held.
const SENT: u32 = 10_000;
/// Messages sent in one unit.
const TURN: u32 = 500;
/// Rows that fill a page or two.
const FEW: u32 = 40;
/// Messages enqueued at once.
const BURST: u32 = 4_000;
/// Looks whose blocks are counted.
const LOOKS: i64 = 20;
/// Messages postponed, and as many parked.
const FAILED: u32 = 200;
/// Runs after which a connection has its lasting plan of a statement: PostgreSQL plans the first five by their values.
const PLANNED: u32 = 6;

/// Messages with these numbers, each with its own key.
fn messages(numbers: Range<u32>) -> Vec<OutboxRow> {
    numbers.map(|n| message(n.into(), &format!("key {n}"), 0)).collect()
}

fn sent(row: &PendingRow) -> Sent {
    Sent { shard: 0, id: row.id, partition: 0, offset: row.id }
}

/// Archives the first `TURN` pending messages.
async fn send_turn(tx: &mut Tx) -> Result<(), Error> {
    let heads = tx.outbox_heads(&[mark(0, 0)], TURN, TURN).await?;
    assert_eq!(heads.len(), usize::try_from(TURN).unwrap());
    tx.outbox_sent(&heads.iter().map(sent).collect::<Vec<_>>()).await
}

/// Enqueues and archives `SENT` messages.
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

/// Looks for messages from this row on, over a connection that is closed afterwards, because a session reports what it has read
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

/// Blocks of this table and its indexes that all sessions have read so far, once only `sessions` of them are left.
async fn blocks(witness: &mut PgConnection, table: &str, sessions: i64) -> i64 {
    const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
    const BLOCKS: &str = "SELECT CAST(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit AS BIGINT) \
         FROM pg_statio_user_tables WHERE relname = $1";
    while query_scalar::<_, i64>(SESSIONS).fetch_one(&mut *witness).await.unwrap() > sessions {}
    query_scalar(BLOCKS).bind(table).fetch_one(witness).await.unwrap()
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
        let before = blocks(&mut witness, "outbox", 2).await;
        look(&url, low).await;
        let from_the_mark = blocks(&mut witness, "outbox", 2).await - before;
        look(&url, 0).await;
        let from_the_start = blocks(&mut witness, "outbox", 2).await - before - from_the_mark;
        snapshot.rollback().await.unwrap();

        assert!(from_the_start > LOOKS * 100, "the rows are not there: {from_the_start} blocks");
        assert!(from_the_mark <= LOOKS * 10, "{from_the_mark} blocks in {LOOKS} looks");
    })
    .await;
}

/// Runs a test alone, and beside an open transaction of another database of the server. PostgreSQL must not skip what was
/// deleted since that transaction began, because a snapshot takes the transactions of all databases into account.
async fn alone_and_beside_another_database(test: impl AsyncFn(Store, String)) {
    on_postgres(&test).await;
    beside_another_database(test).await;
}

/// Runs a test beside an open transaction of another database of the server.
async fn beside_another_database(test: impl AsyncFn(Store, String)) {
    on_postgres(async |_, other| {
        let mut other = PgConnection::connect(&other).await.unwrap();
        let mut transaction = other.begin().await.unwrap();
        query("SELECT pg_current_xact_id()").execute(&mut *transaction).await.unwrap();
        on_postgres(&test).await;
        transaction.rollback().await.unwrap();
    })
    .await;
}

/// A table whose statistics are of a moment when it held next to nothing, and a store that has made its plans by them.
struct Analyzed {
    store: Store,
    table: &'static str,
    server: PgConnection,
    before: i64,
}

impl Analyzed {
    /// Analyzes the table as it is, for good, and connects again.
    async fn new(store: Store, url: &str, table: &'static str) -> Self {
        store.close().await;
        let mut server = PgConnection::connect(url).await.unwrap();
        for text in
            [format!("ALTER TABLE {table} SET (autovacuum_enabled = off)"), format!("VACUUM ANALYZE {table}")]
        {
            query(AssertSqlSafe(text)).execute(&mut server).await.unwrap();
        }
        let before = blocks(&mut server, table, 1).await;
        // One connection for each purpose, so that every run is by the same plan.
        let store = Store::connect_postgres(url, 2).await.unwrap();
        Self { store, table, server, before }
    }

    /// The blocks of the table and its indexes that the store has read.
    async fn blocks_read(mut self) -> i64 {
        self.store.close().await;
        blocks(&mut self.server, self.table, 1).await - self.before
    }
}

/// An outbox that was analyzed when one message was left of a few. It must not be empty, or its table would have no page.
async fn analyzed_outbox(store: Store, url: &str) -> Analyzed {
    unit!(store, |tx| {
        tx.enqueue(&messages(0..FEW)).await?;
        let heads = tx.outbox_heads(&[mark(0, 0)], FEW - 1, FEW - 1).await?;
        tx.outbox_sent(&heads.iter().map(sent).collect::<Vec<_>>()).await?;
    });
    let outbox = Analyzed::new(store, url, "outbox").await;
    let store = &outbox.store;
    unit!(store, |tx| {
        for _ in 0..PLANNED {
            tx.outbox_heads(&[mark(0, 0)], TURN, TURN).await?;
            tx.outbox_sent(&[Sent { shard: 0, id: -1, partition: 0, offset: 0 }]).await?;
            tx.postpone_outbox(0, -1, noon()).await?;
            tx.park_outbox(0, -1, "code").await?;
            tx.unpark_outbox(0, -1).await?;
            tx.skip_outbox(0, -1).await?;
        }
    });
    outbox
}

#[tokio::test]
async fn statistics_of_an_empty_outbox_make_no_turn_of_a_full_one_slower() {
    alone_and_beside_another_database(async |store, url| {
        let outbox = analyzed_outbox(store, &url).await;
        let store = &outbox.store;
        unit!(store, |tx| { tx.enqueue(&messages(FEW..FEW + BURST - 1)).await? });
        for _ in 0..BURST / TURN {
            unit!(store, |tx| { send_turn(tx).await? });
        }
        let read = outbox.blocks_read().await;
        assert!(read < i64::from(BURST) * 40, "{read} blocks for {BURST} messages");
    })
    .await;
}

#[tokio::test]
async fn statistics_of_an_empty_outbox_make_no_failure_in_a_full_one_slower() {
    alone_and_beside_another_database(async |store, url| {
        let outbox = analyzed_outbox(store, &url).await;
        let store = &outbox.store;
        unit!(store, |tx| {
            tx.enqueue(&messages(FEW..FEW + BURST - 1)).await?;
            let heads = tx.outbox_heads(&[mark(0, 0)], 2 * FAILED, 2 * FAILED).await?;
            for (n, head) in heads.iter().enumerate() {
                if n % 2 == 0 {
                    assert_eq!(tx.postpone_outbox(0, head.id, noon()).await?, Some(1));
                } else {
                    tx.park_outbox(0, head.id, "code").await?;
                }
            }
            assert_eq!(tx.outbox_depth().await?.parked, i64::from(FAILED));
        });
        let read = outbox.blocks_read().await;
        assert!(
            read < i64::from(BURST) * 40,
            "{read} blocks for {BURST} messages, {FAILED} postponed, {FAILED} parked"
        );
    })
    .await;
}

#[tokio::test]
async fn statistics_of_an_empty_outbox_make_no_decision_of_an_operator_in_a_full_one_slower() {
    alone_and_beside_another_database(async |store, url| {
        let outbox = analyzed_outbox(store, &url).await;
        let store = &outbox.store;
        unit!(store, |tx| {
            tx.enqueue(&messages(FEW..FEW + BURST - 1)).await?;
            let heads = tx.outbox_heads(&[mark(0, 0)], 2 * FAILED, 2 * FAILED).await?;
            for (n, head) in heads.iter().enumerate() {
                tx.park_outbox(0, head.id, "code").await?;
                let decided = if n % 2 == 0 {
                    tx.unpark_outbox(0, head.id).await?
                } else {
                    tx.skip_outbox(0, head.id).await?
                };
                assert!(decided);
            }
            assert_eq!(tx.outbox_depth().await?.parked, 0);
        });
        let read = outbox.blocks_read().await;
        assert!(
            read < i64::from(BURST) * 40,
            "{read} blocks for {BURST} messages, {FAILED} unparked, {FAILED} skipped"
        );
    })
    .await;
}

/// Turns the automatic vacuum of a table off: it would delete rows, and what it reads would be counted.
async fn without_vacuum(url: &str, table: &str) {
    let mut server = PgConnection::connect(url).await.unwrap();
    let text = format!("ALTER TABLE {table} SET (autovacuum_enabled = off)");
    query(AssertSqlSafe(text)).execute(&mut server).await.unwrap();
}

/// The blocks of a table and its indexes that `LOOKS` reads take. No other session must be open.
async fn blocks_of_looks(url: &str, table: &str, look: impl AsyncFn(&Store)) -> i64 {
    let mut witness = PgConnection::connect(url).await.unwrap();
    let before = blocks(&mut witness, table, 1).await;
    let store = Store::connect_postgres(url, 2).await.unwrap();
    for _ in 0..LOOKS {
        look(&store).await;
    }
    store.close().await;
    blocks(&mut witness, table, 1).await - before
}

/// Compares the blocks of reads from the low-water mark with those of reads from the start.
fn assert_from_the_mark(from_the_mark: i64, from_the_start: i64) {
    assert!(from_the_start > LOOKS * 100, "the deleted rows are not there: {from_the_start} blocks");
    assert!(from_the_mark <= LOOKS * 10, "{from_the_mark} blocks in {LOOKS} looks");
}
