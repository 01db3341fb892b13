-- A table of deliveries as it is after years, and one as it is at the beginning.

-- name: set_up
-- A started subscription of a subscriber that accepts any number of requests at once.
INSERT INTO program (program_id, name) VALUES ('BENCH', 'Bench');
INSERT INTO subscriber (subscriber_id, name, connector, settings, max_concurrency)
VALUES ('imis', 'iMIS', 'imis', '{}', 1000000);
INSERT INTO subscription (subscription_id, name, subscriber_id, program_id, event_types, target, templates,
                          start_epoch, start_snapshot)
VALUES ('completions', 'Completions', 'imis', 'BENCH', ARRAY['AI_COMP_SUCCESS'], '{"Kind": "activity"}', '{}', 0, '1:1:')

-- name: fill
-- $1 deliveries in state $2, delivered or waiting, of as many source records; their uuids are in order, as the hub
-- makes them.
INSERT INTO delivery (program_id, delivery_uuid, subscription_id, subscriber_id, event_uuid, event_seq,
                      publisher_system_id, publisher_event_id, event_type, state, due_utc, delivered_utc, created_utc)
SELECT 'BENCH', in_order, 'completions', 'imis', in_order, number, 'TopClass',
       $2::text || ':' || number, 'AI_COMP_SUCCESS', $2::text,
       CASE WHEN $2::text = 'waiting' THEN now() - interval '1 day' + number * interval '1 millisecond' END,
       CASE WHEN $2::text = 'delivered' THEN now() END, now() - interval '1 day'
  FROM generate_series(1, $1::int) AS number
 CROSS JOIN LATERAL (
       SELECT (CASE WHEN $2::text = 'delivered' THEN '01900000' ELSE '01a00000' END || lpad(to_hex(number), 8, '0')
               || substr(md5(number::text), 1, 16))::uuid AS in_order) AS made

-- name: put_back
-- Set claimed deliveries to waiting, due before all others.
UPDATE delivery
   SET state = 'waiting', due_utc = now() - interval '2 days', lease_id = NULL, lease_until_utc = NULL
 WHERE subscriber_id = 'imis' AND state = 'sending'

-- name: vacuum
-- Vacuum as autovacuum would, but not during a measurement.
VACUUM (ANALYZE) delivery

-- name: write_out
-- Write all pages to disk, so that the server does not do it during a measurement.
CHECKPOINT
