use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Client, id_of};
use crate::program::{PATIENCE, Server, eventually, plain_batch};

/// An upload whose head was sent: the server waits for the body.
struct Upload {
    stream: TcpStream,
    body: String,
}

impl Upload {
    async fn begin(server: &Server, name: &str) -> Self {
        let mut stream = TcpStream::connect(server.socket()).await.unwrap();
        let body = plain_batch(name, 2).to_string();
        let head = format!(
            "POST /v1/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut word = [0; 25];
        timeout(PATIENCE, stream.read_exact(&mut word)).await.expect("the server asks for the body").unwrap();
        assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
        Self { stream, body }
    }

    /// Sends the body; the id of the batch, which must be acknowledged.
    async fn finish(mut self) -> String {
        self.stream.write_all(self.body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, self.stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 202"), "{head}");
        id_of(&serde_json::from_str(body).unwrap())
    }
}

/// Waits until new connections are refused, which shows that the signal was received.
fn closes_its_door(server: &Server) {
    eventually("the port is closed", || std::net::TcpStream::connect(server.socket()).is_err());
}

#[tokio::test]
async fn a_stop_finishes_requests_in_progress_and_exits_with_0() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::on(&data, &[]);
    let mut acknowledged = vec![Client::of(&server).accepted("before").await];
    let mut uploads = Vec::new();
    for number in 0..20 {
        uploads.push(Upload::begin(&server, &format!("slow {number}")).await);
    }
    server.terminate();
    closes_its_door(&server);
    for upload in uploads {
        acknowledged.push(upload.finish().await);
    }
    assert_eq!(server.ended().code(), Some(0));

    let server = Server::on(&data, &[]);
    Client::of(&server).shows(&acknowledged).await;
}

#[tokio::test]
async fn a_second_signal_ends_the_service_immediately() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::on(&data, &[]);
    let acknowledged = [Client::of(&server).accepted("before").await];
    // An upload that never ends keeps the service from stopping after the first signal.
    let _upload = Upload::begin(&server, "slow").await;
    server.terminate();
    closes_its_door(&server);
    let second = Instant::now();
    server.terminate();
    assert_eq!(server.ended().code(), Some(1));
    assert!(second.elapsed() < Duration::from_secs(5), "it took {:?}", second.elapsed());

    let server = Server::on(&data, &[]);
    Client::of(&server).shows(&acknowledged).await;
}

#[tokio::test]
async fn a_kill_during_a_stop_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::on(&data, &[]);
    let client = Client::of(&server);
    let mut acknowledged = Vec::new();
    for number in 0..10 {
        acknowledged.push(client.accepted(&format!("before {number}")).await);
    }
    let _upload = Upload::begin(&server, "slow").await;
    server.terminate();
    closes_its_door(&server);
    server.kill();

    let server = Server::on(&data, &[]);
    let client = Client::of(&server);
    client.shows(&acknowledged).await;
    for batch in &acknowledged {
        client.until(batch, "ready").await;
    }
}

#[tokio::test]
async fn probes_are_answered_until_the_last_request_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::on(&folder.path().join("data"), &["probe_port=0"]);
    let probe = async |path: &str| {
        let answer = reqwest::get(format!("http://{}{path}", server.probes())).await.unwrap();
        answer.status().as_u16()
    };
    assert_eq!(probe("/readyz").await, 200);
    let upload = Upload::begin(&server, "slow").await;
    server.terminate();
    closes_its_door(&server);
    assert_eq!((probe("/healthz").await, probe("/readyz").await), (200, 503));
    upload.finish().await;
    assert_eq!(server.ended().code(), Some(0));
}
