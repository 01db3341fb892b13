-- Events and their withdrawals, which are the entries of the feed.

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
     ORDER BY program_id COLLATE "C", publisher_event_id COLLATE "C", publisher_system_id COLLATE "C",
              event_type COLLATE "C"
    ON CONFLICT ON CONSTRAINT event_source_version DO NOTHING
    RETURNING event_uuid
)
SELECT event_uuid FROM unnest($2::uuid[]) AS asked (event_uuid)
 WHERE event_uuid NOT IN (SELECT event_uuid FROM appended)

-- name: reserve_positions
-- Places in the feed for $2 entries of Program $1: the epoch, and numbers in ascending order; the transaction gets its
-- own number, which comes before them in the order of the feed, at the same moment. No row where the Program takes no
-- events.
SELECT pg_current_xact_id(), (SELECT max(epoch) FROM feed_epoch) AS epoch,
       ARRAY (SELECT nextval('event_seq') FROM generate_series(1, $2::int)) AS seqs
  FROM program
 WHERE program_id = $1::text AND archived_utc IS NULL

-- name: append_events
-- Append new events, one for each position of the arrays. Their place in the feed is that order; they are written in
-- the order of their source keys, the same for all writers, so that two of them never wait for each other in a ring:
-- by code point, as the hub sorts what it loads in bulk.
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
 ORDER BY program_id COLLATE "C", publisher_event_id COLLATE "C", publisher_system_id COLLATE "C",
          event_type COLLATE "C", version
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
