-- Deliveries as users see them.

-- name: page
-- Up to $8 deliveries before uuid $7, newest first. Filters, null for none: $1 Programs, $2 state, $3 class, $4 code,
-- $5 and $6 Program and uuid of an event, $9 signature, $10 signature of a category without a template. The newest
-- deliveries of each Program are read separately, because the indexes are in that order for each Program.
SELECT delivery.*
  FROM program
 CROSS JOIN LATERAL (
       SELECT * FROM delivery
        WHERE delivery.program_id = program.program_id
          AND ($2::text IS NULL OR state = $2::text)
          AND ($3::text IS NULL OR class = $3::text)
          AND ($4::text IS NULL OR code = $4::text)
          AND ($9::text IS NULL OR signature = $9::text)
          AND ($10::text IS NULL OR state = 'skipped' AND code = 'no_template'
                                    AND no_template_signature(state, code, message) = $10::text)
          AND ($6::uuid IS NULL OR event_uuid = $6::uuid)
          AND ($7::uuid IS NULL OR delivery_uuid < $7::uuid)
        ORDER BY delivery_uuid DESC
        LIMIT $8::int) AS delivery
 WHERE ($1::text[] IS NULL OR program.program_id = ANY ($1::text[]))
   AND ($5::text IS NULL OR program.program_id = $5::text)
 ORDER BY delivery.delivery_uuid DESC
 LIMIT $8::int

-- name: page_of_subscriptions
-- The same for subscription $11, or for the subscriptions of subscriber $12; null is no filter.
SELECT delivery.*
  FROM subscription
 CROSS JOIN LATERAL (
       SELECT * FROM delivery
        WHERE delivery.program_id = subscription.program_id
          AND delivery.subscription_id = subscription.subscription_id
          AND ($2::text IS NULL OR state = $2::text)
          AND ($3::text IS NULL OR class = $3::text)
          AND ($4::text IS NULL OR code = $4::text)
          AND ($9::text IS NULL OR signature = $9::text)
          AND ($10::text IS NULL OR state = 'skipped' AND code = 'no_template'
                                    AND no_template_signature(state, code, message) = $10::text)
          AND ($6::uuid IS NULL OR event_uuid = $6::uuid)
          AND ($7::uuid IS NULL OR delivery_uuid < $7::uuid)
        ORDER BY delivery_uuid DESC
        LIMIT $8::int) AS delivery
 WHERE ($1::text[] IS NULL OR subscription.program_id = ANY ($1::text[]))
   AND ($5::text IS NULL OR subscription.program_id = $5::text)
   AND ($11::text IS NULL OR subscription.subscription_id = $11::text)
   AND ($12::text IS NULL OR subscription.subscriber_id = $12::text)
 ORDER BY delivery.delivery_uuid DESC
 LIMIT $8::int

-- name: find
-- One delivery.
SELECT * FROM delivery WHERE program_id = $1::text AND delivery_uuid = $2::uuid

-- name: lock
-- Lock the deliveries $2 (uuids) of Program $1. Rows are locked in one order, so that two requests do not deadlock.
SELECT FROM delivery
 WHERE program_id = $1::text AND delivery_uuid = ANY ($2::uuid[])
 ORDER BY delivery_uuid
   FOR UPDATE

-- name: attempts
-- The attempts of a delivery, in order.
SELECT * FROM attempt WHERE program_id = $1::text AND delivery_uuid = $2::uuid ORDER BY number

-- name: of_participant
-- Deliveries at subscriber $4 that are parked until participant $2 of Program $1, in every spelling of the id, is
-- matched, and those that are being sent; $3 is the system, null for any. They are found by the participant's events,
-- which are few however many deliveries are parked. OFFSET prevents the planner from reading the parked deliveries
-- first.
WITH their_event AS MATERIALIZED (
    SELECT event_uuid FROM event
     WHERE program_id = $1::text AND participant_key(publisher_participant_id) = participant_key($2::text)
       AND NOT is_withdrawal AND ($3::text IS NULL OR publisher_system_id = $3::text)
)
SELECT delivery.delivery_uuid, delivery.state = 'sending' AS is_under_way
  FROM their_event
 CROSS JOIN LATERAL (
       SELECT delivery_uuid, state, class, subscriber_id FROM delivery
        WHERE delivery.program_id = $1::text AND delivery.event_uuid = their_event.event_uuid
       OFFSET 0) AS delivery
 WHERE delivery.subscriber_id = $4::text
   AND (delivery.state = 'parked' AND delivery.class = 'identity' OR delivery.state = 'sending')

-- name: count_open
-- How many deliveries of the Programs $1, null for all, are not final, by state.
SELECT state, count(*) AS deliveries FROM delivery
 WHERE state IN ('waiting', 'sending', 'retrying', 'parked') AND ($1::text[] IS NULL OR program_id = ANY ($1::text[]))
 GROUP BY state

-- name: count_no_template
-- How many deliveries were skipped because their category has no template, by subscriber and subscription; archived
-- subscriptions are left out.
SELECT subscription.subscriber_id, subscription.subscription_id, count(*) AS deliveries
  FROM subscription
  JOIN delivery ON delivery.program_id = subscription.program_id
               AND delivery.subscription_id = subscription.subscription_id
 WHERE delivery.state = 'skipped' AND delivery.code = 'no_template' AND subscription.archived_utc IS NULL
 GROUP BY subscription.subscriber_id, subscription.subscription_id
