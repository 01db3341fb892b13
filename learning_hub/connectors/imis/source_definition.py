"""
The columns of a panel source, as the site describes them, cached for a while.

Some versions of iMIS silently ignore an unknown column, so the hub reads the columns before it writes.

Source: iMIS reference, section 9.
"""

from __future__ import annotations

import time

import msgspec

from learning_hub.connectors.base import Recorder
from learning_hub.connectors.imis.activity import ENTITY as ACTIVITIES
from learning_hub.connectors.imis.api import Api
from learning_hub.connectors.imis.column import Column, read_column
from learning_hub.connectors.imis.responses import Failed
from learning_hub.connectors.imis.wire import Json, member, values_of

DEFINITIONS = "BOEntityDefinition"
CACHE_SECONDS = 600


class Definitions:
    """Sends requests with *api*, and caches the definitions."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._cached: dict[str, tuple[float, dict[str, Column] | None]] = {}

    async def columns(self, panel: str, recorder: Recorder, *, needed: set[str]) -> dict[str, Column] | None:
        """
        The columns by name, None where the site does not list them.

        A cached definition that lacks one of the columns *needed* is read again, since the column may have been added.

        Raises:
            Failed: The site is away, or the sign-in was refused.
        """
        at, columns = self._cached.get(panel, (0.0, None))
        is_known = panel in self._cached and time.monotonic() - at < CACHE_SECONDS
        if not is_known or (columns is not None and _lacks(columns, needed)):
            columns = await self._ask(panel, recorder)
            self._cached[panel] = (time.monotonic(), columns)
        return columns

    async def _ask(self, panel: str, recorder: Recorder) -> dict[str, Column] | None:
        # Some accounts may not read definitions, and some sites serve none; rows can be written nevertheless.
        columns = (await describe(self._api, panel, recorder)).columns
        return None if columns is None else {name: read_column(one) for name, one in columns.items()}


class Described(msgspec.Struct, frozen=True):
    """
    A source as the site describes it.

    *document* is its definition, or else its metadata, None where neither lists columns. *is_absent* says that the site
    serves definitions and has none of this name; *refusal* says why the definition could not be read.
    """

    document: Json | None
    is_absent: bool = False
    refusal: Failed | None = None

    @property
    def columns(self) -> dict[str, Json] | None:
        """The descriptions of its columns by name, None where the site does not list them."""
        return None if self.document is None else {str(member(one, "Name")): one for one in described_in(self.document)}


async def describe(api: Api, name: str, recorder: Recorder) -> Described:
    """
    The site's description of a source: its definition, or else its metadata (section 9.1).

    Raises:
        Failed: The site is away, or the sign-in was refused.
    """
    is_absent, refusal = False, None
    for entity in (DEFINITIONS, "metadata"):
        try:
            document = await api.get(entity, name, recorder, doing=reading_fields(name, entity))
        except Failed as failed:
            if not failed.is_refusal:
                raise
            refusal = refusal or (failed if entity == DEFINITIONS else None)
            continue
        if document is not None and described_in(document):
            return Described(document)
        is_absent = is_absent or (document is None and entity == DEFINITIONS)
    return Described(None, is_absent, refusal)


def reading_fields(source: str, entity: str = DEFINITIONS) -> str:
    """What the hub does when it reads the description of a source, for sentences, with the name of the entity."""
    what = "activities" if source == ACTIVITIES else f"the panel {source}"
    return f"read the fields of {what} ({entity})"


def described_in(definition: Json) -> list[Json]:
    """The descriptions of columns in the definition of a source; those without a name are left out."""
    described = values_of(member(definition, "Properties"))
    return [one for one in described if isinstance(one, dict) and member(one, "Name")]


def _lacks(columns: dict[str, Column], needed: set[str]) -> bool:
    return not {name.casefold() for name in needed} <= {name.casefold() for name in columns}
