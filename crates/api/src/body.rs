//! Request bodies, read with limits on size, rate, and the bytes of all bodies in flight.
//!
//! Nothing is decompressed, because a small compressed body can expand to a huge one (`Content-Encoding` → 415).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use bytesize::ByteSize;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::problem::{Code, Problem};

/// The limits on request bodies.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Most bytes in one body; more: 413.
    pub max_size: ByteSize,
    /// Most bytes in all bodies in flight; more: 429.
    pub max_in_flight: ByteSize,
    /// Longest pause within a body; longer: 408.
    pub chunk_timeout: Duration,
    /// Lowest average rate, in bytes per second, once the first `chunk_timeout` has passed; slower: 408.
    pub min_rate: ByteSize,
    /// Longest time for a whole body, however steadily it arrives; longer: 408.
    pub total_timeout: Duration,
}

/// Reads the bodies of one server. Clones share the limit on bytes in flight. Part of the handlers' state (`FromRef`).
#[derive(Debug, Clone)]
pub struct Bodies {
    limits: BodyLimits,
    in_flight: Arc<Semaphore>,
}

/// Keeps a body's bytes counted as in flight until it is dropped. Hold it for as long as the body's content is in memory.
#[derive(Debug, Default)]
pub struct InFlightPermit(Option<OwnedSemaphorePermit>);

impl Bodies {
    /// A reader with no bytes in flight.
    pub fn new(limits: BodyLimits) -> Self {
        let bytes = usize::try_from(limits.max_in_flight.as_u64()).unwrap_or(usize::MAX);
        Self { limits, in_flight: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))) }
    }

    /// The largest body that is accepted.
    pub fn max_size(&self) -> ByteSize {
        self.limits.max_size
    }

    /// Starts to read a body of at most `max_size`, and at most [`BodyLimits::max_size`].
    ///
    /// # Errors
    /// 415 for a content encoding, 413 when the declared length is over the limit.
    pub fn open(&self, headers: &HeaderMap, body: Body, max_size: ByteSize) -> Result<BodyReader, Problem> {
        if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            let detail = "The body has a Content-Encoding; send it uncompressed.";
            return Err(Problem::new(Code::UnsupportedEncoding, detail));
        }
        let max_size = max_size.min(self.limits.max_size);
        let declared =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if declared.is_some_and(|declared: u64| declared > max_size.as_u64()) {
            return Err(too_large(max_size));
        }
        Ok(BodyReader {
            bodies: self.clone(),
            body,
            max_size,
            received: 0,
            began: Instant::now(),
            permit: InFlightPermit::default(),
        })
    }
}

/// A body that is being received.
#[derive(Debug)]
pub struct BodyReader {
    bodies: Bodies,
    body: Body,
    max_size: ByteSize,
    received: u64,
    began: Instant,
    permit: InFlightPermit,
}

impl BodyReader {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// 408 when they arrive too late or too slowly, 413 over the size, 429 when all bodies in flight are over their limit, 400
    /// when the connection breaks off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let frame = timeout_at(self.deadline(), self.body.frame()).await.map_err(|_| {
                Problem::new(Code::RequestTimeout, "The body arrived too slowly; nothing was stored.")
            })?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|_| {
                Problem::new(
                    Code::BodyInterrupted,
                    "The body ended before its declared length; nothing was stored.",
                )
            })?;
            // Trailers are ignored.
            let Ok(bytes) = frame.into_data() else { continue };
            self.received = self.received.saturating_add(bytes.len() as u64);
            if self.received > self.max_size.as_u64() {
                return Err(too_large(self.max_size));
            }
            self.hold(bytes.len())?;
            return Ok(Some(bytes));
        }
    }

    /// The whole body, with the [`InFlightPermit`] that keeps it counted as in flight.
    ///
    /// # Errors
    /// As [`BodyReader::chunk`].
    pub async fn all(mut self) -> Result<(Bytes, InFlightPermit), Problem> {
        let Some(first) = self.chunk().await? else { return Ok((Bytes::new(), self.permit)) };
        let Some(second) = self.chunk().await? else { return Ok((first, self.permit)) };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        while let Some(bytes) = self.chunk().await? {
            whole.extend_from_slice(&bytes);
        }
        Ok((whole.freeze(), self.permit))
    }

    /// The [`InFlightPermit`] of the bytes read so far, for the code that keeps the chunks.
    pub fn into_permit(self) -> InFlightPermit {
        self.permit
    }

    /// When the next bytes must have arrived, by the limits on the pause, on the average rate and on the total time.
    fn deadline(&self) -> Instant {
        let limits = &self.bodies.limits;
        let earned = Duration::from_secs(self.received / limits.min_rate.as_u64().max(1));
        let pause = Instant::now() + limits.chunk_timeout;
        pause.min(self.began + limits.chunk_timeout + earned).min(self.began + limits.total_timeout)
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Problem> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let Ok(more) = Arc::clone(&self.bodies.in_flight).try_acquire_many_owned(permits) else {
            let detail = "Too many bytes of other requests are in flight; nothing was stored.";
            return Err(Problem::new(Code::TooManyRequests, detail));
        };
        match &mut self.permit.0 {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

fn too_large(max_size: ByteSize) -> Problem {
    Problem::new(
        Code::BodyTooLarge,
        format!("The body is larger than the {} bytes allowed here.", max_size.as_u64()),
    )
}
