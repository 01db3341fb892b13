-- The audit log: changes by people and programs.

-- name: write
-- Record a change, in the transaction that makes it.
INSERT INTO audit (key_id, key_name, action, object_type, object_id, before, after)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, $6::json, $7::json)

-- name: write_many
-- Record the same change of the objects with the ids $5; $6 holds the state of each before the change, $7 after it
-- (arrays).
INSERT INTO audit (key_id, key_name, action, object_type, object_id, before, after)
SELECT $1::text, $2::text, $3::text, $4::text, changed.object_id, changed.before, changed.after
  FROM unnest($5::text[], $6::json[], $7::json[]) AS changed (object_id, before, after)

-- name: page
-- Up to $4 entries before entry $3, newest first; $1 object type and $2 object id, null for all.
SELECT * FROM audit
 WHERE ($1::text IS NULL OR object_type = $1::text)
   AND ($2::text IS NULL OR object_id = $2::text)
   AND ($3::bigint IS NULL OR audit_id < $3::bigint)
 ORDER BY audit_id DESC
 LIMIT $4::int

-- name: was_created
-- A row if an object of type $1 and id $2 (without regard to case) was ever created.
SELECT 1 FROM audit
 WHERE object_type = $1::text AND lower(object_id) = lower($2::text) AND action = 'create'
 LIMIT 1
