"""The connector table: the capabilities of each kind of subscriber that SQL statements use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from learning_hub.model.json_values import write_json
from learning_hub.store.database import Database
from learning_hub.store.queries import Queries

queries = Queries("connectors")


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """The capabilities that a kind of subscriber declares; *name* is the name of its connector."""

    name: str
    one_record_for: Literal["source_record", "source_key"]
    sends_batches: bool
    key_fields: Mapping[str, str]


async def synchronise(database: Database, kinds: Sequence[Capabilities]) -> None:
    """Write the capabilities that differ from *kinds*. Other kinds stay, because subscribers refer to them."""
    await database.execute(
        queries.synchronise,
        [kind.name for kind in kinds],
        [kind.one_record_for for kind in kinds],
        [kind.sends_batches for kind in kinds],
        [write_json(kind.key_fields).decode() for kind in kinds],
    )
