-- Deliveries as people look at them, and what people do with them.

-- name: page
-- Up to $8 deliveries before uuid $7, newest first. Filters, null for none: $1 Programs, $2 state, $3 class, $4 code,
-- $5 and $6 Program and uuid of an event, $9 signature. Each Program is asked for its newest, as its indexes have them in order.
SELECT delivery.*
  FROM program
 CROSS JOIN LATERAL (
       SELECT * FROM delivery
        WHERE delivery.program_id = program.program_id
          AND ($2::text IS NULL OR state = $2::text)
          AND ($3::text IS NULL OR class = $3::text)
          AND ($4::text IS NULL OR code = $4::text)
          AND ($9::text IS NULL OR signature = $9::text)
          AND ($6::uuid IS NULL OR event_uuid = $6::uuid)
          AND ($7::uuid IS NULL OR delivery_uuid < $7::uuid)
        ORDER BY delivery_uuid DESC
        LIMIT $8::int) AS delivery
 WHERE ($1::text[] IS NULL OR program.program_id = ANY ($1::text[]))
   AND ($5::text IS NULL OR program.program_id = $5::text)
 ORDER BY delivery.delivery_uuid DESC
 LIMIT $8::int

-- name: page_of_subscriptions
-- The same of subscription $10, or of the subscriptions of subscriber $11; null is not asked for.
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
          AND ($6::uuid IS NULL OR event_uuid = $6::uuid)
          AND ($7::uuid IS NULL OR delivery_uuid < $7::uuid)
        ORDER BY delivery_uuid DESC
        LIMIT $8::int) AS delivery
 WHERE ($1::text[] IS NULL OR subscription.program_id = ANY ($1::text[]))
   AND ($5::text IS NULL OR subscription.program_id = $5::text)
   AND ($10::text IS NULL OR subscription.subscription_id = $10::text)
   AND ($11::text IS NULL OR subscription.subscriber_id = $11::text)
 ORDER BY delivery.delivery_uuid DESC
 LIMIT $8::int

-- name: find
-- One delivery.
SELECT * FROM delivery WHERE program_id = $1::text AND delivery_uuid = $2::uuid

-- name: attempts
-- The attempts of a delivery, in order.
SELECT * FROM attempt WHERE program_id = $1::text AND delivery_uuid = $2::uuid ORDER BY number

