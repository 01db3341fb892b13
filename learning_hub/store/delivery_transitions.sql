-- The life of a delivery: all statements that write its state or its hold, in the order of that life.
--
-- A line `transition: old -> new` lists the transitions of a statement. `none` means that it does not change the state,
-- and `[*]` is a delivery that does not exist yet. learning_hub/model/delivery_transitions.py lists all transitions
-- with their causes. One test compares the two lists, and another compares them with the transitions that deliveries
-- take. The predicates are functions of schema.sql.
--
-- A delivery that goes from `waiting` or `retrying` to a state that is not sent loses its due time, its class and its
-- hold.

-- 1. The delivery is made, and supersedes older deliveries.

-- name: insert_deliveries
-- transition: [*] -> waiting, skipped
-- transition: discarded -> waiting, skipped
-- transition: skipped -> waiting
-- Insert the deliveries of subscription $1 (subscriber $2) that do not exist yet. Arrays with one element for each
-- delivery: $3 program ids, $4 delivery uuids, $5 event uuids, $6 event seqs, $7 system ids, $8 publisher event ids, $9
-- event types, $10 actions, $11 states, $12 codes, $13 messages, $16 classes. $14: they are held; $15: they are replays. An
-- existing delivery is taken up again if it may be processed again; a skipped one only if it is to be sent now. For a
-- delivery that was skipped as reopened, the claim decides whether its record is still reopened.
INSERT INTO delivery (program_id, delivery_uuid, subscription_id, subscriber_id, event_uuid, event_seq,
                      publisher_system_id, publisher_event_id, event_type, action, state, code, class, message, held,
                      due_utc, is_replay)
SELECT program_id, delivery_uuid, $1::text, $2::text, event_uuid, event_seq, publisher_system_id, publisher_event_id,
       event_type, action, state, code, class, message, $14::boolean AND state = 'waiting',
       CASE WHEN state = 'waiting' THEN now() END, $15::boolean
  FROM unnest($3::text[], $4::uuid[], $5::uuid[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::text[],
              $11::text[], $12::text[], $13::text[], $16::text[])
       AS new (program_id, delivery_uuid, event_uuid, event_seq, publisher_system_id, publisher_event_id, event_type,
               action, state, code, message, class)
ON CONFLICT (program_id, subscription_id, event_uuid, action) WHERE NOT is_replay DO UPDATE
   SET state = excluded.state, code = excluded.code, class = excluded.class, message = excluded.message,
       due_utc = excluded.due_utc, held = excluded.held, released = false, tries_used = 0
 WHERE may_be_processed_again(delivery.state, delivery.code)
   AND (delivery.state <> 'skipped' OR excluded.state = 'waiting')
RETURNING delivery_uuid

-- name: supersede
-- transition: waiting, retrying -> superseded
-- Supersede the unsent deliveries of subscription $1 that have a newer revision of their source key; $2 program ids, $3
-- publisher event ids, $4 system ids of the source records concerned, $5 message. Deliveries that are being sent are
-- not changed.
UPDATE delivery
   SET state = 'superseded', code = 'superseded', class = NULL, message = $5::text, due_utc = NULL, held = false
  FROM unnest($2::text[], $3::text[], $4::text[]) AS record (program_id, publisher_event_id, publisher_system_id)
  JOIN subscription ON subscription.subscription_id = $1::text
  JOIN subscriber ON subscriber.subscriber_id = subscription.subscriber_id
  JOIN connector ON connector.name = subscriber.connector
 WHERE delivery.program_id = record.program_id AND delivery.subscription_id = $1::text
   AND delivery.publisher_event_id = record.publisher_event_id
   AND delivery.publisher_system_id = record.publisher_system_id
   AND delivery.action = 'send' AND delivery.state IN ('waiting', 'retrying')
   AND EXISTS (SELECT FROM superseding_revisions(
                   delivery.program_id, delivery.subscription_id, delivery.publisher_event_id,
                   delivery.publisher_system_id, delivery.event_seq, delivery.event_type, delivery.in_doubt,
                   subscription.target, connector.key_fields))

-- 2. The event is withdrawn, or the source record reopened, before the delivery is sent.

-- name: skip_withdrawn
-- transition: waiting, retrying, parked -> skipped
-- Skip the deliveries whose events were withdrawn before they were sent; $1 subscription, $2 program ids, $3 event
-- uuids, $4 message, $5 action. The action is `remove` if reopenings were withdrawn, so that the records that they
-- would have removed stay.
UPDATE delivery
   SET state = 'skipped', code = 'withdrawn', class = NULL, message = $4::text, due_utc = NULL, held = false
  FROM unnest($2::text[], $3::uuid[]) AS withdrawn (program_id, event_uuid)
 WHERE delivery.program_id = withdrawn.program_id AND delivery.event_uuid = withdrawn.event_uuid
   AND delivery.subscription_id = $1::text AND delivery.action = $5::text
   AND delivery.state IN ('waiting', 'retrying', 'parked')

-- name: skip_already_withdrawn
-- transition: waiting, retrying -> skipped
-- Skip the deliveries of withdrawn events among those made because a request named their events; $1 subscription, $2
-- program id, $3 event uuids, $4 message.
UPDATE delivery
   SET state = 'skipped', code = 'withdrawn', class = NULL, message = $4::text, due_utc = NULL, held = false
 WHERE delivery.program_id = $2::text AND delivery.event_uuid = ANY ($3::uuid[])
   AND delivery.subscription_id = $1::text AND delivery.action = 'send' AND delivery.state IN ('waiting', 'retrying')
   AND EXISTS (SELECT FROM withdrawal_of(delivery.program_id, delivery.event_uuid))

-- name: skip_reopened
-- transition: waiting, retrying, parked -> skipped
-- Skip the unsent deliveries of subscription $1 whose source record is reopened; $2 program ids, $3 publisher event
-- ids, $4 system ids of the source records, $5 seqs of the reopenings, $6 message.
UPDATE delivery
   SET state = 'skipped', code = 'reopened', class = NULL, message = $6::text, due_utc = NULL, held = false
  FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[])
       AS reopened (program_id, publisher_event_id, publisher_system_id, seq)
 WHERE delivery.program_id = reopened.program_id AND delivery.subscription_id = $1::text
   AND delivery.publisher_event_id = reopened.publisher_event_id
   AND delivery.publisher_system_id = reopened.publisher_system_id
   AND delivery.event_seq < reopened.seq AND delivery.action = 'send'
   AND delivery.state IN ('waiting', 'retrying', 'parked')

