"""Reconciliation: compare the sent records with those that the subscriber holds, and send missing ones again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from learning_hub.connectors.kinds import KINDS
from learning_hub.deliver.connections import Connections
from learning_hub.deliver.reconciliation import (
    DifferentRecord,
    DoubledRecord,
    Reconciler,
    Reconciliation,
    Record,
    UnknownRecord,
)
from learning_hub.model.caller import Caller
from learning_hub.model.errors import FieldError, InvalidFields, InvalidInput, gathered
from learning_hub.model.fields import collect
from learning_hub.model.ids import read_event_id
from learning_hub.model.pagination import Listing
from learning_hub.model.run import ProcessBody
from learning_hub.model.subscription import Subscription
from learning_hub.model.time_range import LONGEST_DAYS, RangePosition, TimeRange, range_between, range_of_bucket
from learning_hub.process.event_selection import EventSelection
from learning_hub.process.runner import Runner
from learning_hub.services.subscriber_availability import need_not_paused
from learning_hub.services.subscribers import no_such_subscriber
from learning_hub.services.subscriptions import need_subscription_in_use
from learning_hub.store import subscribers
from learning_hub.store.database import Database

LISTING = Listing("reconciliation", ordered_by="after")
ONE_TIME_RANGE = FieldError("EventDateBucket", "or FromUtc and ToUtc are needed, and only one of them")


class ReconcileBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The selection of events by the time when the hub stored them: a bucket, or a time range."""

    event_date_bucket: Annotated[str, Meta(max_length=50, description="{ProgramId}-LB-YYYYMMDD.")] | None = None
    from_utc: Annotated[datetime, Meta(description="Events stored at or after this time.")] | None = None
    to_utc: (
        Annotated[datetime, Meta(description=f"Events stored before this time, at most {LONGEST_DAYS} days later.")]
        | None
    ) = None
    put_back: Annotated[bool, Meta(description="Send missing records again, each as a new delivery.")] = False
    cursor: Annotated[str, Meta(max_length=500, description="NextCursor of the previous response.")] | None = None


class ReconcileAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The sent records, compared with those that the subscriber holds. It is complete once NextCursor is null."""

    there: Annotated[int, Meta(description="The number of records held as they were sent.")]
    missing: Annotated[list[Record], Meta(description="Records that the subscriber does not hold.")]
    different: Annotated[list[DifferentRecord], Meta(description="Records held with other values than sent.")]
    doubled: Annotated[
        list[DoubledRecord],
        Meta(
            description="Source records with several records at the subscriber, under the same record key. Each is "
            "also counted in There or listed in Different, by the record that the hub updates."
        ),
    ]
    unknown: Annotated[list[UnknownRecord], Meta(description="Records that the subscriber could not be asked for.")]
    run_id: Annotated[str, Meta(description="The run that sends missing records again.")] | None
    next_cursor: (
        Annotated[str, Meta(description="The Cursor of the next request for the same events; null at the end.")] | None
    )


class Reconciliations:
    """Reconciles subscriptions; one call ends after about *wait_seconds*."""

    def __init__(self, database: Database, connections: Connections, runner: Runner, *, wait_seconds: float) -> None:
        self._database = database
        self._runner = runner
        self._reconciler = Reconciler(database, connections)
        self._wait_seconds = wait_seconds

    async def reconcile(self, caller: Caller, subscription_id: str, fields: Mapping[str, Raw]) -> ReconcileAnswer:
        """
        Compare every source record that was last sent with an event of a bucket or time range.

        Args:
            caller: The caller, who must be for the subscription's Program.
            subscription_id: The subscription.
            fields: The fields of a ReconcileBody, as sent.

        Raises:
            NotFound: As for `need_subscription_in_use`.
            InvalidFields: With every bad field.
            InvalidInput: The subscriber is of a kind that cannot be asked for its records.
            Conflict: The subscriber is paused.
        """
        subscription = await need_subscription_in_use(self._database, caller, subscription_id)
        body, time_range, after = _read(fields, subscription)
        await self._need_askable(subscription)
        found = await self._reconciler.reconcile(subscription, time_range, after, seconds=self._wait_seconds)
        run_id = None
        if body.put_back and found.missing:
            run_id = await self._send_again(caller, subscription, found)
        return ReconcileAnswer(
            there=found.there,
            missing=found.missing,
            different=found.different,
            doubled=found.doubled,
            unknown=found.unknown,
            run_id=run_id,
            next_cursor=LISTING.cursor(found) if found.after else None,
        )

    async def _need_askable(self, subscription: Subscription) -> None:
        subscriber = await subscribers.find(self._database, subscription.subscriber_id)
        if subscriber is None:
            raise no_such_subscriber(subscription.subscriber_id)
        kind = KINDS.get(subscriber.connector)
        if kind is None or not kind.can_compare:
            raise comparing_not_supported(subscriber.connector)
        await need_not_paused(self._database, subscriber.subscriber_id, then="reconcile again")

    async def _send_again(self, caller: Caller, subscription: Subscription, found: Reconciliation) -> str:
        """Send the events of missing records again, as `Replay` does; the run's id."""
        event_ids = [record.event_id for record in found.missing]
        keys = [key for key in map(read_event_id, event_ids) if key is not None]
        return await self._runner.begin(
            EventSelection(program_id=subscription.program_id, event_uuids=[key.event_uuid for key in keys]),
            [subscription],
            ProcessBody(subscription_id=subscription.subscription_id, event_ids=event_ids, replay=True),
            trigger="processEvents",
            requested_by=caller.key_id,
        )


def comparing_not_supported(kind: str) -> InvalidInput:
    """The error for subscribers of a kind that cannot be asked for their records."""
    return InvalidInput(
        f"A subscriber of the kind {kind} cannot be asked for its records; iMIS can.", code="not_supported"
    )


def _read(
    fields: Mapping[str, Raw], subscription: Subscription
) -> tuple[ReconcileBody, TimeRange, RangePosition | None]:
    """The body, the time range of its events, and the position to continue after."""
    values, errors = collect(fields, ReconcileBody)
    body, time_range, after = ReconcileBody(**values), None, None
    if not {error.field for error in errors} & {"EventDateBucket", "FromUtc", "ToUtc"}:
        with gathered(errors):
            time_range = _time_range(body, subscription.program_id)
    with gathered(errors):
        after = _read_cursor(body.cursor)
    if errors or time_range is None:
        raise InvalidFields(errors)
    return body, time_range, after


def _time_range(body: ReconcileBody, program_id: str) -> TimeRange:
    has_times = body.from_utc is not None or body.to_utc is not None
    if has_times == (body.event_date_bucket is not None):
        raise InvalidFields([ONE_TIME_RANGE])
    if body.event_date_bucket is not None:
        return range_of_bucket(body.event_date_bucket, program_id)
    return range_between(body.from_utc, body.to_utc)


def _read_cursor(cursor: str | None) -> RangePosition | None:
    text = LISTING.after(cursor)
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=RangePosition)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise LISTING.foreign() from None
