"""The queries (IQA) that somebody has saved in the sandbox, and the cache of their results."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from learning_hub.sandbox import seeds
from learning_hub.sandbox.search import Filter

Source = str
Results = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedQuery:
    """
    A query.

    Attributes:
        path: From `$/` on.
        source: `Activity`, `Party`, or the name of a panel source.
        shown: What it shows: display alias and column.
        prompts: What it asks for, in order: prompt name and column. A prompt left empty is skipped.
        fixed: Filters that its author built in.
        is_available_to_rest: Ticked on its Security tab.
    """

    path: str
    source: Source
    shown: tuple[tuple[str, str], ...]
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
        shown=_ACTIVITY_ALIASES,
        prompts=(("ID", "PartyId"), ("ActivityType", "ACTIVITY_TYPE"), ("ProductCode", "PRODUCT_CODE")),
    ),
    SavedQuery(
        path=seeds.COMPLETIONS_QUERY,
        source=seeds.PANEL,
        shown=_PANEL_ALIASES,
        prompts=(("ID", "ID"), ("CourseCode", "CourseCode")),
    ),
    SavedQuery(
        path=seeds.CONTACT_QUERY,
        source="Party",
        shown=(("ID", "PartyId"), ("FullName", "Name"), ("Email", "Email"), ("UniformId", "UniformId")),
        prompts=(("Email", "Email"),),
        fixed=(Filter("Status", "eq", ("A",)),),
    ),
    SavedQuery(path=seeds.CLOSED_QUERY, source="Activity", shown=_ACTIVITY_ALIASES, is_available_to_rest=False),
)


def query_at(path: str) -> SavedQuery | None:
    """The query at *path*, in any case."""
    return next((query for query in QUERIES if query.path.casefold() == path.casefold()), None)


@dataclass(slots=True)
class QueryCache:
    """Results that are given out again until their time is over (switch QueryCacheSeconds)."""

    kept: dict[Any, tuple[datetime, Results]] = field(default_factory=dict)

    def get(self, key: Any, now: datetime) -> Results | None:
        until, results = self.kept.get(key, (now, []))
        return results if until > now else None

    def put(self, key: Any, results: Results, now: datetime, seconds: float) -> None:
        if seconds > 0:
            self.kept[key] = (now + timedelta(seconds=seconds), results)
