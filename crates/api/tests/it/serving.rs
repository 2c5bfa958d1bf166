mod foreign;
mod framing;
mod paced;
mod peers;

use std::num::NonZeroU32;
use std::time::Duration;

use ::api::Origins;
use ::api::body::{Bodies, BodyLimits};
use ::api::json::Json;
use ::api::problem::Problem;
use ::api::serve::{Limits, serve};
use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use bytesize::ByteSize;
use std::sync::Arc;
use telemetry::Tasks;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

/// The longest time that a test waits for an event that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// The size of an answer that no buffer on the way takes.
const LARGE: usize = 32 << 20;

const SHORT: Duration = Duration::from_millis(100);

#[derive(Clone)]
struct App {
    bodies: Bodies,
    arrived: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl FromRef<App> for Bodies {
    fn from_ref(app: &App) -> Self {
        app.bodies.clone()
    }
}

async fn count(
    State(app): State<App>,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<String, Problem> {
    let (bytes, _held) = app.bodies.open(&headers, body, app.bodies.max_size())?.all().await?;
    Ok(bytes.len().to_string())
}

async fn wait(State(app): State<App>) -> &'static str {
    app.arrived.notify_one();
    app.go_on.notified().await;
    "done"
}

/// Keeps the bytes of its body counted as in flight until the test signals `go_on`.
async fn keep(State(app): State<App>, Json(value, _held): Json<String>) -> String {
    app.arrived.notify_one();
    app.go_on.notified().await;
    value.len().to_string()
}

struct Server {
    address: std::net::SocketAddr,
    app: App,
    tasks: Tasks,
}

impl Server {
    async fn start() -> Self {
        Self::with(|_, _| {}).await
    }

    async fn with(change: impl FnOnce(&mut Limits, &mut BodyLimits)) -> Self {
        Self::serving(Origins::default(), change).await
    }

    /// With a check of hosts and origins.
    async fn checking(origins: Origins) -> Self {
        Self::serving(origins, |_, _| {}).await
    }

    async fn serving(origins: Origins, change: impl FnOnce(&mut Limits, &mut BodyLimits)) -> Self {
        let mut limits = Limits {
            max_connections: NonZeroU32::new(64).unwrap(),
            max_connections_per_peer: NonZeroU32::new(64).unwrap(),
            header_timeout: PATIENCE,
            max_header_size: ByteSize::kib(32),
            max_header_fields: NonZeroU32::new(100).unwrap(),
            write_timeout: PATIENCE,
            write_min_rate: ByteSize::kib(4),
            drain_timeout: PATIENCE,
        };
        let mut bodies = BodyLimits {
            max_size: ByteSize::mib(1),
            max_in_flight: ByteSize::mib(4),
            chunk_timeout: PATIENCE,
            min_rate: ByteSize::kib(4),
            total_timeout: PATIENCE,
        };
        change(&mut limits, &mut bodies);
        let app = App { bodies: Bodies::new(bodies), arrived: Arc::default(), go_on: Arc::default() };
        let routes = Router::new()
            .route("/", get(async || "hello"))
            .route("/count", post(count))
            .route("/wait", get(wait))
            .route("/large", get(async || vec![b'x'; LARGE]))
            .route("/keep", post(keep));
        let framed =
            ::api::frame(routes, origins, telemetry::sampling::Sampling::default()).with_state(app.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = Tasks::new();
        let accept = serve(listener, framed, limits, tasks.stop_signal(), tasks.clone());
        tasks.spawn("http accept", accept);
        Self { address, app, tasks }
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads until `wanted` has arrived.
    async fn read_until(&mut self, wanted: &str) -> String {
        let mut text = Vec::new();
        let read = async {
            while !String::from_utf8_lossy(&text).contains(wanted) {
                assert!(self.0.read_buf(&mut text).await.unwrap() > 0, "{}", String::from_utf8_lossy(&text));
            }
        };
        timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("{wanted} did not come"));
        String::from_utf8(text).unwrap()
    }

    /// Reads until the server closes the connection.
    async fn read_to_close(&mut self) -> String {
        let mut text = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut text)).await.expect("the server closes").unwrap();
        String::from_utf8(text).unwrap()
    }
}

fn post_of(path: &str, headers: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: bos\r\n{headers}\r\n\r\n")
}

