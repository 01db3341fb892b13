"""Targets of a subscriber and their fields, which the subscriber is asked for each time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from learning_hub.connectors.base import Discovering
from learning_hub.connectors.discovery import Field, Fields, NoTarget, Target, Targets
from learning_hub.connectors.kinds import KINDS
from learning_hub.connectors.outcomes import Failure
from learning_hub.deliver.attempt_recorder import AttemptRecorder
from learning_hub.deliver.discovery import TargetDiscovery
from learning_hub.model.caller import Caller
from learning_hub.model.errors import FieldError, InvalidFields, InvalidInput, NotFound
from learning_hub.model.ids import is_target_name
from learning_hub.model.pagination import Listing, PageQuery
from learning_hub.model.subscriber import Subscriber
from learning_hub.services.subscriber_availability import need_not_paused, no_answer
from learning_hub.services.subscribers import need_subscriber_in_use
from learning_hub.store.database import Database

T = TypeVar("T")

TARGETS = Listing("targets", ordered_by="name")
FIELDS = Listing("fields", ordered_by="count")
NAME_RULE = "must be 1 to 100 letters, digits and underscores, starting with a letter"

Warnings = Annotated[
    list[str], Meta(description="As sentences: what is unknown, or has to be done before records can be written.")
]


class TargetsPage(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The targets of a subscriber, ordered by name."""

    items: list[Target]
    warnings: Warnings
    next_cursor: Annotated[str, Meta(description="The cursor of the next page; null at the end.")] | None


class FieldsPage(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The fields of a target, in the subscriber's order."""

    target: Target
    items: list[Field]
    rows_readable: (
        Annotated[bool, Meta(description="Whether the hub's account may read records of the target; null: unknown.")]
        | None
    )
    warnings: Warnings
    next_cursor: Annotated[str, Meta(description="The cursor of the next page; null at the end.")] | None


class TargetLists:
    """Lists targets and their fields; the subscriber must respond within *answer_seconds*."""

    def __init__(self, database: Database, discovery: TargetDiscovery, *, answer_seconds: float) -> None:
        self._database = database
        self._discovery = discovery
        self._answer_seconds = answer_seconds

    async def page(self, caller: Caller, subscriber_id: str, query: PageQuery) -> TargetsPage:
        """
        The targets of a subscriber, ordered by name.

        Raises:
            InvalidFields, NotFound: As for `need_subscriber_in_use`.
            InvalidInput: Subscribers of this kind cannot be asked.
            Conflict: The subscriber is paused, away, or refuses.
        """
        after = TARGETS.after(query.cursor).casefold()
        subscriber = await self._need_askable(caller, subscriber_id)

        async def question(connector: Discovering) -> Targets | Failure:
            return await connector.targets(AttemptRecorder())

        targets: Targets = await self._ask(subscriber, question)
        left = [target for target in targets.items if target.name.casefold() > after]
        page = TARGETS.page(left[: query.limit + 1], query.limit)
        return TargetsPage(items=page.items, warnings=targets.warnings, next_cursor=page.next_cursor)

    async def fields(self, caller: Caller, subscriber_id: str, name: str, query: PageQuery) -> FieldsPage:
        """
        The fields of the target *name*, which is not case-sensitive; the errors of `page`.

        Raises:
            NotFound: The target does not exist.
        """
        after = _read_cursor(query.cursor)
        subscriber = await self._need_askable(caller, subscriber_id)
        if not is_target_name(name):
            raise InvalidFields([FieldError("Name", NAME_RULE)])

        async def question(connector: Discovering) -> Fields | NoTarget | Failure:
            return await connector.fields(name, AttemptRecorder())

        fields: Fields | NoTarget = await self._ask(subscriber, question)
        if isinstance(fields, NoTarget):
            raise NotFound(fields.message)
        end = after + query.limit
        return FieldsPage(
            target=fields.target,
            items=fields.items[after:end],
            rows_readable=fields.rows_readable,
            warnings=fields.warnings,
            next_cursor=FIELDS.cursor(_Read(end)) if len(fields.items) > end else None,
        )

    async def _need_askable(self, caller: Caller, subscriber_id: str) -> Subscriber:
        subscriber = await need_subscriber_in_use(self._database, caller, subscriber_id)
        if not KINDS[subscriber.connector].can_discover:
            raise targets_not_supported(subscriber.connector)
        await need_not_paused(self._database, subscriber_id, then="ask again")
        return subscriber

    async def _ask(self, subscriber: Subscriber, question: Callable[[Discovering], Awaitable[T | Failure]]) -> T:
        answer = await self._discovery.ask(subscriber, question, seconds=self._answer_seconds)
        if isinstance(answer, Failure):
            raise no_answer(answer)
        return answer


def targets_not_supported(kind: str) -> InvalidInput:
    """The error for subscribers of a kind that cannot be asked."""
    return InvalidInput(
        f"A subscriber of the kind {kind} cannot be asked for its targets; iMIS can.", code="not_supported"
    )


class _Read(msgspec.Struct, frozen=True):
    """How many fields were read: a cursor by name could point at a field that is removed by the next page."""

    count: int


def _read_cursor(cursor: str | None) -> int:
    text = FIELDS.after(cursor) or "0"
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise FIELDS.foreign()
    return int(text)
