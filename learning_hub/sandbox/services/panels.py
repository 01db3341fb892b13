"""Rows of panel sources (section 8)."""

from typing import Any

from learning_hub.sandbox import seeds, wire
from learning_hub.sandbox.errors import (
    ApiError,
    DuplicateKey,
    NotAllowed,
    NotFound,
    Problem,
    ServiceNotImplemented,
    ValidationError,
)
from learning_hub.sandbox.panel import Panel
from learning_hub.sandbox.services.generic import GenericService
from learning_hub.sandbox.site import Site
from learning_hub.sandbox.table import Key, Row


class PanelService(GenericService):
    """The rows of one panel source."""

    requires_staff_role = True

    def __init__(self, site: Site, panel: Panel) -> None:
        super().__init__(site, panel.name, panel.table, panel.columns())
        self.panel = panel
        self.rejects_unknown_properties = site.switches.unknown_panel_property == "refuse"

    def check_values(self, values: Row) -> list[Problem]:
        return self.party_problems(values)

    def check_update(self, key: Key, row: Row) -> list[Problem]:
        if row["ID"] != key[0]:
            return [Problem("ID", "ID is part of the identity and cannot be changed.", row["ID"])]
        return []

    def _party_ids(self, body: Any) -> list[str]:
        return [*super()._party_ids(body), *wire.identity_elements(wire.member(body, "Identity"))[:1]]

    def insert(self, values: Row) -> tuple[Key, Row]:
        now = self.site.local_now()
        values |= {
            "CreatedOn": now,
            "UpdatedOn": now,
            "CreatedByUserKey": seeds.USER_KEY,
            "UpdatedByUserKey": seeds.USER_KEY,
        }
        if self.panel.cardinality == "Single":
            return self._insert_single(values)
        counts_per_contact = self.site.switches.ordinal_numbering == "contact"
        values["Ordinal"] = self.panel.next_ordinal(values["ID"] if counts_per_contact else None)
        key = (values["ID"], str(values["Ordinal"]))
        self.table.put(key, values)
        if self.site.switches.post_ordinal == "zero":
            # iMIS does not answer with the stored ordinal: a client has to search for it.
            return (values["ID"], "0"), {**values, "Ordinal": 0}
        return key, values

    def _insert_single(self, values: Row) -> tuple[Key, Row]:
        key = (values["ID"],)
        if self.table.get(key) is not None:
            message = f"{self.entity} already has a row for contact {values['ID']}."
            if self.site.switches.second_single_row == 400:
                raise ValidationError(self.entity, [Problem("ID", message, values["ID"])])
            raise DuplicateKey(message)
        self.table.put(key, values)
        return key, values

    def touch(self, row: Row) -> None:
        row["UpdatedOn"] = self.site.local_now()
        row["UpdatedByUserKey"] = seeds.USER_KEY


def closed_panel_error(site: Site, panel: Panel) -> ApiError:
    """The error for a panel source that is not available via REST (switch ClosedPanel)."""
    message = f"There is no service defined for {panel.name}."
    errors = {404: NotFound, 501: ServiceNotImplemented, 403: NotAllowed}
    return errors[site.switches.closed_panel](message)
