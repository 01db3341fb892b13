-- From feed entries to deliveries. All of these run in the transaction that takes the entries.

-- name: insert_deliveries
-- Make the deliveries that are not there yet, for subscription $1 (subscriber $2). Arrays, one position a delivery:
-- $3 program ids, $4 delivery uuids, $5 event uuids, $6 event seqs, $7 system ids, $8 publisher event ids, $9 event
-- types, $10 actions, $11 states, $12 codes, $13 messages. $14: they are held; $15: they are replays. One that was
-- given up because its subscription was archived is taken up again: the subscription is in use once more. So is one
-- that was skipped for want of a template, where there is one now, or because it was reopened: whether it still is, the
-- claim judges.
INSERT INTO delivery (program_id, delivery_uuid, subscription_id, subscriber_id, event_uuid, event_seq,
                      publisher_system_id, publisher_event_id, event_type, action, state, code, message, held,
                      due_utc, is_replay)
SELECT program_id, delivery_uuid, $1::text, $2::text, event_uuid, event_seq, publisher_system_id, publisher_event_id,
       event_type, action, state, code, message, $14::boolean AND state = 'waiting',
       CASE WHEN state = 'waiting' THEN now() END, $15::boolean
  FROM unnest($3::text[], $4::uuid[], $5::uuid[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::text[],
              $11::text[], $12::text[], $13::text[])
       AS new (program_id, delivery_uuid, event_uuid, event_seq, publisher_system_id, publisher_event_id, event_type,
               action, state, code, message)
ON CONFLICT (program_id, subscription_id, event_uuid, action) WHERE NOT is_replay DO UPDATE
   SET state = excluded.state, code = excluded.code, message = excluded.message, due_utc = excluded.due_utc,
       held = excluded.held, released = false, tries_used = 0
 WHERE delivery.state = 'discarded' AND delivery.code = 'archived'
    OR delivery.state = 'skipped' AND delivery.code IN ('no_template', 'category_off', 'reopened')
       AND excluded.state = 'waiting'
RETURNING delivery_uuid

-- name: supersede
-- What is not sent yet and has a newer one of the same source key at subscription $1 is superseded; $2 program ids,
-- $3 publisher event ids, $4 system ids of the source records to look at, $5 the message. What is being sent goes on.
-- So does what may have left a row in a panel without a KeyProperty: only its own values find that row again.
UPDATE delivery AS older
   SET state = 'superseded', code = 'superseded', class = NULL, message = $5::text, due_utc = NULL, held = false
  FROM unnest($2::text[], $3::text[], $4::text[]) AS record (program_id, publisher_event_id, publisher_system_id)
 WHERE older.program_id = record.program_id AND older.subscription_id = $1::text
   AND older.publisher_event_id = record.publisher_event_id
   AND older.publisher_system_id = record.publisher_system_id
   AND older.action = 'send' AND older.state IN ('waiting', 'retrying')
   AND NOT (older.in_doubt
            AND EXISTS (SELECT FROM subscription
                         WHERE subscription.subscription_id = $1::text
                           AND target ->> 'Kind' = 'panel' AND target ->> 'KeyProperty' IS NULL))
   AND EXISTS (SELECT FROM delivery AS newer
                WHERE newer.program_id = older.program_id AND newer.subscription_id = older.subscription_id
                  AND newer.publisher_event_id = older.publisher_event_id
                  AND newer.publisher_system_id = older.publisher_system_id
                  AND newer.event_type = older.event_type AND newer.action = 'send'
                  AND newer.event_seq > older.event_seq
                  AND newer.state IN ('waiting', 'retrying', 'sending', 'delivered'))

-- name: skip_withdrawn
-- What was withdrawn and is not sent yet is not sent; $1 subscription, $2 program ids, $3 event uuids, $4 message, $5
-- action: `remove` for reopenings, whose removal is not to be then.
UPDATE delivery
   SET state = 'skipped', code = 'withdrawn', class = NULL, message = $4::text, due_utc = NULL, held = false
  FROM unnest($2::text[], $3::uuid[]) AS withdrawn (program_id, event_uuid)
 WHERE delivery.program_id = withdrawn.program_id AND delivery.event_uuid = withdrawn.event_uuid
   AND delivery.subscription_id = $1::text AND delivery.action = $5::text
   AND delivery.state IN ('waiting', 'retrying', 'parked')

-- name: skip_reopened
-- What was reopened at subscription $1 before it was sent is not sent; $2 program ids, $3 publisher event ids, $4
-- system ids of the source records, $5 seqs of the reopenings, $6 message.
UPDATE delivery
   SET state = 'skipped', code = 'reopened', class = NULL, message = $6::text, due_utc = NULL, held = false
  FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[])
       AS reopened (program_id, publisher_event_id, publisher_system_id, seq)
 WHERE delivery.program_id = reopened.program_id AND delivery.subscription_id = $1::text
   AND delivery.publisher_event_id = reopened.publisher_event_id
   AND delivery.publisher_system_id = reopened.publisher_system_id
   AND delivery.event_seq < reopened.seq AND delivery.action = 'send'
   AND delivery.state IN ('waiting', 'retrying', 'parked')

