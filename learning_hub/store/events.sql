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

-- name: append_first
-- Append the first events of sources that have none yet, created at $13, in one statement that commits by itself; the
-- order is as for append_events. Those whose source has an entry already, or whose Program takes no events, are left
-- out. Returns the uuids of those left out. That a source's first entry stands as long as any other does makes its
-- version 1 tell whether there is one.
WITH appended AS (
    INSERT INTO event (program_id, event_uuid, epoch, seq, publisher_system_id, publisher_event_id, event_type, version,
                       revision, publisher_participant_id, category_value, category_label, data, event_start_utc,
                       event_end_utc, content_hash, created_utc, event_date)
    SELECT program_id, event_uuid, (SELECT max(epoch) FROM feed_epoch), seq, publisher_system_id, publisher_event_id,
           event_type, 1, 1, publisher_participant_id, category_value, category_label, data, event_start_utc,
           event_end_utc, content_hash, $13::timestamptz, ($13::timestamptz AT TIME ZONE 'UTC')::date
      FROM (SELECT new.*, nextval('event_seq') AS seq
              FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                          $8::text[], $9::json[], $10::timestamptz[], $11::timestamptz[], $12::bytea[])
                   WITH ORDINALITY
                   AS new (program_id, event_uuid, publisher_system_id, publisher_event_id, event_type,
                           publisher_participant_id, category_value, category_label, data, event_start_utc,
                           event_end_utc, content_hash, position)
              JOIN program USING (program_id)
             WHERE program.archived_utc IS NULL
             ORDER BY position) AS numbered
     ORDER BY program_id, publisher_event_id, publisher_system_id, event_type
    ON CONFLICT ON CONSTRAINT event_source_version DO NOTHING
    RETURNING event_uuid
)
SELECT event_uuid FROM unnest($2::uuid[]) AS asked (event_uuid)
 WHERE event_uuid NOT IN (SELECT event_uuid FROM appended)

-- name: append_events
-- Append new events, one for each position of the arrays. Their place in the feed is that order; they are written in
-- the order of their source keys, the same for all writers, so that two of them never wait for each other in a ring.
-- One whose source key has got that version meanwhile is left out: its writer lost a race and must look again. Returns
-- the uuids of those that were stored.
INSERT INTO event (program_id, event_uuid, epoch, seq, publisher_system_id, publisher_event_id, event_type, version,
                   revision, supersedes, publisher_participant_id, category_value, category_label, data,
                   event_start_utc, event_end_utc, content_hash, created_utc, event_date)
SELECT program_id, event_uuid, (SELECT max(epoch) FROM feed_epoch), seq, publisher_system_id, publisher_event_id,
       event_type, version, revision, supersedes, publisher_participant_id, category_value, category_label, data,
       event_start_utc, event_end_utc, content_hash, created_utc, (created_utc AT TIME ZONE 'UTC')::date
  FROM (SELECT *, nextval('event_seq') AS seq
          FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::int[], $7::int[], $8::uuid[],
                      $9::text[], $10::text[], $11::text[], $12::json[], $13::timestamptz[], $14::timestamptz[],
                      $15::bytea[], $16::timestamptz[]) WITH ORDINALITY
               AS new (program_id, event_uuid, publisher_system_id, publisher_event_id, event_type, version, revision,
                       supersedes, publisher_participant_id, category_value, category_label, data, event_start_utc,
                       event_end_utc, content_hash, created_utc, position)
         ORDER BY position) AS numbered
 ORDER BY program_id, publisher_event_id, publisher_system_id, event_type, version
ON CONFLICT ON CONSTRAINT event_source_version DO NOTHING
RETURNING event_uuid

-- name: take_back
-- Remove events that this transaction has appended, before anybody saw them; $1 program ids, $2 uuids.
DELETE FROM event
 USING unnest($1::text[], $2::uuid[]) AS gone (program_id, event_uuid)
 WHERE event.program_id = gone.program_id AND event.event_uuid = gone.event_uuid AND NOT event.is_withdrawal

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

-- name: there
-- Which of the events $2 of Program $1 there are, withdrawn ones as well.
SELECT event_uuid FROM event
 WHERE program_id = $1::text AND event_uuid = ANY ($2::uuid[]) AND NOT is_withdrawal

-- name: horizon
-- Every entry before this is there for all to see, and none will come before it any more.
SELECT (SELECT max(epoch) FROM feed_epoch) AS epoch, pg_snapshot_xmin(pg_current_snapshot()) AS xid

-- name: horizon_for_a_walk
-- The same, and the rest of the transaction is planned as by plan_in_index_order: one way to the server and back.
SELECT (SELECT max(epoch) FROM feed_epoch) AS epoch, pg_snapshot_xmin(pg_current_snapshot()) AS xid,
       set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_sort', 'off', true)

