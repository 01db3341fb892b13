-- Why deliveries wait.

-- name: reasons
-- What is known of each waiting delivery among $1/$2 (arrays): its subscription, whether it may be sent without a run or
-- a person, the oldest delivery of its source record that blocks it, and how many deliveries are due before it at its
-- subscriber. The last is null past the first $3 deliveries of the subscriber's queue, which is all that is read of it,
-- however long it is. OFFSET makes the planner read the deliveries by their keys.
WITH waiting AS MATERIALIZED (
    SELECT delivery.*
      FROM unnest($1::text[], $2::uuid[]) AS key (program_id, delivery_uuid)
     CROSS JOIN LATERAL (
           SELECT * FROM delivery
            WHERE delivery.program_id = key.program_id AND delivery.delivery_uuid = key.delivery_uuid
           OFFSET 0) AS delivery
     WHERE delivery.state = 'waiting'
), queue AS MATERIALIZED (
    SELECT next.program_id, next.delivery_uuid,
           row_number() OVER (PARTITION BY subscriber.subscriber_id ORDER BY next.due_utc) - 1 AS before
      FROM (SELECT DISTINCT subscriber_id FROM waiting) AS subscriber
     CROSS JOIN LATERAL (
           SELECT delivery.program_id, delivery.delivery_uuid, delivery.due_utc
             FROM delivery
            WHERE delivery.subscriber_id = subscriber.subscriber_id
              AND delivery.state IN ('waiting', 'retrying') AND NOT delivery.held
            ORDER BY delivery.due_utc
            LIMIT $3::int) AS next
)
SELECT waiting.program_id, waiting.delivery_uuid, subscription.subscription_id,
       subscription.state AS subscription_state, subscription.schedule, subscription.time_zone,
       subscription.archived_utc IS NOT NULL AS is_archived,
       sends_by_itself(subscription.state, subscription.schedule)
           OR is_released(waiting.held, waiting.released, waiting.released_change, subscription.change_number) AS is_free,
       waiting.held AS is_held,
       CASE WHEN waiting.due_utc > clock_timestamp() THEN waiting.due_utc END AS not_before_utc,
       older.delivery_uuid AS older_uuid, older.state AS older_state, queue.before
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
  LEFT JOIN (SELECT * FROM queue WHERE delivery_uuid = ANY ($2::uuid[])) AS queue
    ON queue.program_id = waiting.program_id AND queue.delivery_uuid = waiting.delivery_uuid
