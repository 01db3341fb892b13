-- Subscriptions and their checkpoints. The effects of a change on their deliveries are in bulk_changes.sql.

-- name: lock
-- Serialise the changes of subscription $1, including its creation.
SELECT pg_advisory_xact_lock(hashtextextended('subscription ' || $1::text, 0))

-- name: lock_checkpoint
-- Prevent the process stage from reading on for subscription $1, so that an administrator's change comes before or
-- after.
SELECT FROM subscription_checkpoint WHERE subscription_id = $1::text FOR UPDATE

-- name: put
-- Create or change subscription $1; a PUT makes an archived subscription active again. A new subscription starts at the
-- snapshot $16 in epoch $15; if these are null, at the present snapshot, so that it gets only entries that the snapshot
-- does not contain. The time of a change is that of the statement, because now() is the beginning of a transaction that
-- may have waited long.
INSERT INTO subscription (subscription_id, name, subscriber_id, program_id, publisher_system_id, event_types, target,
                          templates, schedule, time_zone, on_withdraw, on_reopened, state, start_from, start_epoch,
                          start_snapshot, scheduled_utc)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, $6::text[], $7::json, $8::json, $9::text, $10::text,
        $11::text, $12::text, $13::text, $14::text, coalesce($15::int, (SELECT max(epoch) FROM feed_epoch)),
        coalesce($16::pg_snapshot, pg_current_snapshot()), clock_timestamp())
ON CONFLICT (subscription_id) DO UPDATE
   SET name = excluded.name, subscriber_id = excluded.subscriber_id, program_id = excluded.program_id,
       publisher_system_id = excluded.publisher_system_id, event_types = excluded.event_types,
       target = excluded.target,
       target_changed_utc = CASE WHEN subscription.target::text = excluded.target::text
                                 THEN subscription.target_changed_utc ELSE clock_timestamp() END,
       templates = excluded.templates, schedule = excluded.schedule,
       time_zone = excluded.time_zone, on_withdraw = excluded.on_withdraw, on_reopened = excluded.on_reopened,
       state = excluded.state, start_from = excluded.start_from, changed_utc = clock_timestamp(),
       scheduled_utc = CASE WHEN subscription.archived_utc IS NULL
                             AND (subscription.schedule, subscription.time_zone, subscription.state)
                                 = (excluded.schedule, excluded.time_zone, excluded.state)
                            THEN subscription.scheduled_utc ELSE excluded.scheduled_utc END,
       start_epoch = CASE WHEN subscription.archived_utc IS NULL
                          THEN subscription.start_epoch ELSE excluded.start_epoch END,
       start_snapshot = CASE WHEN subscription.archived_utc IS NULL
                             THEN subscription.start_snapshot ELSE excluded.start_snapshot END,
       archived_utc = NULL
RETURNING *

-- name: put_checkpoint
-- Set the checkpoint of subscription $1 to its start: the oldest open transaction of its snapshot, because nothing
-- before it can be new, or the beginning of the feed.
INSERT INTO subscription_checkpoint (subscription_id, epoch, xid, seq)
SELECT subscription_id, start_epoch, CASE start_epoch WHEN 0 THEN '0'::xid8 ELSE pg_snapshot_xmin(start_snapshot) END, 0
  FROM subscription WHERE subscription_id = $1::text
ON CONFLICT (subscription_id) DO UPDATE SET epoch = excluded.epoch, xid = excluded.xid, seq = excluded.seq

-- name: find
-- One subscription.
SELECT * FROM subscription WHERE subscription_id = $1::text

-- name: of_program
-- The subscriptions of Program $1 that are not archived.
SELECT * FROM subscription WHERE program_id = $1::text AND archived_utc IS NULL ORDER BY subscription_id

-- name: in_use
-- The subscriptions of Program $1 or subscriber $2 that are not archived; null is no filter.
SELECT * FROM subscription
 WHERE (program_id = $1::text OR subscriber_id = $2::text) AND archived_utc IS NULL
 ORDER BY subscription_id

-- name: page
-- Up to $5 subscriptions after $4 by id; only those of Programs $1 and Program $2 and subscriber $3, null for all.
SELECT * FROM subscription
 WHERE ($1::text[] IS NULL OR program_id = ANY ($1::text[]))
   AND ($2::text IS NULL OR program_id = $2::text)
   AND ($3::text IS NULL OR subscriber_id = $3::text)
   AND subscription_id > $4::text
 ORDER BY subscription_id
 LIMIT $5::int

-- name: archive
-- Archive a subscription, so that it gets nothing more.
UPDATE subscription SET archived_utc = coalesce(archived_utc, now()) WHERE subscription_id = $1::text RETURNING *

-- name: set_state
-- Give subscription $1 the state $2, if it has another one.
UPDATE subscription
   SET state = $2::text, changed_utc = clock_timestamp(), scheduled_utc = clock_timestamp()
 WHERE subscription_id = $1::text AND state <> $2::text AND archived_utc IS NULL
RETURNING *
