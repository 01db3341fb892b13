"""Deliveries: read, requeue and discard them, and group failed ones by cause."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from learning_hub.model.audit import Action
from learning_hub.model.caller import Caller
from learning_hub.model.delivery import Delivery, DeliveryDetail
from learning_hub.model.delivery_filter import DeliveryFilter
from learning_hub.model.errors import Conflict, FieldError, InvalidFields, NotFound
from learning_hub.model.event import Event
from learning_hub.model.failure_group import Group, GroupPosition
from learning_hub.model.fields import NOT_BLANK, read_struct
from learning_hub.model.ids import DeliveryKey, read_delivery_id
from learning_hub.model.no_delivery import no_delivery_message
from learning_hub.model.pagination import Listing, Page, PageQuery
from learning_hub.model.run import BulkKind
from learning_hub.process.bulk_changer import IN_REQUEST_SECONDS, BulkChanger
from learning_hub.services.delivery_filters import (
    DeliveriesQuery,
    DiscardQuery,
    FilterQuery,
    GroupsQuery,
    RequeueQuery,
    read_filter,
)
from learning_hub.services.events import need_event, need_event_key
from learning_hub.services.requeue import requeue_now
from learning_hub.services.waiting_reasons import with_reasons
from learning_hub.store import audit, bulk_changes, deliveries, events, failure_groups, subscriptions
from learning_hub.store.bulk_changes import Matching
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications

LISTING = Listing("deliveries", ordered_by="delivery_id")
LISTING_OF_EVENT = Listing("deliveries of an event", ordered_by="delivery_id")
GROUPS = Listing("groups of deliveries", ordered_by="position")
# How long a request counts what matches, over all Programs, before it is content with an estimate.
COUNTING_MILLISECONDS = 1000
LEAST_COUNTING_MILLISECONDS = 50


class DiscardBody(msgspec.Struct, frozen=True, rename="pascal"):
    """The reason why a delivery will not be sent."""

    reason: Annotated[str, Meta(min_length=1, max_length=1000, pattern=NOT_BLANK)]


class EventDeliveries(Page[Delivery], frozen=True, rename="pascal"):
    """The deliveries of an event."""

    message: Annotated[str, Meta(description="Why the event has no delivery; null where it has.")] | None


RUN_IDS = Meta(
    description="Only while the change goes on after the response: the runs that carry it out, one for each Program; "
    "`GET /runs/{RunId}` shows their progress."
)


class Requeued(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """How many deliveries are requeued, and the runs that do it."""

    requeued: Annotated[
        int,
        Meta(
            description="While a run goes on, the deliveries that matched when it began; those for which a newer one "
            "exists are superseded by it instead. An estimate where counting them would take too long."
        ),
    ]
    run_ids: Annotated[list[str], RUN_IDS] | UnsetType = UNSET


class Discarded(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """How many deliveries are discarded, and the runs that do it."""

    discarded: Annotated[
        int,
        Meta(
            description="While a run goes on, the deliveries that matched when it began. An estimate where counting "
            "them would take too long."
        ),
    ]
    run_ids: Annotated[list[str], RUN_IDS] | UnsetType = UNSET


class ManyChanged(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What the audit log keeps of deliveries that were changed together: the filters, and how many matched."""

    filter: dict[str, str]
    deliveries: int
    reason: str | None = None


