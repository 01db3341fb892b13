-- Queries about existing deliveries that the enqueuer makes for new feed entries, in the transaction that reads the
-- entries.

-- name: was_sent
-- Which of these source records may have a record at subscription $1; $2 program ids, $3 publisher event ids, $4 system
-- ids, $5 event types, null for any type of the record, $6 seqs: only earlier deliveries count. For a given event type,
-- a record that all event types share is not returned if a later event of another type was sent into it, or will be.
SELECT source.ordinality::int AS position
  FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) WITH ORDINALITY
       AS source (program_id, publisher_event_id, publisher_system_id, event_type, seq)
 WHERE EXISTS (SELECT FROM delivery
                WHERE delivery.program_id = source.program_id AND delivery.subscription_id = $1::text
                  AND delivery.publisher_event_id = source.publisher_event_id
                  AND delivery.publisher_system_id = source.publisher_system_id
                  AND (source.event_type IS NULL OR delivery.event_type = source.event_type)
                  AND delivery.event_seq < source.seq AND delivery.action = 'send'
                  AND (delivery.state IN ('delivered', 'sending') OR delivery.in_doubt)
                  AND NOT EXISTS (
                      SELECT FROM delivery AS later
                        JOIN subscriber USING (subscriber_id)
                        JOIN connector ON connector.name = subscriber.connector
                       WHERE source.event_type IS NOT NULL AND connector.one_record_for = 'source_record'
                         AND later.program_id = delivery.program_id
                         AND later.subscription_id = delivery.subscription_id
                         AND later.publisher_event_id = delivery.publisher_event_id
                         AND later.publisher_system_id = delivery.publisher_system_id
                         AND later.event_type <> source.event_type AND later.event_seq > delivery.event_seq
                         AND later.action = 'send' AND later.state IN ('waiting', 'retrying', 'sending', 'delivered')
                         AND NOT EXISTS (SELECT FROM withdrawal_of(later.program_id, later.event_uuid))))

-- name: left_as_they_are
-- State of each delivery of these events to subscription $1 that a run neither takes up again nor sends; $2 program id,
-- $3 event uuids.
SELECT event_uuid, state FROM delivery
 WHERE program_id = $2::text AND event_uuid = ANY ($3::uuid[]) AND subscription_id = $1::text
   AND action = 'send' AND NOT is_replay AND state IN ('retrying', 'parked', 'skipped', 'superseded', 'discarded')
   AND NOT may_be_processed_again(state, code)

-- name: reopened_since
-- Which of these events subscription $1 does not send because their source record was reopened later; $2 program ids,
-- $3 event uuids, $4 publisher event ids, $5 system ids, $6 seqs.
SELECT event_uuid
  FROM unnest($2::text[], $3::uuid[], $4::text[], $5::text[], $6::bigint[])
       AS event (program_id, event_uuid, publisher_event_id, publisher_system_id, seq)
 WHERE EXISTS (SELECT FROM reopenings_after(event.program_id, $1::text, event.publisher_event_id,
                                            event.publisher_system_id, event.seq))

-- name: delivered_before
-- Which of these events were ever delivered to subscription $1; $2 program id, $3 event uuids.
SELECT DISTINCT event_uuid FROM delivery
 WHERE program_id = $2::text AND event_uuid = ANY ($3::uuid[]) AND subscription_id = $1::text
   AND state = 'delivered' AND action = 'send'
