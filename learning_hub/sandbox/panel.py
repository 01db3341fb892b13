"""Panel sources: user-defined tables with rows of contacts (section 8)."""

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
# iMIS adds these columns to every source.
SYSTEM_COLUMNS = {column.name.casefold() for column in (ID, ORDINAL, *AUDIT)}


@dataclass(slots=True)
class Panel:
    """
    A panel source and its rows, keyed by contact (Single) or by contact and ordinal (Multi).

    Attributes:
        name: As spelled in its definition.
        cardinality: One row per contact (Single), or any number (Multi).
        available_via_rest: The box *Available via the REST API* is ticked.
    """

    name: str
    description: str
    cardinality: Cardinality
    table: Table
    available_via_rest: bool = False

    def user_columns(self) -> list[Column]:
        """The user-defined columns: all but key and audit columns."""
        return [column for column in self.table.columns.values() if column.name.casefold() not in SYSTEM_COLUMNS]

    def columns(self) -> list[Column]:
        """All columns: key, user-defined, audit."""
        return [*key_columns(self.cardinality), *self.user_columns(), *AUDIT]

    def next_ordinal(self, party_id: str | None) -> int:
        """One more than the highest ordinal of the contact, or of the whole source where *party_id* is None."""
        rows = self.table.rows.items() if party_id is None else self.table.where_equal(ID, party_id)
        return 1 + max((row["Ordinal"] for _, row in rows), default=0)


def key_columns(cardinality: Cardinality) -> tuple[Column, ...]:
    return (ID, ORDINAL) if cardinality == "Multi" else (ID,)


def new_panel(name: str, cardinality: Cardinality, columns: Sequence[Column], description: str = "") -> Panel:
    """An empty source that is not available via REST; adds key and audit columns to *columns*."""
    user_columns = [column for column in columns if column.name.casefold() not in SYSTEM_COLUMNS]
    return Panel(name, description, cardinality, Table((*key_columns(cardinality), *user_columns, *AUDIT)))
