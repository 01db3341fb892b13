-- name: notify
-- Notify the topics $2 in every process that listens on channel $1.
SELECT pg_notify($1::text, name) FROM unnest($2::text[]) AS name
