"""The subscription that fills a panel: the one that exists, or one that is made together with the panel."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from learning_hub.connectors.building import Built
from learning_hub.model.caller import Caller
from learning_hub.model.errors import LearningHubError
from learning_hub.model.panel import KEY_LENGTH, RECORD_KEY, basic_template, is_basic, is_key
from learning_hub.model.subscription import Subscription
from learning_hub.model.subscription_draft import FIELDS
from learning_hub.model.template import DEFAULT_TEMPLATE
from learning_hub.services.panel_spec import PanelSpec
from learning_hub.services.subscriptions import Subscriptions
from learning_hub.store import programs, subscriptions
from learning_hub.store.database import Database

LONGEST_ID = 25
MOST_OF_A_NAME = 100
_PUT_IT = (
    "PUT the Subscription of this response; on the command line --json shows it, and subscription put takes it from a "
    "file"
)
EVENT_TYPES = ["AI_COMP_SUCCESS", "LPI_COMP_SUCCESS"]
# A PUT resets every field that its body leaves out, except StartFrom. A Preset is not stored.
KEPT_FIELDS = {attribute: name for attribute, name in FIELDS.items() if attribute not in ("preset", "start_from")}


class PanelSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """The *body* of a PUT of a subscription that fills a panel, its id if it exists, and sentences about it."""

    body: dict[str, Any]
    subscription_id: str | None
    findings: list[str]


class PanelSubscriptions:
    """Finds or makes the subscription that fills a panel."""

    def __init__(self, database: Database, setup: Subscriptions) -> None:
        self._database = database
        self._setup = setup

    async def provide(self, caller: Caller, subscriber_id: str, spec: PanelSpec, built: Built) -> PanelSubscription:
        """The subscription for the panel *built*; it is made, stopped, if the request names a Program."""
        body, findings = await self._basic_body(subscriber_id, built, named=spec.named, program_id=spec.program_id)
        if existing := await self._existing(subscriber_id, spec, built):
            body, new = extended(existing, body)
            return PanelSubscription(
                body=body, subscription_id=existing.subscription_id, findings=[_left_as_it_is(existing, new)]
            )
        subscription_id = spec.subscription_id
        if spec.program_id is not None:
            subscription_id = subscription_id or await self._free_id(built.name)
            findings.append(await self._create(caller, subscription_id, body, rows_readable=built.rows_readable))
        elif body["ProgramId"] is not None:
            findings.append(_not_made(body["ProgramId"]))
        return PanelSubscription(body=body, subscription_id=subscription_id, findings=findings)

    async def _basic_body(
        self, subscriber_id: str, built: Built, *, named: Collection[str], program_id: str | None
    ) -> tuple[dict[str, Any], list[str]]:
        """
        The body of a subscription that fills the present panel, and findings for a person.

        Args:
            subscriber_id: The subscriber that has the panel.
            built: The panel.
            named: The requested fields, in lower case; they are filled together with the basic ones.
            program_id: The Program whose events fill the panel; None if the request names none.
        """
        findings = []
        key = next((field for field in built.fields if is_key(field)), None)
        target: dict[str, Any] = {"Kind": "panel", "Name": built.name}
        if key is not None and key.type == "text" and (key.length or KEY_LENGTH) >= KEY_LENGTH:
            target["KeyProperty"] = key.name
        else:
            findings.append(
                f"The panel has no field {RECORD_KEY.name} that holds the record key, so its rows are matched by their "
                f"values. Add a text field {RECORD_KEY.name} of {RECORD_KEY.length} characters, and send the same "
                "again."
            )
        mapped = [
            field for field in built.fields if not is_key(field) and (field.name.casefold() in named or is_basic(field))
        ]
        program_id = program_id or await self._only_program()
        if program_id is None:
            findings.append(
                "The Program whose events fill the panel is not named, and the hub does not have exactly one: name the "
                "Program, and send the same again."
            )
        body = {
            "Name": f"Events to {built.name}",
            "SubscriberId": subscriber_id,
            "ProgramId": program_id,
            "EventTypes": EVENT_TYPES,
            "Target": target,
            "Templates": {DEFAULT_TEMPLATE: basic_template(mapped)},
            "State": "stopped",
        }
        return body, findings

    async def _only_program(self) -> str | None:
        """The Program in use, if exactly one is."""
        found = [each for each in await programs.page(self._database, None, "", 100) if each.archived_utc is None]
        return found[0].program_id if len(found) == 1 else None

    async def _existing(self, subscriber_id: str, spec: PanelSpec, built: Built) -> Subscription | None:
        """The subscription in use that already fills the panel: the named one, or else any."""
        if spec.subscription_id is None:
            return await self._filling(subscriber_id, built.name, spec.program_id)
        named = await subscriptions.find(self._database, spec.subscription_id)
        return named if named and named.archived_utc is None and _goes_to(named, built.name) else None

    async def _filling(self, subscriber_id: str, panel: str, program_id: str | None) -> Subscription | None:
        """The subscription that fills the panel, of the Program if one is named; None if several do."""
        async with self._database.connection() as connection:
            in_use = await subscriptions.in_use(connection, subscriber_id=subscriber_id)
        found = [each for each in in_use if _goes_to(each, panel) and program_id in (None, each.program_id)]
        return found[0] if found and (program_id is not None or len(found) == 1) else None

    async def _free_id(self, panel: str) -> str:
        """An id for a subscription that fills the panel: an unused id, or that of a subscription that once did."""
        for number in range(1, MOST_OF_A_NAME):
            tail = "" if number == 1 else f"-{number}"
            subscription_id = f"{panel[: LONGEST_ID - len(tail)]}{tail}"
            existing = await subscriptions.find(self._database, subscription_id)
            if existing is None or _goes_to(existing, panel):
                return subscription_id
        return panel[:LONGEST_ID]

    async def _create(
        self, caller: Caller, subscription_id: str, body: dict[str, Any], *, rows_readable: bool | None
    ) -> str:
        """Make the subscription unless its id is taken; the outcome as a sentence."""
        try:
            saved = await self._setup.create(caller, subscription_id, body)
        except LearningHubError as error:
            return f"The subscription {subscription_id} was not made. {error.detail}"
        if saved.is_new:
            then = "Start it." if rows_readable else "Start it once rows can be read."
            return f"The subscription {subscription_id} was made, stopped. {then}"
        if saved.subscription.archived_utc is not None:
            return f"The subscription {subscription_id} is archived, and stays so. To restore it, {_PUT_IT}."
        return (
            f"The subscription {subscription_id} exists, and is not changed: it has another target. Name another "
            "SubscriptionId."
        )


def _goes_to(subscription: Subscription, panel: str) -> bool:
    """Whether the subscription's records are written to the panel."""
    target = subscription.target
    return target.get("Kind") == "panel" and str(target.get("Name", "")).casefold() == panel.casefold()


