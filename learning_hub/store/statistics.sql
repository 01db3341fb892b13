-- What the planner knows of tables.

-- name: unknown_tables
-- The tables of more than $1 bytes that the planner knows nothing about, as they are written in a command.
SELECT oid::regclass::text AS name
  FROM pg_class
 WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relkind = 'r' AND reltuples < 0
   AND pg_relation_size(oid) > $1::bigint
