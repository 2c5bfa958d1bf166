//! Readers: what others wrote, in whichever generation's shape, as values that can be relied on.
//!
//! A record is untrusted. Before anything is built from it, its size, its encoding and its depth are checked, and a
//! list of essays stops growing at [`MAX_ESSAYS`]. After that the readers are as tolerant as the platform's models:
//! unknown fields are ignored, missing ones have their defaults, ids may stand nested or flat.
//!
//! - [`read()`] is for what BOS reads, [`read_neighbour`](neighbour::read_neighbour) for what a neighbour of BOS reads.
//! - [`ReadError`] says what was wrong, never with a value from the record.

mod envelope;
mod error;
pub(crate) mod fields;
pub(crate) mod neighbour;
mod news;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use error::ReadError;
pub use news::{IncomingBody, SpellcheckFigures, read};

/// The largest record that is read: twice the broker's usual limit.
pub const MAX_VALUE_BYTES: usize = 2 * 1024 * 1024;

/// The deepest nesting that is read; the platform's deepest model has seven levels. It stays below `serde_json`'s own
/// limit of 128, so that a deep record always ends with one and the same code.
pub const MAX_DEPTH: usize = 64;

/// The most essays that a record may list. ELS answers for a batch in one record of less than 1 MB, which sets the
/// platform's ceiling.
pub const MAX_ESSAYS: usize = 3_000;

/// A record that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming<B = IncomingBody> {
    /// The event's id; where the writer gave none, a `UUIDv5` of the record's bytes, so that the same record has the
    /// same id when it comes again.
    pub event_id: Uuid,
    /// The thread it belongs to; 2025 allowed none.
    pub correlation_id: Option<Uuid>,
    /// When the writer says it happened.
    pub at: Option<DateTime<Utc>>,
    /// What it says.
    pub body: B,
}