def extended(existing: Subscription, basic: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The body of a PUT that adds the keys that only *basic* has to *existing*, and these keys."""
    templates, new = existing.templates, {}
    default: dict[str, Any] | None = templates.get(DEFAULT_TEMPLATE)
    if default is not None:
        has = {name.casefold() for name in default}
        mapped = basic["Templates"][DEFAULT_TEMPLATE]
        new = {name: leaf for name, leaf in mapped.items() if name.casefold() not in has}
        templates = {**templates, DEFAULT_TEMPLATE: {**default, **new}}
    body = {name: getattr(existing, attribute) for attribute, name in KEPT_FIELDS.items()}
    return body | {"Templates": templates}, list(new)


def _left_as_it_is(existing: Subscription, new: list[str]) -> str:
    """The sentence that the subscription existed, and how to make it fill the new fields."""
    sentence = f"The subscription {existing.subscription_id} exists, and is not changed."
    if not new:
        return sentence
    return f"{sentence} To fill {', '.join(new)} as well, {_PUT_IT}."


def _not_made(program_id: str) -> str:
    """The sentence that no subscription was made, since none was requested, and how to have one made."""
    return (
        f"No subscription fills the panel yet. To have one made, name the Program {program_id} and send the same "
        f"again; or {_PUT_IT}."
    )
