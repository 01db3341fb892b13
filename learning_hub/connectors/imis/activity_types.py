"""
The activity types of a site, and warnings about the types that templates name.

Source: iMIS reference, section 7.5; that every site serves the list is not confirmed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from learning_hub.connectors.base import Recorder
from learning_hub.connectors.imis.activity import column_of
from learning_hub.connectors.imis.api import Api
from learning_hub.connectors.imis.responses import Failed
from learning_hub.connectors.imis.wire import lookup, member, properties_of, unwrap
from learning_hub.model.json_errors import place_in
from learning_hub.model.json_values import read_json
from learning_hub.model.template import OMIT, Leaf, has_liquid

WHERE = "Settings > Contacts > Activity types"


async def configured(api: Api, recorder: Recorder) -> set[str]:
    """
    The types of the site, case folded.

    Raises:
        Failed: They cannot be read.
    """
    known: set[str] = set()
    async for page in api.pages(
        "LegacyActivityType", {}, recorder, doing="read the activity types (LegacyActivityType)"
    ):
        for row in page.rows:
            name = unwrap(member(row, "ActivityTypeId")) or lookup(properties_of(row), "ActivityTypeId")
            known.add(str(name or "").strip().casefold())
    return known


def how_to_add(name: str) -> str:
    """What to click for a new type."""
    return f"In iMIS, go to {WHERE}, select Add new activity type, and enter {name} as its Type."


async def missing_types(
    api: Api, templates: Mapping[str, Mapping[str, Any]], leaves: Mapping[str, Leaf], recorder: Recorder
) -> list[str]:
    """
    A sentence for each type that templates name and the site does not have, with its path.

    A missing type may be added later, so it is a warning. Types that depend on the event are not checked.

    Args:
        api: Sends the requests.
        templates: By category.
        leaves: What static analysis knows of leaves with Liquid, by place.
        recorder: Records the exchanges.
    """
    named = list(_named_types(templates, leaves))
    if not named:
        return []
    try:
        known = await configured(api, recorder)
    except Failed as failed:
        names = ", ".join(dict.fromkeys(name for _, name in named))
        why = f"{failed.outcome.message} {WHERE} in iMIS shows them."
        return [f"The hub could not find out whether the activity type {names} is configured. {why}"]
    return [
        f"Templates.{place}: There is no activity type {name} now, and iMIS refuses records of it. {how_to_add(name)}"
        for place, name in named
        if name.casefold() not in known
    ]


def _named_types(templates: Mapping[str, Mapping[str, Any]], leaves: Mapping[str, Leaf]) -> Iterator[tuple[str, str]]:
    """The types that do not depend on the event, with their paths."""
    for category, template in templates.items():
        for key, value in template.items():
            place = place_in(place_in("", category)[1:], key)
            if column_of(key) == "ACTIVITY_TYPE" and (name := _name_in(value, place, leaves)):
                yield place, name


def _name_in(value: Any, place: str, leaves: Mapping[str, Leaf]) -> str | None:
    if isinstance(value, Mapping):
        return _name_in(value.get(OMIT), place_in(place, OMIT), leaves)
    if isinstance(value, str) and has_liquid(value):
        leaf = leaves.get(place)
        value = read_json(leaf.constant) if leaf is not None and leaf.constant is not None else None
    return value.strip() or None if isinstance(value, str) else None
