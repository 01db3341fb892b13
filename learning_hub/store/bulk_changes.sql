-- Changes of many deliveries, carried out in batches. The statements that change deliveries are in
-- delivery_transitions.sql.

-- name: advance
-- Begin change $2 (stop, start or archive) of subscription $1: releases made before it are void, and `pending_change` is
-- set if deliveries have to follow.
UPDATE subscription
   SET change_number = change_number + 1,
       pending_change = CASE
           WHEN $2::text <> 'start'
                AND EXISTS (SELECT FROM delivery
                             WHERE delivery.subscription_id = $1::text AND delivery.state IN ('waiting', 'retrying')
                               AND NOT delivery.held)
                OR $2::text <> 'stop'
                   AND EXISTS (SELECT FROM delivery WHERE delivery.subscription_id = $1::text AND delivery.held)
           THEN $2::text END
 WHERE subscription_id = $1::text
RETURNING change_number, pending_change

-- name: insert
-- Store bulk change $1 of kind $2: $3 subscription and $4 change number, or $5 filter and $6 reason; $7 how many
-- deliveries it concerns, null if they are still to be counted.
INSERT INTO bulk_change (run_id, kind, subscription_id, change_number, filter, reason, total)
VALUES ($1::text, $2::text, $3::text, $4::bigint, $5::json, $6::text, $7::bigint)

-- name: take
-- Lock bulk change $1, or any that no other process is carrying out for null, until the transaction ends.
SELECT bulk_change.*, run.program_id
  FROM bulk_change
  JOIN run USING (run_id)
 WHERE $1::text IS NULL OR bulk_change.run_id = $1::text
 ORDER BY random()
 LIMIT 1
   FOR UPDATE OF bulk_change SKIP LOCKED

-- name: is_unfinished
-- Whether bulk change $1 has batches left.
SELECT EXISTS (SELECT FROM bulk_change WHERE run_id = $1::text)

-- name: pending_of_subscription
-- The unfinished change of subscription $1 that its deliveries still have to follow, if there is one.
SELECT bulk_change.run_id, bulk_change.kind
  FROM bulk_change
  JOIN subscription USING (subscription_id)
 WHERE subscription_id = $1::text AND bulk_change.change_number = subscription.change_number
   AND subscription.pending_change IS NOT NULL

-- name: change_number
-- The number of the last change of subscription $1.
SELECT change_number FROM subscription WHERE subscription_id = $1::text

-- name: count_of_subscription
-- How many deliveries change $2 (stop, start or archive) of subscription $1 with the number $3 still concerns.
SELECT CASE WHEN $2::text = 'start' THEN 0 ELSE
           (SELECT count(*) FROM delivery
             WHERE subscription_id = $1::text AND state IN ('waiting', 'retrying') AND NOT held
               AND ($2::text = 'archive' OR NOT is_released(held, released, released_change, $3::bigint))) END
       + CASE WHEN $2::text = 'stop' THEN 0 ELSE
           (SELECT count(*) FROM delivery WHERE subscription_id = $1::text AND held) END

-- name: is_any_left
-- Whether change $2 of subscription $1 with the number $3 still concerns a delivery.
SELECT $2::text <> 'start'
       AND EXISTS (SELECT FROM delivery
                    WHERE subscription_id = $1::text AND state IN ('waiting', 'retrying') AND NOT held
                      AND ($2::text = 'archive' OR NOT is_released(held, released, released_change, $3::bigint)))
       OR $2::text <> 'stop' AND EXISTS (SELECT FROM delivery WHERE subscription_id = $1::text AND held)

-- name: is_sending
-- Whether a delivery of subscription $1, whose subscriber is $2, is being sent.
SELECT EXISTS (SELECT FROM delivery
                WHERE subscriber_id = $2::text AND state = 'sending' AND subscription_id = $1::text)

-- name: pick
-- Up to $12 deliveries of Program $1 after uuid $2 that change $11 (requeue or discard) concerns: those that match the
-- filters and came into their state by $10, null for any time. Filters, null for none: $3 state, $4 subscription,
-- $5 subscriber, $6 class, $7 code, $8 uuid of an event, $9 signature.
SELECT delivery.delivery_uuid
  FROM delivery
  JOIN subscription USING (subscription_id)
 WHERE delivery.program_id = $1::text AND delivery.delivery_uuid > $2::uuid
   AND delivery.state_utc <= coalesce($10::timestamptz, 'infinity')
   AND CASE $11::text WHEN 'discard' THEN delivery.state IN ('parked', 'skipped')
            ELSE subscription.archived_utc IS NULL
                 AND (delivery.state IN ('parked', 'retrying') OR is_skipped_for_now(delivery.state, delivery.code)) END
   AND ($3::text IS NULL OR delivery.state = $3::text)
   AND ($4::text IS NULL OR delivery.subscription_id = $4::text)
   AND ($5::text IS NULL OR delivery.subscriber_id = $5::text)
   AND ($6::text IS NULL OR delivery.class = $6::text)
   AND ($7::text IS NULL OR delivery.code = $7::text)
   AND ($8::uuid IS NULL OR delivery.event_uuid = $8::uuid)
   AND ($9::text IS NULL OR delivery.signature = $9::text
        OR no_template_signature(delivery.state, delivery.code, delivery.message) = $9::text)
 ORDER BY delivery.delivery_uuid
 LIMIT $12::int

-- name: counting_time
-- Let the statements of this transaction take at most $1, such as 700ms.
SELECT set_config('statement_timeout', $1::text, true), set_config('plan_cache_mode', 'force_custom_plan', true)

-- name: move
-- Store the position after a batch of bulk change $1 ($2 uuid, $3 due time), and how many deliveries it has changed so
-- far, by their new state ($4 waiting, $5 superseded, $6 discarded); $7 how many it concerns.
UPDATE bulk_change
   SET after_uuid = $2::uuid, after_due_utc = $3::timestamptz, waiting = $4::bigint, superseded = $5::bigint,
       discarded = $6::bigint, total = $7::bigint
 WHERE run_id = $1::text

-- name: followed
-- Store that all deliveries of subscription $1 follow its change $2.
UPDATE subscription SET pending_change = NULL WHERE subscription_id = $1::text AND change_number = $2::bigint

-- name: delete
-- Delete bulk change $1, which is finished; its run keeps the counts.
DELETE FROM bulk_change WHERE run_id = $1::text

-- name: programs
-- The Programs, or those of them that are among $1.
SELECT program_id FROM program WHERE $1::text[] IS NULL OR program_id = ANY ($1::text[]) ORDER BY program_id
