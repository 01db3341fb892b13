"""
The targets of a site, and the fields of a target; the site is asked on each call.

Source: iMIS reference, sections 7.3, 8 and 9. Panel sources are described by their definitions; activities, and sources
that the account may not read, are described as far as the site allows.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from learning_hub.connectors.base import Recorder
from learning_hub.connectors.discovery import Field, Fields, NoTarget, Target, Targets
from learning_hub.connectors.imis import activity, panel
from learning_hub.connectors.imis.api import Api, open_source
from learning_hub.connectors.imis.column import Column, type_name_of
from learning_hub.connectors.imis.panel_names import own_fault
from learning_hub.connectors.imis.responses import Failed
from learning_hub.connectors.imis.source_definition import DEFINITIONS, describe, described_in
from learning_hub.connectors.imis.wire import Json, member, properties_of, unwrap
from learning_hub.connectors.outcomes import Refused

Instances = Literal["single", "multi"]
FilledBy = Literal["hub", "imis"]

ACTIVITY = Target(name=activity.ENTITY, kind="activity", instances="multi", description="Activities of contacts")
_INSTANCES: dict[str, Instances] = {"single": "single", "multi": "multi"}
_CONTACT = "Party"
# Lengths from the help of iMIS; those of the other texts are not confirmed.
_ACTIVITY_LENGTHS = {"DESCRIPTION": 255, "NOTE": 32_000}


class SiteDiscovery:
    """Sends requests with *api*; *key_property* is the column of activities for the record key."""

    def __init__(self, api: Api, key_property: str) -> None:
        self._api = api
        self._key_property = key_property

    async def targets(self, recorder: Recorder) -> Targets:
        """
        Activities and the panel sources of contacts, by name.

        Raises:
            Failed: The site is away, or the sign-in was refused.
        """
        found, warnings = [ACTIVITY], []
        try:
            async for page in self._api.pages(
                DEFINITIONS, {}, recorder, doing="list the panel sources (BOEntityDefinition)"
            ):
                found += [target for row in page.rows if (target := _panel_in(row))]
        except Failed as failed:
            warnings.append(
                f"{_need_refusal(failed).message} A panel source whose name you know can be used all the same."
            )
        named = {target.name.casefold(): target for target in found}
        return Targets(items=[named[name] for name in sorted(named)], warnings=warnings)

    async def fields(self, name: str, recorder: Recorder) -> Fields | NoTarget:
        """
        The columns of activities or of the panel source *name*, which may be in any case.

        Raises:
            Failed: The site is away, the sign-in was refused, or the account may not read the source.
        """
        if name.casefold() == activity.ENTITY.casefold():
            return await self._fields_of_activities(recorder)
        if fault := own_fault(name):
            return NoTarget(f"{name} {fault}.")
        described = await describe(self._api, name, recorder)
        definition = described.document
        if definition is None:
            return await self._fields_of_rows(name, described.refusal, recorder)
        target = _panel_in(definition, is_metadata=member(definition, "ObjectTypeName") is None)
        if target is None:
            return NoTarget(f"{name} is no panel source of contacts, so no records can be stored there.")
        items = [read_field(one, panel.filled_by(str(member(one, "Name")))) for one in described_in(definition)]
        if target.instances is None:
            has_ordinal = any(item.name.casefold() == "ordinal" for item in items)
            target = msgspec.structs.replace(target, instances="multi" if has_ordinal else "single")
        is_readable, warnings = await self._try_rows(target.name, recorder)
        return Fields(target=target, items=items, rows_readable=is_readable, warnings=warnings)

    async def _fields_of_activities(self, recorder: Recorder) -> Fields:
        definition = (await describe(self._api, activity.ENTITY, recorder)).document
        if definition is not None:
            items = [self._activity_field(one) for one in described_in(definition)]
            return Fields(target=ACTIVITY, items=items)
        warning = (
            "iMIS does not describe its activities to this account. The columns are those of common installations; "
            "most of their lengths are not known."
        )
        return Fields(target=ACTIVITY, items=_usual_activity_fields(self._key_property), warnings=[warning])

    def _activity_field(self, described: Json) -> Field:
        name = str(member(described, "Name"))
        field = read_field(described, activity.filled_by(name, self._key_property))
        return msgspec.structs.replace(field, label=activity.label_of(name.upper()))

    async def _fields_of_rows(self, name: str, refusal: Failed | None, recorder: Recorder) -> Fields | NoTarget:
        """The names of the columns in one of the rows, where the site describes no columns."""
        try:
            row = await self._first_row(name, recorder)
        except Failed as failed:
            _need_refusal(failed)
            if refusal is not None:
                raise refusal from failed
            return NoTarget(f"iMIS has no panel source {name} that the hub can see. {open_source(name)}")
        spelled = str(member(row, "EntityTypeName") or name)
        names = list(properties_of(row))
        instances: Instances | None = "multi" if any(column.casefold() == "ordinal" for column in names) else None
        warning = f"iMIS does not describe {spelled} to this account. " + (
            "The names of the columns are those of one of its rows; their types and lengths are not known."
            if names
            else "It has no rows either, so its columns are not known."
        )
        return Fields(
            target=Target(name=spelled, kind="panel", instances=instances),
            items=[_field(column, None, panel.filled_by(column)) for column in names],
            rows_readable=True,
            warnings=[warning],
        )

    async def _try_rows(self, name: str, recorder: Recorder) -> tuple[bool | None, list[str]]:
        """Whether rows can be read; each source has its own box that makes them available (section 8.2)."""
        try:
            await self._first_row(name, recorder)
        except Failed as failed:
            if isinstance(failed.outcome, Refused) and failed.outcome.code == "refused":
                return False, [failed.outcome.message]
            return None, []
        return True, []

    async def _first_row(self, name: str, recorder: Recorder) -> Json:
        """One of the rows, empty where the source has none."""
        return await self._api.first(name, recorder, doing=f"read rows of {name}", advice=open_source(name)) or {}


def read_field(described: Json, filled_by: FilledBy | None) -> Field:
    """A column as a definition of its source describes it; *filled_by* says who fills it."""
    is_identity = unwrap(member(described, "IsIdentity")) is True
    is_contact = unwrap(member(described, "IsPrimaryParentIdentity")) is True
    by = filled_by or ("hub" if is_contact else "imis" if is_identity else None)
    length = unwrap(member(described, "MaxLength"))
    default = unwrap(member(described, "DefaultValue"))
    field = _field(str(member(described, "Name")), type_name_of(described) or None, by)
    return msgspec.structs.replace(
        field,
        length=length if isinstance(length, int) and length > 0 else None,
        required=unwrap(member(described, "Required")) is True,
        default=str(default) if isinstance(default, str | int) and default != "" else None,
        caption=_text(described, "Caption"),
        description=_text(described, "Description"),
    )


def _field(name: str, type_name: str | None, filled_by: FilledBy | None) -> Field:
    return Field(name=name, type=type_name, read_only=filled_by is not None, filled_by=filled_by)


def _usual_activity_fields(key_property: str) -> list[Field]:
    """The columns of common installations, for sites that do not describe theirs."""
    columns = {"PartyId": Column("String"), "SEQN": Column("Integer"), **activity.COLUMNS}
    return [
        msgspec.structs.replace(
            _field(name, column.kind, activity.filled_by(name, key_property)),
            label=activity.label_of(name),
            length=_ACTIVITY_LENGTHS.get(name),
            required=name in ("PartyId", "ACTIVITY_TYPE"),
        )
        for name, column in columns.items()
    ]


def _panel_in(definition: Json, *, is_metadata: bool = False) -> Target | None:
    """The panel source of contacts that a definition describes; None where it describes something else."""
    name, parent = member(definition, "EntityTypeName"), member(definition, "PrimaryParentEntityTypeName")
    instances = _INSTANCES.get(str(member(definition, "ObjectTypeName")).casefold())
    if not name or (parent or _CONTACT) != _CONTACT or (instances is None and not is_metadata):
        return None
    return Target(name=str(name), kind="panel", instances=instances, description=_text(definition, "Description"))


def _text(described: Json, name: str) -> str | None:
    value = unwrap(member(described, name))
    return value if isinstance(value, str) and value else None


def _need_refusal(failed: Failed) -> Refused:
    """The refusal of this request only; any other failure is raised."""
    if failed.is_refusal and isinstance(failed.outcome, Refused):
        return failed.outcome
    raise failed
