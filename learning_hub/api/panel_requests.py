"""What is asked for when a panel source is to be made: the body, read and found right."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from learning_hub.api.call import Call
from learning_hub.api.panel_subscriptions import need_fitting
from learning_hub.api.paths import ID_RULE
from learning_hub.api.saving import program_faults
from learning_hub.connectors.discovery import Blueprint
from learning_hub.connectors.registry import KINDS
from learning_hub.model.errors import FieldError, InvalidFields
from learning_hub.model.fields import collect, not_told
from learning_hub.model.ids import is_id
from learning_hub.model.panel import (
    LONGEST_NAME,
    MOST_FIELDS,
    RECORD_KEY,
    PanelField,
    is_key,
    read_fields,
)
from learning_hub.model.subscriber import Subscriber
from learning_hub.settings import PREFIX
from learning_hub.store import audit


class PanelBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Which panel source is to be there, and with which fields."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=LONGEST_NAME,
            description="Begins with the hub's prefix, `lh_` unless set, and goes on after it; one that the hub made "
            "under an earlier prefix keeps its name.",
        ),
    ]
    fields: (
        Annotated[
            Raw,
            Meta(
                description="`basic`, or a list of fields: each a name, which is a text of 400, or an object. The "
                "field for the record key is always added.",
                extra_json_schema={
                    "anyOf": [
                        {"const": "basic"},
                        {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": MOST_FIELDS,
                            "items": {
                                "anyOf": [
                                    {"type": "string"},
                                    {
                                        "type": "object",
                                        "required": ["Name"],
                                        "additionalProperties": False,
                                        "properties": {
                                            "Name": {"type": "string"},
                                            "Type": {"enum": ["text", "integer", "decimal", "date", "boolean"]},
                                            "Length": {"type": "integer"},
                                        },
                                    },
                                ]
                            },
                        },
                    ]
                },
            ),
        ]
        | None
    ) = None
    program_id: (
        Annotated[str, Meta(description="Make the subscription at once, stopped, for events of this Program.")] | None
    ) = None
    subscription_id: (
        Annotated[
            str,
            Meta(description="Of that subscription; left out, one like the panel's name, unless one fills it already."),
        ]
        | None
    ) = None
    read_only: Annotated[
        bool,
        Meta(description="Flag the fields that are added as read only, where iMIS can: for people, not for the hub."),
    ] = True


class WantedPanel(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks for, found right; a subscription is made where there is a *program_id*."""

    blueprint: Blueprint
    named: frozenset[str]
    program_id: str | None
    subscription_id: str | None


async def read_wanted(call: Call, subscriber: Subscriber) -> WantedPanel:
    """
    What the body asks for.

    Raises:
        InvalidFields: With every bad field.
        Conflict: The subscription that it names belongs to others.
    """
    sent = await call.fields()
    values, errors = collect(sent, PanelBody)
    fields, faults = read_fields(bytes(sent.get("Fields", b'"basic"')))
    errors += not_told(faults, errors)
    bad = {error.field for error in errors}
    name = values.get("name", "")
    named = KINDS[subscriber.connector].check_panel(name, fields)
    errors += [error for error in named if error.field not in bad]
    if "Name" not in bad and (fault := await _prefix_fault(call, subscriber, name)):
        errors.append(fault)
    program_id, subscription_id = values.get("program_id"), values.get("subscription_id")
    if program_id is not None:
        errors += await program_faults(call, program_id)
    elif subscription_id is not None:
        errors.append(FieldError("ProgramId", "is required, so that the subscription can be made"))
    if values.get("subscription_id") is not None and not is_id(values["subscription_id"]):
        errors.append(FieldError("SubscriptionId", ID_RULE))
    if errors:
        raise InvalidFields(errors)
    if program_id is not None and subscription_id is not None:
        await need_fitting(call, subscriber, program_id, subscription_id)
    return WantedPanel(
        blueprint=Blueprint(
            name=name,
            description="Filled by the Learning Hub.",
            fields=_with_key(fields.values()),
            is_read_only=values.get("read_only", True),
        ),
        named=frozenset(field.name.casefold() for field in fields.values()),
        program_id=program_id,
        subscription_id=subscription_id,
    )


def _with_key(fields: Any) -> tuple[PanelField, ...]:
    """*fields* with the one for the record key in front, as long as it was asked for."""
    key, others = RECORD_KEY, []
    for field in fields:
        if not is_key(field):
            others.append(field)
        elif field.length:
            key = field
    return (key, *others)


async def _prefix_fault(call: Call, subscriber: Subscriber, name: str) -> FieldError | None:
    """Why the hub makes no panel of this name; one that it made itself may go by an earlier setting."""
    prefix = call.hub.settings.panel_prefix
    if name == prefix:
        return FieldError("Name", f"must go on after {prefix}, as in {prefix}completions")
    if name.startswith(prefix) or await audit.was_made(
        call.hub.database, "panel", audit_id(subscriber.subscriber_id, name)
    ):
        return None
    return FieldError("Name", f"must begin with {prefix}, as the operator's setting {PREFIX}PANEL_PREFIX has it")


def audit_id(subscriber_id: str, panel: str) -> str:
    """What the audit log calls a panel."""
    return f"{subscriber_id}/{panel}"
