"""
The arrows between states that deliveries really take in a database.

In every test database an arrow that learning_hub/model/delivery_transitions.py does not list is refused. A test may
also have them recorded, each with the statement that took it.
"""

from __future__ import annotations

import hashlib

from learning_hub.model.delivery_transitions import ARROWS, START
from learning_hub.store.database import Database
from learning_hub.store.delivery_transitions import queries

Arrow = tuple[str, str]

REFUSE_UNLISTED = f"""
CREATE FUNCTION test_refuse_unlisted_arrow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'delivery_transitions.py lists no arrow from % to %', OLD.state, NEW.state;
END
$$;

CREATE TRIGGER test_refuse_unlisted_arrow BEFORE UPDATE OF state ON delivery
    FOR EACH ROW WHEN (OLD.state <> NEW.state AND OLD.state || ' ' || NEW.state <> ALL (
        '{{{", ".join(f"{before} {after}" for before, after in sorted(ARROWS) if before != START)}}}'::text[]))
    EXECUTE FUNCTION test_refuse_unlisted_arrow();
"""

RECORD = f"""
CREATE TABLE test_arrow (before text NOT NULL, after text NOT NULL, statement text NOT NULL);

CREATE FUNCTION test_record_arrow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO test_arrow VALUES ('{START}', NEW.state, md5(current_query()));
    ELSIF OLD.state <> NEW.state THEN
        INSERT INTO test_arrow VALUES (OLD.state, NEW.state, md5(current_query()));
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER test_record_arrow AFTER INSERT OR UPDATE OF state ON delivery
    FOR EACH ROW EXECUTE FUNCTION test_record_arrow();
"""


async def recorded(database: Database) -> dict[str, set[Arrow]]:
    """The arrows that were taken since RECORD was executed, by the name of the statement; `?` is any other SQL."""
    names = {hashlib.md5(sql.encode()).hexdigest(): name for name, sql in queries.by_name.items()}
    taken: dict[str, set[Arrow]] = {}
    for row in await database.fetch("SELECT DISTINCT before, after, statement FROM test_arrow"):
        taken.setdefault(names.get(row["statement"], "?"), set()).add((row["before"], row["after"]))
    return taken
