"""The state of one sandbox: everything an iMIS site would keep in its database."""

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from learning_hub.sandbox import activity, contact, seeds
from learning_hub.sandbox.column import Column
from learning_hub.sandbox.faults import Faults
from learning_hub.sandbox.journal import Journal
from learning_hub.sandbox.panel import Panel, new_panel
from learning_hub.sandbox.query import QueryCache
from learning_hub.sandbox.switches import Switches
from learning_hub.sandbox.table import Table
from learning_hub.sandbox.tokens import Account, Tokens


def _now() -> datetime:
    return datetime.now(UTC)


class Site:
    """
    One site: account, contacts, activities, panels, and the sandbox's own faults, switches and journal.

    Args:
        username: Of the one account, compared in any case.
        password: Of the one account.
        now: The clock, UTC; tests move it.
    """

    def __init__(self, username: str, password: str, now: Callable[[], datetime] = _now) -> None:
        self.now = now
        self._credentials = (username, password)
        self.faults = Faults()
        self.journal = Journal()
        self.reset()

    def reset(self) -> None:
        """Back to the seeds: data, account, tokens, switches, faults and journal."""
        self.switches = Switches()
        self.account = Account(*self._credentials)
        self.tokens = Tokens()
        self.contacts = contact.seeded_contacts(self.local_now())
        self.activity_types = Table(ACTIVITY_TYPE_COLUMNS)
        for name, description in seeds.ACTIVITY_TYPES.items():
            row = dict.fromkeys(column.name for column in ACTIVITY_TYPE_COLUMNS)
            row |= {"ActivityTypeId": name, "Description": description, **seeds.ACTIVITY_LABELS}
            self.activity_types.put((name,), row)
        self.activities = activity.new_activities()
        self.last_seqn = seeds.FIRST_SEQN - 1
        self.panels: dict[str, Panel] = {}
        self.add_panel(new_panel(seeds.PANEL, "Multi", seeds.PANEL_COLUMNS, "TopClass learning"))
        self.panels[seeds.PANEL.casefold()].available_via_rest = True
        self.query_cache = QueryCache()
        self.faults.clear()
        self.journal.clear()

    def add_panel(self, panel: Panel) -> None:
        self.panels[panel.name.casefold()] = panel

    def local_now(self) -> datetime:
        """The server's local time to the millisecond, without a zone, as iMIS stores it."""
        local = self.now().astimezone(ZoneInfo(self.switches.time_zone))
        return local.replace(tzinfo=None, microsecond=local.microsecond // 1000 * 1000)


ACTIVITY_TYPE_COLUMNS = (
    Column(name="ActivityTypeId", max_length=10, is_required=True, is_identity=True),
    Column(name="Description", max_length=255),
    *(
        Column(name=name, max_length=60)
        for name in (
            *("SubtypePrompt", "DescriptionPrompt", "EffectiveDatePrompt", "ThruDatePrompt", "SourcePrompt"),
            *("AmountPrompt", "TicklerPrompt", "ActionPrompt", "CeuTypePrompt", "UnitsPrompt"),
        )
    ),
    Column(name="AllowUserEdit", kind="boolean"),
    *(Column(name=name, max_length=60) for name in ("FollowUpPrompt", "NotePrompt")),
    Column(name="IsExtendedDemo", kind="boolean"),
    *(Column(name=f"Uf{number}Prompt", max_length=60) for number in range(1, 8)),
    *(Column(name=name, max_length=60) for name in ("CoIdPrompt", "AccessKeywords", "OtherCode")),
)
