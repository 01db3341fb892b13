"""
Read-only lookup entities: User, CsContactBasic, GenTable, PanelDefinition, AddressPurpose.

The reference names them and some of their members; the type names of the first three and the contents of the lists
are the sandbox's own.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from learning_hub.sandbox import seeds, wire
from learning_hub.sandbox.column import Column
from learning_hub.sandbox.errors import NotFound
from learning_hub.sandbox.search import find_rows, paged_result, read_search
from learning_hub.sandbox.services.service import Identity, Pairs, Service, one_element
from learning_hub.sandbox.table import Row, Table


class LookupService(Service):
    """A list that is built for each request; its first column is its key."""

    columns: Sequence[str]
    item_type: str

    def rows(self) -> Iterator[Row]:
        """The rows, all columns in each."""
        raise NotImplementedError

    def to_json(self, row: Row) -> Any:
        """A row as JSON, without its nulls."""
        return {"$type": self.item_type, **{name: value for name, value in row.items() if value is not None}}

    def find(self, pairs: Pairs) -> Any:
        search = read_search(pairs, self.site.switches)
        table = Table(_column(name) for name in self.columns)
        for number, row in enumerate(self.rows()):
            table.put((str(number),), row)
        rows = [row for _, row in find_rows(table, search, self.site.switches)]
        return paged_result(rows, search, self.item_type, self.site.switches, self.to_json)

    def read(self, identity: Identity) -> Any:
        key = one_element(identity).casefold()
        for row in self.rows():
            if str(row[self.columns[0]]).casefold() == key:
                return self.to_json(row)
        msg = f"{self.entity} {identity[0]} was not found."
        raise NotFound(msg)


def _column(name: str) -> Column:
    return Column(name=name, kind="boolean" if name.startswith("Is") else "text")


class UserService(LookupService):
    """User: the user name of a login, which is not an e-mail address, and its contact (10.1)."""

    columns = ("UserId", "UserName")
    item_type = wire.membership("UserData")

    def rows(self) -> Iterator[Row]:
        for row in self.site.contacts.rows.values():
            if row["FirstName"] and row["LastName"]:
                yield {"UserId": row["PartyId"], "UserName": f"{row['FirstName'][0]}{row['LastName']}".upper()}


class BasicContactService(LookupService):
    """CsContactBasic: the basic contact table as generic rows (10.1)."""

    columns = ("ID", "MajorKey", "FirstName", "LastName", "FullName", "Email", "Status")
    item_type = wire.core("GenericEntityData")

    def rows(self) -> Iterator[Row]:
        for row in self.site.contacts.rows.values():
            names = {name: row[name] for name in ("FirstName", "LastName", "Email", "Status")}
            yield {"ID": row["PartyId"], "MajorKey": row["PartyId"], "FullName": row["Name"]} | names

    def to_json(self, row: Row) -> Any:
        pairs = [(name, row[name]) for name in self.columns]
        return {
            "$type": self.item_type,
            "EntityTypeName": self.entity,
            "PrimaryParentEntityTypeName": "Party",
            "Identity": wire.identity(self.entity, [row["ID"]]),
            "PrimaryParentIdentity": wire.identity("Party", [row["ID"]]),
            "Properties": wire.property_list(pairs, self.site.switches),
        }


class GeneralTableService(LookupService):
    """GenTable: the code lists behind drop-downs (9.1)."""

    columns = ("Code", "TableName", "Description")
    item_type = wire.core("GenTableData")

    def rows(self) -> Iterator[Row]:
        for name, codes in seeds.CODE_LISTS.items():
            for code, description in codes.items():
                yield {"TableName": name, "Code": code, "Description": description}


class PanelDefinitionService(LookupService):
    """PanelDefinition: one screen for each panel source; the layout is not stored (9.1)."""

    columns = ("PanelDefinitionId", "Name", "Description", "RelatedEntityName", "Caption", "IsMultipleInstance")
    item_type = wire.core("PanelDefinitionData")

    def rows(self) -> Iterator[Row]:
        for panel in self.site.panels.values():
            yield {
                "PanelDefinitionId": str(uuid5(NAMESPACE_URL, f"panel/{panel.name}")),
                "Name": panel.name,
                "Description": panel.description or None,
                "RelatedEntityName": "Party",
                "Caption": panel.description or panel.name,
                "IsMultipleInstance": panel.cardinality == "Multi" or None,
                "SelectedEntityNames": wire.collection(wire.STRINGS, [panel.name]),
            }


class AddressPurposeService(LookupService):
    """AddressPurpose: the purposes of addresses; one public client reads them before it writes an address."""

    columns = ("AddressPurposeId", "Name", "IsDefaultAddress")
    item_type = wire.membership("AddressPurposeData")

    def rows(self) -> Iterator[Row]:
        for number, name in enumerate(seeds.ADDRESS_PURPOSES, 1):
            yield {"AddressPurposeId": str(number), "Name": name, "IsDefaultAddress": number == 1 or None}
