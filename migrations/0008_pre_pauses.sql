-- How many probes in a row a subscriber denied a new token, so that the third one counts as refused credentials.
-- depends: 0002_pre_delivery_rules

-- migrate: apply

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE subscriber_pause ADD COLUMN denied_probes smallint NOT NULL DEFAULT 0;

-- migrate: rollback

ALTER TABLE subscriber_pause DROP COLUMN denied_probes;
