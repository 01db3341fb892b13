"""Subscriptions: make, change, list and archive them. This module decides what a PUT does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw

from learning_hub.model import clock
from learning_hub.model.audit import Action
from learning_hub.model.caller import Caller
from learning_hub.model.errors import Conflict, FieldError, InvalidFields, NotFound
from learning_hub.model.ids import id_errors, need_id
from learning_hub.model.json_values import write_json
from learning_hub.model.pagination import Cursor, Limit, Listing, Page
from learning_hub.model.precondition import NO_PRECONDITION, Precondition
from learning_hub.model.run import SubscriptionChange
from learning_hub.model.subscription import SavedSubscription, State, Subscription, SubscriptionBody
from learning_hub.model.subscription_draft import SubscriptionDraft, SubscriptionSpec
from learning_hub.presets import PRESETS
from learning_hub.process.bulk_changer import BulkChanger
from learning_hub.services.archiving import archive_subscription
from learning_hub.services.patching import patched
from learning_hub.services.programs import need_program
from learning_hub.services.subscription_checks import SubscriptionChecks
from learning_hub.store import audit, bulk_changes, subscriptions
from learning_hub.store.database import Connection, Database
from learning_hub.store.notifications import Notifications

LISTING = Listing("subscriptions", ordered_by="subscription_id")


class SubscriptionsQuery(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The filter of a list of subscriptions."""

    program_id: Annotated[str, Meta(max_length=25)] | None = None
    subscriber_id: Annotated[str, Meta(max_length=25)] | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """
    The outcome of a PUT: the saved subscription, and whether it is new; one that was archived counts as new.

    *warnings* are sentences about what may fail or is unknown.
    """

    subscription: Subscription
    is_new: bool
    warnings: list[str] = []

    @property
    def shown(self) -> SavedSubscription:
        return SavedSubscription(**msgspec.structs.asdict(self.subscription), warnings=self.warnings or UNSET)


