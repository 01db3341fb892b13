"""Activity: what was done with or by a contact (section 7)."""

from collections.abc import Sequence
from typing import Any

from learning_hub.sandbox import activity
from learning_hub.sandbox.errors import BadRequest, Problem
from learning_hub.sandbox.services.generic import GenericService
from learning_hub.sandbox.services.service import Identity
from learning_hub.sandbox.site import Site
from learning_hub.sandbox.table import Key, Row


class ActivityService(GenericService):
    """Activities, keyed by the sequence number that the site gives out."""

    def __init__(self, site: Site) -> None:
        super().__init__("Activity", site.activities, activity.COLUMNS, site=site)
        self.unknown_properties_are_refused = site.switches.unknown_activity_property == "refuse"
        self.long_text_is_cut = site.switches.long_activity_text == "cut"

    def check_filters(self, names: Sequence[str]) -> None:
        if self.site.switches.activity_party_filter:
            return
        if any(name.casefold() in {"partyid", "id"} for name in names):
            raise BadRequest("Activity cannot be filtered on the contact.")

    def check_values(self, values: Row) -> list[Problem]:
        problems = self.unknown_party(values)
        accepts_any = self.site.switches.unknown_activity_type == "accept"
        wanted = values["ACTIVITY_TYPE"]
        if isinstance(wanted, str) and wanted:
            known = {name.casefold(): name for (name,) in self.site.activity_types.rows}
            if wanted.casefold() not in known and accepts_any:
                return problems
            if wanted.casefold() not in known:
                problems.append(Problem("ACTIVITY_TYPE", f"Activity type {wanted} is not configured.", wanted))
            else:
                values["ACTIVITY_TYPE"] = known[wanted.casefold()]
        return problems

    def change(self, identity: Identity, body: Any) -> Any:
        self._refuse_changes("Update")
        return super().change(identity, body)

    def remove(self, identity: Identity) -> None:
        self._refuse_changes("Delete")
        super().remove(identity)

    def _refuse_changes(self, operation: str) -> None:
        if self.site.switches.activity_changes == "refuse":
            raise self._lacks(operation)

    def insert(self, values: Row) -> tuple[Key, Row]:
        self.site.last_seqn += 1
        values["SEQN"] = self.site.last_seqn
        if values["TRANSACTION_DATE"] is None:
            values["TRANSACTION_DATE"] = self.site.local_now()
        key = (str(values["SEQN"]),)
        self.table.put(key, values)
        return key, values
