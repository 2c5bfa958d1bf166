-- Whether the token was created over HTTP while no caller was authenticated. It is refused once callers are.
ALTER TABLE tokens ADD COLUMN issued_without_auth bigint NOT NULL DEFAULT 0;
