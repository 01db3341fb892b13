-- The queue of deliveries, beside the statements that move them, which stand in delivery_transitions.sql.

-- name: lock_claims
-- Claims are made one after another, so that two workers never decide on the same queue at once.
SELECT pg_advisory_xact_lock(hashtext('learning-hub claim'))

-- name: lock_lease
-- Lock delivery $1/$2 if its lease still is $3.
SELECT subscriber_id FROM delivery
 WHERE program_id = $1::text AND delivery_uuid = $2::uuid AND lease_id = $3::uuid AND state = 'sending'
   FOR UPDATE

-- name: mark_sent
-- The deliveries $1/$2 (arrays), each with the number of its attempt ($3), are sent from now on, to a subscriber that
-- cannot be asked afterwards what became of them.
UPDATE attempt SET sent_utc = clock_timestamp()
  FROM unnest($1::text[], $2::uuid[], $3::int[]) AS sent (program_id, delivery_uuid, number)
 WHERE attempt.program_id = sent.program_id AND attempt.delivery_uuid = sent.delivery_uuid
   AND attempt.number = sent.number

-- name: next_due
-- Seconds until the next delivery falls due, or the next probe of a paused subscriber; null for none. Each subscriber
-- costs a single look-up in the index.
SELECT extract(epoch FROM min(coalesce(pause.next_probe_utc, next.due_utc)) - now())::float8
  FROM subscriber
  LEFT JOIN subscriber_pause AS pause ON pause.subscriber_id = subscriber.subscriber_id
 CROSS JOIN LATERAL (
       SELECT due_utc FROM delivery
        WHERE delivery.subscriber_id = subscriber.subscriber_id
          AND state IN ('waiting', 'retrying') AND NOT held
          AND (pause.subscriber_id IS NOT NULL OR due_utc > now())
        ORDER BY due_utc
        LIMIT 1) AS next
 WHERE subscriber.archived_utc IS NULL AND (pause.subscriber_id IS NULL OR pause.next_probe_utc IS NOT NULL)
