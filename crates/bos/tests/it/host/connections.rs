use std::net::SocketAddr;
use std::time::Duration;

use telemetry::Tasks;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::Client;
use crate::program::{PATIENCE, Server, plain_batch};

/// Sends a request on a kept connection; the status code of the answer.
async fn ask(stream: &mut TcpStream, request: &str) -> u16 {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let whole = async {
        loop {
            assert!(stream.read_buf(&mut read).await.unwrap() > 0, "the connection was closed");
            let text = String::from_utf8_lossy(&read).to_lowercase();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return head.split(' ').nth(1).unwrap().parse().unwrap();
            }
        }
    };
    timeout(PATIENCE, whole).await.expect("the server answers")
}

fn post(name: &str) -> String {
    let body = plain_batch(name, 2).to_string();
    format!(
        "POST /v1/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn more_connections_than_the_limit_of_open_files_do_not_stop_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let all_of_one_peer = ["max_connections_per_peer=1024"];
    let server = Server::with_few_files(&folder.path().join("data"), 128, &all_of_one_peer);
    let mut kept = TcpStream::connect(server.socket()).await.unwrap();
    assert_eq!(ask(&mut kept, &post("before")).await, 202);

    let crowd = Tasks::new();
    for _ in 0..500 {
        let (address, leave) = (server.socket(), crowd.stop_signal());
        crowd.spawn("one of a crowd", async move {
            let stay = async {
                let mut one = TcpStream::connect(address).await.unwrap();
                one.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
                std::future::pending::<()>().await;
            };
            leave.run_until_cancelled(stay).await;
        });
    }
    let full = async {
        while server.open_sockets().unwrap() < 64 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, full).await.expect("the connections are open");
    for turn in 0..10 {
        assert_eq!(ask(&mut kept, &post(&format!("amid the crowd, {turn}"))).await, 202);
        assert_eq!(ask(&mut kept, "GET /v1/batch?limit=5 HTTP/1.1\r\nHost: localhost\r\n\r\n").await, 200);
        assert_eq!(ask(&mut kept, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").await, 200);
    }

    assert!(crowd.shutdown(PATIENCE).await.is_empty());
    let fresh = timeout(Duration::from_secs(5), Client::of(&server).accepted("after the crowd")).await;
    assert!(fresh.is_ok(), "a new connection is served after the others are closed");
}

/// Linux answers at every address of 127.0.0.0/8, so that one machine can be several peers.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_peer_cannot_take_the_connections_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on(&folder.path().join("data"), &["max_connections=8"]);
    let from = async |peer: [u8; 4]| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((peer, 0))).unwrap();
        socket.connect(server.socket()).await.unwrap()
    };
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut stream = from([127, 0, 0, 2]).await;
        assert_eq!(ask(&mut stream, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await, 200);
        held.push(stream);
    }
    for _ in 0..20 {
        let mut answer = String::new();
        let mut over = from([127, 0, 0, 2]).await;
        let read = timeout(PATIENCE, over.read_to_string(&mut answer)).await.expect("it is closed at once");
        read.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("too_many_connections"), "{answer}");
    }
    let mut other = from([127, 0, 0, 3]).await;
    assert_eq!(ask(&mut other, &post("of another peer")).await, 202);
    let metrics = reqwest::get(format!("{}/metrics", server.address)).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("bos_connections_closed_total{reason=\"peer_limit\"} 20"), "{metrics}");
}

#[tokio::test]
async fn probes_are_answered_on_a_port_of_their_own_while_clients_hold_all_connections() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["max_connections=8", "max_connections_per_peer=8", "probe_port=0"];
    let server = Server::on(&folder.path().join("data"), &settings);
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(server.socket()).await.unwrap();
        assert_eq!(ask(&mut stream, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await, 200);
        held.push(stream);
    }
    let probe = async |path: &str| {
        let mut stream = TcpStream::connect(server.probes()).await.unwrap();
        ask(&mut stream, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await
    };
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(probe(path).await, 200, "{path}");
    }
    for path in ["/v1/batch", "/v1/limits", "/docs/"] {
        assert_eq!(probe(path).await, 404, "{path}");
    }
}