class Subscriptions:
    """What callers do with subscriptions."""

    def __init__(
        self,
        database: Database,
        checks: SubscriptionChecks,
        notifications: Notifications,
        bulk_changer: BulkChanger,
    ) -> None:
        self._database = database
        self._checks = checks
        self._notifications = notifications
        self._bulk_changer = bulk_changer

    async def put(
        self,
        caller: Caller,
        subscription_id: str,
        fields: Mapping[str, Raw],
        precondition: Precondition = NO_PRECONDITION,
    ) -> Saved:
        """
        Make or change a subscription.

        Args:
            caller: An administrator.
            subscription_id: The subscription.
            fields: The fields of a SubscriptionBody, as sent.
            precondition: What must hold of the subscription before.

        Raises:
            InvalidFields: With every bad field, including template errors.
            Conflict: A field that cannot be changed has another value.
            PreconditionFailed: The precondition does not hold.
            TooManyPreviews: As for `PreviewLimit.hold`.
        """
        draft = SubscriptionDraft(fields, PRESETS)
        draft.errors += id_errors("SubscriptionId", subscription_id)
        return await self._save(caller, subscription_id, draft, precondition)

    async def patch(
        self, caller: Caller, subscription_id: str, patch: Mapping[str, Raw], precondition: Precondition
    ) -> Saved:
        """
        Change the fields of a subscription that a merge patch names; within Templates null is a value.

        Raises:
            NotFound: The subscription does not exist, or is archived.
            InvalidFields, Conflict, PreconditionFailed: As for `put`. A Preset is for PUT alone.
        """
        if "Preset" in patch:
            raise InvalidFields([FieldError("Preset", "can only be used with PUT: it lays out the whole subscription")])

        async def read() -> tuple[str, dict[str, Any]]:
            existing = await need_subscription_in_use(self._database, caller, subscription_id)
            return existing.tag, existing.as_body

        async def write(fields: Mapping[str, Raw], unchanged: Precondition) -> Saved:
            return await self.put(caller, subscription_id, fields, unchanged)

        return await patched(patch, SubscriptionBody, read, write, precondition)

    async def create(self, caller: Caller, subscription_id: str, body: Mapping[str, Any]) -> Saved:
        """
        Make a subscription of *body*; an existing one, archived or not, is returned unchanged.

        Raises:
            InvalidFields: With every bad field.
        """
        draft = SubscriptionDraft({field: Raw(write_json(value)) for field, value in body.items()}, PRESETS)
        return await self._save(caller, subscription_id, draft, keeps_existing=True)

    async def page(self, caller: Caller, query: SubscriptionsQuery) -> Page[Subscription]:
        """
        Subscriptions of the caller's Programs, ordered by id.

        Raises:
            NotAllowed, InvalidFields: The query names a Program that the key is not for, or that does not exist.
        """
        if query.program_id is not None:
            await need_program(self._database, caller, query.program_id)
        found = await subscriptions.page(
            self._database,
            caller.visible_programs,
            program_id=query.program_id,
            subscriber_id=query.subscriber_id,
            after=LISTING.after(query.cursor),
            limit=query.limit + 1,
        )
        return LISTING.page(found, query.limit)

    async def get(self, caller: Caller, subscription_id: str) -> Subscription:
        """One subscription; the errors of `need_subscription`."""
        return await need_subscription(self._database, caller, subscription_id)

    async def archive(self, caller: Caller, subscription_id: str, precondition: Precondition = NO_PRECONDITION) -> None:
        """
        Archive a subscription: it sends no more events, its history stays.

        Raises:
            PreconditionFailed: The precondition does not hold; the other errors are those of `need_subscription`.
        """
        existing = await need_subscription(self._database, caller, subscription_id)
        async with self._database.transaction() as connection:
            run_ids = await archive_subscription(connection, caller, existing, precondition)
        await self._bulk_changer.carry_out(run_ids)
        await self._bulk_changer.quieten(msgspec.structs.replace(existing, archived_utc=clock.now()))

    async def start(self, caller: Caller, subscription_id: str) -> Subscription:
        """
        Start a subscription: its held deliveries are sent, and new ones as its schedule says.

        Raises:
            InvalidFields, NotFound: As for `need_subscription_in_use`.
        """
        return await self._set_state(caller, subscription_id, "started")

    async def stop(self, caller: Caller, subscription_id: str) -> Subscription:
        """
        Stop a subscription: its deliveries are held, and none is sent without a run; this always works.

        Raises:
            InvalidFields, NotFound: As for `need_subscription_in_use`.
        """
        return await self._set_state(caller, subscription_id, "stopped")

    async def _set_state(self, caller: Caller, subscription_id: str, state: State) -> Subscription:
        await need_subscription_in_use(self._database, caller, subscription_id)
        run_ids: list[str] = []
        async with self._database.transaction() as connection:
            await subscriptions.lock(connection, subscription_id)
            existing = await need_subscription_in_use(connection, caller, subscription_id)
            saved = await subscriptions.set_state(connection, subscription_id, state)
            if saved is None:
                return existing
            await audit.write(
                connection, caller, "update", "subscription", subscription_id, before=existing, after=saved
            )
            run_ids = await _begin_change(connection, caller, existing, saved)
        await self._follow(existing, saved, run_ids)
        return saved

    async def _follow(self, existing: Subscription | None, saved: Subscription, run_ids: list[str]) -> None:
        """Wake whoever has to follow a change that is committed, and carry out what fits into the request."""
        notifications = self._notifications
        for topic in (notifications.schedules, notifications.feed, notifications.deliveries):
            notifications.notify(topic)
        await self._bulk_changer.carry_out(run_ids)
        if existing is not None and not saved.is_realtime and (existing.is_realtime or existing.is_scheduled):
            await self._bulk_changer.quieten(saved)

    async def _save(
        self,
        caller: Caller,
        subscription_id: str,
        draft: SubscriptionDraft,
        precondition: Precondition = NO_PRECONDITION,
        *,
        keeps_existing: bool = False,
    ) -> Saved:
        # Before the lock, because compiling templates and asking subscribers takes too long while others wait for it.
        warnings = await self._checks.check(caller, subscription_id, draft)
        if draft.errors:
            raise InvalidFields(draft.errors)
        async with self._database.transaction() as connection:
            await subscriptions.lock(connection, subscription_id)
            existing = await subscriptions.find(connection, subscription_id)
            if existing is not None and keeps_existing:
                return Saved(subscription=existing, is_new=False)
            precondition.check(*([existing.tag] if existing else []))
            spec = draft.spec(existing)
            _need_fit(spec, existing)
            if existing is not None and existing.archived_utc is not None:
                await _need_archived_through(connection, subscription_id)
            saved, run_ids = await _write(connection, caller, subscription_id, spec, existing)
        await self._follow(existing, saved.subscription, run_ids)
        return msgspec.structs.replace(saved, warnings=warnings)


