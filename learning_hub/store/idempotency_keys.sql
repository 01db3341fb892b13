-- Idempotency-Keys.

-- name: find
-- What these keys were answered with before; $1 program ids, $2 keys.
SELECT asked.ordinality::int AS asked, kept.request_hash, kept.status, kept.event_uuid
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (program_id, idempotency_key)
  JOIN idempotency_key AS kept USING (program_id, idempotency_key)

-- name: keep
-- Remember answers; $1 program ids, $2 keys, $3 request hashes, $4 statuses, $5 event uuids. A key another writer has
-- just taken is left out. Returns the positions that were kept.
WITH new AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::smallint[], $5::uuid[]) WITH ORDINALITY
                  AS new (program_id, idempotency_key, request_hash, status, event_uuid, position)
), kept AS (
    INSERT INTO idempotency_key (program_id, idempotency_key, request_hash, status, event_uuid)
    SELECT program_id, idempotency_key, request_hash, status, event_uuid FROM new ORDER BY position
    ON CONFLICT DO NOTHING
    RETURNING program_id, idempotency_key
)
SELECT new.position::int FROM new JOIN kept USING (program_id, idempotency_key)

-- name: forget
-- Take back keys whose event lost a race, before anybody saw them; $1 program ids, $2 keys.
DELETE FROM idempotency_key
 USING unnest($1::text[], $2::text[]) AS lost (program_id, idempotency_key)
 WHERE idempotency_key.program_id = lost.program_id AND idempotency_key.idempotency_key = lost.idempotency_key
