"""
Making a panel source at a site, or adding fields to it, once, whatever becomes of an answer.

How a site takes a definition is not confirmed, so each write is followed by reading the definition: what counts is what
stands there. A definition that was made twice would be refused by its name, so an unknown outcome is simply looked
after, and written again where nothing came of it.

Source: iMIS reference, sections 8.2, 9.1 and 9.3.
"""

from __future__ import annotations

import asyncio

from learning_hub.connectors.base import Recorder
from learning_hub.connectors.building import Blueprint, Built, Clash
from learning_hub.connectors.imis.api import Api
from learning_hub.connectors.imis.panel_definition import (
    clashes,
    described,
    extended,
    fields_of,
    lacking,
    name_of,
    new_definition,
    not_read_only,
)
from learning_hub.connectors.imis.responses import Failed
from learning_hub.connectors.imis.source_definition import DEFINITIONS, reading_fields
from learning_hub.connectors.imis.wire import Json
from learning_hub.connectors.outcomes import Postponed, Refused, Unknown
from learning_hub.model.panel import PanelField, as_added

MOST_WRITES = 3
_CHOOSE = "Choose another name, or ask for what is there."
# iMIS may take a definition first and make it later (section 9.3 lists the status 202).
LOOK_AGAIN_SECONDS = (0.5, 1, 2)


async def build(api: Api, blueprint: Blueprint, recorder: Recorder) -> Built | Clash:
    """
    The source of the blueprint, made or extended, and what the site made of it.

    Raises:
        Failed: It could not be, or that is not known; asking again is safe.
    """
    return await _Builder(api, blueprint, recorder).build()


