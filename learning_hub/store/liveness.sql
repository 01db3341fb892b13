-- name: lock
-- Hold the liveness lock $1 for as long as this connection lives.
SELECT pg_advisory_lock($1::bigint)

-- name: check
-- Whether the connection still responds.
SELECT 1
