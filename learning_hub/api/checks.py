"""The check of a subscriber over HTTP: what its subscriptions need, held against what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from learning_hub.api.call import Call
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.routing import route
from learning_hub.api.subscribers import NO_SUCH_SUBSCRIBER, need_subscriber
from learning_hub.connectors.base import CheckResult, Finding, Needs
from learning_hub.model.errors import LearningHubError, NotFound
from learning_hub.model.subscription import Subscription
from learning_hub.rendering import is_same_for_all
from learning_hub.store import pauses, subscribers, subscriptions

_SIGNED_IN = "Signed in at https://members.example.org."
_NO_TYPE = "There is no activity type TCLEARNING, which the templates of completions name."
_ADD_TYPE = (
    "In iMIS, go to Settings > Contacts > Activity types, select Add new activity type, and enter TCLEARNING as its "
    "Type."
)
_EXAMPLE = {"Name": "", "State": "fine", "Message": _SIGNED_IN, "Advice": "", "SubscriptionIds": [], "Steps": []}
EXAMPLE_CHECK = {
    "Works": False,
    "Findings": [_SIGNED_IN, f"{_NO_TYPE} {_ADD_TYPE}"],
    "Details": [
        {**_EXAMPLE, "Subject": "sign-in"},
        {
            **_EXAMPLE,
            "Subject": "activity-type",
            "Name": "TCLEARNING",
            "State": "wrong",
            "Message": _NO_TYPE,
            "Advice": _ADD_TYPE,
            "SubscriptionIds": ["completions"],
        },
    ],
}


@route(
    Operation(
        method="POST",
        path="/subscribers/{SubscriberId}/check",
        operation_id="checkSubscriber",
        summary="Sign in at a subscriber and say what was found; nothing is written there",
        description="Also looks whether there is what its subscriptions ask for: those in use, and of Programs of the "
        "key. It works where nothing is wrong; what is wrong for stopped subscriptions alone is only to be looked at. "
        "Where nothing is wrong for all of them and the subscriber was paused, "
        "it is not any more: what waits goes out. An archived one is 404.",
        tag="Setting up",
        scopes=("staff", "admin"),
        answers=(
            Answer(
                status=200,
                meaning="What was found, in words, also where it does not work.",
                body=CheckResult,
                example=EXAMPLE_CHECK,
            ),
        ),
        errors=(NO_SUCH_SUBSCRIBER,),
    )
)
async def check_subscriber(call: Call) -> Reply:
    subscriber = await need_subscriber(call)
    subscriber_id = subscriber.subscriber_id
    if subscriber.archived_utc is not None:
        raise NotFound(f"The subscriber {subscriber_id} is archived; a PUT brings it back.")
    try:
        credentials = await subscribers.credentials(call.hub.database, call.hub.vault, subscriber_id)
    except LearningHubError as error:
        return Reply(body=_without_credentials(error.detail))
    if not credentials:
        return Reply(body=_without_credentials("There are no credentials to sign in with."))
    in_use = await _in_use(call, subscriber_id)
    needs = [_needs(one) for one in in_use]
    # The connector in use: what it learns of the credentials, and what it renews, is not lost.
    async with call.hub.connections.of(subscriber_id) as (_, connector):
        result = _without_stopped(await connector.check(needs), in_use)
    if result.is_open:
        await _lift_pause(call, subscriber_id)
    return Reply(body=result)


def _without_credentials(message: str) -> CheckResult:
    return CheckResult.of(Finding(subject="credentials", state="wrong", message=message))


def _without_stopped(result: CheckResult, in_use: list[Subscription]) -> CheckResult:
    """The result where what is wrong for stopped subscriptions alone is only to be looked at: they send nothing yet."""
    stopped = {one.subscription_id for one in in_use if one.state == "stopped"}
    return CheckResult.of(*(_for_stopped(one) if _concerns(one, stopped) else one for one in result.details))


def _concerns(finding: Finding, stopped: set[str]) -> bool:
    """Whether it is wrong for subscriptions that are stopped, and for no other."""
    return finding.state == "wrong" and bool(finding.subscription_ids) and stopped.issuperset(finding.subscription_ids)


def _for_stopped(finding: Finding) -> Finding:
    names = " and ".join(finding.subscription_ids)
    are = "is" if len(finding.subscription_ids) == 1 else "are"
    only = f"This keeps only {names} from sending, which {are} stopped."
    return msgspec.structs.replace(finding, state="look", advice=f"{finding.advice} {only}".strip())


async def _in_use(call: Call, subscriber_id: str) -> list[Subscription]:
    """The subscriptions of the subscriber that are in use, of Programs that the key is for."""
    async with call.hub.database.connection() as connection:
        in_use = await subscriptions.in_use(connection, subscriber_id=subscriber_id)
    caller = call.caller
    return [one for one in in_use if caller.has_every_program or one.program_id in caller.programs]


def _needs(subscription: Subscription) -> Needs:
    templates = [_literals(one) for one in subscription.templates.values() if isinstance(one, dict)]
    return Needs(
        subscription_id=subscription.subscription_id,
        target=subscription.target,
        templates=templates,
    )


def _literals(template: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if is_same_for_all(value) else UNSET for name, value in template.items()}


async def _lift_pause(call: Call, subscriber_id: str) -> None:
    async with call.hub.database.transaction() as connection:
        await pauses.lift(connection, subscriber_id, credentials_mended=True)
        # Also where there was no pause: who only asked the subscriber may remember a refusal, in any process.
        await subscribers.note_check(connection, subscriber_id)
    call.hub.notifications.notify(call.hub.notifications.deliveries)


ROUTES = (check_subscriber,)
