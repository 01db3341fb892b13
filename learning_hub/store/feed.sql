-- Reading the feed.
--
-- {event_columns} and {event_filters:13} are lists made of the declaration of an event's fields:
-- store/event_columns.py.

-- name: horizon
-- The end of the visible feed: all entries before it are visible to all readers, and no entry will be added before it.
SELECT (SELECT max(epoch) FROM feed_epoch) AS epoch, pg_snapshot_xmin(pg_current_snapshot()) AS xid

-- name: horizon_for_a_walk
-- The horizon; the rest of the transaction is planned as by plan_in_index_order. One statement saves a round trip.
SELECT (SELECT max(epoch) FROM feed_epoch) AS epoch, pg_snapshot_xmin(pg_current_snapshot()) AS xid,
       set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_sort', 'off', true)

-- name: full_page_of_feed
-- The next $5 entries of Program $1 after ($2, $3, $4) and before the horizon, in feed order. One statement has one
-- snapshot, so all entries before its horizon are visible in it.
SELECT event_uuid, epoch, xid, seq, event_date, created_utc, revision, supersedes, withdrawn_utc AS withdrawal_utc,
       {event_columns}
  FROM event
 WHERE program_id = $1::text AND (epoch, xid, seq) > ($2::int, $3::xid8, $4::bigint)
   AND (epoch, xid) < ((SELECT max(epoch) FROM feed_epoch), pg_snapshot_xmin(pg_current_snapshot()))
 ORDER BY epoch, xid, seq LIMIT $5::int

-- name: full_page_of_bucket
-- The same for the entries of day $6.
SELECT event_uuid, epoch, xid, seq, event_date, created_utc, revision, supersedes, withdrawn_utc AS withdrawal_utc,
       {event_columns}
  FROM event
 WHERE program_id = $1::text AND event_date = $6::date AND (epoch, xid, seq) > ($2::int, $3::xid8, $4::bigint)
   AND (epoch, xid) < ((SELECT max(epoch) FROM feed_epoch), pg_snapshot_xmin(pg_current_snapshot()))
 ORDER BY epoch, xid, seq LIMIT $5::int

-- name: held_back
-- The newest entry of Program $1 at or after the horizon $2/$3: it is committed, and becomes visible to readers once
-- older transactions have ended.
SELECT epoch, xid, seq FROM event
 WHERE program_id = $1::text AND (epoch, xid) >= ($2::int, $3::xid8)
 ORDER BY epoch DESC, xid DESC, seq DESC LIMIT 1

-- name: plan_for_these_values
-- Plan the next query for its actual parameters: its filters may be null, and no generic plan fits all combinations.
SET LOCAL plan_cache_mode = force_custom_plan

-- name: plan_in_index_order
-- The same for a query that must take its order from an index. With too few statistics of a table, the planner would
-- read all entries after the position and sort them, for each page again.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_sort', 'off', true)

-- name: start_of_days
-- The position of the first entry of Program $1 that was created on day $2 or later. The query takes the first of the
-- first entries of each day, because clocks can go backwards, so that the first entry of the first day need not come
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
-- none: $8 event date, $9 created since, $10 participant, $11 publisher's event id, from $13 on those without an index.
-- At most $12 entries are examined. When that many were examined, the last one is returned even if it does not pass the
-- filters, as the position to read on from.
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
               AND ($10::text IS NULL
                    OR participant_key(publisher_participant_id) = participant_key($10::text))
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
-- The same for one event date. The date is in the comparison with the position and in the order, so that the planner
-- has no other index to choose, whatever its statistics.
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
               AND ($10::text IS NULL
                    OR participant_key(publisher_participant_id) = participant_key($10::text))
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
-- The same for one participant, in every spelling of the id.
WITH last AS (
    SELECT epoch, xid, seq
      FROM event
     WHERE program_id = $1::text
       AND (participant_key(publisher_participant_id), epoch, xid, seq)
           > (participant_key($10::text), $2::int, $3::xid8, $4::bigint)
       AND (participant_key(publisher_participant_id), epoch, xid) < (participant_key($10::text), $5::int, $6::xid8)
     ORDER BY participant_key(publisher_participant_id), epoch, xid, seq
    OFFSET $12::int - 1 LIMIT 1
)
SELECT *
  FROM (SELECT *, withdrawn_utc AS withdrawal_utc,
               ($8::date IS NULL OR event_date = $8::date)
               AND ($9::timestamptz IS NULL OR created_utc >= $9::timestamptz)
               AND ($11::text IS NULL OR publisher_event_id = $11::text)
               AND {event_filters:13} AS passes,
               (epoch, xid, seq) = (SELECT epoch, xid, seq FROM last) AS is_last
          FROM (SELECT *, participant_key(publisher_participant_id) AS key
                  FROM event
                 WHERE program_id = $1::text
                   AND (participant_key(publisher_participant_id), epoch, xid, seq)
                       > (participant_key($10::text), $2::int, $3::xid8, $4::bigint)
                   AND (participant_key(publisher_participant_id), epoch, xid)
                       < (participant_key($10::text), $5::int, $6::xid8)
                 ORDER BY key, epoch, xid, seq
                 LIMIT $12::int) AS examined) AS filtered
 WHERE passes OR is_last
 ORDER BY key, epoch, xid, seq
 LIMIT $7::int

-- name: read_source
-- The same for one publisher's event id; its filters without an index begin at $12. All entries of that id, usually a
-- handful, are found first and sorted for each page. Otherwise the planner, once the table is analysed, would search
-- for them along the feed, because it estimates the entries before the horizon by the epoch alone.
WITH source AS MATERIALIZED (
    SELECT * FROM event WHERE program_id = $1::text AND publisher_event_id = $11::text
)
SELECT *, withdrawn_utc AS withdrawal_utc
  FROM source
 WHERE (epoch, xid, seq) > ($2::int, $3::xid8, $4::bigint)
   AND (epoch, xid) < ($5::int, $6::xid8)
   AND ($8::date IS NULL OR event_date = $8::date)
   AND ($9::timestamptz IS NULL OR created_utc >= $9::timestamptz)
   AND ($10::text IS NULL OR participant_key(publisher_participant_id) = participant_key($10::text))
   AND {event_filters:12}
 ORDER BY epoch, xid, seq
 LIMIT $7::int
