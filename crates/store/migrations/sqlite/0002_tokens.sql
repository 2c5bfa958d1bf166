-- What callers prove themselves with. The token itself is nowhere: only its hash.
CREATE TABLE tokens (
  token_id TEXT PRIMARY KEY, sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
  user_id TEXT NOT NULL, org_id TEXT, scopes TEXT NOT NULL, note TEXT,
  created_at TEXT NOT NULL, expires_at TEXT, revoked_at TEXT
) STRICT, WITHOUT ROWID;
