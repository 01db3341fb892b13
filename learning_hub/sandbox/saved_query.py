"""The saved queries (IQA) of the sandbox, and the cache of their results."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from learning_hub.sandbox import seeds
from learning_hub.sandbox.search import Filter

Results = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedQuery:
    """
    A saved query.

    Attributes:
        path: Its path, which begins with `$/`.
        source: `Activity`, `Party`, or the name of a panel source.
        columns: The displayed columns: alias and column.
        prompts: The prompts in order: name and column. An empty prompt is skipped.
        fixed: Filters that apply to every run.
        is_available_to_rest: Ticked on its Security tab.
    """

    path: str
    source: str
    columns: tuple[tuple[str, str], ...]
    prompts: tuple[tuple[str, str], ...] = ()
    fixed: tuple[Filter, ...] = ()
    is_available_to_rest: bool = True


_ACTIVITY_ALIASES = (
    ("ID", "PartyId"),
    ("Seqn", "SEQN"),
    ("ActivityType", "ACTIVITY_TYPE"),
    ("Source", "SOURCE_CODE"),
    ("ProductCode", "PRODUCT_CODE"),
    ("Description", "DESCRIPTION"),
    ("EffectiveDate", "EFFECTIVE_DATE"),
    ("TransactionDate", "TRANSACTION_DATE"),
    ("Units", "UNITS"),
    ("Category", "CATEGORY"),
)
_PANEL_ALIASES = tuple(
    (name, name)
    for name in ("ID", "Ordinal", "CourseCode", "Course", "CourseCompleted", "Units", "CreditType", "CEUType")
)

QUERIES = (
    SavedQuery(
        path=seeds.ACTIVITIES_QUERY,
        source="Activity",
        columns=_ACTIVITY_ALIASES,
        prompts=(("ID", "PartyId"), ("ActivityType", "ACTIVITY_TYPE"), ("ProductCode", "PRODUCT_CODE")),
    ),
    SavedQuery(
        path=seeds.COMPLETIONS_QUERY,
        source=seeds.PANEL,
        columns=_PANEL_ALIASES,
        prompts=(("ID", "ID"), ("CourseCode", "CourseCode")),
    ),
    SavedQuery(
        path=seeds.CONTACT_QUERY,
        source="Party",
        columns=(("ID", "PartyId"), ("FullName", "Name"), ("Email", "Email"), ("UniformId", "UniformId")),
        prompts=(("Email", "Email"),),
        fixed=(Filter("Status", "eq", ("A",)),),
    ),
    SavedQuery(path=seeds.CLOSED_QUERY, source="Activity", columns=_ACTIVITY_ALIASES, is_available_to_rest=False),
)


def query_at(path: str) -> SavedQuery | None:
    """The query at *path*, in any letter case."""
    return next((query for query in QUERIES if query.path.casefold() == path.casefold()), None)


@dataclass(slots=True)
class QueryCache:
    """Cached results with their expiry (switch QueryCacheSeconds)."""

    entries: dict[Any, tuple[datetime, Results]] = field(default_factory=dict)

    def get(self, key: Any, now: datetime) -> Results | None:
        expiry, results = self.entries.get(key, (now, []))
        return results if expiry > now else None

    def put(self, key: Any, results: Results, now: datetime, seconds: float) -> None:
        if seconds > 0:
            self.entries[key] = (now + timedelta(seconds=seconds), results)
