-- Planner statistics.

-- name: unknown_tables
-- The names, quoted as identifiers, of tables of more than $1 bytes without statistics.
SELECT oid::regclass::text AS name
  FROM pg_class
 WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relkind = 'r' AND reltuples < 0
   AND pg_relation_size(oid) > $1::bigint