#[tokio::test]
async fn a_connection_serves_several_requests_in_sequence() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        client.send("GET / HTTP/1.1\r\nHost: bos\r\n\r\n").await;
        assert!(client.read_until("hello").await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn a_header_that_does_not_end_closes_the_connection() {
    let server = Server::with(|limits, _| limits.header_timeout = SHORT).await;
    let mut slow = server.connect().await;
    slow.send("GET / HTTP/1.1\r\nHost: b").await;
    assert!(!slow.read_to_close().await.contains("200"));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = Server::with(|limits, _| limits.header_timeout = SHORT).await;
    let mut silent = server.connect().await;
    assert_eq!(silent.read_to_close().await, "");
    let mut kept = server.connect().await;
    kept.send("GET / HTTP/1.1\r\nHost: bos\r\n\r\n").await;
    assert!(kept.read_to_close().await.starts_with("HTTP/1.1 200"));
    let mut half = server.connect().await;
    half.send("GET / HTTP/1.1\r\nHost: bos\r\n\r\nGET / HTTP/1.1\r\nHost: b").await;
    let answers = half.read_to_close().await;
    assert!(answers.starts_with("HTTP/1.1 200") && answers.matches("HTTP/1.1 200").count() == 1, "{answers}");
}

#[tokio::test]
async fn a_declared_length_over_the_limit_is_413_before_the_body() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(post_of("/count", "Content-Length: 1048577")).await;
    let answer = client.read_until("}").await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
}