-- 3. The delivery is held while its subscription does not send by itself, and released for a run.
--
-- What a claim takes follows the state and the change number of the subscription at once; `held` follows in batches.

-- name: hold
-- transition: retrying -> waiting
-- Hold up to $4 unsent deliveries of subscription $1, including those that wait for their next attempt, the longest due
-- first, from the due time $3 on, null for all. Those released since its change $2 are not held. A delivery that is being
-- sent has an
-- old release, so that it is held too if its attempt fails.
WITH unheld AS (
    SELECT program_id, delivery_uuid, due_utc
      FROM delivery
     WHERE subscription_id = $1::text AND state IN ('waiting', 'retrying') AND NOT held
       AND NOT is_released(held, released, released_change, $2::bigint) AND due_utc >= coalesce($3::timestamptz, '-infinity')
     ORDER BY due_utc
     LIMIT $4::int
       FOR UPDATE SKIP LOCKED
)
UPDATE delivery
   SET held = true, released = false, state = 'waiting', code = NULL, class = NULL, message = NULL
  FROM unheld
 WHERE delivery.program_id = unheld.program_id AND delivery.delivery_uuid = unheld.delivery_uuid
RETURNING delivery.delivery_uuid, delivery.due_utc, delivery.state

-- name: release_held
-- transition: none
-- Release up to $3 held deliveries of subscription $1 after uuid $2, which are then due at once.
WITH held AS (
    SELECT program_id, delivery_uuid
      FROM delivery
     WHERE subscription_id = $1::text AND held AND delivery_uuid > $2::uuid
     ORDER BY delivery_uuid
     LIMIT $3::int
       FOR UPDATE SKIP LOCKED
)
UPDATE delivery SET held = false, due_utc = now()
  FROM held
 WHERE delivery.program_id = held.program_id AND delivery.delivery_uuid = held.delivery_uuid
RETURNING delivery.delivery_uuid, delivery.due_utc, delivery.state

