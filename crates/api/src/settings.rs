//! What the API is told of the configuration.

use std::num::NonZeroU32;
use std::time::Duration;

use bytesize::ByteSize;
use secrecy::SecretString;
use telemetry::sampling::Sampling;

use crate::body::BodyLimits;

/// How callers prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// They do not: every caller that reaches the port is the one principal `local`.
    Off,
    /// Callers bring a static token.
    Token,
    /// Callers are named by headers that a gateway vouches for with its token.
    Gateway,
}

/// The settings of the API, apart from those of the accept loop ([`crate::serve::Limits`]).
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// How callers prove who they are.
    pub auth: Auth,
    /// The token that proves a gateway, for [`Auth::Gateway`].
    pub gateway_token: Option<SecretString>,
    /// What request bodies may cost.
    pub bodies: BodyLimits,
    /// Essays of a batch; over: 422 `too_many_essays`.
    pub max_essays: NonZeroU32,
    /// Bytes of an essay; over: 413 for a single essay, an item error in a batch.
    pub max_text_size: ByteSize,
    /// Labels of a batch.
    pub max_labels: u32,
    /// Characters of a label's key.
    pub max_label_key: NonZeroU32,
    /// Characters of a label's value.
    pub max_label_value: NonZeroU32,
    /// Bytes of staged texts from which on new work is refused; shown at `/v1/limits`.
    pub max_staged_size: ByteSize,
    /// Outbox rows from which on new work is refused; shown at `/v1/limits`.
    pub max_outbox_rows: NonZeroU32,
    /// The longest `?wait=` of a status request.
    pub status_wait_limit: Duration,
    /// How long the answer under an Idempotency-Key is kept; shown at `/v1/limits`.
    pub idempotency_retention: Duration,
    /// Which traces that begin at a request are kept.
    pub sampling: Sampling,
}
