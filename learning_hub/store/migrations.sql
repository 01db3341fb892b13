-- name: lock
-- Let only one process migrate at a time; the lock ends with the connection.
SELECT pg_advisory_lock(hashtext('learning-hub migrate'))

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
