-- name: objects
-- What the schema consists of: of each object its kind, its table (empty where it has none), its name, and what of it
-- matters to the hub in a form that all versions of the server write alike. Objects of extensions are left out.
SELECT 'table' AS kind, '' AS of_table, relname::text AS name, '' AS definition
  FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
UNION ALL
SELECT 'sequence', '', relname, ''
  FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
UNION ALL
SELECT 'column', relname, attname,
       format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
  FROM pg_attribute
  JOIN pg_class ON pg_class.oid = attrelid
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
UNION ALL
-- The expressions of checks are written differently by different versions.
SELECT CASE contype WHEN 'c' THEN 'check' ELSE 'constraint' END, relname, conname,
       CASE contype WHEN 'c' THEN '' ELSE pg_get_constraintdef(pg_constraint.oid) END
  FROM pg_constraint
  JOIN pg_class ON pg_class.oid = conrelid
 WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'p', 'u', 'f', 'x')
UNION ALL
-- An index that CREATE INDEX CONCURRENTLY could not finish is not valid, and no query uses it.
SELECT 'index', owner.relname, index.relname,
       CASE WHEN indisunique THEN 'unique' ELSE '' END || CASE WHEN indisvalid THEN '' ELSE ' not valid' END
  FROM pg_index
  JOIN pg_class AS index ON index.oid = indexrelid
  JOIN pg_class AS owner ON owner.oid = indrelid
 WHERE index.relnamespace = 'public'::regnamespace
   AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
UNION ALL
-- Only bodies that are kept as they were written are compared.
SELECT 'function', '', proname || '(' || pg_get_function_identity_arguments(pg_proc.oid) || ')',
       CASE WHEN prosqlbody IS NULL THEN md5(prosrc) ELSE '' END
  FROM pg_proc
 WHERE pronamespace = 'public'::regnamespace
   AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
UNION ALL
SELECT 'trigger', relname, tgname, CASE tgenabled WHEN 'D' THEN 'disabled' ELSE '' END
  FROM pg_trigger
  JOIN pg_class ON pg_class.oid = tgrelid
 WHERE relnamespace = 'public'::regnamespace AND NOT tgisinternal
 ORDER BY 1, 2, 3
