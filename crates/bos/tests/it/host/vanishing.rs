//! Clients that disconnect in the middle of a request: acknowledged batches exist, and no socket stays open.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Client, id_of};
use crate::program::{Server, eventually, plain_batch};

const CLIENTS: u32 = 5_000;
const AT_A_TIME: usize = 64;
/// After this time no more clients are started, but there are never fewer than `AT_LEAST`.
const TIME: Duration = Duration::from_secs(12);
const AT_LEAST: u32 = 300;

/// Pseudo-random numbers that are the same on every run.
const fn scatter(seed: u32) -> u32 {
    let mixed = seed.wrapping_mul(0x9e37_79b9) ^ (seed >> 7);
    (mixed ^ (mixed >> 15)).wrapping_mul(0x85eb_ca6b) >> 8
}

/// Sends a part of a request and reads a part of its answer; the batch's id if the answer is complete and a 202.
pub(crate) async fn visit(server: std::net::SocketAddr, number: u32) -> Option<String> {
    let body = plain_batch(&format!("visit {number}"), 1).to_string();
    let request = format!(
        "POST /v1/batch HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(server).await.ok()?;
    let chance = usize::try_from(scatter(number)).unwrap();
    let sent = if number.is_multiple_of(2) { request.len() } else { chance % request.len() };
    stream.write_all(&request.as_bytes()[..sent]).await.ok()?;
    let mut answer = Vec::new();
    match number % 4 {
        // Reads the whole answer.
        0 => {
            stream.read_to_end(&mut answer).await.ok()?;
        }
        // Sends a whole request, and reads at most the beginning of its answer.
        2 => {
            let wanted = u64::try_from(chance % 64).unwrap();
            let _ =
                timeout(Duration::from_millis(wanted), stream.take(wanted).read_to_end(&mut answer)).await;
            return None;
        }
        // Sends a part of a request, then resets or closes the connection.
        1 => stream.set_zero_linger().ok()?,
        _ => stream.shutdown().await.ok()?,
    }
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 202").then(|| id_of(&serde_json::from_str(body).unwrap()))
}

#[tokio::test]
async fn clients_that_disconnect_at_any_byte_lose_no_acknowledged_batch_and_no_socket() {
    let folder = tempfile::tempdir().unwrap();
    // Without companions: this tests the accept path only.
    let server = Server::on(&folder.path().join("data"), &["companions=none", "log_level=error"]);
    let client = Client::of(&server);
    client.accepted("before").await;
    let sockets = server.open_sockets();

    let (address, began, visits) = (server.socket(), Instant::now(), AtomicU32::new(0));
    let acknowledged: Vec<String> = futures::stream::iter(0..CLIENTS)
        .map(async |number| {
            if number >= AT_LEAST && began.elapsed() > TIME {
                return None;
            }
            visits.fetch_add(1, Ordering::Relaxed);
            visit(address, number).await
        })
        .buffer_unordered(AT_A_TIME)
        .filter_map(async |id| id)
        .collect()
        .await;
    let visits = visits.into_inner();
    assert_eq!(acknowledged.len(), usize::try_from(visits.div_ceil(4)).unwrap(), "of {visits} visits");

    client.shows(&acknowledged).await;
    let after = timeout(Duration::from_secs(5), client.accepted("after")).await;
    client.shows(&[after.expect("the next request is served")]).await;
    if let Some(sockets) = sockets {
        eventually("the sockets are closed", || server.open_sockets().unwrap() <= sockets);
    }
}
