"""The database knows what each kind of subscriber declares of itself."""

from __future__ import annotations

import json

import pytest

from learning_hub.connectors.kinds import KINDS
from learning_hub.main import synchronise_connectors
from learning_hub.store import connectors
from learning_hub.store.database import Database

pytestmark = pytest.mark.quick


async def declared(database: Database) -> dict[str, tuple[str, bool, str]]:
    """What the table says of each connector."""
    rows = await database.fetch("SELECT * FROM connector")
    return {row["name"]: (row["one_record_for"], row["sends_batches"], row["key_fields"]) for row in rows}


async def test_a_process_that_starts_writes_what_kinds_declare(database: Database) -> None:
    """The table says of each kind what it declares, as migrated already; writing it again changes no row."""
    kinds = {
        name: (kind.one_record_for, kind.batch is not None, json.dumps(kind.key_fields)) for name, kind in KINDS.items()
    }
    assert await declared(database) == kinds
    versions = "SELECT array_agg(xmin::text ORDER BY name) FROM connector"
    before = await database.fetchval(versions)
    await synchronise_connectors(database)

    assert await declared(database) == kinds
    assert await database.fetchval(versions) == before


async def test_a_fourth_kind_is_a_row(database: Database) -> None:
    """A kind that is new is added, and one that declares something else is changed; then it can have subscribers."""
    xapi = connectors.Capabilities(
        name="xapi_lrs", one_record_for="source_key", sends_batches=True, key_fields={"lrs": "KeyName"}
    )
    imis = connectors.Capabilities(name="imis", one_record_for="source_record", sends_batches=True, key_fields={})
    await connectors.synchronise(database, [xapi, imis])
    await database.execute(
        "INSERT INTO subscriber (subscriber_id, name, connector, settings) VALUES ('lrs', 'LRS', 'xapi_lrs', '{}')"
    )

    assert await declared(database) == {
        "imis": ("source_record", True, "{}"),
        "learningbuilder": ("source_record", True, "{}"),
        "webhook": ("source_key", False, "{}"),
        "xapi_lrs": ("source_key", True, '{"lrs": "KeyName"}'),
    }
