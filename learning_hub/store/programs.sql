-- Programs: the organisations whose learning is recorded.

-- name: lock
-- Lock Program $1, which need not exist yet, against other changes until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('program ' || $1::text, 0))

-- name: put
-- Create Program $1, or rename it to $2; an archived Program becomes active again.
INSERT INTO program (program_id, name) VALUES ($1::text, $2::text)
ON CONFLICT (program_id) DO UPDATE SET name = excluded.name, archived_utc = NULL
RETURNING *

-- name: find
-- One Program.
SELECT * FROM program WHERE program_id = $1::text

-- name: page
-- Up to $3 Programs after $2 by id; only those in $1, null for all.
SELECT * FROM program
 WHERE ($1::text[] IS NULL OR program_id = ANY ($1::text[])) AND program_id > $2::text
 ORDER BY program_id
 LIMIT $3::int

-- name: archive
-- Archive a Program, so that it accepts no more events. Its history stays.
UPDATE program SET archived_utc = coalesce(archived_utc, now()) WHERE program_id = $1::text RETURNING *

-- name: closed
-- Those of the Programs $1 that accept no events, because they are unknown or archived.
SELECT given.program_id, program.program_id IS NULL AS is_unknown
  FROM unnest($1::text[]) AS given (program_id)
  LEFT JOIN program USING (program_id)
 WHERE program.program_id IS NULL OR program.archived_utc IS NOT NULL