-- name: release_for_run
-- transition: none
-- Release up to $6 deliveries after uuid $5 that wait for run $1 of Program $2 at the subscriptions $3, which are then
-- due at once: those that are held, or will be because their subscription was stopped. With $4, only of subscriptions that are
-- started now: a run that does not name them sends nothing of those that were stopped since it began. Rows are locked in
-- one order, so that two runs do not deadlock.
WITH waiting AS (
    SELECT delivery.program_id, delivery.delivery_uuid, subscription.change_number
      FROM run_delivery
      JOIN delivery USING (program_id, delivery_uuid)
      JOIN subscription USING (subscription_id)
     WHERE run_delivery.program_id = $2::text AND run_delivery.run_id = $1::text
       AND run_delivery.delivery_uuid > $5::uuid AND delivery.subscription_id = ANY ($3::text[])
       AND (NOT $4::boolean OR subscription.state = 'started')
       AND (delivery.held
            OR delivery.state IN ('waiting', 'retrying')
               AND NOT sends_by_itself(subscription.state, subscription.schedule)
               AND NOT is_released(delivery.held, delivery.released, delivery.released_change,
                                   subscription.change_number))
     ORDER BY run_delivery.delivery_uuid
     LIMIT $6::int
       FOR UPDATE OF delivery
)
UPDATE delivery SET held = false, released = true, released_change = waiting.change_number, due_utc = now()
  FROM waiting
 WHERE delivery.program_id = waiting.program_id AND delivery.delivery_uuid = waiting.delivery_uuid
RETURNING delivery.delivery_uuid

-- 4. A worker claims the delivery.

