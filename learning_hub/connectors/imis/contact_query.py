"""
The query of the site that finds contacts, which `ParticipantLookup` names, and the prompt that it must use.

Source: iMIS reference, section 11. It is not confirmed what iMIS does with a prompt that a query does not have: it may
refuse the request, or ignore the prompt and return all rows. So a row that does not show whom the hub asked for is
trusted only where the query returns no row for somebody who does not exist.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from learning_hub.connectors.base import Recorder
from learning_hub.connectors.imis.api import Api
from learning_hub.connectors.imis.responses import Failed
from learning_hub.connectors.imis.settings import QueryLookup
from learning_hub.connectors.imis.wire import lookup, properties_of, unwrap
from learning_hub.connectors.outcomes import Refused
from learning_hub.model.participant_id import is_same_participant

Row = dict[str, Any]

# No site has these: the domain belongs to nobody, no contact has such a number, and the GUID is the empty one.
NOBODY = "learning-hub-check@example.org"
_NO_NUMBER = "2147483646"
_NO_GUID = "00000000-0000-0000-0000-000000000000"
NOBODIES = (NOBODY, _NO_NUMBER, _NO_GUID)
"""Somebody who exists at no site, in each form that a prompt may have."""

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# Words that iMIS reads as a comparison operator where a value begins with them (section 5.2); in lower case.
_OPERATORS = {
    "eq", "==", "ne", "!=", "gt", ">", "ge", ">=", "lt", "<", "le", "<=", "between", "in", "notin", "!in", "startswith",
    "endswith", "contains", "notcontain", "!contain", "isempty", "empty", "notempty", "!empty", "istrue", "true",
    "isfalse", "false",
}  # fmt: skip


async def find_rows(api: Api, way: QueryLookup, value: str, recorder: Recorder) -> list[Row]:
    """
    The query's rows for *value*, by column.

    Raises:
        Failed: The query cannot be run, or returns rows for anybody.
    """
    entity, parameters = "query", named_prompt
    pages = _pages(api, way, entity, parameters(way, value), recorder)
    try:
        page = await anext(pages, None)
    except Failed as failed:
        if not _may_be_older(failed):
            raise
        # Sites before 20.3.77 know only the older way, in which prompts go by their order.
        entity, parameters = "IQA", first_prompt
        pages = _pages(api, way, entity, parameters(way, value), recorder)
        page = await anext(pages, None)
    rows: list[Row] = []
    is_trusted = False
    while page is not None:
        if entity == "IQA" and any(_shows_another(row, way, value) for row in page):
            raise Failed(_first_is_another(way))
        if not is_trusted and not all(_shows(row, way, value) for row in page):
            # This comes before the next page: a query that returns everything may have very many pages.
            nobody = _nobody_like(value)
            if await _gives_rows(api, way, entity, parameters(way, nobody), recorder):
                raise Failed(_passed_over(way, nobody))
            is_trusted = True
        rows += page
        page = await anext(pages, None)
    return rows


def named_prompt(way: QueryLookup, value: str) -> dict[str, str]:
    """The parameters of `/api/query`: prompts by name, with plain values as other clients send them."""
    is_like_operator = value.partition(":")[0].casefold() in _OPERATORS
    return {"QueryName": way.query, way.prompt: f"eq:{value}" if is_like_operator else value}


def first_prompt(way: QueryLookup, value: str) -> dict[str, str]:
    """The parameters of `/api/IQA`: prompts by their order."""
    return {"QueryName": way.query, "parameter": f"eq:{value}"}


def open_filters(way: QueryLookup) -> str:
    """What to do where the query does not use the prompt."""
    return (
        f"In iMIS, go to RiSE > Intelligent Query Architect, open {way.query}, and on its Filters tab let it prompt "
        f"for {way.prompt}, by this very name. Or name what it prompts for as Prompt of ParticipantLookup in the "
        "subscriber's Settings."
    )


def _may_be_older(failed: Failed) -> bool:
    """
    Whether the site may know only the older way.

    A site that refused because of the prompt does not: its first prompt may be another one, and find somebody else.
    """
    return failed.is_refusal and not failed.blames_question


async def _pages(
    api: Api, way: QueryLookup, entity: str, parameters: Mapping[str, str], recorder: Recorder
) -> AsyncIterator[list[Row]]:
    advice = (
        f"Check that the query of ParticipantLookup in the subscriber's Settings is there, prompts for {way.prompt}, "
        "and that the account may run it."
    )
    async for page in api.pages(entity, parameters, recorder, doing=f"run the query {way.query}", advice=advice):
        if entity == "IQA":
            yield [properties_of(row) for row in page.rows]
        else:
            yield [{name: unwrap(value) for name, value in row.items() if name[:1] != "$"} for row in page.rows]


async def _gives_rows(
    api: Api, way: QueryLookup, entity: str, parameters: Mapping[str, str], recorder: Recorder
) -> bool:
    doing = f"try the query {way.query} with somebody who does not exist"
    try:
        async for page in api.pages(entity, parameters, recorder, doing=doing, rows=1):
            return bool(page.rows)
    except Failed as failed:
        # A site that refuses because of the value has used it.
        if not failed.blames_question:
            raise
    return False


def _shows(row: Row, way: QueryLookup, value: str) -> bool:
    """Whether the row shows that it is about *value*, in a column that has the name of the prompt."""
    shown = lookup(row, way.prompt)
    return shown is not None and is_same_participant(str(shown), value)


def _shows_another(row: Row, way: QueryLookup, value: str) -> bool:
    return lookup(row, way.prompt) not in (None, "") and not _shows(row, way, value)


def _nobody_like(value: str) -> str:
    """Somebody who does not exist, in the form of *value*, since a column may hold only numbers or only GUIDs."""
    if _GUID.fullmatch(value):
        return _NO_GUID
    return _NO_NUMBER if value.isdecimal() else NOBODY


def _first_is_another(way: QueryLookup) -> Refused:
    return Refused(
        code="refused",
        message=f"The query {way.query} of ParticipantLookup, run the older way, gives rows with another {way.prompt} "
        "than it was asked for: what it prompts for first is something else. In iMIS, go to RiSE > Intelligent Query "
        f"Architect, open {way.query}, and on its Filters tab let it prompt for {way.prompt} first.",
    )


def _passed_over(way: QueryLookup, nobody: str) -> Refused:
    return Refused(
        code="refused",
        message=f"The query {way.query} of ParticipantLookup took no prompt {way.prompt}: it gives rows also for "
        f"{nobody}, who is not there, so it cannot tell who anybody is. {open_filters(way)}",
    )
