//! The tables that are copied by a promotion, with their columns.

use Kind::{Bytes, Int, Json, Text, Time, Uuid};

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Int,
    /// A text.
    Text,
    /// Bytes.
    Bytes,
    /// A UUID.
    Uuid,
    /// An instant.
    Time,
    /// JSON: JSONB on PostgreSQL, which normalizes it, and TEXT on SQLite.
    Json,
}

/// A column of a copied table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether it may contain ids of stored texts. False for free text of users.
    pub names_texts: bool,
}

/// A copied table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns. Columns that the target assigns (`outbox.id`) are not listed.
    pub columns: &'static [Column],
    /// How many of the first columns identify a row; rows are read in their order.
    pub key: usize,
    /// Rows per page.
    pub page: u32,
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, names_texts: false }
}

const fn with_text_ids(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, names_texts: true }
}

/// Rows per page of tables with small rows, and of tables whose rows hold a text or an envelope.
const SMALL: u32 = 500;
const LARGE: u32 = 50;

/// The copied tables, in the order of copying.
pub const TABLES: &[Table] = &[
    Table {
        name: "tokens",
        key: 1,
        page: SMALL,
        columns: &[
            column("token_id", Text),
            column("sha256", Bytes),
            column("user_id", Text),
            column("org_id", Text),
            column("scopes", Text),
            column("note", Text),
            column("created_at", Time),
            column("expires_at", Time),
            column("revoked_at", Time),
            column("issued_without_auth", Int),
        ],
    },
    Table {
        name: "batches",
        key: 1,
        page: SMALL,
        columns: &[
            column("batch_id", Uuid),
            column("shard", Int),
            column("owner_user_id", Text),
            column("org_id", Text),
            column("kind", Text),
            column("name", Text),
            column("status", Text),
            column("attention", Int),
            column("revision", Int),
            column("run", Int),
            column("next_key_seq", Int),
            with_text_ids("state", Json),
            with_text_ids("details", Json),
            column("created_at", Time),
            column("updated_at", Time),
            column("ended_at", Time),
        ],
    },
    Table {
        name: "labels",
        key: 2,
        page: SMALL,
        columns: &[column("batch_id", Uuid), column("key", Text), column("value", Text)],
    },
    Table {
        name: "essays",
        key: 2,
        page: SMALL,
        columns: &[
            column("batch_id", Uuid),
            column("essay_id", Uuid),
            column("position", Int),
            column("client_ref", Text),
            column("size_bytes", Int),
            column("state", Text),
            column("phase", Text),
            column("attempt", Int),
            with_text_ids("text_storage_id", Text),
            with_text_ids("current_text_storage_id", Text),
            column("error_code", Text),
            column("is_named", Int),
        ],
    },
    Table {
        name: "essay_phases",
        key: 4,
        page: SMALL,
        columns: &[
            column("batch_id", Uuid),
            column("phase", Text),
            column("attempt", Int),
            column("essay_id", Uuid),
            column("state", Text),
            with_text_ids("text_storage_id", Text),
            column("error_code", Text),
            with_text_ids("figures", Json),
            column("ended_at", Time),
        ],
    },
    Table {
        name: "staged_texts",
        key: 3,
        page: LARGE,
        columns: &[
            column("shard", Int),
            column("batch_id", Uuid),
            column("essay_id", Uuid),
            column("not_before", Time),
            column("attempts", Int),
            with_text_ids("reference", Text),
            column("body", Bytes),
        ],
    },
    Table {
        name: "timeline",
        key: 2,
        page: SMALL,
        columns: &[
            column("batch_id", Uuid),
            column("revision", Int),
            column("at", Time),
            column("reason", Text),
            with_text_ids("entries", Json),
            column("correlation_id", Uuid),
        ],
    },
    Table {
        name: "timers",
        key: 3,
        page: SMALL,
        columns: &[
            column("shard", Int),
            column("batch_id", Uuid),
            column("kind", Text),
            column("run", Int),
            column("phase", Text),
            column("attempt", Int),
            column("due_at", Time),
        ],
    },
    Table {
        name: "idempotency",
        key: 4,
        page: SMALL,
        columns: &[
            column("slot", Int),
            column("principal", Text),
            column("route", Text),
            column("idem_key", Text),
            column("key_id", Int),
            column("fingerprint", Bytes),
            column("batch_id", Uuid),
            column("status", Int),
            column("body", Bytes),
            column("location", Text),
            column("etag", Text),
            column("created_at", Time),
        ],
    },
    Table {
        name: "outbox",
        key: 2,
        page: LARGE,
        columns: &[
            column("shard", Int),
            column("event_id", Uuid),
            column("ordering_key", Text),
            column("key_seq", Int),
            column("topic", Text),
            column("kafka_key", Text),
            with_text_ids("payload", Bytes),
            with_text_ids("headers", Json),
            column("state", Int),
            column("attempts", Int),
            column("not_before", Time),
            column("error_code", Text),
            column("created_at", Time),
        ],
    },
    Table {
        name: "outbox_sent",
        key: 3,
        page: LARGE,
        columns: &[
            column("sent_at", Time),
            column("shard", Int),
            column("id", Int),
            column("event_id", Uuid),
            column("ordering_key", Text),
            column("key_seq", Int),
            column("topic", Text),
            column("kafka_key", Text),
            with_text_ids("payload", Bytes),
            with_text_ids("headers", Json),
            column("created_at", Time),
            column("kafka_partition", Int),
            column("kafka_offset", Int),
        ],
    },
];

/// The tables that are not copied:
///
/// - `meta` belongs to an installation, but for the secret of request fingerprints, which is copied on its own.
/// - `leases` and `replicas` belong to processes.
/// - `local_log`, `local_log_positions` and `dead_letters` refer to positions on the old bus.
/// - `inbox` deduplicates events of the old bus, which are not redelivered. A new service that derives event ids from the same
///   commands as the old one sends the same ids; with the old inbox its events would be dropped as duplicates.
pub const EXCLUDED_TABLES: &[&str] =
    &["meta", "leases", "replicas", "local_log", "local_log_positions", "dead_letters", "inbox"];
