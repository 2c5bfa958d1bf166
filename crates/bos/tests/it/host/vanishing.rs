//! Clients that go away in the middle: whatever was acknowledged is there, and nothing stays behind.

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
/// A slow machine has fewer clients, but never fewer than some hundreds.
const TIME: Duration = Duration::from_secs(12);
const AT_LEAST: u32 = 300;

/// Numbers that look like chance and are the same on every run.
const fn scatter(seed: u32) -> u32 {
    let mixed = seed.wrapping_mul(0x9e37_79b9) ^ (seed >> 7);
    (mixed ^ (mixed >> 15)).wrapping_mul(0x85eb_ca6b) >> 8
}

/// Sends some of a request and reads some of its answer. The batch's id, where the answer came whole and is 202.
pub(crate) async fn visit(server: std::net::SocketAddr, number: u32) -> Option<String> {
    let body = plain_batch(&format!("visit {number}"), 1).to_string();
    let request = format!(
        "POST /v1/batch HTTP/1.1\r\nHost: bos\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(server).await.ok()?;
    let chance = usize::try_from(scatter(number)).unwrap();
    let sent = if number.is_multiple_of(2) { request.len() } else { chance % request.len() };
    stream.write_all(&request.as_bytes()[..sent]).await.ok()?;
    let mut answer = Vec::new();
    match number % 4 {
        // The whole answer.
        0 => {
            stream.read_to_end(&mut answer).await.ok()?;
        }
        // The request is whole, and its answer is not waited for, or only its beginning is.
        2 => {
            let wanted = u64::try_from(chance % 64).unwrap();
            let _ =
                timeout(Duration::from_millis(wanted), stream.take(wanted).read_to_end(&mut answer)).await;
            return None;
        }
        // Half a request: a reset, or a plain end.
        1 => stream.set_zero_linger().ok()?,
        _ => stream.shutdown().await.ok()?,
    }
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 202").then(|| id_of(&serde_json::from_str(body).unwrap()))
}

#[tokio::test]
async fn clients_that_vanish_at_any_byte_lose_nothing_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    // Without neighbours: what is tried here is the acceptance alone.
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
    client.shows(&[after.expect("nothing stands in the way of the next request")]).await;
    if let Some(sockets) = sockets {
        eventually("the sockets are given back", || server.open_sockets().unwrap() <= sockets);
    }
}
