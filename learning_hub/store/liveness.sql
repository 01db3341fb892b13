-- name: lock
-- Be there as number $1, for as long as this connection lives.
SELECT pg_advisory_lock($1::bigint)

-- name: look
-- Whether the connection still answers.
SELECT 1