-- name: was_sent
-- Which of these source records may have a record at subscription $1; $2 program ids, $3 publisher event ids, $4
-- system ids, $5 event types, null for any type of the record, $6 seqs: only what came before counts. One of a type is
-- left where a later event of another type stands in the same record: at a webhook each type is on its own.
SELECT asked.ordinality::int AS asked
  FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) WITH ORDINALITY
       AS asked (program_id, publisher_event_id, publisher_system_id, event_type, seq)
 WHERE EXISTS (SELECT FROM delivery
                WHERE delivery.program_id = asked.program_id AND delivery.subscription_id = $1::text
                  AND delivery.publisher_event_id = asked.publisher_event_id
                  AND delivery.publisher_system_id = asked.publisher_system_id
                  AND (asked.event_type IS NULL OR delivery.event_type = asked.event_type)
                  AND delivery.event_seq < asked.seq AND delivery.action = 'send'
                  AND (delivery.state IN ('delivered', 'sending') OR delivery.in_doubt)
                  AND NOT EXISTS (
                      SELECT FROM delivery AS later
                        JOIN subscriber USING (subscriber_id)
                       WHERE asked.event_type IS NOT NULL AND subscriber.connector <> 'webhook'
                         AND later.program_id = delivery.program_id
                         AND later.subscription_id = delivery.subscription_id
                         AND later.publisher_event_id = delivery.publisher_event_id
                         AND later.publisher_system_id = delivery.publisher_system_id
                         AND later.event_type <> asked.event_type AND later.event_seq > delivery.event_seq
                         AND later.action = 'send' AND later.state IN ('waiting', 'retrying', 'sending', 'delivered')
                         AND NOT EXISTS (SELECT FROM event
                                          WHERE event.program_id = later.program_id
                                            AND event.event_uuid = later.event_uuid AND event.is_withdrawal)))

-- name: skip_already_withdrawn
-- Deliveries of events that are withdrawn by now are not sent, where they were made by naming the events; $1
-- subscription, $2 program id, $3 event uuids, $4 message.
UPDATE delivery
   SET state = 'skipped', code = 'withdrawn', class = NULL, message = $4::text, due_utc = NULL, held = false
 WHERE delivery.program_id = $2::text AND delivery.event_uuid = ANY ($3::uuid[])
   AND delivery.subscription_id = $1::text AND delivery.action = 'send' AND delivery.state IN ('waiting', 'retrying')
   AND EXISTS (SELECT FROM event
                WHERE event.program_id = delivery.program_id AND event.event_uuid = delivery.event_uuid
                  AND event.is_withdrawal)

-- name: standing
-- How the deliveries of these events to subscription $1 stand; $2 program id, $3 event uuids.
SELECT event_uuid, state, code FROM delivery
 WHERE program_id = $2::text AND event_uuid = ANY ($3::uuid[]) AND subscription_id = $1::text
   AND action = 'send' AND NOT is_replay

-- name: delivered_before
-- Which of these events were delivered to subscription $1 at some time; $2 program id, $3 event uuids.
SELECT DISTINCT event_uuid FROM delivery
 WHERE program_id = $2::text AND event_uuid = ANY ($3::uuid[]) AND subscription_id = $1::text
   AND state = 'delivered' AND action = 'send'
