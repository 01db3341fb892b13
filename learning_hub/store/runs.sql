-- Runs of the process stage, and the deliveries of each run.

-- name: insert
-- Begin run $1 of Program $2; $3 trigger, $4 request, $5 who requested it, $6 the number of its process's liveness
-- lock.
INSERT INTO run (run_id, program_id, trigger, request, requested_by, gatherer)
VALUES ($1::text, $2::text, $3::text, $4::json, $5::text, $6::bigint)

-- name: find
-- One run.
SELECT * FROM run WHERE run_id = $1::text

-- name: page
-- Up to $3 runs before $2, newest first; only those of the Programs $1, null for all.
SELECT * FROM run
 WHERE ($1::text[] IS NULL OR program_id = ANY ($1::text[])) AND ($2::text = '' OR run_id < $2::text)
 ORDER BY run_id DESC
 LIMIT $3::int

-- name: add_deliveries_of_events
-- Add the deliveries of these events ($4) of Program $2 at subscription $3 to run $1. With $5, add the replays that
-- this transaction made instead of the deliveries that were delivered before.
INSERT INTO run_delivery (program_id, run_id, delivery_uuid, was_delivered)
SELECT program_id, $1::text, delivery_uuid, state = 'delivered'
  FROM delivery
 WHERE program_id = $2::text AND subscription_id = $3::text AND event_uuid = ANY ($4::uuid[])
   AND CASE WHEN is_replay THEN $5::boolean AND created_utc = now()
            ELSE NOT ($5::boolean AND state = 'delivered' AND action = 'send') END
ON CONFLICT DO NOTHING

-- name: add_pending
-- Add all deliveries of Program $2 at subscription $3 that are to be sent or being sent to run $1.
INSERT INTO run_delivery (program_id, run_id, delivery_uuid, was_delivered)
SELECT program_id, $1::text, delivery_uuid, false
  FROM delivery
 WHERE program_id = $2::text AND subscription_id = $3::text AND state IN ('waiting', 'sending', 'retrying')
ON CONFLICT DO NOTHING

-- name: pending_events
-- Up to $3 events of Program $1 that have deliveries to be sent for the subscriptions $2.
SELECT DISTINCT event_uuid FROM delivery
 WHERE program_id = $1::text AND subscription_id = ANY ($2::text[]) AND state IN ('waiting', 'retrying')
 LIMIT $3::int

-- name: gathered
-- Store that run $1 has all its deliveries, if it is still running.
UPDATE run SET gathered_utc = clock_timestamp() WHERE run_id = $1::text AND state = 'running'

-- name: counts
-- The deliveries of run $1 of Program $2 counted by state; those delivered before the run count as unchanged. `open`
-- counts the deliveries that will still change without a person's action: they may be sent, are not for a paused
-- subscriber unless its probe is due, and not behind an earlier delivery of their source record that waits for its next
-- attempt.
SELECT CASE WHEN run_delivery.was_delivered THEN 'unchanged'
            WHEN delivery.state = 'sending' THEN 'waiting'
            ELSE delivery.state END AS state,
       count(*) AS deliveries,
       count(*) FILTER (
           WHERE delivery.state = 'sending'
              OR delivery.state = 'waiting' AND NOT delivery.held
                 AND subscription.archived_utc IS NULL
                 AND (sends_by_itself(subscription.state, subscription.schedule)
                      OR is_released(delivery.held, delivery.released, delivery.released_change,
                                     subscription.change_number))
                 AND (pause.subscriber_id IS NULL OR pause.next_probe_utc <= now())
                 AND NOT EXISTS (SELECT FROM delivery AS other
                                  WHERE other.program_id = delivery.program_id
                                    AND other.subscription_id = delivery.subscription_id
                                    AND other.publisher_event_id = delivery.publisher_event_id
                                    AND other.publisher_system_id = delivery.publisher_system_id
                                    AND other.state = 'retrying' AND other.event_seq < delivery.event_seq)) AS open
  FROM run_delivery
  JOIN delivery USING (program_id, delivery_uuid)
  JOIN subscription USING (subscription_id)
  LEFT JOIN subscriber_pause AS pause ON pause.subscriber_id = delivery.subscriber_id
 WHERE run_delivery.program_id = $2::text AND run_delivery.run_id = $1::text
 GROUP BY 1

-- name: is_gathered
-- Whether run $1 is running and has all its deliveries.
SELECT gathered_utc IS NOT NULL FROM run WHERE run_id = $1::text AND state = 'running'

-- name: running
-- Runs that are running, and whether the process that gathers their deliveries is gone: its liveness lock is free or,
-- if it had none, $1 seconds have passed. Changes of many deliveries are carried on by any process, and end by themselves.
WITH living AS (
    SELECT (classid::bigint << 32) | objid::bigint AS process
      FROM pg_locks
     WHERE locktype = 'advisory' AND objsubid = 1 AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT run_id, program_id, trigger, gathered_utc IS NOT NULL AS is_gathered,
       CASE WHEN gathered_utc IS NOT NULL THEN false
            WHEN gatherer IS NULL THEN started_utc < now() - make_interval(secs => $1::float8)
            ELSE gatherer NOT IN (SELECT process FROM living) END AS is_gone
  FROM run
 WHERE state = 'running' AND NOT EXISTS (SELECT FROM bulk_change WHERE bulk_change.run_id = run.run_id)

-- name: finish
-- Store that run $1 is finished: $2 state, $3 counts, $4 message.
UPDATE run SET state = $2::text, counts = $3::json, message = $4::text, finished_utc = clock_timestamp()
 WHERE run_id = $1::text AND state = 'running'

-- name: bulk_progress
-- How far run $1 is, if it changes many deliveries and is not finished.
SELECT total, waiting, superseded, discarded FROM bulk_change WHERE run_id = $1::text
