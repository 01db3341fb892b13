"""Runs: process a set of events, and read the results."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw

from learning_hub.deliver.dry_run import DryRun
from learning_hub.deliver.preview import Previewer
from learning_hub.model.caller import Caller
from learning_hub.model.errors import FieldError, InvalidFields, NotAllowed, NotFound, gathered
from learning_hub.model.fields import collect
from learning_hub.model.pagination import Listing, Page, PageQuery
from learning_hub.model.run import Counts, ProcessBody, Run, RunResult, Trigger
from learning_hub.model.subscription import Subscription
from learning_hub.process.event_selection import MOST_ERRORS, EventSelection, read_selection
from learning_hub.process.gathering import Gathering
from learning_hub.process.runner import Runner
from learning_hub.services.programs import need_program
from learning_hub.services.subscriptions import need_subscription_in_use
from learning_hub.store import events, pauses, runs, subscriptions
from learning_hub.store.database import Database

LISTING = Listing("runs", ordered_by="run_id")
# The fields that select events.
SELECTING = {"EventDateBucket", "SubscriptionId", "EventIds", "ProgramId"}


class Unfinished(msgspec.Struct, frozen=True):
    """A run that is not finished when its caller stops waiting."""

    run_id: str


class Runs:
    """
    Begins runs, and reads them.

    Args:
        database: The hub's database.
        runner: Gathers events and releases deliveries; a worker of any process sends them.
        gathering: Gathers the feed entries of dry runs.
        previewer: Renders dry runs.
        wait_seconds: How long to wait for the end of a run.
    """

    def __init__(
        self, database: Database, runner: Runner, gathering: Gathering, previewer: Previewer, *, wait_seconds: float
    ) -> None:
        self._database = database
        self._runner = runner
        self._gathering = gathering
        self._previewer = previewer
        self._wait_seconds = wait_seconds

    async def process(
        self, caller: Caller, fields: Mapping[str, Raw], *, errors: Sequence[FieldError] = ()
    ) -> RunResult | Unfinished:
        """
        Process the events of a date bucket, a Program, a subscription, or those named; nothing is sent twice.

        Args:
            caller: The caller, who must be for the Program.
            fields: The fields of a ProcessBody, as sent.
            errors: Bad fields that were found before; they are reported with the others.

        Raises:
            InvalidFields: With every bad field, including named events that do not exist.
            NotAllowed: The key is not for the Program, or not for the subscription.
            Unavailable: The run failed.
        """
        body, named, selection = await self._read(caller, fields, errors)
        chosen = [named] if named else await subscriptions.of_program(self._database, selection.program_id)
        if body.dry_run:
            return await self._dry_run(caller, selection, chosen, body)
        return await self._run(caller, selection, chosen, body, "processEvents")

    async def run_subscription(self, caller: Caller, subscription_id: str) -> RunResult | Unfinished:
        """
        Run a subscription once: send all events since its checkpoint, and all held deliveries.

        Raises:
            InvalidFields, NotFound: As for `need_subscription_in_use`.
            Unavailable: The run failed.
        """
        subscription = await need_subscription_in_use(self._database, caller, subscription_id)
        body = ProcessBody(subscription_id=subscription.subscription_id)
        return await self._run(caller, EventSelection(program_id=subscription.program_id), [subscription], body, "run")

    async def page(self, caller: Caller, query: PageQuery) -> Page[Run]:
        """Runs of the caller's Programs, newest first."""
        found = await runs.page(self._database, caller.visible_programs, LISTING.after(query.cursor), query.limit + 1)
        return LISTING.page(found, query.limit)

    async def get(self, caller: Caller, run_id: str) -> Run:
        """One run with its present counts; NotFound if it does not exist in the caller's Programs."""
        run = await runs.find(self._database, run_id)
        if run is None or not caller.may_use(run.program_id):
            raise no_such_run()
        return run

    async def _run(
        self, caller: Caller, selection: EventSelection, chosen: list[Subscription], body: ProcessBody, trigger: Trigger
    ) -> RunResult | Unfinished:
        # A person who starts a run expects the hub to find out at once whether a subscriber that was away is back.
        for subscriber_id in {subscription.subscriber_id for subscription in chosen}:
            await pauses.probe_now(self._database, subscriber_id)
        run_id = await self._runner.begin(selection, chosen, body, trigger=trigger, requested_by=caller.key_id)
        counts = await self._runner.wait(run_id, selection.program_id, self._wait_seconds) if body.wait else None
        return Unfinished(run_id) if counts is None else RunResult(run_id=run_id, **msgspec.structs.asdict(counts))

    async def _dry_run(
        self, caller: Caller, selection: EventSelection, chosen: list[Subscription], body: ProcessBody
    ) -> RunResult | Unfinished:
        dry_run = DryRun(self._database, self._previewer, key_id=caller.key_id)

        async def perform() -> Counts:
            selected = selection
            if selection.is_pending:
                selected = await self._gathering.pending_selection(selection.program_id, chosen)
            return await dry_run.perform(self._gathering.entries(selected), chosen, replay=body.replay)

        run_id, task = await self._runner.begin_dry_run(selection, body, perform, requested_by=caller.key_id)
        if body.wait:
            await asyncio.wait([task], timeout=self._wait_seconds)
        if not task.done():
            return Unfinished(run_id)
        counts = await self._runner.wait(run_id, selection.program_id, 0) or Counts()
        return RunResult(run_id=run_id, previews=dry_run.previews, **msgspec.structs.asdict(counts))

    async def _read(
        self, caller: Caller, fields: Mapping[str, Raw], found_before: Sequence[FieldError]
    ) -> tuple[ProcessBody, Subscription | None, EventSelection]:
        """The body, the subscription that it names, and the selection of events."""
        values, errors = collect(fields, ProcessBody)
        body = ProcessBody(**values)
        errors += found_before
        unread = {error.field.partition("[")[0] for error in errors} & SELECTING
        named, selection = None, None
        with gathered(errors):
            named = await self._named_subscription(caller, body)
        if body.subscription_id is not None and named is None:
            unread |= {"SubscriptionId"}
        with gathered(errors):
            selection = read_selection(body, named.program_id if named else None, unread=unread)
        program_id = selection.program_id if selection else body.program_id
        if program_id is not None:
            with gathered(errors):
                await need_program(self._database, caller, program_id, field=_program_field(body))
                if selection is not None:
                    await self._need_events(selection)
        if errors or selection is None:
            raise InvalidFields(errors)
        return body, named, selection

    async def _need_events(self, selection: EventSelection) -> None:
        """
        Check that every named event exists.

        Raises:
            InvalidFields: Some do not exist; a mistyped id must not look like an empty selection.
        """
        if selection.event_uuids is None:
            return
        existing = await events.existing(self._database, selection.program_id, selection.event_uuids)
        unknown = [
            FieldError(f"EventIds[{index}]", "is not a known event")
            for index, event_uuid in enumerate(selection.event_uuids)
            if event_uuid not in existing
        ]
        if unknown:
            raise InvalidFields(unknown[:MOST_ERRORS])

    async def _named_subscription(self, caller: Caller, body: ProcessBody) -> Subscription | None:
        if body.subscription_id is None:
            return None
        subscription = await subscriptions.find(self._database, body.subscription_id)
        is_in_use = subscription is not None and subscription.archived_utc is None
        if subscription is not None and is_in_use and caller.may_use(subscription.program_id):
            return subscription
        if caller.has_every_program:
            raise InvalidFields([FieldError("SubscriptionId", "is not a known subscription")])
        raise NotAllowed("This key is not for this subscription.", code="program_not_allowed")


def no_such_run() -> NotFound:
    """The error for a run that does not exist, or is of a Program the key is not for."""
    return NotFound("There is no such run.")


def _program_field(body: ProcessBody) -> str:
    """The field that named the Program."""
    if body.program_id is None and body.event_date_bucket is not None:
        return "EventDateBucket"
    if body.program_id is None and body.event_ids is not None:
        return "EventIds[0]"
    return "ProgramId"
