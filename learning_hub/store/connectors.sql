-- Kinds of subscribers and their capabilities.

-- name: synchronise
-- Write the kinds that are new or whose capabilities changed; arrays: $1 names, $2 one_record_for, $3 sends_batches, $4
-- key_fields as JSON objects. Rows are written in one order, so that processes that start at once do not deadlock.
INSERT INTO connector (name, one_record_for, sends_batches, key_fields)
SELECT name, one_record_for, sends_batches, key_fields::jsonb
  FROM unnest($1::text[], $2::text[], $3::boolean[], $4::text[])
       AS kind (name, one_record_for, sends_batches, key_fields)
 WHERE NOT EXISTS (SELECT FROM connector
                    WHERE connector.name = kind.name AND connector.one_record_for = kind.one_record_for
                      AND connector.sends_batches = kind.sends_batches
                      AND connector.key_fields = kind.key_fields::jsonb)
 ORDER BY name
ON CONFLICT (name) DO UPDATE
   SET one_record_for = excluded.one_record_for, sends_batches = excluded.sends_batches,
       key_fields = excluded.key_fields
