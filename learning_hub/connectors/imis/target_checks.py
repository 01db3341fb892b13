"""
Checks of the targets that subscriptions write to: activities and their types, panel sources.

Sources: iMIS reference, sections 7, 8 and 9; for the instructions also the vendor's help.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from learning_hub.connectors.base import Recorder
from learning_hub.connectors.check_results import Finding, Needs
from learning_hub.connectors.imis.account_checks import ReadResult, first_row, not_known
from learning_hub.connectors.imis.activity import ENTITY, column_for_keys, types_named
from learning_hub.connectors.imis.activity_types import WHERE, configured, how_to_add
from learning_hub.connectors.imis.api import Api
from learning_hub.connectors.imis.responses import Failed
from learning_hub.connectors.imis.rows_query import steps_to_show
from learning_hub.connectors.imis.settings import ActivityTarget, ImisSettings, PanelTarget, read_target
from learning_hub.connectors.imis.source_definition import Described, describe
from learning_hub.connectors.imis.wire import Json, lookup, member, properties_of, unwrap

_KEY_CHARACTERS = 36
# This has the form of a record key, and no record has it: record keys are hashes.
NO_KEY = "00000000-0000-0000-0000-000000000000"
_SOURCES = "RiSE > Panel Designer > Panel sources"


def of_activities(needs: Iterable[Needs]) -> list[Needs]:
    """The needs of subscriptions that write activities."""
    return [need for need in needs if isinstance(read_target(need.target), ActivityTarget)]


def activities(result: ReadResult, needs: Sequence[Needs]) -> Finding:
    """Whether activities can be read; *needs* are those of subscriptions that write activities."""
    if result.page is not None:
        message = f"It can read activities: there are {result.page.total}."
        return Finding(subject="activities", message=message, subscription_ids=ids_of(needs))
    if result.may_pass:
        return not_known("activities", "activities", result, is_needed=bool(needs), subscription_ids=ids_of(needs))
    return Finding(
        subject="activities",
        state="wrong" if needs else "look",
        message=f"It cannot read activities. {result.failure}",
        advice="Give the account a role that may read and write activities." if needs else "No subscription needs it.",
        subscription_ids=ids_of(needs),
    )


async def activity_key(api: Api, settings: ImisSettings, needs: Sequence[Needs], recorder: Recorder) -> Finding:
    """
    Whether activities can be searched by the column `ActivityKeyProperty`, and the column holds a record key.

    Raises:
        Failed: No further request would succeed.
    """
    column = column_for_keys(settings.activity_key_property) or settings.activity_key_property
    result = await first_row(api, ENTITY, {column: f"eq:{NO_KEY}"}, recorder, f"search activities by {column}")
    name_another = "Name another column as ActivityKeyProperty in the subscriber's Settings."
    if result.page is None:
        message, advice = f"Activities cannot be searched by {column}, the column for the record key. ", name_another
        return _key_finding(column, "wrong" if needs else "look", message + result.failure, advice, needs)
    rows = [properties_of(row) for row in result.page.rows]
    if any(str(lookup(row, column) or "").strip() != NO_KEY for row in rows):
        message = f"Activities cannot be searched by {column}, the column for the record key: iMIS gives others too."
        return _key_finding(column, "wrong" if needs else "look", message, name_another, needs)
    described = await _describe(api, ENTITY, recorder)
    definition = None if described.columns is None else lookup(described.columns, column)
    if definition is None:
        message = f"Activities can be searched by {column}. Whether it holds 36 characters shows with the first record."
        return _key_finding(column, "fine", message, "", needs)
    if fault := _key_fault(definition):
        message = f"{column} of activities cannot keep the record key: it {fault}."
        return _key_finding(column, "wrong" if needs else "look", message, name_another, needs)
    return _key_finding(column, "fine", f"{column} of activities keeps the record key.", "", needs)


def _key_finding(column: str, state: Any, message: str, advice: str, needs: Sequence[Needs]) -> Finding:
    return Finding(
        subject="activity-key",
        name=column,
        state=state,
        message=message,
        advice=advice,
        subscription_ids=ids_of(needs),
    )


async def activity_types(api: Api, needs: Sequence[Needs], recorder: Recorder) -> list[Finding]:
    """
    Whether the types that templates name are configured.

    Raises:
        Failed: No further request would succeed.
    """
    named = _types_of(needs)
    if not named:
        return []
    try:
        known = await configured(api, recorder)
    except Failed as failed:
        if failed.concerns_all:
            raise
        names = ", ".join(spelled for spelled, _ in named.values())
        return [
            Finding(
                subject="activity-type",
                name=names,
                state="look",
                message=f"The hub cannot find out whether the activity type {names} is configured. "
                f"{failed.outcome.message}",
                advice=f"{WHERE} shows them.",
                subscription_ids=ids_of(needs),
            )
        ]
    return [_type_finding(spelled, users, is_there=folded in known) for folded, (spelled, users) in named.items()]


def _types_of(needs: Sequence[Needs]) -> dict[str, tuple[str, list[str]]]:
    """The types that do not depend on the event, by case-folded name: as spelled, and by which subscriptions."""
    named: dict[str, tuple[str, list[str]]] = {}
    for need in needs:
        for name in (name for template in need.templates for name in types_named(template)):
            if not isinstance(name, str) or not name.strip():
                continue
            _, subscription_ids = named.setdefault(name.strip().casefold(), (name.strip(), []))
            if need.subscription_id not in subscription_ids:
                subscription_ids.append(need.subscription_id)
    return named


def _type_finding(name: str, subscription_ids: list[str], *, is_there: bool) -> Finding:
    if is_there:
        message, advice = f"The activity type {name} is configured.", ""
    else:
        message = f"There is no activity type {name}, which the templates of {', '.join(subscription_ids)} name."
        advice = how_to_add(name)
    state: Any = "fine" if is_there else "wrong"
    return Finding(
        subject="activity-type",
        name=name,
        state=state,
        message=message,
        advice=advice,
        subscription_ids=subscription_ids,
    )


def panels_of(needs: Iterable[Needs]) -> dict[str, list[tuple[PanelTarget, Needs]]]:
    """The panel sources that subscriptions name, in any case, each with the targets and needs of its subscriptions."""
    panels: dict[str, tuple[str, list[tuple[PanelTarget, Needs]]]] = {}
    for need in needs:
        target = read_target(need.target)
        if isinstance(target, PanelTarget):
            _, users = panels.setdefault(target.name.casefold(), (target.name, []))
            users.append((target, need))
    return dict(panels.values())


async def panel(api: Api, name: str, users: Sequence[tuple[PanelTarget, Needs]], recorder: Recorder) -> list[Finding]:
    """
    Whether a panel source exists, can be read, keeps record keys, and has the columns that templates name.

    Raises:
        Failed: No further request would succeed.
    """
    described = await _describe(api, name, recorder)
    result = await first_row(api, name, {}, recorder, f"read rows of {name}")
    needs = [need for _, need in users]
    if result.may_pass:
        return [not_known("panel", name, result, is_needed=True, name=name, subscription_ids=ids_of(needs))]
    if result.page is None:
        return [_unreadable_panel(name, described, result.failure, needs)]
    columns = described.columns or {}
    findings = [
        Finding(
            subject="panel",
            name=name,
            message=f"It can read {name}: it has {result.page.total} row{'' if result.page.total == 1 else 's'}.",
            subscription_ids=ids_of(needs),
            steps=steps_to_show(name, list(columns)) if columns else [],
        )
    ]
    if not columns:
        message = f"The columns of {name} are not known; whether templates fit them shows with the first record."
        return [*findings, Finding(subject="panel-columns", name=name, message=message, subscription_ids=ids_of(needs))]
    return [*findings, *_keys(name, columns, users), *_missing_columns(name, columns, needs)]


def _unreadable_panel(name: str, described: Described, failure: str, needs: Sequence[Needs]) -> Finding:
    tick = (
        f"In iMIS, go to {_SOURCES}, open {name}, tick Available via the REST API on the Security tab of this source, "
        "and save. An account that is no staff user also needs Read, Add, Update and Delete there."
    )
    if described.columns is not None:
        message, advice = f"{name} is there, but not over REST. {failure}", tick
    elif described.is_absent:
        message = f"There is no panel source {name}. {failure}"
        advice = (
            f"Correct Name in the Target of {', '.join(ids_of(needs))}, or make the source: in iMIS, under {_SOURCES}, "
            "multi-instance and of contacts, and tick Available via the REST API on its Security tab. learning-hub "
            "subscriber panel makes one too, and leaves only the box to be ticked."
        )
    else:
        message, advice = f"It cannot read {name}. {failure}", f"Check that there is a source of this name. {tick}"
    return Finding(
        subject="panel",
        name=name,
        state="wrong",
        message=message,
        advice=advice,
        subscription_ids=ids_of(needs),
    )


def _keys(name: str, columns: Mapping[str, Json], users: Sequence[tuple[PanelTarget, Needs]]) -> list[Finding]:
    """A finding about the column that keeps the record key, for each column that subscriptions name."""
    by_key: dict[str | None, list[Needs]] = {}
    for target, need in users:
        by_key.setdefault(target.key_property, []).append(need)
    return [_panel_key_finding(name, key, columns, needs) for key, needs in by_key.items()]


def _panel_key_finding(name: str, key: str | None, columns: Mapping[str, Json], needs: Sequence[Needs]) -> Finding:
    add = f"In iMIS, go to {_SOURCES}, open {name}, and add a text property"
    definition = None if key is None else lookup(columns, key)
    fault = "is not there" if definition is None else _key_fault(definition)
    state: Any = "wrong"
    if key is None:
        state = "look"
        message = f"{name} has no column for the record key, so its rows are matched by their values."
        advice = f"{add} RecordKey, 40 long; then name it as KeyProperty in the Target of {', '.join(ids_of(needs))}."
    elif fault:
        message = f"{key} of {name} cannot keep the record key: it {fault}."
        whose = f"KeyProperty in the Target of {', '.join(ids_of(needs))}"
        if definition is None:
            advice = f"{add} {key}, 40 long, or name another one as {whose}."
        else:
            advice = f"{add} of 36 characters or more; then name it as {whose}."
    else:
        state, message, advice = "fine", f"{key} of {name} keeps the record key.", ""
    return Finding(
        subject="panel-key",
        name=f"{name}.{key}" if key else name,
        state=state,
        message=message,
        advice=advice,
        subscription_ids=ids_of(needs),
    )


def _missing_columns(name: str, columns: Mapping[str, Json], needs: Sequence[Needs]) -> list[Finding]:
    """A finding for each column that templates name and the source does not have."""
    known = {column.casefold() for column in columns}
    lacking: dict[str, list[Needs]] = {}
    for need in needs:
        for column in dict.fromkeys(column for template in need.templates for column in template):
            if column.casefold() not in known:
                lacking.setdefault(column, []).append(need)
    return [
        Finding(
            subject="panel-columns",
            name=f"{name}.{column}",
            state="wrong",
            message=f"{name} has no column {column}, which the templates of {', '.join(ids_of(users))} name.",
            advice=f"Add it to the source under {_SOURCES}, or correct the templates.",
            subscription_ids=ids_of(users),
        )
        for column, users in lacking.items()
    ]


async def _describe(api: Api, name: str, recorder: Recorder) -> Described:
    """Describe the source as for a delivery, but treat a failure that may pass as a missing description."""
    try:
        return await describe(api, name, recorder)
    except Failed as failed:
        if failed.concerns_all:
            raise
        return Described(None)


def _key_fault(column: Json) -> str | None:
    """Why *column* cannot keep a record key, None where no reason is known."""
    kind = str(unwrap(member(column, "PropertyTypeName")) or member(column, "$type") or "")
    if kind and "string" not in kind.casefold():
        return "is no text"
    width = unwrap(member(column, "MaxLength"))
    if isinstance(width, int) and 0 < width < _KEY_CHARACTERS:
        return f"holds {width} characters, and the key has {_KEY_CHARACTERS}"
    return None


def ids_of(needs: Iterable[Needs]) -> list[str]:
    """The subscriptions."""
    return [need.subscription_id for need in needs]
