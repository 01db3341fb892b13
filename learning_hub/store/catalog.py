"""
What the schema of the database consists of, compared with what this version of the hub needs.

The list of migrations does not show what was changed by hand, or was lost when a backup was put back. What is needed
is in catalog.json, which `make catalog` writes from schema.sql.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import resources

import msgspec

from learning_hub.store.database import Connection
from learning_hub.store.queries import Queries

queries = Queries("catalog")

# Without these a request fails, or does not keep what it promises. The hub works without the others, but slowly, or
# without a second guard.
_NEEDED = {"table", "sequence", "column", "constraint", "function", "trigger"}
# Not tables of the hub's own.
_MIGRATION_TABLES = "_pogo_"


class DatabaseObject(msgspec.Struct, frozen=True, order=True):
    """One object of the schema; *definition* is what of it is compared."""

    kind: str
    of_table: str
    name: str
    definition: str

    @property
    def is_needed(self) -> bool:
        """Whether the hub cannot work without it."""
        return self.kind in _NEEDED or (self.kind == "index" and "unique" in self.definition)

    def described(self) -> str:
        """`the column xid of the table event`."""
        return f"the {self.kind} {self.name}" + (f" of the table {self.of_table}" if self.of_table else "")


class Difference(msgspec.Struct, frozen=True):
    """An object that the database lacks, or has otherwise: *existing* is then its definition."""

    needed: DatabaseObject
    existing: str | None

    @property
    def sentence(self) -> str:
        """`The database lacks the column xid of the table event.`"""
        if self.existing is None:
            return f"The database lacks {self.needed.described()}."
        described = self.needed.described()
        if self.needed.kind == "function":
            return f"{described.capitalize()} is not the one of this version."
        was, due = (text.strip() or f"a plain {self.needed.kind}" for text in (self.existing, self.needed.definition))
        return f"{described[0].upper()}{described[1:]} is {was}, and must be {due}."


async def read_objects(connection: Connection) -> list[DatabaseObject]:
    """The objects of the schema, without those of the migration tool, in order."""
    rows = await connection.fetch(queries.objects)
    return sorted(
        DatabaseObject(*row) for row in rows if not any(row[name].startswith(_MIGRATION_TABLES) for name in (1, 2))
    )


def needed_objects() -> list[DatabaseObject]:
    """The objects that this version needs."""
    text = (resources.files(__package__) / "catalog.json").read_bytes()
    return [DatabaseObject(*item) for item in msgspec.json.decode(text, type=list[tuple[str, str, str, str]])]


def written_objects(objects: Iterable[DatabaseObject]) -> str:
    """The text of catalog.json, one object in each line."""
    lines = [msgspec.json.encode(msgspec.structs.astuple(item)).decode() for item in objects]
    return "[\n" + ",\n".join(lines) + "\n]\n"


async def differences(connection: Connection) -> list[Difference]:
    """What the database lacks, or has otherwise; of a table that is missing nothing more is said."""
    existing = {(item.kind, item.of_table, item.name): item.definition for item in await read_objects(connection)}
    return list(_differences(existing))


def _differences(existing: dict[tuple[str, str, str], str]) -> Iterator[Difference]:
    for needed in needed_objects():
        if needed.of_table and ("table", "", needed.of_table) not in existing:
            continue
        definition = existing.get((needed.kind, needed.of_table, needed.name))
        if definition != needed.definition:
            yield Difference(needed, definition)
