-- name: ring
-- Ring the notifications named in $2 in every process that listens on channel $1.
SELECT pg_notify($1::text, name) FROM unnest($2::text[]) AS name
