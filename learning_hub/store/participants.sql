-- Who publishers' participants are at subscribers.

-- name: find
-- Who participant $4 of Program $2 and system $3 is at subscriber $1: as settled for this system, as settled for every
-- system, or as looked up and not expired.
SELECT * FROM participant
 WHERE subscriber_id = $1::text AND program_id = $2::text AND publisher_system_id IN ($3::text, '')
   AND publisher_participant_id = $4::text
   AND (expires_utc IS NULL OR expires_utc > now())
 ORDER BY participant_precedence(settled_by, publisher_system_id)
 LIMIT 1

-- name: remember
-- Keep for $6 seconds what a look-up found: $5 for participant $4 of Program $2 and system $3 at subscriber $1. What
-- was settled by hand stays.
INSERT INTO participant (subscriber_id, program_id, publisher_system_id, publisher_participant_id,
                         subscriber_participant_id, expires_utc)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, now() + make_interval(secs => $6::float8))
ON CONFLICT (subscriber_id, program_id, publisher_system_id, publisher_participant_id) DO UPDATE
   SET subscriber_participant_id = excluded.subscriber_participant_id, changed_utc = now(),
       expires_utc = excluded.expires_utc
 WHERE participant.settled_by IS NULL

-- name: match
-- Participant $4 of Program $2 and system $3 ('' for every system) is $5 at subscriber $1, says $6, until changed.
INSERT INTO participant (subscriber_id, program_id, publisher_system_id, publisher_participant_id,
                         subscriber_participant_id, settled_by)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, $6::text)
ON CONFLICT (subscriber_id, program_id, publisher_system_id, publisher_participant_id) DO UPDATE
   SET subscriber_participant_id = excluded.subscriber_participant_id, settled_by = excluded.settled_by,
       changed_utc = now(), expires_utc = NULL
RETURNING *

-- name: all_of
-- What is remembered of participant $4 of Program $2 at subscriber $1, what counts first: for system $3 and for every
-- system, or for any system where $3 is null.
SELECT * FROM participant
 WHERE subscriber_id = $1::text AND program_id = $2::text AND publisher_participant_id = $4::text
   AND ($3::text IS NULL OR publisher_system_id IN ($3::text, ''))
   AND (expires_utc IS NULL OR expires_utc > now())
 ORDER BY settled_by IS NULL, (publisher_system_id = '') = ($3::text IS NOT NULL), changed_utc DESC

-- name: page
-- Up to $5 participants of Program $2 settled by hand at subscriber $1, after participant $3 of system $4.
SELECT * FROM participant
 WHERE subscriber_id = $1::text AND program_id = $2::text AND settled_by IS NOT NULL
   AND (publisher_participant_id, publisher_system_id) > ($3::text, $4::text)
 ORDER BY publisher_participant_id, publisher_system_id
 LIMIT $5::int

-- name: forget
-- Forget participant $4 of Program $2 at subscriber $1: for system $3 ('' for every system), or for any system where $3
-- is null.
DELETE FROM participant
 WHERE subscriber_id = $1::text AND program_id = $2::text AND publisher_participant_id = $4::text
   AND ($3::text IS NULL OR publisher_system_id = $3::text)
RETURNING *

-- name: forget_found
-- Forget what was found for participant $4 of Program $2 and system $3 at subscriber $1; what was settled by hand stays.
DELETE FROM participant
 WHERE subscriber_id = $1::text AND program_id = $2::text AND publisher_system_id = $3::text
   AND publisher_participant_id = $4::text AND settled_by IS NULL

-- name: forget_looked_up
-- Forget all that was looked up at subscriber $1: it may be another system, or be asked in another way, from now on.
DELETE FROM participant WHERE subscriber_id = $1::text AND settled_by IS NULL
