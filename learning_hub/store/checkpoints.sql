-- Checkpoints: how far subscriptions have read the feed, and reading the entries that follow.

-- name: behind
-- Subscriptions whose Program has entries after their checkpoint and before the horizon.
SELECT subscription.subscription_id
  FROM subscription
  JOIN subscription_checkpoint AS checkpoint USING (subscription_id)
 WHERE subscription.archived_utc IS NULL
   AND EXISTS (SELECT FROM event
                WHERE event.program_id = subscription.program_id
                  AND (event.epoch, event.xid, event.seq) > (checkpoint.epoch, checkpoint.xid, checkpoint.seq)
                  AND (event.epoch, event.xid) < ((SELECT max(epoch) FROM feed_epoch),
                                                  pg_snapshot_xmin(pg_current_snapshot())))

-- name: lock_checkpoint
-- Lock and read the checkpoint of subscription $1; returns no row while another process holds the lock.
SELECT epoch, xid, seq FROM subscription_checkpoint WHERE subscription_id = $1::text FOR UPDATE SKIP LOCKED

-- name: wait_for_checkpoint
-- The same as lock_checkpoint, but waits for the lock.
SELECT epoch, xid, seq FROM subscription_checkpoint WHERE subscription_id = $1::text FOR UPDATE

-- name: next_entries
-- Up to $7 entries for subscription $1 after ($2, $3, $4) and before the horizon ($5, $6), in feed order. Entries from
-- before its StartFrom are marked, so that the checkpoint moves past them. The limit is in the subquery, because after
-- a join the planner would sort the whole rest of the feed for each page.
SELECT event.program_id, event.event_uuid, event.is_withdrawal, event.epoch, event.xid, event.seq,
       event.publisher_system_id, event.publisher_event_id, event.event_type, event.category_value,
       (event.epoch = subscription.start_epoch AND pg_visible_in_snapshot(event.xid, subscription.start_snapshot))
       OR (subscription.start_from NOT IN ('now', 'beginning')
           AND event.created_utc < CASE WHEN subscription.start_from IN ('now', 'beginning') THEN NULL
                                        ELSE subscription.start_from::timestamptz END) AS is_before_start
  FROM subscription
 CROSS JOIN LATERAL (
       SELECT * FROM event
        WHERE event.program_id = subscription.program_id
          AND (epoch, xid, seq) > ($2::int, $3::xid8, $4::bigint)
          AND (epoch, xid) < ($5::int, $6::xid8)
        ORDER BY epoch, xid, seq
        LIMIT $7::int) AS event
 WHERE subscription.subscription_id = $1::text
 ORDER BY event.epoch, event.xid, event.seq

-- name: move_checkpoint
-- Store ($2, $3, $4) as the position up to which subscription $1 has read the feed.
UPDATE subscription_checkpoint SET epoch = $2::int, xid = $3::xid8, seq = $4::bigint WHERE subscription_id = $1::text

-- name: entries_of_bucket
-- Up to $6 entries of Program $1 on day $2 after ($3, $4, $5), in feed order. Entries still hidden in the feed are
-- included, because a publisher that received 201 and processes the bucket at once must find its event.
SELECT program_id, event_uuid, is_withdrawal, epoch, xid, seq, publisher_system_id, publisher_event_id, event_type,
       category_value
  FROM event
 WHERE program_id = $1::text AND event_date = $2::date
   AND (epoch, xid, seq) > ($3::int, $4::xid8, $5::bigint)
 ORDER BY epoch, xid, seq
 LIMIT $6::int

-- name: entries_of_events
-- The entries of these events of Program $1, in feed order.
SELECT program_id, event_uuid, is_withdrawal, epoch, xid, seq, publisher_system_id, publisher_event_id, event_type,
       category_value
  FROM event
 WHERE program_id = $1::text AND event_uuid = ANY ($2::uuid[])
 ORDER BY epoch, xid, seq
