//! The settings of the API.

use std::num::NonZeroU32;
use std::time::Duration;

use bytesize::ByteSize;
use secret::Secret;
use telemetry::sampling::Sampling;

use crate::body::BodyLimits;
use crate::origin::Origins;

/// How callers authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// No authentication: every caller that reaches the port is the user `local`.
    Off,
    /// Each request carries an API token.
    Token,
    /// A gateway authenticates with its token and names the caller in headers; API tokens are accepted too.
    Gateway,
}

/// The settings of the API, apart from those of the accept loop ([`crate::serve::Limits`]).
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// How callers authenticate.
    pub auth: Auth,
    /// The token of the gateway, for [`Auth::Gateway`].
    pub gateway_token: Option<Secret>,
    /// Which hosts and web pages requests may name.
    pub origins: Origins,
    /// Most requests of one caller in progress; more: 429.
    pub max_requests_per_caller: NonZeroU32,
    /// The limits on request bodies.
    pub bodies: BodyLimits,
    /// Most essays in a batch; more: 422 `too_many_essays`.
    pub max_essays: NonZeroU32,
    /// Most bytes in an essay; more: 413 for a single essay, an error of the essay in a batch.
    pub max_text_size: ByteSize,
    /// Most labels on a batch.
    pub max_labels: u32,
    /// Most characters in a label's key.
    pub max_label_key: NonZeroU32,
    /// Most characters in a label's value.
    pub max_label_value: NonZeroU32,
    /// Bytes of staged texts above which new work is refused. The engine enforces it; here it is shown at `/v1/limits`.
    pub max_staged_size: ByteSize,
    /// Outbox rows above which new work is refused. The engine enforces it; here it is shown at `/v1/limits`.
    pub max_outbox_rows: NonZeroU32,
    /// The longest `?wait=` of a status request.
    pub status_wait_limit: Duration,
    /// How long the answer to an Idempotency-Key is kept; shown at `/v1/limits`.
    pub idempotency_retention: Duration,
    /// The sampling of traces that start at a request.
    pub sampling: Sampling,
}
