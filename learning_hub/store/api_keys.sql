-- API keys; only their hashes are stored.

-- name: insert
-- Store a new key's hash.
INSERT INTO api_key (key_id, name, key_hash, programs, scopes, expires_utc)
VALUES ($1::text, $2::text, $3::bytea, $4::text[], $5::text[], $6::timestamptz)
RETURNING *

-- name: find
-- One key.
SELECT * FROM api_key WHERE key_id = $1::text

-- name: lock
-- One key, locked until the transaction ends.
SELECT * FROM api_key WHERE key_id = $1::text FOR UPDATE

-- name: update
-- Change the name of a key, and when it expires.
UPDATE api_key SET name = $2::text, expires_utc = $3::timestamptz WHERE key_id = $1::text RETURNING *

-- name: page
-- Up to $2 keys after the id $1, the oldest first.
SELECT * FROM api_key WHERE key_id > $1::text ORDER BY key_id LIMIT $2::int

-- name: revoke
-- Revoke a key.
UPDATE api_key SET revoked_utc = coalesce(revoked_utc, now()) WHERE key_id = $1::text RETURNING *

-- name: note_use
-- Store the times $2 at which the keys $1 were last used (arrays).
UPDATE api_key SET last_used_utc = greatest(last_used_utc, used.at)
  FROM unnest($1::text[], $2::timestamptz[]) AS used (key_id, at)
 WHERE api_key.key_id = used.key_id
