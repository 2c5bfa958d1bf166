//! Lists of operators' commands that are longer than a page of the API, from the file and from a running server.

use std::path::Path;
use std::sync::Arc;

use engine::consumer::CONSUMER;
use engine::ports::{Clock as _, SystemClock};
use serde_json::Value;
use store::{DeadLetter, Lane, OutboxRow, Owner, Store, TokenRow};
use uuid::Uuid;

use super::{Server, run};

/// One more than the API gives in a page.
const ROWS: u32 = 501;

/// Adds parked messages, dead letters and tokens to the database of an installation that does not run.
async fn fill(data: &Path) {
    std::fs::create_dir_all(data).unwrap();
    let store = Store::open_sqlite(&data.join("bos.db"), Arc::new(|| SystemClock::default().now())).unwrap();
    let unit = store.unit(Lane::Task, |tx| {
        Box::pin(async move {
            let messages: Vec<_> = (0..ROWS).map(message).collect();
            tx.enqueue(&messages).await?;
            for row in tx.outbox_rows(None, ROWS).await? {
                tx.park_outbox(row.shard, row.id, "record_too_large").await?;
            }
            for number in 0..ROWS {
                let at = tx.now();
                tx.insert_dead_letter(&DeadLetter {
                    consumer: CONSUMER.to_owned(),
                    topic: contract::Topic::BatchPhaseOutcome.as_str().to_owned(),
                    partition: 0,
                    offset: number.into(),
                    event_id: None,
                    batch_id: None,
                    error_code: "wrong_type".to_owned(),
                    value_sha256: vec![1; 32],
                    at,
                    after_revision: None,
                })
                .await?;
                tx.insert_token(&TokenRow {
                    token_id: format!("{number:016x}"),
                    sha256: [1; 32],
                    owner: Owner { user_id: "anna".to_owned(), org_id: None },
                    scopes: "read".to_owned(),
                    note: None,
                    created_at: at,
                    expires_at: None,
                    revoked_at: None,
                    issued_without_auth: false,
                })
                .await?;
            }
            Ok::<_, store::Error>(())
        })
    });
    unit.await.unwrap();
    store.close().await;
}

fn message(number: u32) -> OutboxRow {
    OutboxRow {
        shard: 0,
        event_id: Uuid::from_u128(number.into()),
        ordering_key: format!("key-{number}"),
        key_seq: 1,
        topic: contract::Topic::BatchPhaseOutcome.as_str().to_owned(),
        kafka_key: "k".to_owned(),
        payload: b"{}".to_vec(),
        headers: "{}".to_owned(),
    }
}

#[tokio::test]
async fn a_limit_above_a_page_gives_the_same_rows_from_a_server_and_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fill(&data).await;
    let listed = |port: &str, command: &[&str], id: &str| -> Vec<String> {
        let place = ["-o", "json", "--port", port, "--data-dir", data.to_str().unwrap()];
        let ran = run(&[command, &place].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let rows: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
        rows.iter().map(|row| row[id].as_str().unwrap().to_owned()).collect()
    };
    let commands: [(&[&str], &str, usize); 5] = [
        (&["outbox", "pending", "--limit", "501"], "id", 501),
        (&["dead-letter", "list", "--limit", "9999"], "id", 501),
        (&["dead-letter", "list", "--limit", "500"], "id", 500),
        (&["outbox", "pending"], "id", 50),
        (&["token", "list", "--user", "anna"], "token_id", 501),
    ];
    // No server listens on port 1, so the file is opened.
    let from_file = commands.map(|(command, id, _)| listed("1", command, id));
    let server = Server::on(&data, &[]);
    let port = server.socket().port().to_string();
    for ((command, id, count), from_file) in commands.into_iter().zip(from_file) {
        let from_server = listed(&port, command, id);
        assert_eq!(from_server.len(), count, "{command:?}");
        assert_eq!(from_server, from_file, "{command:?}");
        let mut different = from_server;
        different.sort();
        different.dedup();
        assert_eq!(different.len(), count, "{command:?}: each row once");
    }
    for command in [["outbox", "pending"], ["dead-letter", "list"]] {
        let none = server.run(&[command.as_slice(), &["--limit", "0"]].concat());
        assert_eq!(none.code, 2, "{}", none.stderr);
    }
}