-- name: requeue
-- Put up to $9 deliveries back into the queue. Filters, null for none: $1 Programs, $2 state, $3 subscription,
-- $4 subscriber, $5 class, $6 code, $7 Program and $8 uuids of deliveries, $10 and $11 Program and uuid of an event,
-- $14 signature. One that was overtaken meanwhile is superseded ($12 the message); one that may have left a row in a panel without a
-- KeyProperty only by what is delivered. Of a stopped subscription they are held. Skipped ones go back only where a
-- template may have been added since. Only those after uuid $13, null for all: what is parked again meanwhile is not
-- taken again.
WITH chosen AS (
    SELECT delivery.program_id, delivery.delivery_uuid,
           delivery.state AS state_before, delivery.code AS code_before,
           subscription.state = 'stopped' AS is_held,
           EXISTS (SELECT FROM delivery AS newer
                    WHERE newer.program_id = delivery.program_id
                      AND newer.subscription_id = delivery.subscription_id
                      AND newer.publisher_event_id = delivery.publisher_event_id
                      AND newer.publisher_system_id = delivery.publisher_system_id
                      AND newer.event_seq > delivery.event_seq
                      AND (newer.state = 'delivered'
                           AND (newer.event_type = delivery.event_type
                                OR subscriber.connector <> 'webhook'
                                   AND (newer.action = 'send' OR delivery.action = 'remove'
                                        OR newer.event_type IN ('AI_REOPENED', 'LPI_REOPENED')))
                           OR newer.event_type = delivery.event_type AND newer.action = 'send'
                              AND newer.state IN ('waiting', 'retrying', 'sending')
                              AND NOT (delivery.in_doubt AND subscription.target ->> 'Kind' = 'panel'
                                       AND subscription.target ->> 'KeyProperty' IS NULL))) AS is_overtaken
      FROM delivery
      JOIN subscription USING (subscription_id)
      JOIN subscriber ON subscriber.subscriber_id = delivery.subscriber_id
     WHERE subscription.archived_utc IS NULL
       AND (delivery.state IN ('parked', 'retrying')
            OR delivery.state = 'skipped' AND delivery.code IN ('no_template', 'category_off', 'reopened'))
       AND ($1::text[] IS NULL OR delivery.program_id = ANY ($1::text[]))
       AND ($2::text IS NULL OR delivery.state = $2::text)
       AND ($3::text IS NULL OR delivery.subscription_id = $3::text)
       AND ($4::text IS NULL OR delivery.subscriber_id = $4::text)
       AND ($5::text IS NULL OR delivery.class = $5::text)
       AND ($6::text IS NULL OR delivery.code = $6::text)
       AND ($7::text IS NULL OR delivery.program_id = $7::text)
       AND ($8::uuid[] IS NULL OR delivery.delivery_uuid = ANY ($8::uuid[]))
       AND ($10::text IS NULL OR delivery.program_id = $10::text)
       AND ($11::uuid IS NULL OR delivery.event_uuid = $11::uuid)
       AND ($13::uuid IS NULL OR delivery.delivery_uuid > $13::uuid)
       AND ($14::text IS NULL OR delivery.signature = $14::text)
     ORDER BY delivery.delivery_uuid
     LIMIT $9::int
       FOR UPDATE OF delivery SKIP LOCKED
)
UPDATE delivery
   SET state = CASE WHEN chosen.is_overtaken THEN 'superseded' ELSE 'waiting' END,
       code = CASE WHEN chosen.is_overtaken THEN 'superseded' END,
       class = NULL,
       message = CASE WHEN chosen.is_overtaken THEN $12::text END,
       due_utc = CASE WHEN NOT chosen.is_overtaken THEN greatest(now(), doubt_until_utc) END,
       held = chosen.is_held AND NOT chosen.is_overtaken,
       released = NOT chosen.is_held,
       tries_used = 0, failing_since_utc = NULL
  FROM chosen
 WHERE delivery.program_id = chosen.program_id AND delivery.delivery_uuid = chosen.delivery_uuid
RETURNING delivery.*, chosen.state_before, chosen.code_before

-- name: of_participant
-- What waits for somebody to say who participant $2 of Program $1 is at subscriber $4, and what is under way to there;
-- $3 the system, null for any. By the person's events, which are
-- few, however many deliveries are parked; OFFSET keeps the planner from turning that round.
WITH his AS MATERIALIZED (
    SELECT event_uuid FROM event
     WHERE program_id = $1::text AND publisher_participant_id = $2::text AND NOT is_withdrawal
       AND ($3::text IS NULL OR publisher_system_id = $3::text)
)
SELECT delivery.delivery_uuid, delivery.state = 'sending' AS is_under_way
  FROM his
 CROSS JOIN LATERAL (
       SELECT delivery_uuid, state, class, subscriber_id FROM delivery
        WHERE delivery.program_id = $1::text AND delivery.event_uuid = his.event_uuid
       OFFSET 0) AS delivery
 WHERE delivery.subscriber_id = $4::text
   AND (delivery.state = 'parked' AND delivery.class = 'identity' OR delivery.state = 'sending')

-- name: discard
-- Delivery $1/$2 is not to be sent, for the reason $3. What is under way or settled stays as it is.
UPDATE delivery
   SET state = 'discarded', code = 'discarded', class = NULL, message = $3::text, due_utc = NULL, held = false
 WHERE program_id = $1::text AND delivery_uuid = $2::uuid
   AND state IN ('waiting', 'retrying', 'parked', 'skipped')
RETURNING *

-- name: count_open
-- How many deliveries are not settled, by state.
SELECT state, count(*) AS deliveries FROM delivery
 WHERE state IN ('waiting', 'sending', 'retrying', 'parked')
 GROUP BY state
