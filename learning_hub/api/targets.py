"""Where records can land at a subscriber, and what they have there, over HTTP: asked of the subscriber each time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from learning_hub.api.call import Call
from learning_hub.api.lists import Listing, PageQuery
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.reconciliations import paused
from learning_hub.api.routing import route
from learning_hub.api.subscribers import NO_SUCH_SUBSCRIBER, need_subscriber
from learning_hub.connectors.base import Postponed, Refused, Unknown
from learning_hub.connectors.discovery import (
    Discovering,
    Field,
    Fields,
    NoTarget,
    Target,
    Targets,
)
from learning_hub.connectors.registry import KINDS
from learning_hub.deliver.attempt_recorder import AttemptRecorder
from learning_hub.deliver.discovery import Ended, TargetDiscovery
from learning_hub.model.clock import written
from learning_hub.model.errors import Conflict, FieldError, InvalidFields, InvalidInput, NotFound
from learning_hub.model.ids import is_target_name
from learning_hub.model.subscriber import Subscriber
from learning_hub.store import pauses
from learning_hub.store.vault import CredentialsUnreadable

T = TypeVar("T")

TARGETS = Listing("targets", ordered_by="name")
FIELDS = Listing("fields", ordered_by="count")
NAME_RULE = "must be 1 to 100 letters, digits and underscores, starting with a letter"

Warnings = Annotated[
    list[str], Meta(description="In words: what could not be found out, or has to be done before records can land.")
]


class TargetsPage(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Where records can land, by name."""

    items: list[Target]
    warnings: Warnings
    next_cursor: Annotated[str, Meta(description="For the next page; null at the end.")] | None