-- name: claim
-- transition: waiting, retrying -> sending, skipped, superseded
-- Lease due deliveries to lease $1 for $2 seconds, and begin an attempt for each; $3 is the number of the worker's
-- liveness lock. The worker takes up to $4 deliveries of subscribers that get them one at a time, and up to $5 of
-- subscribers that get batches. Obsolete deliveries are given up instead, and counted in the first column; their
-- message is $6 if withdrawn, $7 if reopened, $8 if superseded.
WITH
-- How many more deliveries each subscriber takes. A paused subscriber takes only its probe, when that is due and no
-- other delivery is being sent to it.
subscriber_room AS (
    SELECT subscriber.subscriber_id, pause.subscriber_id IS NOT NULL AS is_paused,
           connector.name AS connector, connector.one_record_for, connector.sends_batches,
           CASE WHEN connector.sends_batches THEN $5::int ELSE $4::int END AS room_at_worker,
           CASE WHEN pause.subscriber_id IS NULL THEN max_concurrency - under_way.deliveries
                WHEN pause.next_probe_utc <= now() AND under_way.deliveries = 0 THEN 1
                ELSE 0 END AS room_at_subscriber
      FROM subscriber
      JOIN connector ON connector.name = subscriber.connector
      LEFT JOIN subscriber_pause AS pause ON pause.subscriber_id = subscriber.subscriber_id
     CROSS JOIN LATERAL (
           SELECT count(*) AS deliveries
             FROM delivery
            WHERE delivery.subscriber_id = subscriber.subscriber_id AND delivery.state = 'sending') AS under_way
     WHERE subscriber.archived_utc IS NULL
),
-- The deliveries that each subscription could send, the longest due first, locked against other changes: all that are
-- due if it sends by itself, else only those that were released since its last change. No earlier delivery of their
-- source record blocks them. A probe may be a delivery that is not due yet. Each subscription is looked up in an index
-- of its own, so that the deliveries of a stopped one are not read at all.
sendable AS (
    SELECT next.*, room.connector, room.one_record_for, room.is_paused, room.room_at_worker, room.sends_batches,
           room.room_at_subscriber,
           row_number() OVER (PARTITION BY room.subscriber_id ORDER BY next.due_utc) AS position_at_subscriber
      FROM subscriber_room AS room
      JOIN subscription ON subscription.subscriber_id = room.subscriber_id AND subscription.archived_utc IS NULL
     CROSS JOIN LATERAL (
           SELECT *
             FROM (SELECT delivery.*
                     FROM delivery
                    WHERE sends_by_itself(subscription.state, subscription.schedule)
                      AND delivery.program_id = subscription.program_id
                      AND delivery.subscription_id = subscription.subscription_id
                      AND delivery.state IN ('waiting', 'retrying') AND NOT delivery.held
                      AND delivery.due_utc <= CASE WHEN room.is_paused THEN 'infinity'::timestamptz ELSE now() END
                      AND NOT EXISTS (SELECT FROM deliveries_before(
                                          delivery.program_id, delivery.subscription_id, delivery.publisher_event_id,
                                          delivery.publisher_system_id, delivery.event_seq, delivery.delivery_uuid,
                                          true, subscription.change_number, subscription.pending_change))
                    ORDER BY delivery.due_utc
                    LIMIT greatest(0, least(room.room_at_subscriber, room.room_at_worker))
                      FOR UPDATE SKIP LOCKED) AS by_itself
            UNION ALL
           SELECT *
             FROM (SELECT delivery.*
                     FROM delivery
                    WHERE NOT sends_by_itself(subscription.state, subscription.schedule)
                      AND delivery.program_id = subscription.program_id
                      AND delivery.subscription_id = subscription.subscription_id
                      AND delivery.state IN ('waiting', 'retrying') AND NOT delivery.held AND delivery.released
                      AND delivery.released_change = subscription.change_number
                      AND delivery.due_utc <= CASE WHEN room.is_paused THEN 'infinity'::timestamptz ELSE now() END
                      AND NOT EXISTS (SELECT FROM deliveries_before(
                                          delivery.program_id, delivery.subscription_id, delivery.publisher_event_id,
                                          delivery.publisher_system_id, delivery.event_seq, delivery.delivery_uuid,
                                          false, subscription.change_number, subscription.pending_change))
                    ORDER BY delivery.due_utc
                    LIMIT greatest(0, least(room.room_at_subscriber, room.room_at_worker))
                      FOR UPDATE SKIP LOCKED) AS for_a_run) AS next
),
-- As many of them as their subscriber takes.
candidate AS (
    SELECT *, row_number() OVER (PARTITION BY sends_batches ORDER BY due_utc) AS position
      FROM sendable
     WHERE position_at_subscriber <= room_at_subscriber
),
-- As many candidates as the worker has room for, each with the reason to give it up; null means that it is sent.
chosen AS (
    SELECT program_id, delivery_uuid, connector, is_paused, due_utc > now() AS is_early,
           coalesce((SELECT reason
                       FROM reason_not_to_send(program_id, subscription_id, publisher_event_id, publisher_system_id,
                                               event_uuid, event_seq, action) AS reason),
                    CASE WHEN EXISTS (SELECT FROM newer_delivered(program_id, subscription_id, publisher_event_id,
                                                                  publisher_system_id, event_seq, event_type, action,
                                                                  one_record_for))
                         THEN 'superseded' END) AS out_of_date
      FROM candidate
     WHERE position <= room_at_worker
),
given_up AS (
    UPDATE delivery
       SET state = CASE chosen.out_of_date WHEN 'superseded' THEN 'superseded' ELSE 'skipped' END,
           code = chosen.out_of_date, class = NULL, due_utc = NULL, held = false,
           message = CASE chosen.out_of_date WHEN 'withdrawn' THEN $6::text WHEN 'reopened' THEN $7::text
                                             ELSE $8::text END
      FROM chosen
     WHERE chosen.out_of_date IS NOT NULL
       AND delivery.program_id = chosen.program_id AND delivery.delivery_uuid = chosen.delivery_uuid
    RETURNING 1
),
claimed AS (
    UPDATE delivery
       SET state = 'sending', lease_id = $1::uuid, lease_worker = $3::bigint, due_utc = NULL, attempts = attempts + 1,
           lease_until_utc = clock_timestamp() + make_interval(secs => $2::float8)
      FROM chosen
     WHERE chosen.out_of_date IS NULL
       AND delivery.program_id = chosen.program_id AND delivery.delivery_uuid = chosen.delivery_uuid
    RETURNING delivery.program_id, delivery.delivery_uuid, delivery.subscription_id, delivery.subscriber_id,
              delivery.event_uuid, delivery.publisher_system_id, delivery.publisher_event_id, delivery.action,
              delivery.attempts, delivery.tries_used, delivery.lease_id,
              chosen.connector, chosen.is_paused AS is_probe, chosen.is_early
),
begun AS (
    INSERT INTO attempt (program_id, delivery_uuid, number, started_utc)
    SELECT program_id, delivery_uuid, attempts, clock_timestamp() FROM claimed
    RETURNING program_id, delivery_uuid, number, started_utc
)
-- Each claimed delivery is returned with the data that sending it needs: its event and the event's withdrawal, when its
-- subscription and subscriber were changed, the Program's name, the stored id of the participant if there is one, and
-- the record that an earlier delivery has at the same target.
SELECT counted.given_up, event.*, claimed.*, begun.started_utc,
       withdrawal.withdrawn_utc AS withdrawal_utc, subscription.changed_utc AS subscription_changed_utc,
       subscription.archived_utc AS subscription_archived_utc, subscriber.changed_utc AS subscriber_changed_utc,
       subscriber.credentials_checked_utc, program.name AS program_name, known.subscriber_participant_id,
       record.subscriber_record_id AS record_id,
       claimed.attempts > 1
       OR EXISTS (SELECT FROM delivery AS tried
                   WHERE tried.program_id = claimed.program_id
                     AND tried.subscription_id = claimed.subscription_id
                     AND tried.publisher_event_id = claimed.publisher_event_id
                     AND tried.publisher_system_id = claimed.publisher_system_id
                     AND tried.delivery_uuid <> claimed.delivery_uuid AND tried.attempts > 0) AS tried_before
  FROM (SELECT count(*) AS given_up FROM given_up) AS counted
  LEFT JOIN claimed ON true
  LEFT JOIN begun ON begun.program_id = claimed.program_id AND begun.delivery_uuid = claimed.delivery_uuid
  LEFT JOIN LATERAL (
       SELECT CASE WHEN action = 'send' THEN subscriber_record_id END AS subscriber_record_id
         FROM delivery AS earlier
        WHERE earlier.program_id = claimed.program_id AND earlier.subscription_id = claimed.subscription_id
          AND earlier.publisher_event_id = claimed.publisher_event_id
          AND earlier.publisher_system_id = claimed.publisher_system_id
          AND earlier.state = 'delivered'
          AND earlier.delivered_utc >= (SELECT target_changed_utc FROM subscription
                                         WHERE subscription.subscription_id = claimed.subscription_id)
        ORDER BY earlier.event_seq DESC, earlier.delivered_utc DESC
        LIMIT 1) AS record ON true
  LEFT JOIN event
    ON event.program_id = claimed.program_id AND event.event_uuid = claimed.event_uuid AND NOT event.is_withdrawal
  LEFT JOIN event AS withdrawal
    ON withdrawal.program_id = claimed.program_id AND withdrawal.event_uuid = claimed.event_uuid
   AND withdrawal.is_withdrawal
  LEFT JOIN subscription ON subscription.subscription_id = claimed.subscription_id
  LEFT JOIN subscriber ON subscriber.subscriber_id = claimed.subscriber_id
  LEFT JOIN program ON program.program_id = claimed.program_id
  LEFT JOIN LATERAL (
       SELECT subscriber_participant_id
         FROM participant
        WHERE participant.subscriber_id = claimed.subscriber_id AND participant.program_id = event.program_id
          AND participant.publisher_system_id IN (event.publisher_system_id, '')
          AND participant_key(participant.publisher_participant_id)
              = participant_key(event.publisher_participant_id)
          AND (expires_utc IS NULL OR expires_utc > now())
        ORDER BY participant_precedence(participant.settled_by, participant.publisher_system_id),
                 participant.changed_utc DESC
        LIMIT 1) AS known ON true

