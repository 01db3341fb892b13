-- A feed as it is after years.

-- name: program
INSERT INTO program (program_id, name) VALUES ('BENCH', 'Bench') ON CONFLICT DO NOTHING

-- name: events
-- Events $1 to $2, as the hub stores them, of as many sources; their uuids are in order.

INSERT INTO event (program_id, event_uuid, epoch, publisher_system_id, publisher_event_id, event_type, version, revision,
                   publisher_participant_id, category_value, category_label, data, event_start_utc, content_hash,
                   created_utc, event_date)
SELECT 'BENCH', uuidv7(), (SELECT max(epoch) FROM feed_epoch), 'TopClass', md5(number::text), 'AI_COMP_SUCCESS', 1, 1,
       'person.' || number % 10000 || '@example.org', 'Online', 'Online course',
       json_build_object('Activity Code', 'FIRE-201', 'Activity Title', 'Fire safety refresher',
                         'Completion Date', '2026-11-20T15:20:00Z', 'Credits', 1.5, 'Credit Type Code', 'CPD'),
       '2026-11-20T14:00:00Z', decode(repeat(md5(number::text), 2), 'hex'), now(), (now() AT TIME ZONE 'UTC')::date
  FROM generate_series($1::bigint, $2::bigint) AS number

-- name: any_event
SELECT event_uuid FROM event LIMIT 1

-- name: vacuum
-- Vacuum as autovacuum would, but not during a measurement.
VACUUM (ANALYZE) event

-- name: write_out
-- Write all pages to disk, so that the server does not do it during a measurement.
CHECKPOINT
