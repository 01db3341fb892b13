-- Reading the feed.
--
-- {event_columns} and {event_filters:13} are lists made of the declaration of an event's fields:
-- store/event_columns.py.

-- name: horizon
-- The end of what can be read: every entry before it is visible to all readers, and no other entry will come before it.
SELECT (SELECT max(epoch) FROM feed_epoch) AS epoch, pg_snapshot_xmin(pg_current_snapshot()) AS xid

-- name: horizon_for_a_walk
-- The same, and the rest of the transaction is planned as by plan_in_index_order: one way to the server and back.
SELECT (SELECT max(epoch) FROM feed_epoch) AS epoch, pg_snapshot_xmin(pg_current_snapshot()) AS xid,
       set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_sort', 'off', true)

-- name: full_page_of_feed
-- The next $5 entries of Program $1 after ($2, $3, $4) and before the horizon, in feed order. One statement has one
-- snapshot, so that what is before its horizon is visible in it.
SELECT event_uuid, epoch, xid, seq, event_date, created_utc, revision, supersedes, withdrawn_utc AS withdrawal_utc,
       {event_columns}
  FROM event
 WHERE program_id = $1::text AND (epoch, xid, seq) > ($2::int, $3::xid8, $4::bigint)
   AND (epoch, xid) < ((SELECT max(epoch) FROM feed_epoch), pg_snapshot_xmin(pg_current_snapshot()))
 ORDER BY epoch, xid, seq LIMIT $5::int

-- name: full_page_of_bucket
-- The same of the entries of day $6.
SELECT event_uuid, epoch, xid, seq, event_date, created_utc, revision, supersedes, withdrawn_utc AS withdrawal_utc,
       {event_columns}
  FROM event
 WHERE program_id = $1::text AND event_date = $6::date AND (epoch, xid, seq) > ($2::int, $3::xid8, $4::bigint)
   AND (epoch, xid) < ((SELECT max(epoch) FROM feed_epoch), pg_snapshot_xmin(pg_current_snapshot()))
 ORDER BY epoch, xid, seq LIMIT $5::int

-- name: held_back
-- The newest entry of Program $1 from the horizon $2/$3 on: committed, and visible to readers once what is older has
-- ended.
SELECT epoch, xid, seq FROM event
 WHERE program_id = $1::text AND (epoch, xid) >= ($2::int, $3::xid8)
 ORDER BY epoch DESC, xid DESC, seq DESC LIMIT 1

-- name: plan_for_these_values
-- The next query has filters that may be null; a plan that fits all of them would fit none.
SET LOCAL plan_cache_mode = force_custom_plan

-- name: plan_in_index_order
-- The same for a query that must take its order from an index. On a table it knows too little about, the planner
-- would rather read all that comes after a position and sort it, for each page anew.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_sort', 'off', true)

-- name: start_of_days
-- The position of the first entry of Program $1 that was created on day $2 or later. The first entry of each day is
-- found, and the first of these taken: clocks go backwards, so that the first entry of the first day need not come
-- first.
WITH RECURSIVE day AS (
    SELECT min(event_date) AS event_date FROM event WHERE program_id = $1::text AND event_date >= $2::date
    UNION ALL
    SELECT (SELECT min(event.event_date) FROM event
             WHERE event.program_id = $1::text AND event.event_date > day.event_date)
      FROM day WHERE day.event_date IS NOT NULL
)
SELECT first_of_day.*
  FROM day
 CROSS JOIN LATERAL (
       SELECT epoch, xid, seq FROM event
        WHERE event.program_id = $1::text AND event.event_date = day.event_date
        ORDER BY epoch, xid, seq LIMIT 1) AS first_of_day
 ORDER BY epoch, xid, seq
 LIMIT 1

-- name: read_feed
-- Up to $7 entries of Program $1 after ($2, $3, $4) and before the horizon ($5, $6), in feed order. Filters, null for
-- no restriction: $8 event date, $9 created since, $10 participant, $11 publisher's event id, from $13 on those that
-- no index serves. At most $12 entries are examined; the last of so many is returned whether it passes the filters or
-- not, as the position to read on from.
WITH last AS (
    SELECT epoch, xid, seq
      FROM event
     WHERE program_id = $1::text
       AND (epoch, xid, seq) > ($2::int, $3::xid8, $4::bigint)
       AND (epoch, xid) < ($5::int, $6::xid8)
     ORDER BY epoch, xid, seq
    OFFSET $12::int - 1 LIMIT 1
)
SELECT *
  FROM (SELECT *, withdrawn_utc AS withdrawal_utc,
               ($8::date IS NULL OR event_date = $8::date)
               AND ($9::timestamptz IS NULL OR created_utc >= $9::timestamptz)
               AND ($10::text IS NULL OR publisher_participant_id = $10::text)
               AND ($11::text IS NULL OR publisher_event_id = $11::text)
               AND {event_filters:13} AS passes,
               (epoch, xid, seq) = (SELECT epoch, xid, seq FROM last) AS is_last
          FROM (SELECT *
                  FROM event
                 WHERE program_id = $1::text
                   AND (epoch, xid, seq) > ($2::int, $3::xid8, $4::bigint)
                   AND (epoch, xid) < ($5::int, $6::xid8)
                 ORDER BY epoch, xid, seq
                 LIMIT $12::int) AS examined) AS filtered
 WHERE passes OR is_last
 ORDER BY epoch, xid, seq
 LIMIT $7::int