-- 5. The attempt ends.

-- name: complete
-- transition: sending -> delivered, waiting, retrying, parked, skipped, discarded
-- Complete the deliveries $1/$2 (arrays, as are all others) if their leases are still $3; other deliveries are not
-- changed. $4 state, $5 code, $6 class, $7 message, $8 seconds until it is due, null for never, $9 attempts used, $10
-- record id at the subscriber, $11 number of the attempt, $12 payload, $13 request, $14 response, $15 whether the
-- failed attempt may nevertheless have been carried out, $16 for how many seconds it may still be carried out, null for
-- none, $17 whether the record was read back. Returns the positions, from 1, of the completed deliveries. A waiting
-- delivery has no reason of its own; its attempt keeps the reason of the failure. A success ends the pause of the
-- subscriber; its row then has the time at which the pause began.
WITH completion AS (
    SELECT *
      FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::float8[],
                  $9::int[], $10::text[], $11::int[], $12::text[], $13::text[], $14::text[], $15::boolean[],
                  $16::float8[], $17::boolean[]) WITH ORDINALITY
           AS completion (program_id, delivery_uuid, lease_id, state, code, class, message, due_seconds, tries_used,
                          record_id, number, payload, request, response, in_doubt, doubt_seconds, is_confirmed,
                          position)
), completed AS (
    UPDATE delivery
       SET state = completion.state,
           code = CASE WHEN completion.state <> 'waiting' THEN completion.code END,
           class = CASE WHEN completion.state <> 'waiting' THEN completion.class END,
           message = CASE WHEN completion.state <> 'waiting' THEN completion.message END,
           due_utc = CASE WHEN completion.due_seconds IS NOT NULL
                          THEN clock_timestamp()
                               + make_interval(secs => greatest(completion.due_seconds, completion.doubt_seconds)) END,
           tries_used = completion.tries_used, lease_id = NULL, lease_until_utc = NULL, lease_worker = NULL,
           in_doubt = completion.state <> 'delivered' AND (delivery.in_doubt OR completion.in_doubt),
           doubt_until_utc = clock_timestamp() + make_interval(secs => completion.doubt_seconds),
           failing_since_utc = CASE WHEN completion.state IN ('retrying', 'parked')
                                    THEN coalesce(failing_since_utc, clock_timestamp())
                                    WHEN completion.state = 'waiting' THEN failing_since_utc END,
           failed_utc = CASE WHEN completion.state IN ('retrying', 'parked') THEN clock_timestamp()
                             WHEN completion.state = 'waiting' THEN failed_utc END,
           delivered_utc = CASE WHEN completion.state = 'delivered' THEN now() END,
           confirmed_utc = CASE WHEN completion.is_confirmed THEN clock_timestamp() END,
           subscriber_record_id = coalesce(completion.record_id, subscriber_record_id)
      FROM completion
     WHERE delivery.program_id = completion.program_id AND delivery.delivery_uuid = completion.delivery_uuid
       AND delivery.lease_id = completion.lease_id AND delivery.state = 'sending'
    RETURNING completion.*, delivery.subscriber_id
), ended AS (
    UPDATE attempt
       SET ended_utc = clock_timestamp(), code = completed.code, message = completed.message,
           payload = completed.payload::json, request = completed.request::json, response = completed.response::json
      FROM completed
     WHERE attempt.program_id = completed.program_id AND attempt.delivery_uuid = completed.delivery_uuid
       AND attempt.number = completed.number
), lifted AS (
    DELETE FROM subscriber_pause
     WHERE next_probe_utc IS NOT NULL
       AND subscriber_id IN (SELECT subscriber_id FROM completed WHERE state = 'delivered')
    RETURNING subscriber_id, since_utc
)
SELECT position, CASE WHEN state = 'delivered' THEN since_utc END AS paused_since_utc
  FROM completed
  LEFT JOIN lifted USING (subscriber_id)

