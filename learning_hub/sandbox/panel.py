"""A panel source: a user-defined table of contacts (section 8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from learning_hub.sandbox.column import Column
from learning_hub.sandbox.table import Table

Cardinality = Literal["Single", "Multi"]

ID = Column(name="ID", max_length=10, is_required=True, is_identity=True, is_party=True)
ORDINAL = Column(name="Ordinal", kind="integer", is_identity=True, is_assigned=True, is_visible=False)
AUDIT = (
    Column(name="CreatedOn", kind="date", is_assigned=True),
    Column(name="UpdatedOn", kind="date", is_assigned=True),
    Column(name="CreatedByUserKey", max_length=40, is_assigned=True),
    Column(name="UpdatedByUserKey", max_length=40, is_assigned=True),
)
GIVEN = {column.name.casefold() for column in (ID, ORDINAL, *AUDIT)}


@dataclass(slots=True)
class Panel:
    """
    A source and its rows, keyed by contact or by contact and ordinal.

    Attributes:
        name: As spelled when it was made.
        cardinality: One row a contact, or many.
        available_via_rest: The box *Available via the REST API* is ticked.
    """

    name: str
    description: str
    cardinality: Cardinality
    table: Table
    available_via_rest: bool = False

    def own_columns(self) -> list[Column]:
        """The columns that somebody defined: neither key nor audit."""
        return [column for column in self.table.columns.values() if column.name.casefold() not in GIVEN]

    def columns(self) -> list[Column]:
        """All columns: key, own, audit."""
        return [*key_columns(self.cardinality), *self.own_columns(), *AUDIT]

    def next_ordinal(self, party_id: str | None) -> int:
        """One more than the highest ordinal of that contact, or of all where it is None; 1 for the first row."""
        rows = self.table.rows.items() if party_id is None else self.table.equal(ID, party_id)
        return 1 + max((row["Ordinal"] for _, row in rows), default=0)


def key_columns(cardinality: Cardinality) -> tuple[Column, ...]:
    return (ID, ORDINAL) if cardinality == "Multi" else (ID,)


def new_panel(name: str, cardinality: Cardinality, columns: Sequence[Column], description: str = "") -> Panel:
    """A source without rows, its REST box not ticked; key and audit columns are added to *columns*."""
    own = [column for column in columns if column.name.casefold() not in GIVEN]
    return Panel(name, description, cardinality, Table((*key_columns(cardinality), *own, *AUDIT)))
