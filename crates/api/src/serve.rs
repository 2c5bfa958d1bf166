//! The accept loop: HTTP/1.1 connections with limits in time, size, pace and number.
//!
//! `axum::serve` has no header timeout, no limit on connections, no minimum pace for answers and no deadline for a graceful
//! shutdown, so this is a loop of its own, on hyper.

mod paced;
mod peer;

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
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
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use telemetry::Tasks;

use self::paced::{Pace, Paced};
use self::peer::{Refusals, peer_of};
use crate::framing::FromSocket;
use crate::metrics::CONNECTIONS_CLOSED;
use crate::shares::Shares;

/// The name of a connection's task. These tasks end all the time, so readiness does not count them.
pub(crate) const CONNECTION: &str = "http connection";

/// Pause of the accept loop when the system has no free socket (EMFILE, ENFILE, ENOBUFS).
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(200);

/// How long and how many bytes a closed connection is still read, so that a reset does not overtake the last answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 1024 * 1024;

/// The limits of one listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most open connections; further ones wait in the system's accept queue.
    pub max_connections: NonZeroU32,
    /// Most open connections of one peer, an IPv4 address or a /64 of IPv6; further ones are answered with 503 and closed.
    pub max_connections_per_peer: NonZeroU32,
    /// How long the header of a request may take; an idle connection is closed after the same time.
    pub header_timeout: Duration,
    /// Most bytes in a request line with its header fields; more: 431.
    pub max_header_size: ByteSize,
    /// Most header fields in a request; more: 431.
    pub max_header_fields: NonZeroU32,
    /// How long a client may be late with reading its answers; later: its connection is closed.
    pub write_timeout: Duration,
    /// The bytes per second that a client must take while it is late.
    pub write_min_rate: ByteSize,
    /// How long requests in flight may take to finish at a shutdown.
    pub drain_timeout: Duration,
}

/// Read buffer of a connection, at least twice the largest header. With hyper's default of about 400 kB, connections whose
/// bodies are not read yet could fill the memory outside the limit on bodies in flight.
const READ_BYTES: usize = 64 << 10;

/// Serves `router` on `listener` until `shutdown`; returns when all connections are closed.
///
/// At shutdown it accepts no more connections, closes idle ones at once, and lets requests in flight finish for at most
/// [`Limits::drain_timeout`]; then it drops their connections.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
    tasks: Tasks,
) {
    serve_latest(listener, watch::channel(router).1, limits, shutdown, tasks).await;
}

/// As [`serve`], with a router that may be replaced. A connection keeps the router that it began with.
pub async fn serve_latest(
    listener: TcpListener,
    routers: watch::Receiver<Router>,
    limits: Limits,
    shutdown: CancellationToken,
    tasks: Tasks,
) {
    let http = Arc::new(http1(limits));
    let pace = Pace { patience: limits.write_timeout, min_rate: limits.write_min_rate };
    let slots = Arc::new(Semaphore::new(permits(limits.max_connections.get())));
    let peers = Shares::new(limits.max_connections_per_peer);
    let refusals = Refusals::new(limits.max_connections);
    let give_up = CancellationToken::new();
    while let Some((stream, peer, slot)) = shutdown.run_until_cancelled(next(&listener, &slots)).await {
        let Some(share) = peers.take(peer_of(peer)) else {
            refusals.refuse(stream, &tasks);
            continue;
        };
        let connection = Connection {
            http: Arc::clone(&http),
            pace,
            router: routers.borrow().clone(),
            shutdown: shutdown.clone(),
            give_up: give_up.clone(),
        };
        tasks.spawn(CONNECTION, async move {
            connection.run(stream).await;
            // First, or the connection that gets the slot would find its peer still at the limit.
            drop(share);
            drop(slot);
        });
    }
    drop(listener);
    // Every connection holds a slot, so all slots are free once no connection is left.
    let drained = slots.acquire_many(limits.max_connections.get());
    if timeout(limits.drain_timeout, drained).await.is_err() {
        tracing::warn!("dropping connections that are still busy after the drain timeout");
        give_up.cancel();
    }
}

/// As a `usize`, which holds a `u32` on every supported system; the largest number of permits otherwise.
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

/// Waits for a free slot and then for a connection, so that connections over the limit stay in the system's queue.
async fn next(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, IpAddr, OwnedSemaphorePermit) {
    let slot = loop {
        // The semaphore is never closed, so this cannot fail.
        if let Ok(slot) = Arc::clone(slots).acquire_owned().await {
            break slot;
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip(), slot),
            Err(error) if is_peer_error(&error) => {}
            Err(error) => {
                tracing::warn!(error.kind = %error.kind(), "cannot accept connections; retrying in 200 ms");
                sleep(ACCEPT_BACK_OFF).await;
            }
        }
    }
}

/// Whether the connection ended before it was accepted, in which case the accept loop does not pause.
fn is_peer_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

struct Connection {
    http: Arc<http1::Builder>,
    pace: Pace,
    router: Router,
    shutdown: CancellationToken,
    give_up: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_send_buffer_size(self.pace.send_buffer());
        let router = self.router;
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(FromSocket);
            Box::pin(router.clone().oneshot(request.map(Body::new)))
        });
        let io = TokioIo::new(Paced::new(stream, self.pace));
        let mut connection = self.http.serve_connection(io, service);
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
            tracing::debug!(%error, "a connection ended with an error");
        }
        let paced = connection.into_parts().io.into_inner();
        if paced.gave_up() {
            metrics::counter!(CONNECTIONS_CLOSED, "reason" => "slow_reader").increment(1);
            reset(&paced.into_inner());
        } else {
            linger(paced.into_inner()).await;
        }
    }
}

/// Has the system discard what the client has not taken, instead of offering it for minutes after the socket is closed.
fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Shuts down the writing side and reads what the client still sends.
///
/// The system answers unread bytes on a closed socket with a reset. The reset can overtake an answer such as 413, and the client
/// then sees a broken pipe instead of the answer.
async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_ok() {
        let mut rest = stream.take(LINGER_BYTES);
        let _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
    }
}
