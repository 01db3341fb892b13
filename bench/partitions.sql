-- Partitions the tables that grow by hash of the Program. Run it once, while no hub is running:
--
--     psql "$LEARNING_HUB_DATABASE_URL" -v partitions=16 -f bench/partitions.sql
--
-- The script is one transaction: either every table is partitioned, with all its rows, indexes, checks and triggers, or
-- none is. Until it commits, it needs as much additional disk space as the tables take. docs/explanation/scale.md says
-- when it is worth it.
\set ON_ERROR_STOP on
\if :{?partitions}
\else
\set partitions 16
\endif
BEGIN;
SELECT set_config('learning_hub.partitions', :'partitions', true);

DO $$
DECLARE
    partitions CONSTANT int := current_setting('learning_hub.partitions')::int;
    of_table text;
    definition record;
    definitions text[];
    columns text;
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = 'event'::regclass) = 'p' THEN
        RAISE EXCEPTION 'The tables are cut into partitions already; nothing was changed.';
    END IF;
    FOREACH of_table IN ARRAY ARRAY['event', 'idempotency_key', 'delivery', 'attempt', 'run_delivery'] LOOP
        definitions := '{}';
        -- LIKE copies checks and defaults, but not keys and references to other tables.
        FOR definition IN
            SELECT conname, pg_get_constraintdef(oid) AS text FROM pg_constraint
             WHERE conrelid = of_table::regclass AND contype IN ('p', 'u', 'f')
        LOOP
            definitions := definitions || format('ALTER TABLE %I ADD CONSTRAINT %I %s', of_table, definition.conname,
                                                 definition.text);
            EXECUTE format('ALTER TABLE %I RENAME CONSTRAINT %I TO %I', of_table, definition.conname,
                           definition.conname || '_whole');
        END LOOP;
        FOR definition IN
            SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS text FROM pg_index
             WHERE indrelid = of_table::regclass
               AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
        LOOP
            definitions := definitions || definition.text;
            EXECUTE format('ALTER INDEX %s RENAME TO %I', definition.name, definition.name || '_whole');
        END LOOP;
        FOR definition IN
            SELECT pg_get_triggerdef(oid) AS text FROM pg_trigger
             WHERE tgrelid = of_table::regclass AND NOT tgisinternal
        LOOP
            definitions := definitions || definition.text;
        END LOOP;

        EXECUTE format('ALTER TABLE %I RENAME TO %I', of_table, of_table || '_whole');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL EXCLUDING INDEXES) PARTITION BY HASH (program_id)',
                       of_table, of_table || '_whole');
        FOR number IN 0 .. partitions - 1 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS %s, REMAINDER %s)',
                           of_table || '_' || number, of_table, partitions, number);
        END LOOP;
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns FROM pg_attribute
         WHERE attrelid = of_table::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
        EXECUTE format('INSERT INTO %I (%s) SELECT %s FROM %I', of_table, columns, columns, of_table || '_whole');
        EXECUTE format('DROP TABLE %I', of_table || '_whole');
        FOR position IN 1 .. cardinality(definitions) LOOP
            EXECUTE definitions[position];
        END LOOP;
    END LOOP;
END
$$;

COMMIT;

-- The server gathers statistics of each partition automatically, but never of the whole table, which joins need.
ANALYZE event, idempotency_key, delivery, attempt, run_delivery;
