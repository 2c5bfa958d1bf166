-- The Content Service: immutable texts.
CREATE TABLE IF NOT EXISTS contents (
  storage_id BLOB NOT NULL UNIQUE CHECK (length(storage_id) = 16),
  body       BLOB NOT NULL
) STRICT;

-- The lifecycle service: registered batches.
CREATE TABLE IF NOT EXISTS els_batches (
  batch_id        BLOB PRIMARY KEY,
  event_id        BLOB NOT NULL,
  correlation_id  BLOB NOT NULL,
  expected        INTEGER NOT NULL,
  course_code     TEXT NOT NULL,
  user_id         TEXT NOT NULL,
  complete        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Their essays. `position` is null for a text that arrived before the registration; `status` is null until there is a text.
CREATE TABLE IF NOT EXISTS els_essays (
  batch_id        BLOB NOT NULL,
  essay_id        BLOB NOT NULL,
  position        INTEGER,
  text_storage_id TEXT,
  status          TEXT,
  moved_by        BLOB,
  PRIMARY KEY (batch_id, essay_id)
) STRICT, WITHOUT ROWID;

-- The commands that moved any of them. `essays` is not used any more.
CREATE TABLE IF NOT EXISTS els_phases (
  batch_id        BLOB NOT NULL,
  phase           TEXT NOT NULL,
  correlation_id  BLOB NOT NULL,
  event_id        BLOB NOT NULL,
  essays          BLOB,
  PRIMARY KEY (batch_id, phase, correlation_id)
) STRICT, WITHOUT ROWID;
