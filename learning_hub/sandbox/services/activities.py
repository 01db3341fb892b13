"""Activity: what was done with or by a contact (section 7)."""

from collections.abc import Sequence

from learning_hub.sandbox import activity
from learning_hub.sandbox.errors import BadRequest, Problem
from learning_hub.sandbox.services.generic import GenericService
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
        wanted = values["ACTIVITY_TYPE"]
        if isinstance(wanted, str) and wanted:
            known = {name.casefold(): name for (name,) in self.site.activity_types.rows}
            if wanted.casefold() not in known:
                problems.append(Problem("ACTIVITY_TYPE", f"Activity type {wanted} is not configured.", wanted))
            else:
                values["ACTIVITY_TYPE"] = known[wanted.casefold()]
        return problems

    def insert(self, values: Row) -> tuple[Key, Row]:
        self.site.last_seqn += 1
        values["SEQN"] = self.site.last_seqn
        if values["TRANSACTION_DATE"] is None:
            values["TRANSACTION_DATE"] = self.site.local_now()
        key = (str(values["SEQN"]),)
        self.table.put(key, values)
        return key, values
