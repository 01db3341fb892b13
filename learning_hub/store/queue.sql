-- The queue: claiming deliveries, and settling what became of them.

-- name: lock_claims
-- Claims go one after another, so that two workers never judge the same queue at once.
SELECT pg_advisory_xact_lock(hashtext('learning-hub claim'))

-- name: claim
-- Lease up to $2 due deliveries to lease $1 for $3 seconds, at most as many at a subscriber as it takes at once, and
-- begin an attempt for each. Of one source record only the oldest unsettled one, and none while one is under way or
-- may still be carried out; what is held or parked is stepped over. Three kinds are given up instead, and counted in
-- the first column: what was withdrawn ($6 the message), what was reopened where that takes back ($7), and what was
-- overtaken by a newer one that is delivered ($4): at a webhook only one of the same source key overtakes, elsewhere
-- any of the source record, which is one record there, but not the removal of another event that was withdrawn. $5 is the number of the worker's presence. A subscription that
-- is stopped or not realtime sends only what was released, also where its deliveries are not marked as held yet. A
-- paused subscriber gets one as a probe once that is due and nothing else is under way there, the longest due first, and
-- one that is not due yet rather than none. Connectors that take many at once ($8) have up to $9 of their own beside
-- the $2 of the others. With each comes all that it is about: its event with its withdrawal, the versions of its
-- subscription and subscriber, the name of its Program, and who the participant is at the subscriber as far as is
-- remembered.
WITH open_subscriber AS (
    SELECT subscriber.subscriber_id, connector, pause.subscriber_id IS NOT NULL AS is_paused,
           connector = ANY ($8::text[]) AS is_batched,
           CASE WHEN pause.subscriber_id IS NULL THEN max_concurrency - under_way.deliveries
                WHEN pause.next_probe_utc <= now() AND under_way.deliveries = 0 THEN 1
                ELSE 0 END AS room
      FROM subscriber
      LEFT JOIN subscriber_pause AS pause ON pause.subscriber_id = subscriber.subscriber_id
     CROSS JOIN LATERAL (
           SELECT count(*) AS deliveries
             FROM delivery
            WHERE delivery.subscriber_id = subscriber.subscriber_id AND state = 'sending') AS under_way
     WHERE archived_utc IS NULL
), candidate AS (
    SELECT found.*, open_subscriber.connector, open_subscriber.is_paused,
           CASE WHEN open_subscriber.is_batched THEN $9::int ELSE $2::int END AS limit_of_kind,
           row_number() OVER (PARTITION BY open_subscriber.is_batched ORDER BY found.due_utc) AS place
      FROM open_subscriber
     CROSS JOIN LATERAL (
           SELECT delivery.*
             FROM delivery
            WHERE delivery.subscriber_id = open_subscriber.subscriber_id
              AND state IN ('waiting', 'retrying') AND NOT held
              AND due_utc <= CASE WHEN open_subscriber.is_paused THEN 'infinity'::timestamptz ELSE now() END
              AND (released OR EXISTS (SELECT FROM subscription
                                        WHERE subscription.subscription_id = delivery.subscription_id
                                          AND subscription.state = 'started' AND subscription.schedule = 'realtime'))
              AND NOT EXISTS (
                  SELECT FROM delivery AS other
                   WHERE other.program_id = delivery.program_id
                     AND other.subscription_id = delivery.subscription_id
                     AND other.publisher_event_id = delivery.publisher_event_id
                     AND other.publisher_system_id = delivery.publisher_system_id
                     AND (other.state = 'sending' OR other.doubt_until_utc > now()
                          OR (other.state IN ('waiting', 'retrying') AND NOT other.held
                              AND (other.event_seq, other.delivery_uuid)
                                  < (delivery.event_seq, delivery.delivery_uuid))))
            ORDER BY due_utc
            LIMIT greatest(0, least(open_subscriber.room,
                                    CASE WHEN open_subscriber.is_batched THEN $9::int ELSE $2::int END))
              FOR UPDATE SKIP LOCKED) AS found
), due AS (
    SELECT candidate.program_id, candidate.delivery_uuid, candidate.connector, candidate.is_paused,
           candidate.due_utc > now() AS is_early,
           CASE WHEN candidate.action = 'send'
                     AND EXISTS (SELECT FROM event
                                  WHERE event.program_id = candidate.program_id
                                    AND event.event_uuid = candidate.event_uuid AND event.is_withdrawal)
                THEN 'withdrawn'
                WHEN candidate.action = 'send'
                     AND EXISTS (SELECT FROM subscription
                                   JOIN event USING (program_id)
                                  WHERE subscription.subscription_id = candidate.subscription_id
                                    AND subscription.on_reopened = 'remove'
                                    AND event.publisher_event_id = candidate.publisher_event_id
                                    AND event.publisher_system_id = candidate.publisher_system_id
                                    AND event.event_type IN ('AI_REOPENED', 'LPI_REOPENED')
                                    AND event.event_type <> ALL (subscription.event_types)
                                    AND event.seq > candidate.event_seq
                                    AND NOT EXISTS (SELECT FROM event AS gone
                                                     WHERE gone.program_id = event.program_id
                                                       AND gone.event_uuid = event.event_uuid AND gone.is_withdrawal))
                THEN 'reopened'
                WHEN EXISTS (SELECT FROM delivery AS newer
                              WHERE newer.program_id = candidate.program_id
                                AND newer.subscription_id = candidate.subscription_id
                                AND newer.publisher_event_id = candidate.publisher_event_id
                                AND newer.publisher_system_id = candidate.publisher_system_id
                                AND (newer.event_type = candidate.event_type
                                     OR candidate.connector <> 'webhook'
                                        AND (newer.action = 'send' OR candidate.action = 'remove'
                                             OR newer.event_type IN ('AI_REOPENED', 'LPI_REOPENED')))
                                AND newer.event_seq > candidate.event_seq AND newer.state = 'delivered')
                THEN 'superseded' END AS classification
      FROM candidate
     WHERE place <= limit_of_kind
), given_up AS (
    UPDATE delivery
       SET state = CASE due.classification WHEN 'superseded' THEN 'superseded' ELSE 'skipped' END,
           code = due.classification, class = NULL, due_utc = NULL, held = false,
           message = CASE due.classification WHEN 'withdrawn' THEN $6::text WHEN 'reopened' THEN $7::text ELSE $4::text END
      FROM due
     WHERE due.classification IS NOT NULL
       AND delivery.program_id = due.program_id AND delivery.delivery_uuid = due.delivery_uuid
    RETURNING 1
), claimed AS (
    UPDATE delivery
       SET state = 'sending', lease_id = $1::uuid, lease_worker = $5::bigint, due_utc = NULL, attempts = attempts + 1,
           lease_until_utc = clock_timestamp() + make_interval(secs => $3::float8)
      FROM due
     WHERE due.classification IS NULL
       AND delivery.program_id = due.program_id AND delivery.delivery_uuid = due.delivery_uuid
    RETURNING delivery.program_id, delivery.delivery_uuid, delivery.subscription_id, delivery.subscriber_id,
              delivery.event_uuid, delivery.publisher_system_id, delivery.publisher_event_id, delivery.action,
              delivery.attempts, delivery.tries_used, delivery.lease_id,
              due.connector, due.is_paused AS is_probe, due.is_early
), begun AS (
    INSERT INTO attempt (program_id, delivery_uuid, number, started_utc)
    SELECT program_id, delivery_uuid, attempts, clock_timestamp() FROM claimed
    RETURNING program_id, delivery_uuid, number, started_utc
)
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
          AND participant.publisher_participant_id = event.publisher_participant_id
          AND (expires_utc IS NULL OR expires_utc > now())
        ORDER BY settled_by IS NULL, participant.publisher_system_id = ''
        LIMIT 1) AS known ON true

