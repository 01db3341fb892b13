-- What identifies the life of the database in which an epoch of the feed began.
-- depends: 0002_pre_delivery_rules

-- migrate: apply

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE feed_epoch
    ADD COLUMN timeline           text,
    ADD COLUMN server_started_utc timestamptz,
    ADD COLUMN begun_xid          xid8,
    ADD COLUMN is_step_back       boolean NOT NULL DEFAULT false;

-- migrate: rollback

ALTER TABLE feed_epoch
    DROP COLUMN timeline,
    DROP COLUMN server_started_utc,
    DROP COLUMN begun_xid,
    DROP COLUMN is_step_back;
