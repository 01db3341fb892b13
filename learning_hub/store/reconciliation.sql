-- The record that was last sent for each source record, for comparison with the record at the subscriber.

-- name: page
-- Up to $10 events of Program $1 on the days $2 to $3 after the position $6 to $9, ordered by day and, within a day, as
-- in the feed. An event created from $4 on and before $5 is returned with the delivery by which subscription $11 last
-- sent its source record: the delivery and its payload, whether it was sent to the present Target, and whether another
-- delivery of the record is under way. These columns are null if a removal or another event was sent last. OFFSET makes
-- the planner read the deliveries by event, and ORDER BY those by source record: all deliveries of a subscription are
-- too many.
WITH event_in_range AS (
    SELECT event_uuid, event_date, epoch, xid, seq, created_utc, is_withdrawal
      FROM event
     WHERE program_id = $1::text AND event_date BETWEEN $2::date AND $3::date
       AND (event_date, epoch, xid, seq) > ($6::date, $7::int, $8::xid8, $9::bigint)
     ORDER BY event_date, epoch, xid, seq
     LIMIT $10::int
)
SELECT event_in_range.event_uuid, event_in_range.event_date, event_in_range.epoch, event_in_range.xid, event_in_range.seq, sent.*
  FROM event_in_range
  LEFT JOIN LATERAL (
       SELECT delivery.delivery_uuid, delivery.publisher_system_id, delivery.publisher_event_id,
              delivery.subscriber_record_id,
              delivery.delivered_utc >= (SELECT target_changed_utc FROM subscription
                                          WHERE subscription_id = $11::text) AS is_at_target,
              (SELECT payload FROM attempt
                WHERE attempt.program_id = delivery.program_id AND attempt.delivery_uuid = delivery.delivery_uuid
                  AND payload IS NOT NULL
                ORDER BY number DESC LIMIT 1) AS payload,
              others.are_under_way
         FROM (SELECT * FROM delivery
                WHERE program_id = $1::text AND event_uuid = event_in_range.event_uuid
               OFFSET 0) AS delivery
        CROSS JOIN LATERAL (
              SELECT coalesce(bool_or(state = 'sending' OR in_doubt), false) AS are_under_way,
                     coalesce(bool_or(state = 'delivered' AND (event_seq, delivered_utc, delivery_uuid)
                                                             > (delivery.event_seq, delivery.delivered_utc,
                                                                delivery.delivery_uuid)), false) AS is_one_newer
                FROM (SELECT state, in_doubt, event_seq, delivered_utc, delivery_uuid FROM delivery AS of_record
                       WHERE of_record.program_id = delivery.program_id
                         AND of_record.subscription_id = delivery.subscription_id
                         AND of_record.publisher_event_id = delivery.publisher_event_id
                         AND of_record.publisher_system_id = delivery.publisher_system_id
                         AND of_record.event_seq >= delivery.event_seq
                       ORDER BY event_seq OFFSET 0) AS other
               WHERE other.delivery_uuid <> delivery.delivery_uuid) AS others
        WHERE delivery.subscription_id = $11::text AND delivery.state = 'delivered' AND delivery.action = 'send'
          AND NOT others.is_one_newer
        LIMIT 1) AS sent
       ON NOT event_in_range.is_withdrawal AND event_in_range.created_utc >= $4::timestamptz
          AND event_in_range.created_utc < $5::timestamptz
 ORDER BY event_in_range.event_date, event_in_range.epoch, event_in_range.xid, event_in_range.seq

-- name: confirm
-- Store that the subscriber holds the records of the deliveries $2 of Program $1 as they were sent.
UPDATE delivery SET confirmed_utc = now()
 WHERE program_id = $1::text AND delivery_uuid = ANY ($2::uuid[]) AND state = 'delivered'
