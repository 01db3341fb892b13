-- The queue of deliveries. The statements that change their state are in delivery_transitions.sql.

-- name: lock_claims
-- Serialise claims, so that two workers never decide on the same deliveries at once.
SELECT pg_advisory_xact_lock(hashtext('learning-hub claim'))

-- name: lock_lease
-- Lock delivery $1/$2 if its lease is still $3.
SELECT subscriber_id FROM delivery
 WHERE program_id = $1::text AND delivery_uuid = $2::uuid AND lease_id = $3::uuid AND state = 'sending'
   FOR UPDATE

-- name: mark_sent
-- Store that the deliveries $1/$2 (arrays), each with the number of its attempt ($3), are now being sent to a
-- subscriber that cannot be asked later whether it carried them out.
UPDATE attempt SET sent_utc = clock_timestamp()
  FROM unnest($1::text[], $2::uuid[], $3::int[]) AS sent (program_id, delivery_uuid, number)
 WHERE attempt.program_id = sent.program_id AND attempt.delivery_uuid = sent.delivery_uuid
   AND attempt.number = sent.number

-- name: next_due
-- Seconds until the next delivery, or the next probe of a paused subscriber, is due; null if there is none. Each
-- subscriber costs one look-up in the index.
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
