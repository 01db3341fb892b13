"""The specification of a panel source: the body of a request, read and validated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from learning_hub.connectors.building import Blueprint
from learning_hub.connectors.kinds import KINDS
from learning_hub.model.errors import Conflict, FieldError, InvalidFields
from learning_hub.model.fields import collect, not_reported
from learning_hub.model.ids import id_errors
from learning_hub.model.panel import LONGEST_NAME, RECORD_KEY, PanelField, is_key, read_fields
from learning_hub.model.subscriber import Subscriber
from learning_hub.services.programs import open_program_errors
from learning_hub.settings import PREFIX
from learning_hub.store import audit, subscriptions
from learning_hub.store.database import Database


class PanelBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The panel source that must exist after the request, with its fields."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=LONGEST_NAME,
            description="Begins with the hub's prefix, `lh_` unless set, followed by at least one character; a source "
            "that the hub made under an earlier prefix keeps its name.",
        ),
    ]
    fields: (
        Annotated[
            Raw,
            Meta(
                description="`basic`, or a list of fields: each is an object, or a name, which stands for a text of "
                "400 characters. The field for the record key is always added.",
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
            Meta(
                description="The id of that subscription; left out: taken from the panel's name, or the existing one."
            ),
        ]
        | None
    ) = None
    read_only: Annotated[
        bool,
        Meta(description="Flag added fields as read only for people (not for the hub), where iMIS can."),
    ] = True


class PanelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """
    A valid request for a panel source.

    *named* are the requested fields, in lower case. With a *program_id* a subscription that fills the panel is made as
    well.
    """

    blueprint: Blueprint
    named: frozenset[str]
    program_id: str | None
    subscription_id: str | None


async def read_panel_spec(
    database: Database, subscriber: Subscriber, fields: Mapping[str, Raw], *, prefix: str
) -> PanelSpec:
    """
    What the body asks for.

    Args:
        database: To look up Programs, subscriptions and earlier panels.
        subscriber: Where the panel is to be made.
        fields: Of a PanelBody, as sent.
        prefix: Of the names of panels, a setting.

    Raises:
        InvalidFields: With every bad field.
        Conflict: The subscription that it names belongs to another Program or subscriber.
    """
    values, errors = collect(fields, PanelBody)
    panel_fields, field_errors = read_fields(bytes(fields.get("Fields", b'"basic"')))
    errors += not_reported(field_errors, errors)
    bad = {error.field for error in errors}
    name = values.get("name", "")
    name_errors = KINDS[subscriber.connector].check_panel(name, panel_fields)
    errors += [error for error in name_errors if error.field not in bad]
    if "Name" not in bad and (error := await _prefix_error(database, subscriber, name, prefix)):
        errors.append(error)
    program_id, subscription_id = values.get("program_id"), values.get("subscription_id")
    if program_id is not None:
        errors += await open_program_errors(database, program_id)
    elif subscription_id is not None:
        errors.append(FieldError("ProgramId", "is required, so that the subscription can be made"))
    if subscription_id is not None:
        errors += id_errors("SubscriptionId", subscription_id)
    if errors:
        raise InvalidFields(errors)
    if program_id is not None and subscription_id is not None:
        await _need_fitting(database, subscriber, program_id, subscription_id)
    return PanelSpec(
        blueprint=Blueprint(
            name=name,
            description="Filled by the Learning Hub.",
            fields=_with_key(panel_fields.values()),
            is_read_only=values.get("read_only", True),
        ),
        named=frozenset(field.name.casefold() for field in panel_fields.values()),
        program_id=program_id,
        subscription_id=subscription_id,
    )


def audit_id(subscriber_id: str, panel: str) -> str:
    """The object id of a panel in the audit log."""
    return f"{subscriber_id}/{panel}"


def _with_key(fields: Iterable[PanelField]) -> tuple[PanelField, ...]:
    """*fields* after the field for the record key, which has the requested length."""
    key, others = RECORD_KEY, []
    for field in fields:
        if not is_key(field):
            others.append(field)
        elif field.length:
            key = field
    return (key, *others)


async def _prefix_error(database: Database, subscriber: Subscriber, name: str, prefix: str) -> FieldError | None:
    """The error for a name that the hub does not use; a panel that it made itself may have an earlier prefix."""
    if name == prefix:
        return FieldError("Name", f"must continue after {prefix}, as in {prefix}completions")
    if name.startswith(prefix) or await audit.was_created(database, "panel", audit_id(subscriber.subscriber_id, name)):
        return None
    return FieldError("Name", f"must begin with {prefix}, the operator's setting {PREFIX}PANEL_PREFIX")


async def _need_fitting(database: Database, subscriber: Subscriber, program_id: str, subscription_id: str) -> None:
    """
    Check that the subscription, if it exists, is of this Program to this subscriber.

    Raises:
        Conflict: The subscription is of another Program or subscriber.
    """
    existing = await subscriptions.find(database, subscription_id)
    if existing and (existing.program_id, existing.subscriber_id) != (program_id, subscriber.subscriber_id):
        raise Conflict(
            f"The subscription {subscription_id} exists already: of {existing.program_id} to {existing.subscriber_id}. "
            "Name another SubscriptionId.",
            code="subscription_fixed",
        )
