"""
Creating a panel source at an iMIS site, or adding fields to it, exactly once, whatever the outcome of a request.

How a site handles a definition is not confirmed, so the hub reads the definition after each write, and relies only on
what it reads. The site refuses a second definition of the same name. After an unknown outcome the hub therefore reads
the definition, and writes it again if it is missing.

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
# Waits between polls, as iMIS may accept a definition first and create it later (section 9.3 lists the status 202).
POLL_SECONDS = (0.5, 1, 2)


async def build(api: Api, blueprint: Blueprint, recorder: Recorder) -> Built | Clash:
    """
    Create or extend the source of the blueprint; returns the source as the site then has it.

    Raises:
        Failed: The source was not built, or that is not known; calling again is safe.
    """
    return await _Builder(api, blueprint, recorder).build()


class _Builder:
    def __init__(self, api: Api, blueprint: Blueprint, recorder: Recorder) -> None:
        self._api = api
        self._blueprint = blueprint
        self._recorder = recorder

    async def build(self) -> Built | Clash:
        before = current = await self._read()
        was_made = was_in_doubt = False
        failed: Failed | None = None
        for _ in range(MOST_WRITES):
            if current is not None and (findings := clashes(current, self._blueprint)):
                name = name_of(current, self._blueprint)
                return Clash(f"There is a {name} at iMIS already: {'; '.join(findings)}. {_CHOOSE}")
            if not self._is_incomplete(current):
                break
            failed = await self._write(current)
            latest = await self._read(awaited=failed is None)
            if current is None and latest is not None:
                # A source that appears after a refusal was created by another client.
                was_made = was_in_doubt or not _is_refused(failed)
                before = None if was_made else latest
            was_in_doubt = was_in_doubt or _is_in_doubt(failed)
            is_changed, current = latest != current, latest
            if failed is None:
                break
            if not is_changed and not _is_in_doubt(failed):
                raise failed
        if failed is not None and self._is_incomplete(current):
            raise failed
        if current is None:
            raise Failed(self._not_shown())
        return await self._built(current, None if was_made or before is None else fields_of(before))

    def _is_incomplete(self, current: Json | None) -> bool:
        return current is None or bool(lacking(current, self._blueprint))

    async def _built(self, current: Json, before: list[PanelField] | None) -> Built:
        name, fields = name_of(current, self._blueprint), fields_of(current)
        rows_readable, words = await self._try_rows(name)
        return Built(
            name=name,
            fields=fields,
            before=before,
            lacks=lacking(current, self._blueprint).names,
            rows_readable=rows_readable,
            findings=[_changes(name, fields, before), *self._missing_changes(current, before), words],
        )

    def _missing_changes(self, current: Json, before: list[PanelField] | None) -> list[str]:
        lack, findings = lacking(current, self._blueprint), []
        if lack.add:
            findings.append(
                f"iMIS accepted the definition and did not add {described(lack.add)}. Add this by hand in RiSE > Panel "
                "Designer, or ask again."
            )
        if lack.widen:
            widths = ", ".join(f"{field.name} to {field.length}" for field in lack.widen)
            findings.append(f"iMIS accepted the definition and did not widen {widths}; longer texts are cut.")
        had = {field.name.casefold() for field in before or []}
        added = [field.name for field in fields_of(current) if field.name.casefold() not in had]
        named = {field.name.casefold() for field in self._blueprint.fields}
        if self._blueprint.is_read_only and (
            loose := not_read_only(current, [name for name in added if name.casefold() in named])
        ):
            findings.append(
                f"iMIS did not keep the flag Read Only of {', '.join(loose)}. Set it where they are placed on a panel, "
                "so that nobody changes by hand what the hub keeps."
            )
        return findings

    async def _read(self, *, awaited: bool = False) -> Json | None:
        """The present definition; with *awaited*, the hub polls for it a few times."""
        for seconds in (*(POLL_SECONDS if awaited else ()), None):
            name = self._blueprint.name
            current = await self._api.get(DEFINITIONS, name, self._recorder, doing=reading_fields(name))
            if current is not None or seconds is None:
                return current
            await asyncio.sleep(seconds)
        raise AssertionError

    async def _write(self, current: Json | None) -> Failed | None:
        if current is not None:
            return await self._submit(extended(current, self._blueprint), name_of(current, self._blueprint))
        failed = await self._submit(new_definition(self._blueprint, with_keys=True), None)
        if _is_refused(failed) and await self._read() is None:
            # It is not confirmed whether a definition must or must not have its key columns.
            without = await self._submit(new_definition(self._blueprint, with_keys=False), None)
            return failed if _is_refused(without) else without
        return failed

    async def _submit(self, definition: Json, record_id: str | None) -> Failed | None:
        """Write a definition; returns the failure, or None if it succeeded."""
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
        message = (
            f"iMIS accepted the definition of {self._blueprint.name}, but does not have it yet. Ask again in a while."
        )
        return Unknown(code="outcome_unknown", message=message, subscriber_is_away=False)

    async def _try_rows(self, name: str) -> tuple[bool | None, str]:
        """Whether rows can be read over REST, and a sentence that says so, with instructions."""
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


def _changes(name: str, fields: list[PanelField], before: list[PanelField] | None) -> str:
    if before is None:
        return f"The panel source {name} was made, with {len(fields)} fields."
    had = {field.name.casefold(): field for field in before}
    added = [field for field in fields if field.name.casefold() not in had]
    widened = [
        f"{field.name} to {field.length}"
        for field in fields
        if (old := had.get(field.name.casefold())) is not None and old.length != field.length
    ]
    changes = [f"added {described(added)}"] if added else []
    changes += [f"widened {', '.join(widened)}"] if widened else []
    if not changes:
        return f"The panel source {name} was there, and was left as it is."
    return f"The panel source {name} was there; iMIS {' and '.join(changes)}."


def _is_refused(failed: Failed | None) -> bool:
    return failed is not None and isinstance(failed.outcome, Refused) and failed.outcome.code == "refused"


def _is_in_doubt(failed: Failed | None) -> bool:
    """Whether the request may have been carried out nevertheless."""
    outcome = failed.outcome if failed else None
    return isinstance(outcome, Unknown) or (isinstance(outcome, Postponed) and outcome.in_doubt)
