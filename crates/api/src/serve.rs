//! The accept loop: HTTP/1.1 connections with limits in time, size and number.
//!
//! `axum::serve` offers no header time-out, no connection cap and no deadline for its graceful stop, so the loop
//! is ours, on hyper.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytesize::ByteSize;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use telemetry::Tasks;

/// The name of a connection's task: these come and go, and none of them is missed.
pub(crate) const CONNECTION: &str = "http connection";

/// How long the accept loop pauses when the system has no socket to give (EMFILE, ENFILE, ENOBUFS).
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(200);

/// How long a closed connection is still read, and how much, so that the last answer is not lost to a reset.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 1024 * 1024;

/// What one listener bears.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections open at the same time; the others wait in the system's queue.
    pub max_connections: NonZeroU32,
    /// How long a request's header may take; an idle connection is closed after the same time.
    pub header_timeout: Duration,
    /// Bytes of a request's line and header fields; over: 431.
    pub max_header_size: ByteSize,
    /// Header fields of a request; over: 431.
    pub max_header_fields: NonZeroU32,
    /// How long requests in flight get at a stop.
    pub drain_timeout: Duration,
}

/// What is read of a connection before somebody takes it, twice the largest head at least. The default of 400 kB would let a
/// crowd whose bodies wait their turn fill the memory from outside the limit for bodies.
const READ_BYTES: usize = 64 << 10;

/// Serves `router` on `listener` until `shutdown`; returns when all connections are closed.
///
/// At the stop no connection is accepted any more, idle ones close at once, and requests in flight are finished
/// for at most [`Limits::drain_timeout`]; then their connections are dropped.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
    tasks: Tasks,
) {
    let http = Arc::new(http1(limits));
    let slots = Arc::new(Semaphore::new(permits(limits.max_connections.get())));
    let give_up = CancellationToken::new();
    while let Some((stream, slot)) = shutdown.run_until_cancelled(next(&listener, &slots)).await {
        let connection = Connection {
            http: Arc::clone(&http),
            router: router.clone(),
            shutdown: shutdown.clone(),
            give_up: give_up.clone(),
        };
        tasks.spawn(CONNECTION, async move {
            connection.run(stream).await;
            drop(slot);
        });
    }
    drop(listener);
    // Every connection holds a slot, so holding all slots means that none is left.
    let drained = slots.acquire_many(limits.max_connections.get());
    if timeout(limits.drain_timeout, drained).await.is_err() {
        tracing::warn!("connections were still busy at the drain deadline and are dropped");
        give_up.cancel();
    }
}

/// A `u32` fits a `usize` on every system that this runs on; were it not so, the largest number would do.
fn permits(count: u32) -> usize {
    usize::try_from(count).unwrap_or(Semaphore::MAX_PERMITS)
}

fn http1(limits: Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    let head = usize::try_from(limits.max_header_size.as_u64()).unwrap_or(usize::MAX);
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(READ_BYTES.max(head.saturating_mul(2)))
        .max_header_size(head)
        .max_headers(permits(limits.max_header_fields.get()));
    http
}

/// Waits for a free slot first and for a connection then, so that a full house leaves the others queued.
async fn next(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let slot = loop {
        // The semaphore is never closed; a slot is all that this can give.
        if let Ok(slot) = Arc::clone(slots).acquire_owned().await {
            break slot;
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                tracing::warn!(error.kind = %error.kind(), "cannot accept connections; pausing");
                sleep(ACCEPT_BACK_OFF).await;
            }
        }
    }
}

/// The connection went away before it was accepted: no reason to pause.
fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

struct Connection {
    http: Arc<http1::Builder>,
    router: Router,
    shutdown: CancellationToken,
    give_up: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let router = self.router;
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            Box::pin(router.clone().oneshot(request.map(Body::new)))
        });
        let mut connection = self.http.serve_connection(TokioIo::new(stream), service);
        let ended = self
            .shutdown
            .run_until_cancelled(poll_fn(|context| connection.poll_without_shutdown(context)))
            .await;
        let ended = if let Some(ended) = ended {
            ended
        } else {
            Pin::new(&mut connection).graceful_shutdown();
            let rest = poll_fn(|context| connection.poll_without_shutdown(context));
            let Some(ended) = self.give_up.run_until_cancelled(rest).await else { return };
            ended
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
        linger(connection.into_parts().io.into_inner()).await;
    }
}

/// Closes our side and reads what the client is still sending.
///
/// A socket closed with unread bytes answers them with a reset, which can overtake the 413 that was just
/// written; the client then sees a broken pipe instead of the reason.
async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_ok() {
        let mut rest = stream.take(LINGER_BYTES);
        let _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
    }
}
