-- What callers prove themselves with. The token itself is nowhere: only its hash.
CREATE TABLE tokens (
  token_id text PRIMARY KEY, sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
  user_id text NOT NULL, org_id text, scopes text NOT NULL, note text,
  created_at timestamptz NOT NULL, expires_at timestamptz, revoked_at timestamptz
);
