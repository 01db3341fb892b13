-- Checking that this process can store an event.

-- name: store_probe
-- Store an event that no reader sees, because store_probe's transaction deletes it again before it commits.
INSERT INTO event (program_id, event_uuid, epoch, seq, publisher_system_id, publisher_event_id, event_type, version,
                   revision, publisher_participant_id, data, event_start_utc, content_hash, created_utc, event_date)
SELECT coalesce((SELECT min(program_id) FROM program), 'health'), probe.uuid, 0, 0, 'health', probe.uuid::text,
       'health', 1, 1, 'health', '{}', now(), '', now(), (now() AT TIME ZONE 'UTC')::date
  FROM (SELECT $1::uuid AS uuid) AS probe

-- name: delete_probe
-- Delete the event of store_probe.
DELETE FROM event
 WHERE program_id = coalesce((SELECT min(program_id) FROM program), 'health') AND event_uuid = $1::uuid
