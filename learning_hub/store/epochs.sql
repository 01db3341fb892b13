-- The epochs of the feed: one for each life of the database, between two moments at which it may have gone back in time.

-- name: here
-- What identifies the present life of the database, and whether the newest epoch began in it; no row while the server
-- only follows another one. A database that was set back, by whatever means, runs on a server that was started since, or
-- that has another history: its identifier differs after a restore of a dump into another cluster, its timeline after a
-- promotion or a recovery to a point in time. A dump that was restored into a running server is known by the row, which
-- another transaction wrote (2 stands for one so old that it need not be known any more). `is_recorded` is false for an
-- epoch of an earlier hub, which stored only the identifier.
SELECT here.*,
       newest.epoch IS NULL AS is_first,
       newest.server_started_utc IS NOT NULL AS is_recorded,
       newest.system_identifier IS NOT DISTINCT FROM here.system_identifier AS is_same_cluster,
       newest.timeline IS NOT DISTINCT FROM here.timeline AS is_same_timeline,
       newest.server_started_utc IS NOT DISTINCT FROM here.server_started_utc AS is_same_start,
       newest.begun_xid IS NULL OR newest.xmin::text::bigint IN (2, newest.begun_xid::text::bigint % 4294967296)
           AS is_same_row,
       (SELECT max(began_utc) FROM feed_epoch WHERE is_step_back) AS stepped_back_utc
  FROM (SELECT system_identifier::text, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS timeline,
               pg_postmaster_start_time() AS server_started_utc,
               (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint AS wal_position
          FROM pg_control_system()
         WHERE NOT pg_is_in_recovery()) AS here
  LEFT JOIN (SELECT *, xmin FROM feed_epoch ORDER BY epoch DESC LIMIT 1) AS newest ON true

-- name: seconds_to_wait
-- Seconds until the time is past the number of the newest epoch, so that no number runs ahead of the time: 0 mostly, and
-- also if the clock was set back.
SELECT CASE WHEN ahead BETWEEN 0 AND 5 THEN ahead ELSE 0 END
  FROM (SELECT (max(epoch) + 1 - extract(epoch FROM clock_timestamp() - '2026-01-01 00:00:00+00'))::float8 AS ahead
          FROM feed_epoch) AS newest

-- name: lock
-- Wait until no transaction is open that may write an entry in the present epoch, and let none begin: all of them lock
-- the table before they read the epoch. Reading goes on.
LOCK TABLE event IN EXCLUSIVE MODE

-- name: lock_timeout
-- Wait at most ten seconds for the lock.
SET LOCAL lock_timeout = '10s'

-- name: begin
-- Begin an epoch: $1 system identifier, $2 timeline, $3 start of the server, $4 whether the database may have gone back.
-- The number is the seconds since 2026, so that it is greater than that of every epoch that began before, also of those
-- that a database that was set back knows nothing of.
INSERT INTO feed_epoch (epoch, system_identifier, timeline, server_started_utc, begun_xid, is_step_back)
SELECT greatest(coalesce(max(epoch), 0) + 1, extract(epoch FROM clock_timestamp() - '2026-01-01 00:00:00+00')::int),
       $1::text, $2::text, $3::timestamptz, pg_current_xact_id(), $4::boolean
  FROM feed_epoch
RETURNING epoch
