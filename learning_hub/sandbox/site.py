"""The state of one sandbox: the data that an iMIS site keeps in its database, and the controls of the sandbox."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from learning_hub.sandbox import activity, contact, seeds
from learning_hub.sandbox.faults import Faults
from learning_hub.sandbox.panel import Panel, new_panel
from learning_hub.sandbox.request_log import RequestLog
from learning_hub.sandbox.saved_query import QueryCache
from learning_hub.sandbox.switches import Switches
from learning_hub.sandbox.tokens import Account, Tokens


class Site:
    """
    One site: account, contacts, activities and panels, and the sandbox's own faults, switches and request log.

    Args:
        username: Of the only account; compared without letter case.
        password: Of the only account.
    """

    def __init__(self, username: str, password: str) -> None:
        self._credentials = (username, password)
        self.faults = Faults()
        self.request_log = RequestLog()
        self.reset()

    def reset(self) -> None:
        """Restore the seeds; clear tokens, switches, faults and request log."""
        self.switches = Switches()
        self.account = Account(*self._credentials)
        self.tokens = Tokens()
        self.contacts = contact.seeded_contacts(self.local_now())
        self.activity_types = activity.seeded_activity_types()
        self.activities = activity.new_activities()
        self.last_seqn = seeds.FIRST_SEQN - 1
        self.panels: dict[str, Panel] = {}
        self.add_panel(new_panel(seeds.PANEL, "Multi", seeds.PANEL_COLUMNS, "TopClass learning"))
        self.panels[seeds.PANEL.casefold()].available_via_rest = True
        self.query_cache = QueryCache()
        self.faults.clear()
        self.request_log.clear()

    def add_panel(self, panel: Panel) -> None:
        self.panels[panel.name.casefold()] = panel

    def now(self) -> datetime:
        return datetime.now(UTC)

    def local_now(self) -> datetime:
        """The server's local time to the millisecond, without a zone, as iMIS stores it."""
        local = self.now().astimezone(ZoneInfo(self.switches.time_zone))
        return local.replace(tzinfo=None, microsecond=local.microsecond // 1000 * 1000)