-- name: lock_lease
-- Hold delivery $1/$2 as long as lease $3 is its own.
SELECT subscriber_id FROM delivery
 WHERE program_id = $1::text AND delivery_uuid = $2::uuid AND lease_id = $3::uuid AND state = 'sending'
   FOR UPDATE

-- name: complete
-- Settle the deliveries $1/$2 (arrays, as are all others) as their leases $3 say; a lease that is no longer the
-- delivery's changes nothing. $4 state, $5 code, $6 class, $7 message, $8 seconds until it is due, null for never, $9
-- tries used, $10 record id at the subscriber, $11 number of the attempt, $12 payload, $13 request, $14 response, $15
-- whether it may have been carried out all the same, $16 for how many seconds it may still be, null for none, $17
-- whether it was read back. Those that were settled are told by their places, from 1. What waits has no reason of its
-- own; the attempt keeps why it failed. A success shows that the subscriber is back: its pause is over, which is told
-- with the time it began.
WITH outcome AS (
    SELECT *
      FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::float8[],
                  $9::int[], $10::text[], $11::int[], $12::text[], $13::text[], $14::text[], $15::boolean[],
                  $16::float8[], $17::boolean[]) WITH ORDINALITY
           AS outcome (program_id, delivery_uuid, lease_id, state, code, class, message, due_seconds, tries_used,
                       record_id, number, payload, request, response, in_doubt, doubt_seconds, is_confirmed, place)
), settled AS (
    UPDATE delivery
       SET state = outcome.state,
           code = CASE WHEN outcome.state <> 'waiting' THEN outcome.code END,
           class = CASE WHEN outcome.state <> 'waiting' THEN outcome.class END,
           message = CASE WHEN outcome.state <> 'waiting' THEN outcome.message END,
           due_utc = CASE WHEN outcome.due_seconds IS NOT NULL
                          THEN clock_timestamp()
                               + make_interval(secs => greatest(outcome.due_seconds, outcome.doubt_seconds)) END,
           tries_used = outcome.tries_used, lease_id = NULL, lease_until_utc = NULL, lease_worker = NULL,
           in_doubt = outcome.state <> 'delivered' AND (delivery.in_doubt OR outcome.in_doubt),
           doubt_until_utc = clock_timestamp() + make_interval(secs => outcome.doubt_seconds),
           failing_since_utc = CASE WHEN outcome.state IN ('retrying', 'parked')
                                    THEN coalesce(failing_since_utc, clock_timestamp())
                                    WHEN outcome.state = 'waiting' THEN failing_since_utc END,
           failed_utc = CASE WHEN outcome.state IN ('retrying', 'parked') THEN clock_timestamp()
                             WHEN outcome.state = 'waiting' THEN failed_utc END,
           delivered_utc = CASE WHEN outcome.state = 'delivered' THEN now() END,
           confirmed_utc = CASE WHEN outcome.is_confirmed THEN clock_timestamp() END,
           subscriber_record_id = coalesce(outcome.record_id, subscriber_record_id)
      FROM outcome
     WHERE delivery.program_id = outcome.program_id AND delivery.delivery_uuid = outcome.delivery_uuid
       AND delivery.lease_id = outcome.lease_id AND delivery.state = 'sending'
    RETURNING outcome.*, delivery.subscriber_id
), noted AS (
    UPDATE attempt
       SET ended_utc = clock_timestamp(), code = settled.code, message = settled.message,
           payload = settled.payload::json, request = settled.request::json, response = settled.response::json
      FROM settled
     WHERE attempt.program_id = settled.program_id AND attempt.delivery_uuid = settled.delivery_uuid
       AND attempt.number = settled.number
), lifted AS (
    DELETE FROM subscriber_pause
     WHERE next_probe_utc IS NOT NULL
       AND subscriber_id IN (SELECT subscriber_id FROM settled WHERE state = 'delivered')
    RETURNING subscriber_id, since_utc
)
SELECT place, CASE WHEN state = 'delivered' THEN since_utc END AS paused_since_utc
  FROM settled
  LEFT JOIN lifted USING (subscriber_id)

