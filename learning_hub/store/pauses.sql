-- Pauses: open circuit breakers of subscribers. model/circuit_breaker.py has the rules.

-- name: lock
-- Serialise the failures of subscriber $1 that change its circuit breaker.
SELECT pg_advisory_xact_lock(hashtextextended('pause ' || $1::text, 0))

-- name: find
-- The pause of subscriber $1, null columns if it is not paused, with the time of the database's clock, which all
-- workers use, and whether its credentials were changed or found valid after $2.
SELECT clock_timestamp() AS at_utc, pause.*,
       coalesce(greatest(credentials_changed_utc, credentials_checked_utc) > $2::timestamptz, false) AS are_credentials_fixed
  FROM subscriber
  LEFT JOIN subscriber_pause AS pause ON pause.subscriber_id = subscriber.subscriber_id
 WHERE subscriber.subscriber_id = $1::text

-- name: of
-- The pauses of the subscribers $1.
SELECT * FROM subscriber_pause WHERE subscriber_id = ANY ($1::text[])

-- name: put
-- Store the pause of subscriber $1: $2 code, $3 class, $4 message, $5 since when, $6 seconds to the next probe, $7 the
-- time of the next probe, null for none, $8 how many probes in a row were denied a new token. A pause that becomes one
-- for refused credentials is logged again.
INSERT INTO subscriber_pause (subscriber_id, code, class, message, since_utc, probe_seconds, next_probe_utc,
                              denied_probes)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::timestamptz, $6::float8, $7::timestamptz, $8::smallint)
ON CONFLICT (subscriber_id) DO UPDATE
   SET code = excluded.code, class = excluded.class, message = excluded.message, since_utc = excluded.since_utc,
       probe_seconds = excluded.probe_seconds, next_probe_utc = excluded.next_probe_utc,
       denied_probes = excluded.denied_probes,
       alarmed_utc = CASE WHEN subscriber_pause.code = 'credentials_refused' OR excluded.code <> 'credentials_refused'
                          THEN subscriber_pause.alarmed_utc END

-- name: probe_now
-- Make the next probe of subscriber $1 due.
UPDATE subscriber_pause SET next_probe_utc = least(next_probe_utc, now())
 WHERE subscriber_id = $1::text AND next_probe_utc IS NOT NULL
RETURNING next_probe_utc

-- name: lift
-- End the pause of subscriber $1; a pause for refused credentials ends only if they were fixed ($2).
DELETE FROM subscriber_pause
 WHERE subscriber_id = $1::text AND (next_probe_utc IS NOT NULL OR $2::boolean)
RETURNING since_utc

-- name: pull_forward
-- Make deliveries due that failed since $2 because subscriber $1 was away.
UPDATE delivery
   SET due_utc = greatest(now(), doubt_until_utc)
  FROM (SELECT program_id, delivery_uuid
          FROM delivery
         WHERE subscriber_id = $1::text AND state = 'retrying' AND NOT held AND class = 'unavailable'
           AND failed_utc >= $2::timestamptz AND due_utc > now()
         ORDER BY due_utc
           FOR UPDATE SKIP LOCKED) AS failed
 WHERE delivery.program_id = failed.program_id AND delivery.delivery_uuid = failed.delivery_uuid

-- name: end_idle
-- End the pauses whose next probe is due and for which no delivery is to be sent; the next delivery then shows whether
-- the subscriber is back.
DELETE FROM subscriber_pause
 WHERE next_probe_utc <= now()
   AND NOT EXISTS (SELECT FROM delivery
                    WHERE delivery.subscriber_id = subscriber_pause.subscriber_id
                      AND (state = 'sending' OR state IN ('waiting', 'retrying') AND NOT held))

-- name: alarm
-- The pauses that have lasted for $1 seconds and were not returned before.
UPDATE subscriber_pause SET alarmed_utc = now()
 WHERE alarmed_utc IS NULL AND since_utc <= now() - make_interval(secs => $1::float8)
RETURNING subscriber_id, code, since_utc

-- name: all_seconds
-- Each paused subscriber, with the code of its pause and the seconds since it began.
SELECT subscriber_id, code, extract(epoch FROM clock_timestamp() - since_utc)::float8 AS seconds FROM subscriber_pause
