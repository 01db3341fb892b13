"""What a database consists of, to compare two of them."""

from __future__ import annotations

import json
import re

import asyncpg

CATALOG = {
    "columns": """
        SELECT table_name, ordinal_position, column_name, data_type, udt_name, is_nullable, column_default,
               is_identity, identity_generation, is_generated, generation_expression, collation_name
          FROM information_schema.columns WHERE table_schema = 'public'""",
    "constraints": """
        SELECT conrelid::regclass::text AS "table", conname, contype::text AS kind, pg_get_constraintdef(oid) AS is,
               convalidated FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "sequences": """
        SELECT sequencename, data_type::text, start_value, min_value, max_value, increment_by, cycle, cache_size
          FROM pg_sequences WHERE schemaname = 'public'""",
    "relations": """
        SELECT relname, relkind::text, relpersistence::text, reloptions, relrowsecurity
          FROM pg_class WHERE relnamespace = 'public'::regnamespace""",
    "others": """
        SELECT proname AS name, pg_get_functiondef(oid) AS is FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'
        UNION ALL SELECT typname, typtype::text FROM pg_type
                   WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')""",
}


async def catalog(address: str) -> dict[str, list[str]]:
    """What a database consists of, apart from what the migration tool and tests have added."""
    connection = await asyncpg.connect(address)
    try:
        found = {
            kind: sorted(json.dumps(dict(row), default=str) for row in await connection.fetch(query))
            for kind, query in CATALOG.items()
        }
    finally:
        await connection.close()
    return {kind: [line for line in lines if not re.search("pogo|test_", line)] for kind, lines in found.items()}
