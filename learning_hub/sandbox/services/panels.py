"""Rows of panel sources (section 8)."""

from typing import Any

from learning_hub.sandbox import seeds, wire
from learning_hub.sandbox.errors import (
    DuplicateKey,
    Invalid,
    NotAllowed,
    NotFound,
    Problem,
    Refusal,
    ServiceNotImplemented,
)
from learning_hub.sandbox.panel import Panel
from learning_hub.sandbox.services.generic import GenericService
from learning_hub.sandbox.site import Site
from learning_hub.sandbox.table import Key, Row


class PanelService(GenericService):
    """The rows of one panel source."""

    is_written_by_staff = True

    def __init__(self, site: Site, panel: Panel) -> None:
        super().__init__(panel.name, panel.table, panel.columns(), site=site)
        self.panel = panel
        self.unknown_properties_are_refused = site.switches.unknown_panel_property == "refuse"

    def check_values(self, values: Row) -> list[Problem]:
        return self.unknown_party(values)

    def check_change(self, key: Key, row: Row) -> list[Problem]:
        if row["ID"] != key[0]:
            return [Problem("ID", "ID is part of the identity and cannot be changed.", row["ID"])]
        return []

    def _named_parties(self, body: Any) -> list[str]:
        parent = super()._named_parties(body)
        return [*parent, *wire.identity_elements(wire.member(body, "Identity"))[:1]]

    def insert(self, values: Row) -> tuple[Key, Row]:
        now = self.site.local_now()
        values |= {
            "CreatedOn": now,
            "UpdatedOn": now,
            "CreatedByUserKey": seeds.USER_KEY,
            "UpdatedByUserKey": seeds.USER_KEY,
        }
        if self.panel.cardinality == "Single":
            return self._insert_only_row(values)
        is_of_source = self.site.switches.ordinal_numbering == "source"
        values["Ordinal"] = self.panel.next_ordinal(None if is_of_source else values["ID"])
        key = (values["ID"], str(values["Ordinal"]))
        self.table.put(key, values)
        if self.site.switches.post_ordinal == "zero":
            # What iMIS answers is not what it stored: a client has to search for the real ordinal.
            return (values["ID"], "0"), {**values, "Ordinal": 0}
        return key, values

    def _insert_only_row(self, values: Row) -> tuple[Key, Row]:
        key = (values["ID"],)
        if self.table.get(key) is not None:
            message = f"{self.entity} already has a row for contact {values['ID']}."
            if self.site.switches.second_single_row == 400:
                raise Invalid(self.entity, [Problem("ID", message, values["ID"])])
            raise DuplicateKey(message)
        self.table.put(key, values)
        return key, values

    def touch(self, row: Row) -> None:
        row["UpdatedOn"] = self.site.local_now()
        row["UpdatedByUserKey"] = seeds.USER_KEY


def closed_panel(site: Site, panel: Panel) -> Refusal:
    """What a source answers whose REST box is not ticked (switch ClosedPanel)."""
    message = f"There is no service defined for {panel.name}."
    kinds = {404: NotFound, 501: ServiceNotImplemented, 403: NotAllowed}
    return kinds[site.switches.closed_panel](message)
