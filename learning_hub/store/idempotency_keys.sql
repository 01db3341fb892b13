-- The responses to Idempotency-Keys.

-- name: find
-- The stored responses to the keys $2 of the Programs $1 (arrays), with the position of each in the arrays.
SELECT requested.ordinality::int AS position, stored.request_hash, stored.status, stored.event_uuid
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS requested (program_id, idempotency_key)
  JOIN idempotency_key AS stored USING (program_id, idempotency_key)

-- name: insert
-- Store responses: $1 Programs, $2 keys, $3 request hashes, $4 statuses, $5 event uuids (arrays). A key that another
-- writer has stored is left out. Returns the positions that were stored.
WITH new AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::smallint[], $5::uuid[]) WITH ORDINALITY
                  AS new (program_id, idempotency_key, request_hash, status, event_uuid, position)
), stored AS (
    INSERT INTO idempotency_key (program_id, idempotency_key, request_hash, status, event_uuid)
    SELECT program_id, idempotency_key, request_hash, status, event_uuid FROM new ORDER BY position
    ON CONFLICT DO NOTHING
    RETURNING program_id, idempotency_key
)
SELECT new.position::int FROM new JOIN stored USING (program_id, idempotency_key)

-- name: delete
-- Delete the keys $2 of the Programs $1 (arrays), which this transaction stored, because their events lost a race.
DELETE FROM idempotency_key
 USING unnest($1::text[], $2::text[]) AS lost (program_id, idempotency_key)
 WHERE idempotency_key.program_id = lost.program_id AND idempotency_key.idempotency_key = lost.idempotency_key
