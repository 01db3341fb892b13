-- How long the feed is held back, and by what.

-- name: oldest_hidden
-- The seconds since the oldest entry was stored that no reader may see yet; null if readers see all entries.
SELECT extract(epoch FROM clock_timestamp() - min(coalesce(hidden.withdrawn_utc, hidden.created_utc)))::float8 AS seconds
  FROM program
 CROSS JOIN LATERAL (
       SELECT created_utc, withdrawn_utc
         FROM event
        WHERE event.program_id = program.program_id
          AND (event.epoch, event.xid) >= ((SELECT max(epoch) FROM feed_epoch),
                                           pg_snapshot_xmin(pg_current_snapshot()))
        ORDER BY event.epoch, event.xid, event.seq LIMIT 1) AS hidden

-- name: holders
-- The transaction that the feed waits for, which is the oldest that is open on the server. Every role sees who holds the
-- lock on a transaction's id, also where pg_stat_activity hides the transaction. The process is null for a prepared
-- transaction, and the time is null where the role may not see it.
SELECT holder.pid, prepared.gid, coalesce(session.datname, prepared.database, '?') AS database,
       coalesce(session.usename, prepared.owner, '?') AS role,
       coalesce(nullif(session.application_name, ''), '?') AS application,
       extract(epoch FROM clock_timestamp() - coalesce(session.xact_start, prepared.prepared))::int AS seconds
  FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::xid AS xid) AS oldest
  JOIN pg_locks AS holder
    ON holder.locktype = 'transactionid' AND holder.transactionid = oldest.xid AND holder.granted
   AND holder.mode = 'ExclusiveLock'
  LEFT JOIN pg_stat_activity AS session ON session.pid = holder.pid
  LEFT JOIN pg_prepared_xacts AS prepared ON holder.pid IS NULL AND prepared.transaction = oldest.xid
