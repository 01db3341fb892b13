-- The feed: events and their withdrawals.

-- name: closed_programs
-- Those of the Programs $1 that take no events: there is none of that id, or it is archived.
SELECT asked.program_id, program.program_id IS NULL AS is_unknown
  FROM unnest($1::text[]) AS asked (program_id)
  LEFT JOIN program USING (program_id)
 WHERE program.program_id IS NULL OR program.archived_utc IS NOT NULL

-- name: latest_entries
-- The newest entry of each source key; $1 program ids, $2 publisher event ids, $3 system ids, $4 event types.
SELECT asked.ordinality::int AS asked, latest.*
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY
       AS asked (program_id, publisher_event_id, publisher_system_id, event_type)
 CROSS JOIN LATERAL (
       SELECT event_uuid, version, revision, content_hash, is_withdrawal
         FROM event
        WHERE event.program_id = asked.program_id
          AND event.publisher_event_id = asked.publisher_event_id
          AND event.publisher_system_id = asked.publisher_system_id
          AND event.event_type = asked.event_type
        ORDER BY version DESC LIMIT 1) AS latest

-- name: append_events
-- Append new events, one for each position of the arrays, in that order. One whose source key has got that version
-- meanwhile is left out: its writer lost a race and must look again. Returns the uuids of those that were stored.
INSERT INTO event (program_id, event_uuid, epoch, publisher_system_id, publisher_event_id, event_type, version,
                   revision, supersedes, publisher_participant_id, category_value, category_label, data,
                   event_start_utc, event_end_utc, content_hash, created_utc, event_date)
SELECT program_id, event_uuid, (SELECT max(epoch) FROM feed_epoch), publisher_system_id, publisher_event_id,
       event_type, version, revision, supersedes, publisher_participant_id, category_value, category_label, data,
       event_start_utc, event_end_utc, content_hash, created_utc, (created_utc AT TIME ZONE 'UTC')::date
  FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::int[], $7::int[], $8::uuid[],
              $9::text[], $10::text[], $11::text[], $12::json[], $13::timestamptz[], $14::timestamptz[],
              $15::bytea[], $16::timestamptz[])
       AS new (program_id, event_uuid, publisher_system_id, publisher_event_id, event_type, version, revision,
               supersedes, publisher_participant_id, category_value, category_label, data, event_start_utc,
               event_end_utc, content_hash, created_utc)
ON CONFLICT ON CONSTRAINT event_source_version DO NOTHING
RETURNING event_uuid

-- name: append_withdrawal
-- Append the withdrawal of event $1/$2 at $3 if it is the latest entry of its source key. Nothing is returned where
-- it is not; a writer that got there first raises the constraint event_source_version.
INSERT INTO event (program_id, event_uuid, is_withdrawal, epoch, publisher_system_id, publisher_event_id, event_type,
                   version, revision, supersedes, publisher_participant_id, category_value, category_label, data,
                   event_start_utc, event_end_utc, content_hash, created_utc, event_date, withdrawn_utc)
SELECT program_id, event_uuid, true, (SELECT max(epoch) FROM feed_epoch), publisher_system_id, publisher_event_id,
       event_type, version + 1, revision, supersedes, publisher_participant_id, category_value, category_label, data,
       event_start_utc, event_end_utc, content_hash, created_utc, event_date, $3::timestamptz
  FROM event
 WHERE program_id = $1::text AND event_uuid = $2::uuid AND NOT is_withdrawal
   AND NOT EXISTS (SELECT FROM event AS later
                    WHERE later.program_id = event.program_id
                      AND later.publisher_event_id = event.publisher_event_id
                      AND later.publisher_system_id = event.publisher_system_id
                      AND later.event_type = event.event_type
                      AND later.version > event.version)
RETURNING event_uuid

-- name: find_event
-- The event $1/$2, with its withdrawal's time where it was withdrawn.
SELECT event.*, withdrawal.withdrawn_utc AS withdrawal_utc
  FROM event
  LEFT JOIN event AS withdrawal
    ON withdrawal.program_id = event.program_id AND withdrawal.event_uuid = event.event_uuid
   AND withdrawal.is_withdrawal
 WHERE event.program_id = $1::text AND event.event_uuid = $2::uuid AND NOT event.is_withdrawal

-- name: horizon
-- Every entry before this is there for all to see, and none will come before it any more.
SELECT (SELECT max(epoch) FROM feed_epoch) AS epoch, pg_snapshot_xmin(pg_current_snapshot()) AS xid

-- name: plan_for_these_values
-- The next query has filters that may be null; a plan that fits all of them would fit none.
SET LOCAL plan_cache_mode = force_custom_plan

-- name: plan_in_feed_order
-- The same for a query that must take its order from an index. On a table it knows too little about, the planner
-- would rather read all that comes after a place and sort it, for each page anew.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_sort', 'off', true)

-- name: read_feed
-- Up to $6 entries of Program $1 after ($2, $3, $4) and before the horizon ($5 epoch, $14 xid), in feed order.
-- Filters, null for none: $7 event date, $8 system, $9 event type, $10 category, $11 participant, $12 publisher's
-- event id, $13 created since.
SELECT *, withdrawn_utc AS withdrawal_utc
  FROM event
 WHERE program_id = $1::text
   AND (epoch, xid, seq) > ($2::int, $3::xid8, $4::bigint)
   AND (epoch, xid) < ($5::int, $14::xid8)
   AND ($7::date IS NULL OR event_date = $7::date)
   AND ($8::text IS NULL OR publisher_system_id = $8::text)
   AND ($9::text IS NULL OR event_type = $9::text)
   AND ($10::text IS NULL OR category_value = $10::text)
   AND ($11::text IS NULL OR publisher_participant_id = $11::text)
   AND ($12::text IS NULL OR publisher_event_id = $12::text)
   AND ($13::timestamptz IS NULL OR created_utc >= $13::timestamptz)
 ORDER BY epoch, xid, seq
 LIMIT $6::int

-- name: find_idempotency_keys
-- What these keys were answered with before; $1 program ids, $2 keys.
SELECT asked.ordinality::int AS asked, kept.request_hash, kept.status, kept.event_uuid
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (program_id, idempotency_key)
  JOIN idempotency_key AS kept USING (program_id, idempotency_key)

-- name: keep_idempotency_keys
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

-- name: forget_idempotency_keys
-- Take back keys whose event lost a race, before anybody saw them; $1 program ids, $2 keys.
DELETE FROM idempotency_key
 USING unnest($1::text[], $2::text[]) AS lost (program_id, idempotency_key)
 WHERE idempotency_key.program_id = lost.program_id AND idempotency_key.idempotency_key = lost.idempotency_key