-- name: full_page_of_feed
-- The next $5 entries of Program $1 after ($2, $3, $4) that can no longer be overtaken, in feed order. One statement has
-- one snapshot, so that what is before its horizon is visible in it.
SELECT program_id, event_uuid, epoch, xid, seq, event_date, created_utc, revision, supersedes, publisher_system_id,
       event_type, publisher_event_id, publisher_participant_id, category_value, category_label, data, event_start_utc,
       event_end_utc, withdrawn_utc AS withdrawal_utc
  FROM event
 WHERE program_id = $1::text AND (epoch, xid, seq) > ($2::int, $3::xid8, $4::bigint)
   AND (epoch, xid) < ((SELECT max(epoch) FROM feed_epoch), pg_snapshot_xmin(pg_current_snapshot()))
 ORDER BY epoch, xid, seq LIMIT $5::int

-- name: full_page_of_bucket
-- The same of the entries of day $6.
SELECT program_id, event_uuid, epoch, xid, seq, event_date, created_utc, revision, supersedes, publisher_system_id,
       event_type, publisher_event_id, publisher_participant_id, category_value, category_label, data, event_start_utc,
       event_end_utc, withdrawn_utc AS withdrawal_utc
  FROM event
 WHERE program_id = $1::text AND event_date = $6::date AND (epoch, xid, seq) > ($2::int, $3::xid8, $4::bigint)
   AND (epoch, xid) < ((SELECT max(epoch) FROM feed_epoch), pg_snapshot_xmin(pg_current_snapshot()))
 ORDER BY epoch, xid, seq LIMIT $5::int

-- name: held_back
-- The newest entry of Program $1 from the horizon $2/$3 on: committed, and to be seen once what is older has ended.
SELECT epoch, xid, seq FROM event
 WHERE program_id = $1::text AND (epoch, xid) >= ($2::int, $3::xid8)
 ORDER BY epoch DESC, xid DESC, seq DESC LIMIT 1

-- name: plan_for_these_values
-- The next query has filters that may be null; a plan that fits all of them would fit none.
SET LOCAL plan_cache_mode = force_custom_plan

-- name: plan_in_index_order
-- The same for a query that must take its order from an index. On a table it knows too little about, the planner
-- would rather read all that comes after a place and sort it, for each page anew.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_sort', 'off', true)

-- name: start_of_days
-- The place of the first entry of Program $1 that was created on day $2 or later. Each day is asked for its first:
-- clocks go backwards, so that of the first day need not be the earliest.
WITH RECURSIVE day AS (
    SELECT min(event_date) AS event_date FROM event WHERE program_id = $1::text AND event_date >= $2::date
    UNION ALL
    SELECT (SELECT min(event.event_date) FROM event
             WHERE event.program_id = $1::text AND event.event_date > day.event_date)
      FROM day WHERE day.event_date IS NOT NULL
)
SELECT first_of_day.*
  FROM day
 CROSS JOIN LATERAL (
       SELECT epoch, xid, seq FROM event
        WHERE event.program_id = $1::text AND event.event_date = day.event_date
        ORDER BY epoch, xid, seq LIMIT 1) AS first_of_day
 ORDER BY epoch, xid, seq
 LIMIT 1

-- name: read_feed
-- Up to $7 entries of Program $1 after ($2, $3, $4) and before the horizon ($5, $6), in feed order. Filters, null for
-- none: $8 event date, $9 system, $10 event type, $11 category, $12 participant, $13 publisher's event id, $14 created
-- since. No more than $15 entries are looked at; the last of so many comes along, wanted or not, to tell where to go
-- on.
WITH last AS (
    SELECT epoch, xid, seq
      FROM event
     WHERE program_id = $1::text
       AND (epoch, xid, seq) > ($2::int, $3::xid8, $4::bigint)
       AND (epoch, xid) < ($5::int, $6::xid8)
     ORDER BY epoch, xid, seq
    OFFSET $15::int - 1 LIMIT 1
)
SELECT *
  FROM (SELECT *, withdrawn_utc AS withdrawal_utc,
               ($8::date IS NULL OR event_date = $8::date)
               AND ($9::text IS NULL OR publisher_system_id = $9::text)
               AND ($10::text IS NULL OR event_type = $10::text)
               AND ($11::text IS NULL OR category_value = $11::text)
               AND ($12::text IS NULL OR publisher_participant_id = $12::text)
               AND ($13::text IS NULL OR publisher_event_id = $13::text)
               AND ($14::timestamptz IS NULL OR created_utc >= $14::timestamptz) AS is_wanted,
               (epoch, xid, seq) = (SELECT epoch, xid, seq FROM last) AS is_last
          FROM (SELECT *
                  FROM event
                 WHERE program_id = $1::text
                   AND (epoch, xid, seq) > ($2::int, $3::xid8, $4::bigint)
                   AND (epoch, xid) < ($5::int, $6::xid8)
                 ORDER BY epoch, xid, seq
                 LIMIT $15::int) AS looked_at) AS judged
 WHERE is_wanted OR is_last
 ORDER BY epoch, xid, seq
 LIMIT $7::int

