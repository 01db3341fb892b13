"""
The site's own query that finds contacts, which `ParticipantLookup` names, and the prompt that it must take.

Source: iMIS reference, section 11. What iMIS makes of a prompt that a query does not have is not confirmed: it may
refuse the request, or pass the prompt over and give every row there is. So a row that does not show whom it was asked
for is believed only where the query gives none for somebody who is not there.
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

Row = dict[str, Any]

# No site has these: the domain is nobody's, no contact has come that far, and this is what no GUID is.
NOBODY = "learning-hub-check@example.org"
_NO_NUMBER = "2147483646"
_NO_GUID = "00000000-0000-0000-0000-000000000000"
NOBODIES = (NOBODY, _NO_NUMBER, _NO_GUID)
"""Who is at no site, in each form that a prompt may take."""

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# Words that iMIS takes for a way to compare where a value begins with them (section 5.2); in small letters.
_OPERATORS = {
    "eq", "==", "ne", "!=", "gt", ">", "ge", ">=", "lt", "<", "le", "<=", "between", "in", "notin", "!in", "startswith",
    "endswith", "contains", "notcontain", "!contain", "isempty", "empty", "notempty", "!empty", "istrue", "true",
    "isfalse", "false",
}  # fmt: skip


async def find_rows(api: Api, way: QueryLookup, wanted: str, recorder: Recorder) -> list[Row]:
    """
    The query's rows for *wanted*, by column.

    Raises:
        Failed: It cannot be run so, or gives rows whoever it is asked for.
    """
    entity, asked = "query", named_prompt
    pages = _pages(api, way, entity, asked(way, wanted), recorder)
    try:
        page = await anext(pages, None)
    except Failed as failed:
        if not _may_be_older(failed):
            raise
        # Sites before 20.3.77 know only the older way, in which prompts go by their order.
        entity, asked = "IQA", first_prompt
        pages = _pages(api, way, entity, asked(way, wanted), recorder)
        page = await anext(pages, None)
    rows: list[Row] = []
    is_believed = False
    while page is not None:
        if entity == "IQA" and any(_shows_another(row, way, wanted) for row in page):
            raise Failed(_first_is_another(way))
        if not is_believed and not all(_shows(row, way, wanted) for row in page):
            # Before the next page: a query that gives all there is may have a great many.
            nobody = _nobody_like(wanted)
            if await _gives_rows(api, way, entity, asked(way, nobody), recorder):
                raise Failed(_passed_over(way, nobody))
            is_believed = True
        rows += page
        page = await anext(pages, None)
    return rows


def named_prompt(way: QueryLookup, wanted: str) -> dict[str, str]:
    """What `/api/query` is asked: prompts go by their name, and bare as other clients send them."""
    is_like_operator = wanted.partition(":")[0].casefold() in _OPERATORS
    return {"QueryName": way.query, way.prompt: f"eq:{wanted}" if is_like_operator else wanted}


def first_prompt(way: QueryLookup, wanted: str) -> dict[str, str]:
    """What `/api/IQA` is asked: prompts go by their order."""
    return {"QueryName": way.query, "parameter": f"eq:{wanted}"}


def open_filters(way: QueryLookup) -> str:
    """What to do where the query does not take the prompt."""
    return (
        f"In iMIS, go to RiSE > Intelligent Query Architect, open {way.query}, and on its Filters tab let it prompt "
        f"for {way.prompt}, by this very name. Or name what it prompts for as Prompt of ParticipantLookup in the "
        "subscriber's Settings."
    )


def _may_be_older(failed: Failed) -> bool:
    """
    Whether the site may be one that knows only the older way.

    One that found fault with the prompt is not: its first prompt may be a different one, and find somebody else.
    """
    return failed.is_refusal and not failed.blames_question


async def _pages(
    api: Api, way: QueryLookup, entity: str, asked: Mapping[str, str], recorder: Recorder
) -> AsyncIterator[list[Row]]:
    advice = (
        f"Check that the query of ParticipantLookup in the subscriber's Settings is there, prompts for {way.prompt}, "
        "and that the account may run it."
    )
    async for page in api.pages(entity, asked, recorder, doing=f"run the query {way.query}", advice=advice):
        if entity == "IQA":
            yield [properties_of(row) for row in page.rows]
        else:
            yield [{name: unwrap(value) for name, value in row.items() if name[:1] != "$"} for row in page.rows]


async def _gives_rows(api: Api, way: QueryLookup, entity: str, asked: Mapping[str, str], recorder: Recorder) -> bool:
    doing = f"try the query {way.query} with somebody who is not there"
    try:
        async for page in api.pages(entity, asked, recorder, doing=doing, rows=1):
            return bool(page.rows)
    except Failed as failed:
        # Whoever finds fault with the value has looked at it.
        if not failed.blames_question:
            raise
    return False


def _shows(row: Row, way: QueryLookup, wanted: str) -> bool:
    """Whether the row itself says that it is about *wanted*, in a column named as the prompt is."""
    shown = lookup(row, way.prompt)
    return shown is not None and str(shown).strip().casefold() == wanted.casefold()


def _shows_another(row: Row, way: QueryLookup, wanted: str) -> bool:
    return lookup(row, way.prompt) not in (None, "") and not _shows(row, way, wanted)


def _nobody_like(wanted: str) -> str:
    """Somebody who is not there, in the form of *wanted*, since a column may hold numbers or GUIDs alone."""
    if _GUID.fullmatch(wanted):
        return _NO_GUID
    return _NO_NUMBER if wanted.isdecimal() else NOBODY


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
