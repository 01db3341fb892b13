"""Activity (section 7)."""

from collections.abc import Sequence
from typing import Any

from learning_hub.sandbox import activity
from learning_hub.sandbox.errors import BadRequest, Problem
from learning_hub.sandbox.services.generic import GenericService
from learning_hub.sandbox.services.service import Identity
from learning_hub.sandbox.site import Site
from learning_hub.sandbox.table import Key, Row


class ActivityService(GenericService):
    """Activities, keyed by the sequence number that the site assigns."""

    def __init__(self, site: Site) -> None:
        super().__init__(site, "Activity", site.activities, activity.COLUMNS)
        self.rejects_unknown_properties = site.switches.unknown_activity_property == "refuse"
        self.truncates_long_text = site.switches.long_activity_text == "cut"

    def check_filters(self, names: Sequence[str]) -> None:
        if self.site.switches.activity_party_filter:
            return
        if any(name.casefold() in {"partyid", "id"} for name in names):
            raise BadRequest("Activity cannot be filtered on the contact.")

    def check_values(self, values: Row) -> list[Problem]:
        problems = self.party_problems(values)
        activity_type = values["ACTIVITY_TYPE"]
        if not isinstance(activity_type, str) or not activity_type:
            return problems
        configured = {name.casefold(): name for (name,) in self.site.activity_types.rows}
        if activity_type.casefold() in configured:
            values["ACTIVITY_TYPE"] = configured[activity_type.casefold()]
        elif self.site.switches.unknown_activity_type == "refuse":
            message = f"Activity type {activity_type} is not configured."
            problems.append(Problem("ACTIVITY_TYPE", message, activity_type))
        return problems

    def update(self, identity: Identity, body: Any) -> Any:
        self._require_changeable("Update")
        return super().update(identity, body)

    def delete(self, identity: Identity) -> None:
        self._require_changeable("Delete")
        super().delete(identity)

    def _require_changeable(self, operation: str) -> None:
        if self.site.switches.activity_changes == "refuse":
            raise self._not_implemented(operation)

    def insert(self, values: Row) -> tuple[Key, Row]:
        self.site.last_seqn += 1
        values["SEQN"] = self.site.last_seqn
        if values["TRANSACTION_DATE"] is None:
            values["TRANSACTION_DATE"] = self.site.local_now()
        key = (str(values["SEQN"]),)
        self.table.put(key, values)
        return key, values
