-- Events and their withdrawals, which are the entries of the feed.
--
-- {event_columns} and {event_arrays:4} are lists made of the declaration of an event's fields: store/event_columns.py.

-- name: latest_entries
-- The newest entry of each source key; $1 program ids, $2 publisher event ids, $3 system ids, $4 event types.
SELECT key.ordinality::int AS key_number, latest.*
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY
       AS key (program_id, publisher_event_id, publisher_system_id, event_type)
 CROSS JOIN LATERAL (
       SELECT event_uuid, version, revision, content_hash, is_withdrawal
         FROM event
        WHERE event.program_id = key.program_id
          AND event.publisher_event_id = key.publisher_event_id
          AND event.publisher_system_id = key.publisher_system_id
          AND event.event_type = key.event_type
        ORDER BY version DESC LIMIT 1) AS latest

-- name: present_time
-- The time by the clock of the database.
SELECT statement_timestamp()

-- name: append_first
-- Append the first events of sources that have no entries yet, in one statement that commits by itself, in the same
-- order as append_events. $1 event uuids, $2 when they are created (null: now, by the clock of the database, which is
-- the same for all hubs), $3 content hashes, then the columns of the declared fields. An event is left out if its source
-- already has an entry, or its Program accepts no events. Returns the uuids of the events left out. The first entry of a
-- source is never deleted before its others, so version 1 shows whether the source has entries.
WITH appended AS (
    INSERT INTO event (event_uuid, epoch, seq, version, revision, created_utc, event_date, content_hash,
                       {event_columns})
    SELECT event_uuid, (SELECT max(epoch) FROM feed_epoch), seq, 1, 1, coalesce($2::timestamptz, statement_timestamp()),
           (coalesce($2::timestamptz, statement_timestamp()) AT TIME ZONE 'UTC')::date, content_hash,
           {event_columns}
      FROM (SELECT new.*, nextval('event_seq') AS seq
              FROM unnest($1::uuid[], $3::bytea[], {event_arrays:4})
                   WITH ORDINALITY AS new (event_uuid, content_hash, {event_columns}, position)
              JOIN program USING (program_id)
             WHERE program.archived_utc IS NULL
             ORDER BY position) AS numbered
     ORDER BY program_id COLLATE "C", publisher_event_id COLLATE "C", publisher_system_id COLLATE "C",
              event_type COLLATE "C"
    ON CONFLICT ON CONSTRAINT event_source_version DO NOTHING
    RETURNING event_uuid
)
SELECT event_uuid FROM unnest($1::uuid[]) AS given (event_uuid)
 WHERE event_uuid NOT IN (SELECT event_uuid FROM appended)

-- name: lock_for_load
-- Take the lock that a load needs.
LOCK TABLE event IN ROW EXCLUSIVE MODE

-- name: reserve_positions
-- Reserve positions in the feed for $2 entries of Program $1: returns the epoch, and sequence numbers in ascending
-- order. This also assigns the transaction its id, which precedes the sequence number in the order of the feed. Returns
-- no row if the Program accepts no events. reserved_utc is the time by the clock of the database.
SELECT pg_current_xact_id(), (SELECT max(epoch) FROM feed_epoch) AS epoch, statement_timestamp() AS reserved_utc,
       ARRAY (SELECT nextval('event_seq') FROM generate_series(1, $2::int)) AS seqs
  FROM program
 WHERE program_id = $1::text AND archived_utc IS NULL

-- name: append_events
-- Append new events, one for each element of the arrays, in that order of the feed. $1 event uuids, $2 when they are
-- created (null: now), $3 versions, $4 revisions, $5 the uuids they supersede, $6 content hashes, then the columns of the
-- declared fields. All writers insert in the same order of source keys, by code point as the bulk load does, so that two
-- of them do not deadlock. An event is left out if its source key already has that version: its writer lost a race and
-- must classify it again. Returns the uuids of the stored events.
INSERT INTO event (event_uuid, epoch, seq, version, revision, supersedes, created_utc, event_date, content_hash,
                   {event_columns})
SELECT event_uuid, (SELECT max(epoch) FROM feed_epoch), seq, version, revision, supersedes, stored_utc,
       (stored_utc AT TIME ZONE 'UTC')::date, content_hash,
       {event_columns}
  FROM (SELECT *, coalesce(created_utc, statement_timestamp()) AS stored_utc, nextval('event_seq') AS seq
          FROM unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::int[], $5::uuid[], $6::bytea[], {event_arrays:7})
               WITH ORDINALITY
               AS new (event_uuid, created_utc, version, revision, supersedes, content_hash, {event_columns}, position)
         ORDER BY position) AS numbered
 ORDER BY program_id COLLATE "C", publisher_event_id COLLATE "C", publisher_system_id COLLATE "C",
          event_type COLLATE "C", version
ON CONFLICT ON CONSTRAINT event_source_version DO NOTHING
RETURNING event_uuid

-- name: delete_appended
-- Delete events that this transaction has appended, before other transactions can see them; $1 program ids, $2 event
-- uuids.
DELETE FROM event
 USING unnest($1::text[], $2::uuid[]) AS appended (program_id, event_uuid)
 WHERE event.program_id = appended.program_id AND event.event_uuid = appended.event_uuid AND NOT event.is_withdrawal

-- name: append_withdrawal
-- Append the withdrawal of event $1/$2 at $3 (null: now) if the event is the latest entry of its source key; returns no
-- row if it is not. If another writer was first, the constraint event_source_version is violated.
INSERT INTO event (event_uuid, is_withdrawal, epoch, version, revision, supersedes, created_utc, event_date,
                   withdrawn_utc, content_hash,
                   {event_columns})
SELECT event_uuid, true, (SELECT max(epoch) FROM feed_epoch), version + 1, revision, supersedes, created_utc, event_date,
       coalesce($3::timestamptz, statement_timestamp()), content_hash,
       {event_columns}
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
-- The event $1/$2, with the time of its withdrawal if it was withdrawn, the uuid of the next revision, and the newest
-- entry of its source key.
SELECT event.*, withdrawal.withdrawn_utc AS withdrawal_utc,
       (SELECT next.event_uuid FROM event AS next
         WHERE next.program_id = event.program_id
           AND next.publisher_event_id = event.publisher_event_id
           AND next.publisher_system_id = event.publisher_system_id
           AND next.event_type = event.event_type
           AND next.version > event.version AND NOT next.is_withdrawal
         ORDER BY next.version LIMIT 1) AS superseded_by,
       latest.event_uuid AS latest_uuid, latest.is_withdrawal AS latest_is_withdrawal
  FROM event
  LEFT JOIN event AS withdrawal
    ON withdrawal.program_id = event.program_id AND withdrawal.event_uuid = event.event_uuid
   AND withdrawal.is_withdrawal
 CROSS JOIN LATERAL (
       SELECT entry.event_uuid, entry.is_withdrawal FROM event AS entry
        WHERE entry.program_id = event.program_id
          AND entry.publisher_event_id = event.publisher_event_id
          AND entry.publisher_system_id = event.publisher_system_id
          AND entry.event_type = event.event_type
        ORDER BY entry.version DESC LIMIT 1) AS latest
 WHERE event.program_id = $1::text AND event.event_uuid = $2::uuid AND NOT event.is_withdrawal

-- name: existing
-- Those of the uuids $2 that are events of Program $1, withdrawn ones included.
SELECT event_uuid FROM event
 WHERE program_id = $1::text AND event_uuid = ANY ($2::uuid[]) AND NOT is_withdrawal
