-- name: try_lock
-- Let only one process migrate at a time; the lock ends with the connection. False while another process holds it.
SELECT pg_try_advisory_lock(hashtext('learning-hub migrate'))

-- name: lock_holder
-- The process of the server that holds the lock of try_lock. A lock on one bigint has its halves in classid and objid.
SELECT pid, coalesce(nullif(application_name, ''), '?') AS application
  FROM pg_locks
  JOIN pg_stat_activity USING (pid)
 WHERE locktype = 'advisory' AND granted AND objsubid = 1
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND ((classid::bigint << 32) | objid::bigint) = hashtext('learning-hub migrate')::bigint

-- name: has_migration_table
-- Whether migrations were ever applied to this database.
SELECT to_regclass('public._pogo_migration') IS NOT NULL

-- name: begin_epoch
-- Begin an epoch of the feed if the database cluster differs from the cluster of the last epoch: at the first start,
-- and at the first start after a restore into another cluster.
INSERT INTO feed_epoch (epoch, system_identifier)
SELECT coalesce(max(epoch), 0) + 1, here.system_identifier
  FROM (SELECT system_identifier::text FROM pg_control_system()) AS here
  LEFT JOIN feed_epoch ON true
 GROUP BY here.system_identifier
HAVING coalesce((array_agg(feed_epoch.system_identifier ORDER BY feed_epoch.epoch DESC))[1], '')
       <> here.system_identifier
