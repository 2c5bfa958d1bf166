//! Which tables move, and which of their columns.

use Kind::{Bytes, Int, Json, Text, Time, Uuid};

/// What a column holds.
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
    /// JSON, which PostgreSQL stores in its own way.
    Json,
}

/// A column that moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may name a stored text. Not where people write what they like.
    pub names_texts: bool,
}

/// A table that moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns. A database that gives numbers of its own (`outbox.id`) gives new ones.
    pub columns: &'static [Column],
    /// How many of the first columns tell its rows apart; rows are read in their order.
    pub key: usize,
    /// Rows that are read and written at a time.
    pub page: u32,
}

const fn is(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, names_texts: false }
}

const fn naming(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, names_texts: true }
}

/// Pages of rows that are small, and of rows that hold a text or an envelope each.
const SMALL: u32 = 500;
const LARGE: u32 = 50;

/// The tables that move, in this order.
pub const TABLES: &[Table] = &[
    Table {
        name: "tokens",
        key: 1,
        page: SMALL,
        columns: &[
            is("token_id", Text),
            is("sha256", Bytes),
            is("user_id", Text),
            is("org_id", Text),
            is("scopes", Text),
            is("note", Text),
            is("created_at", Time),
            is("expires_at", Time),
            is("revoked_at", Time),
        ],
    },
    Table {
        name: "batches",
        key: 1,
        page: SMALL,
        columns: &[
            is("batch_id", Uuid),
            is("shard", Int),
            is("owner_user_id", Text),
            is("org_id", Text),
            is("kind", Text),
            is("name", Text),
            is("status", Text),
            is("attention", Int),
            is("revision", Int),
            is("run", Int),
            is("next_key_seq", Int),
            naming("state", Json),
            naming("details", Json),
            is("created_at", Time),
            is("updated_at", Time),
            is("ended_at", Time),
        ],
    },
    Table {
        name: "labels",
        key: 2,
        page: SMALL,
        columns: &[is("batch_id", Uuid), is("key", Text), is("value", Text)],
    },
    Table {
        name: "essays",
        key: 2,
        page: SMALL,
        columns: &[
            is("batch_id", Uuid),
            is("essay_id", Uuid),
            is("position", Int),
            is("client_ref", Text),
            is("size_bytes", Int),
            is("state", Text),
            is("phase", Text),
            is("attempt", Int),
            naming("text_storage_id", Text),
            naming("current_text_storage_id", Text),
            is("error_code", Text),
        ],
    },
    Table {
        name: "essay_phases",
        key: 4,
        page: SMALL,
        columns: &[
            is("batch_id", Uuid),
            is("phase", Text),
            is("attempt", Int),
            is("essay_id", Uuid),
            is("state", Text),
            naming("text_storage_id", Text),
            is("error_code", Text),
            naming("figures", Json),
            is("ended_at", Time),
        ],
    },
    Table {
        name: "staged_texts",
        key: 3,
        page: LARGE,
        columns: &[
            is("shard", Int),
            is("batch_id", Uuid),
            is("essay_id", Uuid),
            is("not_before", Time),
            is("attempts", Int),
            naming("reference", Text),
            is("body", Bytes),
        ],
    },
    Table {
        name: "timeline",
        key: 2,
        page: SMALL,
        columns: &[
            is("batch_id", Uuid),
            is("revision", Int),
            is("at", Time),
            is("reason", Text),
            naming("entries", Json),
            is("correlation_id", Uuid),
        ],
    },
    Table {
        name: "timers",
        key: 3,
        page: SMALL,
        columns: &[
            is("shard", Int),
            is("batch_id", Uuid),
            is("kind", Text),
            is("run", Int),
            is("phase", Text),
            is("attempt", Int),
            is("due_at", Time),
        ],
    },
    Table {
        name: "idempotency",
        key: 4,
        page: SMALL,
        columns: &[
            is("slot", Int),
            is("principal", Text),
            is("route", Text),
            is("idem_key", Text),
            is("key_id", Int),
            is("fingerprint", Bytes),
            is("batch_id", Uuid),
            is("status", Int),
            is("body", Bytes),
            is("location", Text),
            is("etag", Text),
            is("created_at", Time),
        ],
    },
    Table {
        name: "outbox",
        key: 2,
        page: LARGE,
        columns: &[
            is("shard", Int),
            is("event_id", Uuid),
            is("ordering_key", Text),
            is("key_seq", Int),
            is("topic", Text),
            is("kafka_key", Text),
            naming("payload", Bytes),
            naming("headers", Json),
            is("state", Int),
            is("attempts", Int),
            is("not_before", Time),
            is("error_code", Text),
            is("created_at", Time),
        ],
    },
    Table {
        name: "outbox_sent",
        key: 3,
        page: LARGE,
        columns: &[
            is("sent_at", Time),
            is("shard", Int),
            is("id", Int),
            is("event_id", Uuid),
            is("ordering_key", Text),
            is("key_seq", Int),
            is("topic", Text),
            is("kafka_key", Text),
            naming("payload", Bytes),
            naming("headers", Json),
            is("created_at", Time),
            is("kafka_partition", Int),
            is("kafka_offset", Int),
        ],
    },
];

/// The tables that do not move. `meta` is each installation's own, but for one fact; leases and replicas are of processes; a
/// dead letter points at a place on a bus, which on another bus is another message's. The inbox knows messages of the old bus,
/// of which none can come again; a neighbour that derives its ids from what it was told gives the same ones for the same word,
/// and its word would be taken for a repetition.
pub const LEFT_BEHIND: &[&str] =
    &["meta", "leases", "replicas", "local_log", "local_log_positions", "dead_letters", "inbox"];