-- name: release_expired
-- transition: sending -> retrying, parked
-- Release the deliveries of workers that are gone, because the lease has expired or, sooner, the liveness lock is free.
-- The outcome of the attempt is unknown, and it may still be carried out for $1 seconds. It is repeated by the schedule
-- $3, an array of seconds; next_attempt_utc of learning_hub/model/retry.py is the same rule. The delivery is parked if
-- the schedule is used up, or if it was sent to a subscriber that cannot be asked for the outcome; $2 message.
WITH living AS (
    SELECT (classid::bigint << 32) | objid::bigint AS worker
      FROM pg_locks
     WHERE locktype = 'advisory' AND objsubid = 1 AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
), expired AS (
    SELECT program_id, delivery_uuid,
           tries_used >= cardinality($3::float8[])
           OR EXISTS (SELECT FROM attempt
                       WHERE attempt.program_id = delivery.program_id
                         AND attempt.delivery_uuid = delivery.delivery_uuid
                         AND attempt.number = delivery.attempts AND attempt.sent_utc IS NOT NULL) AS is_last,
           greatest($1::float8, ($3::float8[])[tries_used + 1]) AS seconds
      FROM delivery
     WHERE state = 'sending'
       AND (lease_until_utc < now()
            OR lease_worker IS NOT NULL AND lease_worker NOT IN (SELECT worker FROM living))
       FOR UPDATE SKIP LOCKED
), released AS (
    UPDATE delivery
       SET state = CASE WHEN expired.is_last THEN 'parked' ELSE 'retrying' END,
           code = 'outcome_unknown', class = 'unavailable', message = $2::text,
           due_utc = CASE WHEN NOT expired.is_last
                          THEN clock_timestamp() + make_interval(secs => expired.seconds) END,
           tries_used = tries_used + 1, in_doubt = true,
           doubt_until_utc = clock_timestamp() + make_interval(secs => $1::float8),
           failing_since_utc = coalesce(failing_since_utc, clock_timestamp()), failed_utc = clock_timestamp(),
           lease_id = NULL, lease_until_utc = NULL, lease_worker = NULL
      FROM expired
     WHERE delivery.program_id = expired.program_id AND delivery.delivery_uuid = expired.delivery_uuid
    RETURNING delivery.program_id, delivery.delivery_uuid, delivery.attempts
)
UPDATE attempt
   SET ended_utc = now(), code = 'outcome_unknown', message = $2::text
  FROM released
 WHERE attempt.program_id = released.program_id AND attempt.delivery_uuid = released.delivery_uuid
   AND attempt.number = released.attempts
