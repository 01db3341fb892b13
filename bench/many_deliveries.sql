-- A subscription with as many waiting deliveries as it gets, and one with as many that failed.

-- name: fill
-- Deliveries $1 to $2 in state $3, waiting or parked, of subscription $4; the first ones have an event to send.
INSERT INTO delivery (program_id, delivery_uuid, subscription_id, subscriber_id, event_uuid, event_seq,
                      publisher_system_id, publisher_event_id, event_type, state, code, class, message, due_utc)
SELECT 'BENCH', uuidv7(), $4::text, 'hook', coalesce(event.event_uuid, gen_random_uuid()), number, 'TopClass',
       $4::text || ':' || number, 'AI_COMP_SUCCESS', $3::text, CASE $3::text WHEN 'parked' THEN 'refused' END,
       CASE $3::text WHEN 'parked' THEN 'refused' END,
       CASE $3::text WHEN 'parked' THEN 'The subscriber answered 400: No.' END,
       CASE $3::text WHEN 'waiting' THEN now() + number * interval '1 microsecond' END
  FROM generate_series($1::int, $2::int) AS number
  LEFT JOIN event ON event.program_id = 'BENCH' AND event.publisher_event_id = md5(number::text)
   AND event.publisher_system_id = 'TopClass'

-- name: vacuum
-- Vacuum as autovacuum would, but not during a measurement.
VACUUM (ANALYZE) delivery

-- name: write_out
-- Write all pages to disk, so that the server does not do it during a measurement.
CHECKPOINT
