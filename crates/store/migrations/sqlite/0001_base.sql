CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
INSERT INTO meta (key, value) VALUES ('shards', '1');

CREATE TABLE batches (
  batch_id BLOB PRIMARY KEY, shard INTEGER NOT NULL, owner_user_id TEXT NOT NULL, org_id TEXT,
  kind TEXT NOT NULL, name TEXT, status TEXT NOT NULL, attention INTEGER NOT NULL,
  revision INTEGER NOT NULL, run INTEGER NOT NULL, next_key_seq INTEGER NOT NULL,
  state TEXT NOT NULL, details TEXT NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, ended_at TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX batches_by_owner ON batches (owner_user_id, kind, created_at, batch_id);
CREATE INDEX batches_by_end ON batches (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE labels (
  batch_id BLOB NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (batch_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX labels_by_value ON labels (key, value, batch_id);

CREATE TABLE essays (
  batch_id BLOB NOT NULL, essay_id BLOB NOT NULL, position INTEGER NOT NULL, client_ref TEXT, size_bytes INTEGER,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'in_progress', 'succeeded', 'failed', 'cancelled', 'skipped')),
  phase TEXT, attempt INTEGER NOT NULL,
  text_storage_id TEXT, current_text_storage_id TEXT, error_code TEXT,
  PRIMARY KEY (batch_id, essay_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE essay_phases (
  batch_id BLOB NOT NULL, phase TEXT NOT NULL, attempt INTEGER NOT NULL, essay_id BLOB NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('succeeded', 'failed', 'cancelled')),
  text_storage_id TEXT, error_code TEXT, figures TEXT, ended_at TEXT NOT NULL,
  PRIMARY KEY (batch_id, phase, attempt, essay_id)
) STRICT, WITHOUT ROWID;

-- The body stands last, so that no other column is read past it.
CREATE TABLE staged_texts (
  shard INTEGER NOT NULL, batch_id BLOB NOT NULL, essay_id BLOB NOT NULL,
  not_before TEXT NOT NULL, attempts INTEGER NOT NULL, reference TEXT, body BLOB,
  PRIMARY KEY (shard, batch_id, essay_id)
) STRICT;

CREATE TABLE timeline (
  batch_id BLOB NOT NULL, revision INTEGER NOT NULL, at TEXT NOT NULL, reason TEXT NOT NULL, entries TEXT NOT NULL,
  correlation_id BLOB, PRIMARY KEY (batch_id, revision)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: the id of a deleted last row must never come back, or the relay's low-water mark would pass it by.
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT, shard INTEGER NOT NULL, event_id BLOB NOT NULL,
  ordering_key TEXT NOT NULL, key_seq INTEGER NOT NULL, topic TEXT NOT NULL, kafka_key TEXT NOT NULL,
  payload BLOB NOT NULL CHECK (length(payload) <= 900000), headers TEXT NOT NULL,
  state INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
  not_before TEXT NOT NULL, error_code TEXT, created_at TEXT NOT NULL,
  UNIQUE (shard, event_id), UNIQUE (shard, ordering_key, key_seq)
) STRICT;
CREATE TABLE outbox_sent (
  shard INTEGER NOT NULL, id INTEGER NOT NULL, event_id BLOB NOT NULL,
  ordering_key TEXT NOT NULL, key_seq INTEGER NOT NULL, topic TEXT NOT NULL, kafka_key TEXT NOT NULL,
  payload BLOB NOT NULL, headers TEXT NOT NULL, created_at TEXT NOT NULL,
  kafka_partition INTEGER, kafka_offset INTEGER, sent_at TEXT NOT NULL,
  PRIMARY KEY (sent_at, shard, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE inbox (
  batch_id BLOB NOT NULL, consumer TEXT NOT NULL, event_id BLOB NOT NULL,
  topic TEXT NOT NULL, part INTEGER NOT NULL, off INTEGER NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY (batch_id, consumer, event_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
  consumer TEXT NOT NULL, topic TEXT NOT NULL, part INTEGER NOT NULL, off INTEGER NOT NULL,
  event_id BLOB, batch_id BLOB, error_code TEXT NOT NULL, value_sha256 BLOB NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY (consumer, topic, part, off)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
  slot INTEGER NOT NULL, principal TEXT NOT NULL, route TEXT NOT NULL, idem_key TEXT NOT NULL,
  key_id INTEGER NOT NULL, fingerprint BLOB NOT NULL, batch_id BLOB,
  status INTEGER, body BLOB, location TEXT, etag TEXT, created_at TEXT NOT NULL,
  PRIMARY KEY (slot, principal, route, idem_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE timers (
  shard INTEGER NOT NULL, batch_id BLOB NOT NULL, kind TEXT NOT NULL,
  run INTEGER NOT NULL, phase TEXT, attempt INTEGER NOT NULL, due_at TEXT NOT NULL,
  PRIMARY KEY (shard, batch_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX timers_by_time ON timers (shard, due_at);

CREATE TABLE leases (
  shard INTEGER PRIMARY KEY, owner TEXT, epoch INTEGER NOT NULL DEFAULT 0, lease_until TEXT NOT NULL
) STRICT;
INSERT INTO leases (shard, lease_until) VALUES (0, '1970-01-01T00:00:00.000000Z');
CREATE TABLE replicas (id TEXT PRIMARY KEY, seen_at TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- The embedded event bus: one log, read by position. Exists on SQLite only: one writer, so id order is commit order.
CREATE TABLE local_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, key TEXT NOT NULL, event_id BLOB NOT NULL,
  value BLOB NOT NULL, headers TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
CREATE TABLE local_log_positions (consumer TEXT PRIMARY KEY, next_id INTEGER NOT NULL) STRICT, WITHOUT ROWID;
