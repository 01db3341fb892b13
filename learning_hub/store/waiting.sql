-- Why deliveries wait.

-- name: reasons
-- What is known of each waiting delivery among $1/$2 (arrays): its subscription, whether it may be sent without a run or
-- a person, and the oldest delivery of its source record that blocks it. OFFSET makes the planner read the deliveries
-- by their keys.
WITH waiting AS MATERIALIZED (
    SELECT delivery.*
      FROM unnest($1::text[], $2::uuid[]) AS key (program_id, delivery_uuid)
     CROSS JOIN LATERAL (
           SELECT * FROM delivery
            WHERE delivery.program_id = key.program_id AND delivery.delivery_uuid = key.delivery_uuid
           OFFSET 0) AS delivery
     WHERE delivery.state = 'waiting'
)
SELECT waiting.program_id, waiting.delivery_uuid, waiting.subscriber_id, subscription.subscription_id,
       subscription.state AS subscription_state, subscription.schedule, subscription.time_zone,
       subscription.archived_utc IS NOT NULL AS is_archived,
       sends_by_itself(subscription.state, subscription.schedule)
           OR is_released(waiting.held, waiting.released, waiting.released_change, subscription.change_number) AS is_free,
       waiting.held AS is_held,
       CASE WHEN waiting.due_utc > clock_timestamp() THEN waiting.due_utc END AS not_before_utc,
       older.delivery_uuid AS older_uuid, older.state AS older_state
  FROM waiting
  JOIN subscription USING (subscription_id)
  LEFT JOIN LATERAL (
       SELECT delivery.delivery_uuid, delivery.state
         FROM deliveries_before(waiting.program_id, waiting.subscription_id, waiting.publisher_event_id,
                                waiting.publisher_system_id, waiting.event_seq, waiting.delivery_uuid,
                                sends_by_itself(subscription.state, subscription.schedule),
                                subscription.change_number, subscription.pending_change) AS blocking
         JOIN delivery ON delivery.program_id = waiting.program_id AND delivery.delivery_uuid = blocking
        WHERE delivery.delivery_uuid <> waiting.delivery_uuid
        ORDER BY delivery.event_seq, delivery.delivery_uuid
        LIMIT 1) AS older ON true

-- name: positions
-- How many deliveries are due before each of the deliveries $2 (uuids) at its subscriber, one of $1. Those past the
-- first $3 deliveries of a subscriber's queue are left out: that is all that is read of it, however long it is. The
-- deliveries are picked out of the queue by a hash of $2; a join could compare each with each.
SELECT queue.program_id, queue.delivery_uuid, queue.before
  FROM unnest($1::text[]) AS subscriber (subscriber_id)
 CROSS JOIN LATERAL (
       SELECT next.program_id, next.delivery_uuid, row_number() OVER (ORDER BY next.due_utc) - 1 AS before
         FROM (SELECT delivery.program_id, delivery.delivery_uuid, delivery.due_utc
                 FROM delivery
                WHERE delivery.subscriber_id = subscriber.subscriber_id
                  AND delivery.state IN ('waiting', 'retrying') AND NOT delivery.held
                ORDER BY delivery.due_utc
                LIMIT $3::int) AS next) AS queue
 WHERE queue.delivery_uuid = ANY ($2::uuid[])