-- name: release_expired
-- What a worker held that is gone, which its lease tells, or sooner its presence: its outcome is unknown. It may still
-- be carried out for $1 seconds, and is tried again by the schedule $3, an array of seconds; parked when that is used
-- up, or when it had been sent where nobody can be asked; $2 message.
WITH present AS (
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
            OR lease_worker IS NOT NULL AND lease_worker NOT IN (SELECT worker FROM present))
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

-- name: mark_sent
-- The deliveries $1/$2 (arrays), each with the number of its attempt ($3), are sent from now on, where nobody can be
-- asked afterwards.
UPDATE attempt SET sent_utc = clock_timestamp()
  FROM unnest($1::text[], $2::uuid[], $3::int[]) AS sent (program_id, delivery_uuid, number)
 WHERE attempt.program_id = sent.program_id AND attempt.delivery_uuid = sent.delivery_uuid
   AND attempt.number = sent.number

-- name: recheck_failed
-- What changed while the deliveries $1/$2 (arrays) were being sent and failed: one whose event was withdrawn ($3 the
-- message) or reopened ($6) is skipped; one that would be tried again is superseded where a newer one of its source key
-- came ($4), discarded where its subscription was archived ($5), and waits, held, where that does not send by itself any
-- more and no run let it out. What may have left a row in a panel without a
-- KeyProperty is not superseded: only its own values find that row again.
UPDATE delivery
   SET state = CASE failed.classification WHEN 'archived' THEN 'discarded' WHEN 'superseded' THEN 'superseded'
                                   WHEN 'held' THEN 'waiting' ELSE 'skipped' END,
       code = nullif(failed.classification, 'held'),
       class = NULL,
       message = CASE failed.classification WHEN 'withdrawn' THEN $3::text WHEN 'reopened' THEN $6::text
                                     WHEN 'superseded' THEN $4::text WHEN 'archived' THEN $5::text END,
       due_utc = CASE failed.classification WHEN 'held' THEN due_utc END,
       held = failed.classification = 'held'
  FROM (SELECT tried.program_id, tried.delivery_uuid, tried.state,
               CASE WHEN tried.action = 'send'
                         AND EXISTS (SELECT FROM event
                                      WHERE event.program_id = tried.program_id
                                        AND event.event_uuid = tried.event_uuid AND event.is_withdrawal)
                    THEN 'withdrawn'
                    WHEN tried.action = 'send' AND subscription.on_reopened = 'remove'
                         AND EXISTS (SELECT FROM event
                                      WHERE event.program_id = tried.program_id
                                        AND event.publisher_event_id = tried.publisher_event_id
                                        AND event.publisher_system_id = tried.publisher_system_id
                                        AND event.event_type IN ('AI_REOPENED', 'LPI_REOPENED')
                                        AND event.event_type <> ALL (subscription.event_types)
                                        AND event.seq > tried.event_seq
                                        AND NOT EXISTS (SELECT FROM event AS gone
                                                         WHERE gone.program_id = event.program_id
                                                           AND gone.event_uuid = event.event_uuid
                                                           AND gone.is_withdrawal))
                    THEN 'reopened'
                    WHEN tried.state = 'parked' THEN NULL
                    WHEN subscription.archived_utc IS NOT NULL THEN 'archived'
                    WHEN tried.action = 'send'
                         AND NOT (tried.in_doubt AND subscription.target ->> 'Kind' = 'panel'
                                  AND subscription.target ->> 'KeyProperty' IS NULL)
                         AND EXISTS (SELECT FROM delivery AS newer
                                      WHERE newer.program_id = tried.program_id
                                        AND newer.subscription_id = tried.subscription_id
                                        AND newer.publisher_event_id = tried.publisher_event_id
                                        AND newer.publisher_system_id = tried.publisher_system_id
                                        AND newer.event_type = tried.event_type AND newer.action = 'send'
                                        AND newer.event_seq > tried.event_seq
                                        AND newer.state IN ('waiting', 'retrying', 'sending', 'delivered'))
                    THEN 'superseded'
                    WHEN NOT tried.released
                         AND (subscription.state <> 'started' OR subscription.schedule <> 'realtime')
                    THEN 'held' END AS classification
          FROM unnest($1::text[], $2::uuid[]) AS asked (program_id, delivery_uuid)
          JOIN delivery AS tried
            ON tried.program_id = asked.program_id AND tried.delivery_uuid = asked.delivery_uuid
          JOIN subscription ON subscription.subscription_id = tried.subscription_id
         WHERE tried.state IN ('waiting', 'retrying', 'parked')) AS failed
 WHERE delivery.program_id = failed.program_id AND delivery.delivery_uuid = failed.delivery_uuid
   AND delivery.state = failed.state AND failed.classification IS NOT NULL

-- name: next_due
-- Seconds until the next delivery falls due, or the next probe of a paused subscriber; null for none. One look into the
-- index for each subscriber.
SELECT extract(epoch FROM min(coalesce(pause.next_probe_utc, next.due_utc)) - now())::float8
  FROM subscriber
  LEFT JOIN subscriber_pause AS pause ON pause.subscriber_id = subscriber.subscriber_id
 CROSS JOIN LATERAL (
       SELECT due_utc FROM delivery
        WHERE delivery.subscriber_id = subscriber.subscriber_id
          AND state IN ('waiting', 'retrying') AND NOT held
          AND (pause.subscriber_id IS NOT NULL OR due_utc > now())
        ORDER BY due_utc
        LIMIT 1) AS next
 WHERE subscriber.archived_utc IS NULL AND (pause.subscriber_id IS NULL OR pause.next_probe_utc IS NOT NULL)