class _Builder:
    def __init__(self, api: Api, blueprint: Blueprint, recorder: Recorder) -> None:
        self._api = api
        self._blueprint = blueprint
        self._recorder = recorder

    async def build(self) -> Built | Clash:
        before = there = await self._read()
        was_made = was_in_doubt = False
        failed: Failed | None = None
        for _ in range(MOST_WRITES):
            if there is not None and (found := clashes(there, self._blueprint)):
                name = name_of(there, self._blueprint)
                return Clash(f"There is a {name} at iMIS already: {'; '.join(found)}. {_CHOOSE}")
            if not self._is_wanting(there):
                break
            failed = await self._write(there)
            existing = await self._read(awaited=failed is None)
            if there is None and existing is not None:
                # One that appears after a refusal is somebody else's.
                was_made = was_in_doubt or not _is_refused(failed)
                before = None if was_made else existing
            was_in_doubt = was_in_doubt or _is_in_doubt(failed)
            is_changed, there = existing != there, existing
            if failed is None:
                break
            if not is_changed and not _is_in_doubt(failed):
                raise failed
        if failed is not None and self._is_wanting(there):
            raise failed
        if there is None:
            raise Failed(self._not_shown())
        return await self._built(there, None if was_made or before is None else fields_of(before))

    def _is_wanting(self, there: Json | None) -> bool:
        return there is None or bool(lacking(there, self._blueprint))

    async def _built(self, there: Json, before: list[PanelField] | None) -> Built:
        name, fields = name_of(there, self._blueprint), fields_of(there)
        rows_readable, words = await self._try_rows(name)
        return Built(
            name=name,
            fields=fields,
            before=before,
            lacks=lacking(there, self._blueprint).names,
            rows_readable=rows_readable,
            findings=[_what_came(name, fields, before), *self._what_did_not_come(there, before), words],
        )

    def _what_did_not_come(self, there: Json, before: list[PanelField] | None) -> list[str]:
        lack, found = lacking(there, self._blueprint), []
        if lack.add:
            found.append(
                f"iMIS took the definition and did not add {described(lack.add)}. Add this by hand in RiSE > Panel "
                "Designer, or ask again."
            )
        if lack.widen:
            widths = ", ".join(f"{field.name} to {field.length}" for field in lack.widen)
            found.append(f"iMIS took the definition and did not widen {widths}; longer texts are cut.")
        had = {field.name.casefold() for field in before or []}
        added = [field.name for field in fields_of(there) if field.name.casefold() not in had]
        wanted = {field.name.casefold() for field in self._blueprint.fields}
        if self._blueprint.is_read_only and (
            loose := not_read_only(there, [name for name in added if name.casefold() in wanted])
        ):
            found.append(
                f"iMIS did not keep the flag Read Only of {', '.join(loose)}. Set it where they are placed on a panel, "
                "so that nobody changes by hand what the hub keeps."
            )
        return found

    async def _read(self, *, awaited: bool = False) -> Json | None:
        """The definition as it stands; where it is *awaited*, looked for a few times."""
        for seconds in (*(LOOK_AGAIN_SECONDS if awaited else ()), None):
            name = self._blueprint.name
            there = await self._api.get(DEFINITIONS, name, self._recorder, doing=reading_fields(name))
            if there is not None or seconds is None:
                return there
            await asyncio.sleep(seconds)
        raise AssertionError

    async def _write(self, there: Json | None) -> Failed | None:
        if there is not None:
            return await self._submit(extended(there, self._blueprint), name_of(there, self._blueprint))
        failed = await self._submit(new_definition(self._blueprint, with_keys=True), None)
        if _is_refused(failed) and await self._read() is None:
            # Whether a definition must have its keys, or must not, is not confirmed.
            without = await self._submit(new_definition(self._blueprint, with_keys=False), None)
            return failed if _is_refused(without) else without
        return failed

    async def _submit(self, definition: Json, record_id: str | None) -> Failed | None:
        """Write a definition; why it failed, None where it did not."""
        verb = "make" if record_id is None else "add fields to"
        try:
            await self._api.define(
                DEFINITIONS,
                definition,
                self._recorder,
                record_id=record_id,
                doing=f"{verb} the panel source {self._blueprint.name}",
                advice=self._by_hand(),
            )
        except Failed as failed:
            return failed
        return None

    def _by_hand(self) -> str:
        return (
            "The account must be one of staff that may define panel sources. Or make it by hand in RiSE > Panel "
            f"Designer: a multi-instance source of contacts, {self._blueprint.name}, with "
            f"{described(map(as_added, self._blueprint.fields))}; then ask again."
        )

    def _not_shown(self) -> Unknown:
        message = f"iMIS took the definition of {self._blueprint.name}, and does not have it yet. Ask again in a while."
        return Unknown(code="outcome_unknown", message=message, subscriber_is_away=False)

    async def _try_rows(self, name: str) -> tuple[bool | None, str]:
        """Whether rows can be read over REST, and that in words with what to click."""
        try:
            await self._api.first(name, self._recorder, doing=f"read rows of {name}", advice="")
        except Failed as failed:
            if isinstance(failed.outcome, Refused) and failed.outcome.code == "refused":
                return False, (
                    "Its rows cannot be read over REST yet. In iMIS, open RiSE > Panel Designer, edit the source "
                    f"{name}, and tick Available via the REST API on its Security tab. Where it is ticked, let the "
                    f"hub's account read, add, update and delete there. {failed.outcome.message}"
                )
            return None, f"Whether its rows can be read over REST is not known. {failed.message}"
        return True, "Its rows can be read over REST: nothing is to be done in iMIS."


def _what_came(name: str, fields: list[PanelField], before: list[PanelField] | None) -> str:
    if before is None:
        return f"The panel source {name} was made, with {len(fields)} fields."
    had = {field.name.casefold(): field for field in before}
    added = [field for field in fields if field.name.casefold() not in had]
    widened = [
        f"{field.name} to {field.length}"
        for field in fields
        if (old := had.get(field.name.casefold())) is not None and old.length != field.length
    ]
    told = [f"added {described(added)}"] if added else []
    told += [f"widened {', '.join(widened)}"] if widened else []
    if not told:
        return f"The panel source {name} was there, and was left as it is."
    return f"The panel source {name} was there; iMIS {' and '.join(told)}."


def _is_refused(failed: Failed | None) -> bool:
    return failed is not None and isinstance(failed.outcome, Refused) and failed.outcome.code == "refused"


def _is_in_doubt(failed: Failed | None) -> bool:
    """Whether the request may have been carried out all the same."""
    outcome = failed.outcome if failed else None
    return isinstance(outcome, Unknown) or (isinstance(outcome, Postponed) and outcome.in_doubt)
