"""The connector table: what statements have to know of each kind of subscriber."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from learning_hub.model.json_values import write_json
from learning_hub.store.database import Database
from learning_hub.store.queries import Queries

queries = Queries("connectors")


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a kind of subscriber declares of itself, by the *name* of its connector."""

    name: str
    one_record_for: Literal["source_record", "source_key"]
    sends_batches: bool
    key_fields: Mapping[str, str]


async def synchronise(database: Database, kinds: Sequence[Capabilities]) -> None:
    """Write what differs from what *kinds* declare; a kind that is not among them stays, for its subscribers do."""
    await database.execute(
        queries.synchronise,
        [kind.name for kind in kinds],
        [kind.one_record_for for kind in kinds],
        [kind.sends_batches for kind in kinds],
        [write_json(kind.key_fields).decode() for kind in kinds],
    )