class FieldsPage(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The properties of a target, in the subscriber's order."""

    target: Target
    items: list[Field]
    rows_readable: (
        Annotated[
            bool, Meta(description="Whether the account may read records there just now; null: that is not known.")
        ]
        | None
    )
    warnings: Warnings
    next_cursor: Annotated[str, Meta(description="For the next page; null at the end.")] | None


def _not_supported(kind: str) -> InvalidInput:
    return InvalidInput(
        f"A subscriber of the kind {kind} cannot be asked where records can land; iMIS can.", code="not_supported"
    )


def _unanswered(outcome: Ended) -> Conflict:
    if isinstance(outcome, Refused):
        return Conflict(outcome.message, code="subscriber_refused")
    if isinstance(outcome, Postponed):
        wait = outcome.retry_after_seconds
        return Conflict(outcome.message_with_wait, code="subscriber_away", retry_after_seconds=wait)
    return Conflict(outcome.message, code="subscriber_away")


def _archived(subscriber_id: str) -> NotFound:
    return NotFound(f"The subscriber {subscriber_id} is archived; a PUT brings it back.")


EXAMPLE_PANEL = Target(
    name="TopClass_Learning", kind="panel", instances="multi", description="Completions from TopClass"
)
EXAMPLE_TARGETS = TargetsPage(
    items=[
        Target(name="Activity", kind="activity", instances="multi", description="Activities of contacts"),
        EXAMPLE_PANEL,
    ],
    warnings=[],
    next_cursor=None,
)
EXAMPLE_FIELDS = FieldsPage(
    target=EXAMPLE_PANEL,
    items=[
        Field(name="ID", type="String", length=10, required=True, read_only=True, filled_by="hub"),
        Field(name="CourseCode", type="String", length=80, required=True, caption="Course code"),
        Field(name="Units", type="Decimal"),
        Field(name="CreatedOn", type="Date", read_only=True, filled_by="imis"),
    ],
    rows_readable=True,
    warnings=[],
    next_cursor=None,
)
ERRORS = (
    NO_SUCH_SUBSCRIBER,
    InvalidFields([FieldError("Limit", "must be at most 1000")]),
    _not_supported("webhook"),
    paused("imis", "2026-11-22T06:00:00Z", "iMIS refused the sign-in: 400.", "ask again"),
    _unanswered(
        Postponed(
            code="rate_limited",
            message="The hub could not list the panel sources (BOEntityDefinition): iMIS answered 429.",
            retry_after_seconds=30,
        )
    ),
    _unanswered(Refused(code="credentials_refused", message="iMIS refused the sign-in: 400, invalid_grant.")),
    CredentialsUnreadable("The credentials were encrypted with a key that the hub does not have."),
)


@route(
    Operation(
        method="GET",
        path="/subscribers/{SubscriberId}/targets",
        operation_id="listTargets",
        summary="List where records can land at a subscriber, asked of it now",
        description="For iMIS these are `Activity` and the panel sources of contacts; other kinds of subscribers "
        "cannot be asked. Where iMIS does not list its panel sources to the hub's account, `Warnings` says so, and "
        "`Activity` is there all the same.",
        tag="Setting up",
        scopes=("staff", "admin"),
        query=PageQuery,
        answers=(Answer(status=200, meaning="The targets.", body=TargetsPage, example=EXAMPLE_TARGETS),),
        errors=ERRORS,
    )
)
async def list_targets(call: Call) -> Reply:
    query = call.query(PageQuery)
    after = TARGETS.after(query.cursor).casefold()
    subscriber = await _need_answerable(call)

    async def question(connector: Discovering) -> Targets | Ended:
        return await connector.targets(AttemptRecorder())

    targets = await _ask(call, subscriber, question)
    left = [target for target in targets.items if target.name.casefold() > after]
    page = TARGETS.page(left[: query.limit + 1], query.limit)
    return Reply(body=TargetsPage(items=page.items, warnings=targets.warnings, next_cursor=page.next_cursor))


@route(
    Operation(
        method="GET",
        path="/subscribers/{SubscriberId}/targets/{Name}/fields",
        operation_id="listFields",
        summary="List the properties of a target, asked of the subscriber now",
        description="The name is in any case. Each property has its type, its length and whether it is required, as "
        "far as the subscriber tells; those with `FilledBy` are filled by the hub or by iMIS, and no template can. "
        "For a panel source of iMIS the answer also says whether its rows can be read: where not, the box *Available "
        "via the REST API* of the source is usually not ticked.",
        tag="Setting up",
        scopes=("staff", "admin"),
        query=PageQuery,
        answers=(Answer(status=200, meaning="The properties.", body=FieldsPage, example=EXAMPLE_FIELDS),),
        errors=ERRORS,
    )
)
async def list_fields(call: Call) -> Reply:
    query = call.query(PageQuery)
    after = _read_cursor(query.cursor)
    subscriber = await _need_answerable(call)
    name = call.path["Name"]
    if not is_target_name(name):
        raise InvalidFields([FieldError("Name", NAME_RULE)])

    async def question(connector: Discovering) -> Fields | NoTarget | Ended:
        return await connector.fields(name, AttemptRecorder())

    fields: Fields | NoTarget = await _ask(call, subscriber, question)
    if isinstance(fields, NoTarget):
        raise NotFound(fields.message)
    items = fields.items[after : after + query.limit]
    has_more = len(fields.items) > after + query.limit
    return Reply(
        body=FieldsPage(
            target=fields.target,
            items=items,
            rows_readable=fields.rows_readable,
            warnings=fields.warnings,
            next_cursor=FIELDS.cursor(_Read(after + query.limit)) if has_more else None,
        )
    )


class _Read(msgspec.Struct, frozen=True):
    """How many properties were read; names may be gone by the next page."""

    count: int


def _read_cursor(cursor: str | None) -> int:
    text = FIELDS.after(cursor) or "0"
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise FIELDS.foreign()
    return int(text)


async def _need_answerable(call: Call) -> Subscriber:
    """The subscriber of the path, if it can be asked, and may be asked now."""
    subscriber = await need_subscriber(call)
    if subscriber.archived_utc is not None:
        raise _archived(subscriber.subscriber_id)
    if not KINDS[subscriber.connector].can_describe:
        raise _not_supported(subscriber.connector)
    pause = await pauses.find(call.hub.database, subscriber.subscriber_id)
    if pause is not None:
        raise paused(subscriber.subscriber_id, written(pause.since_utc), pause.message, "ask again")
    return subscriber


async def _ask(call: Call, subscriber: Subscriber, question: Callable[[Discovering], Awaitable[T | Ended]]) -> T:
    """
    What the subscriber answers.

    Raises:
        Conflict: It is away, or refuses to tell.
    """
    discovery = TargetDiscovery(call.hub.database, call.hub.connections)
    answer = await discovery.ask(subscriber, question, seconds=call.hub.settings.run_wait_seconds)
    if isinstance(answer, Postponed | Refused | Unknown):
        raise _unanswered(answer)
    return answer


ROUTES = (list_targets, list_fields)