-- name: read_bucket
-- The same for one event date. Comparing it with the position, and ordering by it, leaves the planner no other index,
-- whatever it believes about the table.
WITH last AS (
    SELECT epoch, xid, seq
      FROM event
     WHERE program_id = $1::text
       AND (event_date, epoch, xid, seq) > ($8::date, $2::int, $3::xid8, $4::bigint)
       AND (event_date, epoch, xid) < ($8::date, $5::int, $6::xid8)
     ORDER BY event_date, epoch, xid, seq
    OFFSET $12::int - 1 LIMIT 1
)
SELECT *
  FROM (SELECT *, withdrawn_utc AS withdrawal_utc,
               ($8::date IS NULL OR event_date = $8::date)
               AND ($9::timestamptz IS NULL OR created_utc >= $9::timestamptz)
               AND ($10::text IS NULL OR publisher_participant_id = $10::text)
               AND ($11::text IS NULL OR publisher_event_id = $11::text)
               AND {event_filters:13} AS passes,
               (epoch, xid, seq) = (SELECT epoch, xid, seq FROM last) AS is_last
          FROM (SELECT *
                  FROM event
                 WHERE program_id = $1::text
                   AND (event_date, epoch, xid, seq) > ($8::date, $2::int, $3::xid8, $4::bigint)
                   AND (event_date, epoch, xid) < ($8::date, $5::int, $6::xid8)
                 ORDER BY event_date, epoch, xid, seq
                 LIMIT $12::int) AS examined) AS filtered
 WHERE passes OR is_last
 ORDER BY event_date, epoch, xid, seq
 LIMIT $7::int

-- name: read_participant
-- The same for one participant.
WITH last AS (
    SELECT epoch, xid, seq
      FROM event
     WHERE program_id = $1::text
       AND (publisher_participant_id, epoch, xid, seq) > ($10::text, $2::int, $3::xid8, $4::bigint)
       AND (publisher_participant_id, epoch, xid) < ($10::text, $5::int, $6::xid8)
     ORDER BY publisher_participant_id, epoch, xid, seq
    OFFSET $12::int - 1 LIMIT 1
)
SELECT *
  FROM (SELECT *, withdrawn_utc AS withdrawal_utc,
               ($8::date IS NULL OR event_date = $8::date)
               AND ($9::timestamptz IS NULL OR created_utc >= $9::timestamptz)
               AND ($10::text IS NULL OR publisher_participant_id = $10::text)
               AND ($11::text IS NULL OR publisher_event_id = $11::text)
               AND {event_filters:13} AS passes,
               (epoch, xid, seq) = (SELECT epoch, xid, seq FROM last) AS is_last
          FROM (SELECT *
                  FROM event
                 WHERE program_id = $1::text
                   AND (publisher_participant_id, epoch, xid, seq) > ($10::text, $2::int, $3::xid8, $4::bigint)
                   AND (publisher_participant_id, epoch, xid) < ($10::text, $5::int, $6::xid8)
                 ORDER BY publisher_participant_id, epoch, xid, seq
                 LIMIT $12::int) AS examined) AS filtered
 WHERE passes OR is_last
 ORDER BY publisher_participant_id, epoch, xid, seq
 LIMIT $7::int

-- name: read_source
-- The same for one publisher's event id; its filters that no index serves begin at $12. All entries of that id are found
-- first, and sorted for each page: most have a handful. Without that the planner would look for them along the feed once
-- the table is analysed, as it judges what comes before the horizon by the epoch alone.
WITH source AS MATERIALIZED (
    SELECT * FROM event WHERE program_id = $1::text AND publisher_event_id = $11::text
)
SELECT *, withdrawn_utc AS withdrawal_utc
  FROM source
 WHERE (epoch, xid, seq) > ($2::int, $3::xid8, $4::bigint)
   AND (epoch, xid) < ($5::int, $6::xid8)
   AND ($8::date IS NULL OR event_date = $8::date)
   AND ($9::timestamptz IS NULL OR created_utc >= $9::timestamptz)
   AND ($10::text IS NULL OR publisher_participant_id = $10::text)
   AND {event_filters:12}
 ORDER BY epoch, xid, seq
 LIMIT $7::int
