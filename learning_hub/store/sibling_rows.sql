-- Rows at subscribers, according to the delivery table.

-- name: of_others
-- Record ids between $2 and $3 that deliveries of other source records have at subscriber $1 in the panel $8. $4 to $7
-- identify the source record to leave out: Program, subscription, system, publisher's event id.
SELECT DISTINCT delivery.subscriber_record_id
  FROM delivery
  JOIN subscription USING (subscription_id)
 WHERE delivery.subscriber_id = $1::text
   AND delivery.subscriber_record_id COLLATE "C" >= '~' AND delivery.subscriber_record_id COLLATE "C" < '~~'
   AND delivery.subscriber_record_id COLLATE "C" >= $2::text AND delivery.subscriber_record_id COLLATE "C" < $3::text
   AND (delivery.program_id, delivery.subscription_id, delivery.publisher_system_id, delivery.publisher_event_id)
       <> ($4::text, $5::text, $6::text, $7::text)
   AND lower(subscription.target ->> 'Name') = lower($8::text)

-- name: lock
-- Take the lock $1 until the session ends.
SELECT pg_advisory_lock(hashtextextended($1::text, 1))
