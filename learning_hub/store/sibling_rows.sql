-- Records at subscribers, as far as deliveries know them.

-- name: of_others
-- Identities between $2 and $3 that deliveries of other source records have at subscriber $1, in the panel $8. The one
-- asking: $4 Program, $5 subscription, $6 system, $7 publisher's event id.
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
-- For this session alone, until it ends.
SELECT pg_advisory_lock(hashtextextended($1::text, 1))