class Deliveries:
    """
    What people do with deliveries.

    *pause_seconds*: a pause of a subscriber that has lasted as long is listed among the groups of failures; one for
    refused credentials is listed at once.
    """

    def __init__(
        self, database: Database, notifications: Notifications, bulk_changer: BulkChanger, *, pause_seconds: float
    ) -> None:
        self._database = database
        self._notifications = notifications
        self._bulk_changer = bulk_changer
        self._pause_seconds = pause_seconds

    async def page(self, caller: Caller, query: DeliveriesQuery) -> Page[Delivery]:
        """Deliveries newest first; the errors of `read_filter`."""
        delivery_filter = await read_filter(self._database, caller, query)
        return await self._page(LISTING, delivery_filter, query)

    async def page_of_event(self, caller: Caller, event_id: str, query: PageQuery) -> EventDeliveries:
        """
        The deliveries of an event, newest first, or why it has none.

        Raises:
            NotAllowed: The key is not for the event's Program.
            NotFound: The event does not exist.
        """
        key = need_event_key(event_id)
        caller.need_program(key.program_id)
        event = await need_event(self._database, key)
        page = await self._page(LISTING_OF_EVENT, DeliveryFilter(event=key), query)
        message = None if page.items or query.cursor else await self._no_delivery_message(event)
        return EventDeliveries(page.items, page.next_cursor, message)

    async def _no_delivery_message(self, event: Event) -> str:
        program_id = event.publisher_program_id
        of_program = await subscriptions.of_program(self._database, program_id)
        return no_delivery_message(
            of_program,
            program_id,
            event.publisher_system_id,
            event.event_type,
            is_withdrawn=event.withdrawn_utc is not UNSET,
        )

    async def get(self, caller: Caller, delivery_id: str) -> DeliveryDetail:
        """One delivery with its event and every attempt; the errors of `_need`."""
        delivery = await self._need(caller, delivery_id)
        [delivery] = await with_reasons(self._database, [delivery])
        event = await events.find_event(self._database, need_event_key(delivery.event_id))
        attempts, payload = await deliveries.attempts(self._database, need_delivery_key(delivery_id))
        return DeliveryDetail(**msgspec.structs.asdict(delivery), event=event, payload=payload, attempt_log=attempts)

    async def discard(self, caller: Caller, delivery_id: str, fields: Mapping[str, Raw]) -> Delivery:
        """
        Discard a delivery: it will not be sent; this is final.

        Args:
            caller: The person who decides.
            delivery_id: The delivery.
            fields: The fields of a DiscardBody, as sent.

        Raises:
            NotAllowed, NotFound: As for `get`.
            InvalidFields: The reason is missing.
            Conflict: The delivery is being sent, or is final.
        """
        before = await self._need(caller, delivery_id)
        reason = read_struct(fields, DiscardBody).reason
        async with self._database.transaction() as connection:
            after = await deliveries.discard(connection, need_delivery_key(delivery_id), reason)
            if after:
                await audit.write(
                    connection, caller, "discard", "delivery", before.delivery_id, before=before, after=after
                )
        if after is None:
            raise cannot_discard(before.state)
        return after

    async def requeue(self, caller: Caller, delivery_id: str) -> Delivery:
        """
        Requeue a delivery; a delivery for which a newer one exists becomes `superseded`.

        Raises:
            NotAllowed, NotFound: As for `get`.
            Conflict: Its state or its archived subscription forbids it.
        """
        before = await self._need(caller, delivery_id)
        key = need_delivery_key(delivery_id)
        changed = await requeue_now(self._database, self._notifications, caller, [key], before=before)
        if not changed:
            subscription = await subscriptions.find(self._database, before.subscription_id)
            if subscription is not None and subscription.archived_utc is not None:
                raise _archived(before.subscription_id)
            raise cannot_requeue_state(before.state)
        [requeued] = await with_reasons(self._database, [changed[0].now])
        return requeued

    async def requeue_all(self, caller: Caller, query: RequeueQuery) -> Requeued:
        """
        Requeue all deliveries that match the filters; what does not fit into the request follows in batches.

        Raises:
            NotAllowed, InvalidFields: As for `read_filter`, or no filter is given.
        """
        run_ids, count = await self._change_matching(caller, query, "requeue")
        return Requeued(requeued=count, run_ids=run_ids or UNSET)

    async def discard_all(self, caller: Caller, query: DiscardQuery, fields: Mapping[str, Raw]) -> Discarded:
        """
        Discard all parked and skipped deliveries that match the filters; this is final.

        Args:
            caller: The person who decides.
            query: The filters.
            fields: The fields of a DiscardBody, as sent.

        Raises:
            NotAllowed, InvalidFields: As for `read_filter`; no filter is given, or no reason.
        """
        reason = read_struct(fields, DiscardBody).reason
        run_ids, count = await self._change_matching(caller, query, "discard", reason=reason)
        return Discarded(discarded=count, run_ids=run_ids or UNSET)

    async def _change_matching(
        self, caller: Caller, query: FilterQuery, kind: BulkKind, *, reason: str | None = None
    ) -> tuple[list[str], int]:
        """Change the deliveries that match; returns the runs that go on with it, and how many deliveries match."""
        delivery_filter = await read_filter(self._database, caller, query)
        filters = {name: value for name, value in msgspec.to_builtins(query).items() if value is not None}
        if not filters:
            raise InvalidFields([FieldError("State", "or another filter is needed")])
        run_ids, matching = [], 0
        began = asyncio.get_running_loop().time()
        program_ids = await bulk_changes.programs(self._database, delivery_filter)
        for program_id in program_ids:
            found = await bulk_changes.count(
                self._database,
                kind,
                program_id,
                delivery_filter,
                milliseconds=max(LEAST_COUNTING_MILLISECONDS, COUNTING_MILLISECONDS // len(program_ids)),
            )
            if found.count or not found.is_exact:
                matching += found.count
                run_ids.append(
                    await self._begin(caller, kind, program_id, delivery_filter, filters, found, reason=reason)
                )
        # The less time there is left, the more is left to the background.
        left = IN_REQUEST_SECONDS - (asyncio.get_running_loop().time() - began) / 2
        if await self._bulk_changer.carry_out(run_ids, seconds=left):
            state = "waiting" if kind == "requeue" else "discarded"
            return [], await bulk_changes.finished_count(self._database, run_ids, state)
        return run_ids, matching

    async def _begin(
        self,
        caller: Caller,
        kind: BulkKind,
        program_id: str,
        delivery_filter: DeliveryFilter,
        filters: dict[str, str],
        matching: Matching,
        *,
        reason: str | None,
    ) -> str:
        async with self._database.transaction() as connection:
            run_id = await bulk_changes.begin(
                connection,
                kind,
                program_id,
                delivery_filter,
                filters if reason is None else filters | {"Reason": reason},
                requested_by=caller.key_id,
                total=matching.count if matching.is_exact else None,
                reason=reason,
            )
            after = ManyChanged(filter=filters, deliveries=matching.count, reason=reason)
            action: Action = "requeue" if kind == "requeue" else "discard"
            await audit.write(connection, caller, action, "delivery", run_id, before=None, after=after)
        return run_id

    async def groups(self, caller: Caller, query: GroupsQuery) -> Page[Group]:
        """Failed deliveries grouped by cause; the errors of `read_filter`."""
        delivery_filter = await read_filter(self._database, caller, query)
        found = await failure_groups.page(
            self._database,
            delivery_filter,
            _read_group_cursor(query.cursor),
            query.limit + 1,
            pause_seconds=self._pause_seconds,
        )
        return GROUPS.page(found, query.limit)

    async def _page(
        self, listing: Listing, delivery_filter: DeliveryFilter, query: DeliveriesQuery | PageQuery
    ) -> Page[Delivery]:
        before = _read_cursor(listing, query.cursor)
        found = await deliveries.page(self._database, delivery_filter, before, query.limit + 1)
        return listing.page(await with_reasons(self._database, found), query.limit)

    async def _need(self, caller: Caller, delivery_id: str) -> Delivery:
        """
        The delivery.

        Raises:
            NotAllowed: The key is not for its Program.
            NotFound: The delivery does not exist.
        """
        key = need_delivery_key(delivery_id)
        caller.need_program(key.program_id)
        delivery = await deliveries.find(self._database, key)
        if delivery is None:
            raise NotFound(f"There is no delivery {key}.")
        return delivery


def need_delivery_key(delivery_id: str) -> DeliveryKey:
    """The key in a DeliveryId; NotFound if the text is not a DeliveryId."""
    key = read_delivery_id(delivery_id)
    if key is None:
        raise NotFound("There is no such delivery: a DeliveryId is {ProgramId}-{UUID}.")
    return key


def cannot_discard(state: str) -> Conflict:
    """The error for a delivery that is being sent, or is final."""
    return Conflict(f"The delivery is {state} and cannot be discarded.", code="cannot_discard")


def cannot_requeue_state(state: str) -> Conflict:
    """The error for a delivery whose state forbids to requeue it."""
    return Conflict(
        f"The delivery is {state}: only a delivery that is parked, retrying, or skipped for its template or a "
        "reopening can be requeued.",
        code="cannot_requeue",
    )


def _archived(subscription_id: str) -> Conflict:
    return Conflict(
        f"The subscription {subscription_id} is archived and sends nothing more. Restore it and then requeue, "
        "or discard this delivery.",
        code="cannot_requeue",
    )


def _read_cursor(listing: Listing, cursor: str | None) -> UUID | None:
    last = listing.after(cursor)
    key = read_delivery_id(last)
    if last and key is None:
        raise listing.foreign()
    return key.delivery_uuid if key else None


def _read_group_cursor(cursor: str | None) -> GroupPosition | None:
    text = GROUPS.after(cursor)
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=GroupPosition)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise GROUPS.foreign() from None
