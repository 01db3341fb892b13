-- Cron schedules: which subscriptions have one, and up to which time each has run. The time is that of the database's
-- clock.

-- name: scheduled
-- Started subscriptions with a cron expression, the time after which their scheduled times have not run, and the time
-- now.
SELECT subscription_id, schedule, time_zone, clock_timestamp() AS now_utc,
       greatest(scheduled_utc, (SELECT done_utc FROM subscription_tick AS tick
                                 WHERE tick.subscription_id = subscription.subscription_id)) AS after_utc
  FROM subscription
 WHERE archived_utc IS NULL AND state = 'started' AND schedule NOT IN ('realtime', 'manual')
 ORDER BY subscription_id

-- name: insert
-- Insert the row of subscription $1 that `lock` locks.
INSERT INTO subscription_tick (subscription_id, done_utc)
SELECT subscription_id, scheduled_utc FROM subscription WHERE subscription_id = $1::text
ON CONFLICT DO NOTHING

-- name: lock
-- Lock the schedule of subscription $1; returns no row while another process holds the lock. This is a separate
-- statement, because `is_due` must see what the process before committed.
SELECT true FROM subscription_tick WHERE subscription_id = $1::text FOR UPDATE SKIP LOCKED

-- name: is_due
-- Subscription $1, if its time $2 of the schedule $3 in the time zone $4 has not run, the subscription still has that
-- schedule, and no run gathers deliveries for it. After a failed run, the next may begin $5 seconds after the failed
-- run began.
SELECT subscription.*
  FROM subscription
  JOIN subscription_tick AS tick USING (subscription_id)
  LEFT JOIN run USING (run_id)
 WHERE subscription.subscription_id = $1::text
   AND greatest(tick.done_utc, subscription.scheduled_utc) < $2::timestamptz
   AND subscription.schedule = $3::text AND subscription.time_zone = $4::text
   AND subscription.state = 'started' AND subscription.archived_utc IS NULL
   AND (run.state IS NULL OR run.gathered_utc IS NOT NULL
        OR run.state = 'failed' AND run.started_utc < clock_timestamp() - make_interval(secs => $5::float8))

-- name: begin
-- Store that run $2 gathers deliveries for subscription $1.
UPDATE subscription_tick SET run_id = $2::text WHERE subscription_id = $1::text

-- name: move
-- Store that subscription $1 has run up to $3, if run $2 still gathers deliveries for it.
UPDATE subscription_tick SET done_utc = $3::timestamptz WHERE subscription_id = $1::text AND run_id = $2::text

-- name: give_up
-- Store that run $1 no longer gathers deliveries, because its process is gone; the next run may begin at once.
UPDATE subscription_tick SET run_id = NULL WHERE run_id = $1::text
