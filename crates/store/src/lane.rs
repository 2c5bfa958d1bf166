//! Priority lanes of units.

/// Units that store more bytes of text than this run in [`Lane::Bulk`].
const BULK_BYTES: usize = 1 << 20;

/// The lane a unit waits in: for SQLite's writer, or for a connection of one of PostgreSQL's pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// A request waits for the result. Stores at most 1 MiB of texts.
    Caller,
    /// A step of a background task, of a few milliseconds.
    Task,
    /// A submission with more than 1 MiB of texts. On SQLite it has a group commit of its own, after the short units.
    Bulk,
}

impl Lane {
    /// The lane of a request's unit that stores this many bytes of texts.
    pub fn for_text_bytes(bytes: usize) -> Self {
        if bytes > BULK_BYTES { Self::Bulk } else { Self::Caller }
    }
}
