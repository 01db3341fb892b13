-- Subscribers: the systems that get events.

-- name: lock
-- Serialise the changes of subscriber $1, including its creation.
SELECT pg_advisory_xact_lock(hashtextextended('subscriber ' || $1::text, 0))

-- name: put
-- Create or change subscriber $1; with null credentials it keeps those it has. A PUT makes an archived subscriber
-- active again. The time of a change is that of the statement, because now() is the beginning of a transaction that may
-- have waited long.
INSERT INTO subscriber (subscriber_id, name, connector, settings, credentials, credentials_changed_utc,
                        max_concurrency)
VALUES ($1::text, $2::text, $3::text, $4::json, $5::bytea, CASE WHEN $5::bytea IS NOT NULL THEN clock_timestamp() END,
        $6::int)
ON CONFLICT (subscriber_id) DO UPDATE
   SET name = excluded.name, connector = excluded.connector, settings = excluded.settings,
       credentials = coalesce(excluded.credentials, subscriber.credentials),
       credentials_changed_utc = coalesce(excluded.credentials_changed_utc, subscriber.credentials_changed_utc),
       max_concurrency = excluded.max_concurrency, changed_utc = clock_timestamp(), archived_utc = NULL
RETURNING *

-- name: settings_of_kinds
-- The settings of all subscribers of the kinds $1, as text.
SELECT subscriber_id, connector, settings::text AS settings FROM subscriber WHERE connector = ANY ($1::text[])

-- name: replace_settings
-- Replace the settings of subscriber $1 by $3 unless they are no longer $2. What the subscriber is set to stays the
-- same, so changed_utc does too.
UPDATE subscriber SET settings = $3::json WHERE subscriber_id = $1::text AND settings::text = $2::text

-- name: find
-- One subscriber.
SELECT * FROM subscriber WHERE subscriber_id = $1::text

-- name: credentials
-- The encrypted credentials of a subscriber.
SELECT credentials FROM subscriber WHERE subscriber_id = $1::text

-- name: keep_credentials
-- Store that subscriber $1 has renewed its credentials $3 to $2; nothing changes if the stored credentials are no
-- longer $3.
UPDATE subscriber SET credentials = $2::bytea WHERE subscriber_id = $1::text AND credentials = $3::bytea

-- name: lock_credentials
-- Try to lock the renewal of the credentials of subscriber $1 until the session ends; false if another session holds
-- the lock.
SELECT pg_try_advisory_lock(hashtextextended('credentials ' || $1::text, 0))

-- name: lock_panel_building
-- Try to lock the building of panels at subscriber $1 until the session ends; false if another session holds the lock.
SELECT pg_try_advisory_lock(hashtextextended('building ' || $1::text, 0))

-- name: note_check
-- Store that the credentials of subscriber $1 were found valid.
UPDATE subscriber SET credentials_checked_utc = clock_timestamp() WHERE subscriber_id = $1::text

-- name: page
-- Up to $3 subscribers after $2 by id; only those that get events of the Programs $1, null for all.
SELECT * FROM subscriber
 WHERE ($1::text[] IS NULL OR EXISTS (
       SELECT FROM subscription
        WHERE subscription.subscriber_id = subscriber.subscriber_id AND program_id = ANY ($1::text[])))
   AND subscriber_id > $2::text
 ORDER BY subscriber_id
 LIMIT $3::int

-- name: ids_used_by
-- The ids of the subscribers that get events of any of the Programs $1.
SELECT DISTINCT subscriber_id FROM subscription WHERE program_id = ANY ($1::text[])

-- name: is_used_by
-- Whether subscriber $1 gets events of any of the Programs $2.
SELECT EXISTS (SELECT FROM subscription WHERE subscriber_id = $1::text AND program_id = ANY ($2::text[]))

-- name: archive
-- Archive a subscriber, so that it gets nothing more.
UPDATE subscriber SET archived_utc = coalesce(archived_utc, now()) WHERE subscriber_id = $1::text RETURNING *