#[tokio::test]
async fn a_chunked_body_is_413_while_it_is_still_being_sent() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(post_of("/count", "Transfer-Encoding: chunked")).await;
    let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 65536], b"\r\n"].concat();
    for _ in 0..17 {
        client.send(&chunk).await;
    }
    let answer = client.read_to_close().await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_body_that_pauses_is_408() {
    let server = Server::with(|_, bodies| bodies.chunk_timeout = SHORT).await;
    let mut client = server.connect().await;
    client.send(post_of("/count", "Transfer-Encoding: chunked")).await;
    client.send("5\r\nhello\r\n").await;
    let answer = client.read_until("}").await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_408_although_it_never_pauses() {
    let bodies = Bodies::new(BodyLimits {
        max_size: ByteSize::mib(1),
        max_in_flight: ByteSize::mib(1),
        chunk_timeout: Duration::from_secs(10),
        min_rate: ByteSize::b(100),
        total_timeout: Duration::from_mins(10),
    });
    let drip = futures::stream::unfold((), async |()| {
        tokio::time::advance(Duration::from_secs(1)).await;
        Some((Ok::<_, std::io::Error>(bytes::Bytes::from_static(b"x")), ()))
    });
    let body = axum::body::Body::from_stream(Box::pin(drip));
    let reader = bodies.open(&HeaderMap::new(), body, bodies.max_size()).unwrap();
    let problem = reader.all().await.expect_err("one byte a second is too slow");
    assert_eq!(problem.code().as_str(), "request_timeout");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_keeps_the_pace_is_408_after_the_total_time() {
    let bodies = Bodies::new(BodyLimits {
        max_size: ByteSize::mib(1),
        max_in_flight: ByteSize::mib(1),
        chunk_timeout: Duration::from_secs(10),
        min_rate: ByteSize::b(100),
        total_timeout: Duration::from_mins(10),
    });
    let pace = futures::stream::unfold((), async |()| {
        tokio::time::advance(Duration::from_secs(1)).await;
        Some((Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[b'x'; 101])), ()))
    });
    let body = axum::body::Body::from_stream(Box::pin(pace));
    let reader = bodies.open(&HeaderMap::new(), body, bodies.max_size()).unwrap();
    let began = tokio::time::Instant::now();
    let problem = reader.all().await.expect_err("ten minutes are the most");
    assert_eq!(problem.code().as_str(), "request_timeout");
    let took = began.elapsed().as_secs();
    assert!((600..=602).contains(&took), "{took} s");
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_400() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(post_of("/count", "Content-Length: 10")).await;
    client.send("hello").await;
    client.0.shutdown().await.unwrap();
    let answer = client.read_to_close().await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn a_compressed_body_is_415_and_not_decompressed() {
    let server = Server::start().await;
    for encoding in ["gzip", "br", "zstd", "gzip, identity"] {
        let mut client = server.connect().await;
        client.send(post_of("/count", &format!("Content-Encoding: {encoding}\r\nContent-Length: 3"))).await;
        client.send("xyz").await;
        let answer = client.read_until("}").await;
        assert!(answer.starts_with("HTTP/1.1 415") && answer.contains("unsupported_encoding"), "{answer}");
    }
}

#[tokio::test]
async fn a_json_body_requires_the_json_media_type() {
    let server = Server::start().await;
    for (headers, said) in [
        ("Content-Length: 3", "unsupported_media_type"),
        ("Content-Type: text/plain\r\nContent-Length: 3", "unsupported_media_type"),
        ("Content-Type: application/json; charset=latin1\r\nContent-Length: 3", "unsupported_media_type"),
        ("Content-Type: application/json\r\nContent-Length: 3", "malformed_json"),
    ] {
        let mut client = server.connect().await;
        client.send(post_of("/keep", headers)).await;
        client.send("abc").await;
        let answer = client.read_until("}").await;
        assert!(answer.contains(said), "{headers}: {answer}");
    }
}

#[tokio::test]
async fn bodies_in_flight_are_limited_together() {
    let server = Server::with(|_, bodies| bodies.max_in_flight = ByteSize::b(1000)).await;
    let body = format!("\"{}\"", "x".repeat(598));
    let request = post_of("/keep", "Content-Type: application/json\r\nContent-Length: 600");
    let mut first = server.connect().await;
    first.send(format!("{request}{body}")).await;
    timeout(PATIENCE, server.app.arrived.notified()).await.unwrap();

    let mut second = server.connect().await;
    second.send(format!("{request}{body}")).await;
    let answer = second.read_until("}").await;
    assert!(
        answer.starts_with("HTTP/1.1 429") && answer.to_lowercase().contains("retry-after: 1"),
        "{answer}"
    );

    server.app.go_on.notify_one();
    assert!(first.read_until("598").await.starts_with("HTTP/1.1 200"));
    let mut third = server.connect().await;
    third.send(format!("{request}{body}")).await;
    timeout(PATIENCE, server.app.arrived.notified()).await.unwrap();
    server.app.go_on.notify_one();
    assert!(third.read_until("598").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_free_slot() {
    let server = Server::with(|limits, _| limits.max_connections = NonZeroU32::MIN).await;
    let mut first = server.connect().await;
    first.send("GET / HTTP/1.1\r\nHost: bos\r\n\r\n").await;
    first.read_until("hello").await;

    let mut second = server.connect().await;
    second.send("GET / HTTP/1.1\r\nHost: bos\r\n\r\n").await;
    first.send("GET / HTTP/1.1\r\nHost: bos\r\n\r\n").await;
    first.read_until("hello").await;
    let mut early = [0];
    assert!(second.0.try_read(&mut early).is_err(), "the second is not served while the first is there");

    drop(first);
    assert!(second.read_until("hello").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_shutdown_finishes_requests_in_flight_and_accepts_no_connections() {
    let server = Server::start().await;
    let mut idle = server.connect().await;
    idle.send("GET / HTTP/1.1\r\nHost: bos\r\n\r\n").await;
    idle.read_until("hello").await;
    let mut busy = server.connect().await;
    busy.send("GET /wait HTTP/1.1\r\nHost: bos\r\n\r\n").await;
    timeout(PATIENCE, server.app.arrived.notified()).await.unwrap();

    let tasks = server.tasks.clone();
    let finish = async {
        assert_eq!(idle.read_to_close().await, "");
        server.app.go_on.notify_one();
        let answer = busy.read_to_close().await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        drop((idle, busy));
    };
    let (left, ()) = tokio::join!(tasks.shutdown(PATIENCE), finish);
    assert!(left.is_empty(), "{left:?}");
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_shutdown_does_not_wait_past_its_deadline() {
    let server = Server::with(|limits, _| limits.drain_timeout = SHORT).await;
    let mut busy = server.connect().await;
    busy.send("GET /wait HTTP/1.1\r\nHost: bos\r\n\r\n").await;
    timeout(PATIENCE, server.app.arrived.notified()).await.unwrap();
    assert!(server.tasks.shutdown(PATIENCE).await.is_empty());
    assert_eq!(busy.read_to_close().await, "");
}
