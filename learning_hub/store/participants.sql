-- The ids that publishers' participants have at subscribers: matches (settled_by is set) and look-ups (expires_utc is
-- set). A row serves every spelling of its participant's id: participant_key of schema.sql.

-- name: lock
-- Lock what is remembered of the participant $1 against other requests that change it, until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('participant ' || $1::text, 0))

-- name: find
-- Participant $4 of Program $2 and system $3 at subscriber $1: the match for this system, the match for every system,
-- or the look-up that has not expired, in this order of precedence; of two spellings of the id the latest.
SELECT * FROM participant
 WHERE subscriber_id = $1::text AND program_id = $2::text AND publisher_system_id IN ($3::text, '')
   AND participant_key(publisher_participant_id) = participant_key($4::text)
   AND (expires_utc IS NULL OR expires_utc > now())
 ORDER BY participant_precedence(settled_by, publisher_system_id), changed_utc DESC
 LIMIT 1

-- name: save_look_up
-- Store for $6 seconds the result of a look-up: participant $4 of Program $2 and system $3 is $5 at subscriber $1. A
-- match is kept.
INSERT INTO participant (subscriber_id, program_id, publisher_system_id, publisher_participant_id,
                         subscriber_participant_id, expires_utc)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, now() + make_interval(secs => $6::float8))
ON CONFLICT (subscriber_id, program_id, publisher_system_id, publisher_participant_id) DO UPDATE
   SET subscriber_participant_id = excluded.subscriber_participant_id, changed_utc = now(),
       expires_utc = excluded.expires_utc
 WHERE participant.settled_by IS NULL

-- name: save_match
-- Store the match, made with key $6, that participant $4 of Program $2 and system $3 ('' for every system) is $5 at
-- subscriber $1, in place of the match and look-up of every other spelling of the id.
WITH replaced AS (
    DELETE FROM participant
     WHERE subscriber_id = $1::text AND program_id = $2::text AND publisher_system_id = $3::text
       AND participant_key(publisher_participant_id) = participant_key($4::text)
       AND publisher_participant_id <> $4::text
)
INSERT INTO participant (subscriber_id, program_id, publisher_system_id, publisher_participant_id,
                         subscriber_participant_id, settled_by)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, $6::text)
ON CONFLICT (subscriber_id, program_id, publisher_system_id, publisher_participant_id) DO UPDATE
   SET subscriber_participant_id = excluded.subscriber_participant_id, settled_by = excluded.settled_by,
       changed_utc = now(), expires_utc = NULL
RETURNING *

-- name: find_all
-- The matches and look-ups of participant $4 of Program $2 at subscriber $1, the one that applies first: those of system
-- $3 and of every system, or of all systems where $3 is null.
SELECT * FROM participant
 WHERE subscriber_id = $1::text AND program_id = $2::text
   AND participant_key(publisher_participant_id) = participant_key($4::text)
   AND ($3::text IS NULL OR publisher_system_id IN ($3::text, ''))
   AND (expires_utc IS NULL OR expires_utc > now())
 ORDER BY settled_by IS NULL, (publisher_system_id = '') = ($3::text IS NOT NULL), changed_utc DESC

-- name: page_of_matches
-- Up to $5 matches of Program $2 at subscriber $1, after participant $3 of system $4.
SELECT * FROM participant
 WHERE subscriber_id = $1::text AND program_id = $2::text AND settled_by IS NOT NULL
   AND (publisher_participant_id, publisher_system_id) > ($3::text, $4::text)
 ORDER BY publisher_participant_id, publisher_system_id
 LIMIT $5::int

-- name: delete
-- Delete the matches and look-ups of participant $4 of Program $2 at subscriber $1, in every spelling of the id: those
-- of system $3 ('' for every system), or of all systems if $3 is null.
DELETE FROM participant
 WHERE subscriber_id = $1::text AND program_id = $2::text
   AND participant_key(publisher_participant_id) = participant_key($4::text)
   AND ($3::text IS NULL OR publisher_system_id = $3::text)
RETURNING *

-- name: delete_look_up
-- Delete the look-up of participant $4 of Program $2 and system $3 at subscriber $1; a match is kept.
DELETE FROM participant
 WHERE subscriber_id = $1::text AND program_id = $2::text AND publisher_system_id = $3::text
   AND participant_key(publisher_participant_id) = participant_key($4::text) AND settled_by IS NULL

-- name: delete_look_ups
-- Delete the look-ups of subscriber $1, because its address may now lead to another system, or its look-up has changed.
DELETE FROM participant WHERE subscriber_id = $1::text AND settled_by IS NULL