async def _write(
    connection: Connection,
    caller: Caller,
    subscription_id: str,
    spec: SubscriptionSpec,
    existing: Subscription | None,
) -> tuple[Saved, list[str]]:
    """Store the specification; returns also the runs that hold or release waiting deliveries as it demands."""
    is_new = existing is None or existing.archived_utc is not None
    if existing and not is_new and spec.describes(existing):
        return Saved(subscription=existing, is_new=False), []
    saved = await subscriptions.put(connection, subscription_id, spec, is_new=is_new)
    action: Action = "update" if existing else "create"
    await audit.write(connection, caller, action, "subscription", subscription_id, before=existing, after=saved)
    run_ids = await _begin_change(connection, caller, existing, saved) if existing else []
    return Saved(subscription=saved, is_new=is_new), run_ids


async def _begin_change(
    connection: Connection, caller: Caller, existing: Subscription, saved: Subscription
) -> list[str]:
    """Begin to hold or release waiting deliveries as the new state and schedule demand; returns the runs that do."""
    kind: SubscriptionChange | None = None
    was_sending = existing.is_realtime or (existing.is_scheduled and not saved.is_scheduled)
    if was_sending and not saved.is_realtime:
        kind = "stop"
    elif saved.is_realtime and not existing.is_realtime:
        kind = "start"
    if kind is None:
        return []
    run_id = await bulk_changes.begin_of_subscription(connection, saved, kind, caller.key_id)
    return [run_id] if run_id else []


async def _need_archived_through(connection: Connection, subscription_id: str) -> None:
    """
    Check that an archived subscription has no deliveries left that are still to be discarded.

    Raises:
        Conflict: It has; made again now, it could not tell them from new ones.
    """
    if pending := await bulk_changes.pending(connection, subscription_id):
        raise still_archiving(subscription_id, pending[0])


def still_archiving(subscription_id: str, run_id: str) -> Conflict:
    """The error for a subscription that is made again while its deliveries are still being discarded."""
    return Conflict(
        f"The subscription {subscription_id} is still being archived: the run {run_id} discards its deliveries. "
        "Make it again when that run is finished.",
        code="still_archiving",
    )


def no_such_subscription(subscription_id: str) -> NotFound:
    """The error for a subscription that does not exist, or is of a Program that the key is not for."""
    return NotFound(f"There is no subscription {subscription_id}.")


async def need_subscription(database: Database | Connection, caller: Caller, subscription_id: str) -> Subscription:
    """
    The subscription, also if it is archived.

    Raises:
        InvalidFields: The id does not have the form of one.
        NotFound: The subscription does not exist, or is of a Program that the key is not for; the error is the same,
            so that it does not reveal which ids exist.
    """
    need_id("SubscriptionId", subscription_id)
    existing = await subscriptions.find(database, subscription_id)
    if existing is None or not caller.may_use(existing.program_id):
        raise no_such_subscription(subscription_id)
    return existing


async def need_subscription_in_use(
    database: Database | Connection, caller: Caller, subscription_id: str
) -> Subscription:
    """The subscription; NotFound also if it is archived."""
    existing = await need_subscription(database, caller, subscription_id)
    if existing.archived_utc is not None:
        raise NotFound(f"The subscription {subscription_id} is archived.")
    return existing


def subscription_fixed(fields: Sequence[str]) -> Conflict:
    """The error for a change of *fields* that cannot be changed."""
    return Conflict(
        f"{' and '.join(fields)} of a subscription cannot be changed: what it has sent belongs to them. "
        "Make another subscription.",
        code="subscription_fixed",
    )


def _need_fit(spec: SubscriptionSpec, existing: Subscription | None) -> None:
    """
    Check that the specification can replace the existing subscription.

    Raises:
        Conflict: A field that cannot be changed has another value.
    """
    if existing is None:
        return
    fixed = {
        "SubscriberId": (spec.subscriber_id, existing.subscriber_id),
        "ProgramId": (spec.program_id, existing.program_id),
    }
    if existing.archived_utc is None:
        fixed["StartFrom"] = (spec.start_from, existing.start_from)
    changed = [field for field, (new, old) in fixed.items() if new != old]
    if changed:
        raise subscription_fixed(changed)
