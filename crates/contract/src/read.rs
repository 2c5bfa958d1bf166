//! Readers: records of other services, in the form of either generation, as checked values.
//!
//! A record is untrusted. Its size, encoding and depth are checked before it is parsed, and a list of essays is limited to
//! [`MAX_ESSAYS`]. Apart from that the readers are as tolerant as the platform's models: unknown fields are ignored, missing
//! fields have their defaults, ids may be nested or flat.
//!
//! - [`read()`] reads records for BOS, [`read_neighbour`](neighbour::read_neighbour) those for its neighbour services.
//! - [`ReadError`] names the fault and never repeats a value of the record.

mod envelope;
mod error;
pub(crate) mod fields;
mod lifecycle;
pub(crate) mod neighbour;
mod news;
mod reason;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use error::ReadError;
pub use lifecycle::{EssayStatuses, PhaseProgress};
pub use news::{IncomingBody, SpellcheckFigures, read};
pub use reason::FailureReason;

/// The largest accepted record: 2 MiB, twice Kafka's default `message.max.bytes`.
pub const MAX_VALUE_BYTES: usize = 2 * 1024 * 1024;

/// The deepest accepted nesting. The platform's deepest model has seven levels. The limit is below `serde_json`'s own of 128,
/// so that a deep record always gets the same error code.
pub const MAX_DEPTH: usize = 64;

/// The most essays that a record may list. ELS reports on a batch in one record of less than 1 MB, which holds fewer.
pub const MAX_ESSAYS: usize = 3_000;

/// A record that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming<B = IncomingBody> {
    /// The event's id. If the record has none: a `UUIDv5` of its bytes, so that a redelivery has the same id.
    pub event_id: Uuid,
    /// The correlation id; optional in 2025.
    pub correlation_id: Option<Uuid>,
    /// The writer's timestamp of the event.
    pub at: Option<DateTime<Utc>>,
    /// The payload.
    pub body: B,
}
