-- Pauses: subscribers that nothing is sent to for now.

-- name: lock
-- Let failures at subscriber $1 be judged one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('pause ' || $1::text, 0))

-- name: find
-- The pause of subscriber $1, if any, with the time by the database's clock, which all workers go by, and whether its
-- credentials were mended after $2.
SELECT clock_timestamp() AS at_utc, pause.*,
       coalesce(greatest(credentials_changed_utc, credentials_checked_utc) > $2::timestamptz, false) AS are_mended
  FROM subscriber
  LEFT JOIN subscriber_pause AS pause ON pause.subscriber_id = subscriber.subscriber_id
 WHERE subscriber.subscriber_id = $1::text

-- name: of
-- The pauses of the subscribers $1.
SELECT * FROM subscriber_pause WHERE subscriber_id = ANY ($1::text[])

-- name: put
-- Subscriber $1 is paused, or goes on being: $2 code, $3 class, $4 message, $5 since when, $6 seconds to the next
-- probe, $7 its time, null for none. Another code is another matter to tell the operator of.
INSERT INTO subscriber_pause (subscriber_id, code, class, message, since_utc, probe_seconds, next_probe_utc)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::timestamptz, $6::float8, $7::timestamptz)
ON CONFLICT (subscriber_id) DO UPDATE
   SET code = excluded.code, class = excluded.class, message = excluded.message, since_utc = excluded.since_utc,
       probe_seconds = excluded.probe_seconds, next_probe_utc = excluded.next_probe_utc,
       alarmed_utc = CASE WHEN subscriber_pause.code = 'credentials_refused' OR excluded.code <> 'credentials_refused'
                          THEN subscriber_pause.alarmed_utc END

-- name: probe_now
-- Let the next probe of subscriber $1 be due.
UPDATE subscriber_pause SET next_probe_utc = least(next_probe_utc, now())
 WHERE subscriber_id = $1::text AND next_probe_utc IS NOT NULL
RETURNING next_probe_utc

-- name: lift
-- Subscriber $1 is paused no more; one that waits for its credentials to be mended ($2) only where they were.
DELETE FROM subscriber_pause
 WHERE subscriber_id = $1::text AND (next_probe_utc IS NOT NULL OR $2::boolean)
RETURNING since_utc

-- name: pull_forward
-- What failed at subscriber $1 since $2 because it was away need not wait for its next try any longer.
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
-- A pause whose next probe is due and for which there is nothing to send is over: the next delivery finds out.
DELETE FROM subscriber_pause
 WHERE next_probe_utc <= now()
   AND NOT EXISTS (SELECT FROM delivery
                    WHERE delivery.subscriber_id = subscriber_pause.subscriber_id
                      AND (state = 'sending' OR state IN ('waiting', 'retrying') AND NOT held))

-- name: alarm
-- The pauses that have lasted for $1 seconds and were not told of yet; they are now.
UPDATE subscriber_pause SET alarmed_utc = now()
 WHERE alarmed_utc IS NULL AND since_utc <= now() - make_interval(secs => $1::float8)
RETURNING subscriber_id, code, since_utc

-- name: all_seconds
-- Every paused subscriber, why, and for how many seconds.
SELECT subscriber_id, code, extract(epoch FROM clock_timestamp() - since_utc)::float8 AS seconds FROM subscriber_pause
