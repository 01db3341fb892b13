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