-- name: read_bucket
-- The same for one event date. Comparing it with the place, and ordering by it, leaves the planner no other index,
-- whatever it believes about the table.
WITH last AS (
    SELECT epoch, xid, seq
      FROM event
     WHERE program_id = $1::text
       AND (event_date, epoch, xid, seq) > ($8::date, $2::int, $3::xid8, $4::bigint)
       AND (event_date, epoch, xid) < ($8::date, $5::int, $6::xid8)
     ORDER BY event_date, epoch, xid, seq
    OFFSET $15::int - 1 LIMIT 1
)
SELECT *
  FROM (SELECT *, withdrawn_utc AS withdrawal_utc,
               ($8::date IS NULL OR event_date = $8::date)
               AND ($9::text IS NULL OR publisher_system_id = $9::text)
               AND ($10::text IS NULL OR event_type = $10::text)
               AND ($11::text IS NULL OR category_value = $11::text)
               AND ($12::text IS NULL OR publisher_participant_id = $12::text)
               AND ($13::text IS NULL OR publisher_event_id = $13::text)
               AND ($14::timestamptz IS NULL OR created_utc >= $14::timestamptz) AS is_wanted,
               (epoch, xid, seq) = (SELECT epoch, xid, seq FROM last) AS is_last
          FROM (SELECT *
                  FROM event
                 WHERE program_id = $1::text
                   AND (event_date, epoch, xid, seq) > ($8::date, $2::int, $3::xid8, $4::bigint)
                   AND (event_date, epoch, xid) < ($8::date, $5::int, $6::xid8)
                 ORDER BY event_date, epoch, xid, seq
                 LIMIT $15::int) AS looked_at) AS judged
 WHERE is_wanted OR is_last
 ORDER BY event_date, epoch, xid, seq
 LIMIT $7::int

-- name: read_participant
-- The same for one participant.
WITH last AS (
    SELECT epoch, xid, seq
      FROM event
     WHERE program_id = $1::text
       AND (publisher_participant_id, epoch, xid, seq) > ($12::text, $2::int, $3::xid8, $4::bigint)
       AND (publisher_participant_id, epoch, xid) < ($12::text, $5::int, $6::xid8)
     ORDER BY publisher_participant_id, epoch, xid, seq
    OFFSET $15::int - 1 LIMIT 1
)
SELECT *
  FROM (SELECT *, withdrawn_utc AS withdrawal_utc,
               ($8::date IS NULL OR event_date = $8::date)
               AND ($9::text IS NULL OR publisher_system_id = $9::text)
               AND ($10::text IS NULL OR event_type = $10::text)
               AND ($11::text IS NULL OR category_value = $11::text)
               AND ($12::text IS NULL OR publisher_participant_id = $12::text)
               AND ($13::text IS NULL OR publisher_event_id = $13::text)
               AND ($14::timestamptz IS NULL OR created_utc >= $14::timestamptz) AS is_wanted,
               (epoch, xid, seq) = (SELECT epoch, xid, seq FROM last) AS is_last
          FROM (SELECT *
                  FROM event
                 WHERE program_id = $1::text
                   AND (publisher_participant_id, epoch, xid, seq) > ($12::text, $2::int, $3::xid8, $4::bigint)
                   AND (publisher_participant_id, epoch, xid) < ($12::text, $5::int, $6::xid8)
                 ORDER BY publisher_participant_id, epoch, xid, seq
                 LIMIT $15::int) AS looked_at) AS judged
 WHERE is_wanted OR is_last
 ORDER BY publisher_participant_id, epoch, xid, seq
 LIMIT $7::int

-- name: read_source
-- The same for one publisher's event id, whose entries are found first, all of them, and sorted for each page: most
-- have a handful. On its own the planner would look for them along the feed once the table is analysed, as it judges
-- what comes before the horizon by the epoch alone.
WITH source AS MATERIALIZED (
    SELECT * FROM event WHERE program_id = $1::text AND publisher_event_id = $13::text
)
SELECT *, withdrawn_utc AS withdrawal_utc
  FROM source
 WHERE (epoch, xid, seq) > ($2::int, $3::xid8, $4::bigint)
   AND (epoch, xid) < ($5::int, $6::xid8)
   AND ($8::date IS NULL OR event_date = $8::date)
   AND ($9::text IS NULL OR publisher_system_id = $9::text)
   AND ($10::text IS NULL OR event_type = $10::text)
   AND ($11::text IS NULL OR category_value = $11::text)
   AND ($12::text IS NULL OR publisher_participant_id = $12::text)
   AND ($14::timestamptz IS NULL OR created_utc >= $14::timestamptz)
 ORDER BY epoch, xid, seq
 LIMIT $7::int

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