RETURNING attempt.program_id, attempt.delivery_uuid

-- name: recheck_failed
-- transition: waiting, retrying, parked -> skipped
-- transition: waiting, retrying -> discarded, superseded
-- transition: retrying -> waiting
-- Apply to the deliveries $1/$2 (arrays), whose attempts failed, the changes that happened while they were being sent
-- and so did not change them: their event was withdrawn ($3 message), their source record reopened ($4), their
-- subscription archived ($5), or a newer revision came ($6). Unreleased deliveries are held if their subscription no
-- longer sends by itself. Parked deliveries are not retried, so only the first two changes concern them.
UPDATE delivery
   SET state = CASE failed.out_of_date WHEN 'archived' THEN 'discarded' WHEN 'superseded' THEN 'superseded'
                                       WHEN 'held' THEN 'waiting' ELSE 'skipped' END,
       code = nullif(failed.out_of_date, 'held'),
       class = NULL,
       message = CASE failed.out_of_date WHEN 'withdrawn' THEN $3::text WHEN 'reopened' THEN $4::text
                                         WHEN 'archived' THEN $5::text WHEN 'superseded' THEN $6::text END,
       due_utc = CASE failed.out_of_date WHEN 'held' THEN due_utc END,
       held = failed.out_of_date = 'held'
  FROM (SELECT tried.program_id, tried.delivery_uuid, tried.state,
               coalesce((SELECT reason FROM reason_not_to_send(
                             tried.program_id, tried.subscription_id, tried.publisher_event_id,
                             tried.publisher_system_id, tried.event_uuid, tried.event_seq, tried.action) AS reason),
                        CASE WHEN tried.state = 'parked' THEN NULL
                             WHEN subscription.archived_utc IS NOT NULL THEN 'archived'
                             WHEN tried.action = 'send'
                                  AND EXISTS (SELECT FROM superseding_revisions(
                                                  tried.program_id, tried.subscription_id, tried.publisher_event_id,
                                                  tried.publisher_system_id, tried.event_seq, tried.event_type,
                                                  tried.in_doubt, subscription.target, connector.key_fields))
                             THEN 'superseded'
                             WHEN NOT is_released(tried.held, tried.released, tried.released_change,
                                                  subscription.change_number)
                                  AND NOT sends_by_itself(subscription.state, subscription.schedule)
                             THEN 'held' END) AS out_of_date
          FROM unnest($1::text[], $2::uuid[]) AS key (program_id, delivery_uuid)
          JOIN delivery AS tried ON tried.program_id = key.program_id AND tried.delivery_uuid = key.delivery_uuid
          JOIN subscription ON subscription.subscription_id = tried.subscription_id
          JOIN subscriber ON subscriber.subscriber_id = tried.subscriber_id
          JOIN connector ON connector.name = subscriber.connector
         WHERE tried.state IN ('waiting', 'retrying', 'parked')) AS failed
 WHERE delivery.program_id = failed.program_id AND delivery.delivery_uuid = failed.delivery_uuid
   AND delivery.state = failed.state AND failed.out_of_date IS NOT NULL

-- 6. A person requeues or discards the delivery.

