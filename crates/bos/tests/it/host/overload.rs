//! More callers than the service can admit.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt as _;
use serde_json::{Value, json};

use super::{Client, id_of};
use crate::program::Server;

/// Callers that submit again immediately after each answer.
const CALLERS: usize = 256;
/// Size of an essay in bytes.
const TEXT: usize = 50_000;
/// Essays of a submission.
const ESSAYS: usize = 16;

/// The test ends when this many submissions were accepted and this many refused.
const TAKEN: usize = 24;
const REFUSED: usize = 400;

/// Bound of the growth of the service's memory; measured: about 95 MB for the connections' buffers, the admitted bodies, the
/// database and the allocator. The bodies of all callers together are 205 MB.
const MEMORY: u64 = 150 << 20;

fn class(caller: usize) -> Value {
    let essays: Vec<Value> =
        (0..ESSAYS).map(|n| json!({"text": format!("{caller} {n} {}", "word ".repeat(TEXT / 5))})).collect();
    json!({"essays": essays})
}

/// The peak resident memory of the server, in bytes.
fn peak(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// F77.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn with_too_many_callers_each_submission_is_accepted_or_refused_and_accepted_ones_end() {
    let folder = tempfile::tempdir().unwrap();
    let limits = ["max_body_size=1MiB", "max_bodies_in_flight=2MiB"];
    let server = Server::on(&folder.path().join("data"), &limits);
    let client = Client::of(&server);
    client.submit(&class(0)).await;
    let before = peak(&server);
    let (taken, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let is_over = || taken.load(Ordering::SeqCst) >= TAKEN && refused.load(Ordering::SeqCst) >= REFUSED;
    let crowd = futures::stream::iter(0..CALLERS)
        .map(async |caller| {
            let class = class(caller);
            let mut ids = Vec::new();
            while !is_over() {
                let answer = client.submit(&class).await;
                if answer.status == 202 {
                    ids.push(id_of(&answer.body));
                    taken.fetch_add(1, Ordering::SeqCst);
                } else {
                    assert!(matches!(answer.status, 429 | 503) && answer.asks_to_wait, "{}", answer.body);
                    refused.fetch_add(1, Ordering::SeqCst);
                }
            }
            ids
        })
        .buffer_unordered(CALLERS)
        .collect::<Vec<_>>();
    let ids = crowd.await.concat();
    let grown = peak(&server) - before;
    assert!(grown < MEMORY, "{grown} bytes more than for one caller");
    client.shows(&ids).await;
    for id in &ids {
        client.until(id, "ready").await;
    }
}