-- name: requeue
-- transition: parked, retrying, skipped -> waiting, superseded
-- Put up to $9 deliveries back into the queue. Filters, null for none: $1 Programs, $2 state, $3 subscription, $4
-- subscriber, $5 class, $6 code, $7 Program and $8 uuids of deliveries, $10 and $11 Program and uuid of an event, $14
-- signature. Only deliveries after uuid $13 are taken, null for all, so that a delivery that is parked again meanwhile
-- is not put back twice. A skipped delivery is put back only if it was skipped for a reason that may pass. A delivery
-- is superseded instead ($12 message) if something newer was delivered, or a newer revision is to be sent. Deliveries
-- of a stopped subscription are held.
WITH chosen AS (
    SELECT delivery.program_id, delivery.delivery_uuid,
           delivery.state AS state_before, delivery.code AS code_before,
           subscription.state = 'stopped' AS is_held, subscription.change_number,
           EXISTS (SELECT FROM newer_delivered(delivery.program_id, delivery.subscription_id,
                                               delivery.publisher_event_id, delivery.publisher_system_id,
                                               delivery.event_seq, delivery.event_type, delivery.action,
                                               connector.one_record_for))
           OR EXISTS (SELECT FROM superseding_revisions(delivery.program_id, delivery.subscription_id,
                                                        delivery.publisher_event_id, delivery.publisher_system_id,
                                                        delivery.event_seq, delivery.event_type, delivery.in_doubt,
                                                        subscription.target, connector.key_fields)) AS is_superseded
      FROM delivery
      JOIN subscription USING (subscription_id)
      JOIN subscriber ON subscriber.subscriber_id = delivery.subscriber_id
      JOIN connector ON connector.name = subscriber.connector
     WHERE subscription.archived_utc IS NULL
       AND (delivery.state IN ('parked', 'retrying')
            OR is_skipped_for_now(delivery.state, delivery.code))
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
       AND ($14::text IS NULL OR delivery.signature = $14::text
            OR no_template_signature(delivery.state, delivery.code, delivery.message) = $14::text)
     ORDER BY delivery.delivery_uuid
     LIMIT $9::int
       FOR UPDATE OF delivery SKIP LOCKED
)
UPDATE delivery
   SET state = CASE WHEN chosen.is_superseded THEN 'superseded' ELSE 'waiting' END,
       code = CASE WHEN chosen.is_superseded THEN 'superseded' END,
       class = NULL,
       message = CASE WHEN chosen.is_superseded THEN $12::text END,
       due_utc = CASE WHEN NOT chosen.is_superseded THEN greatest(now(), doubt_until_utc) END,
       held = chosen.is_held AND NOT chosen.is_superseded,
       released = NOT chosen.is_held, released_change = chosen.change_number,
       tries_used = 0, failing_since_utc = NULL
  FROM chosen
 WHERE delivery.program_id = chosen.program_id AND delivery.delivery_uuid = chosen.delivery_uuid
RETURNING delivery.*, chosen.state_before, chosen.code_before

-- name: discard
-- transition: waiting, retrying, parked, skipped -> discarded
-- Discard delivery $1/$2 for the reason $3. A delivery that is being sent or in another final state is not changed.
UPDATE delivery
   SET state = 'discarded', code = 'discarded', class = NULL, message = $3::text, due_utc = NULL, held = false
 WHERE program_id = $1::text AND delivery_uuid = $2::uuid
   AND state IN ('waiting', 'retrying', 'parked', 'skipped')
RETURNING *

-- name: discard_archived
-- transition: waiting, retrying -> discarded
-- Discard up to $4 unsent deliveries of subscription $1, which was archived, that are held and after uuid $2, and as many
-- that are not held, from the due time $3 on, null for all; $5 message. Returns the due time that each had.
WITH unsent AS (
    SELECT *
      FROM (SELECT program_id, delivery_uuid, NULL::timestamptz AS due_utc
              FROM delivery
             WHERE subscription_id = $1::text AND held AND delivery_uuid > $2::uuid
             ORDER BY delivery_uuid
             LIMIT $4::int
               FOR UPDATE SKIP LOCKED) AS held
     UNION ALL
    SELECT *
      FROM (SELECT program_id, delivery_uuid, due_utc
              FROM delivery
             WHERE subscription_id = $1::text AND state IN ('waiting', 'retrying') AND NOT held
               AND due_utc >= coalesce($3::timestamptz, '-infinity')
             ORDER BY due_utc
             LIMIT $4::int
               FOR UPDATE SKIP LOCKED) AS unheld
)
UPDATE delivery
   SET state = 'discarded', code = 'archived', class = NULL, message = $5::text, due_utc = NULL, held = false
  FROM unsent
 WHERE delivery.program_id = unsent.program_id AND delivery.delivery_uuid = unsent.delivery_uuid
RETURNING delivery.delivery_uuid, unsent.due_utc, delivery.state

-- name: discard_many
-- transition: parked, skipped -> discarded
-- Discard those of the deliveries $2 (uuids) of Program $1 that are still parked or skipped; $3 reason.
WITH unwanted AS (
    SELECT program_id, delivery_uuid
      FROM delivery
     WHERE program_id = $1::text AND delivery_uuid = ANY ($2::uuid[]) AND state IN ('parked', 'skipped')
     ORDER BY delivery_uuid
       FOR UPDATE
)
UPDATE delivery
   SET state = 'discarded', code = 'discarded', class = NULL, message = $3::text, due_utc = NULL, held = false
  FROM unwanted
 WHERE delivery.program_id = unwanted.program_id AND delivery.delivery_uuid = unwanted.delivery_uuid
RETURNING delivery.delivery_uuid, delivery.state
