"""Batch publishing: many events in one request, each stored or refused by itself."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Raw

from learning_hub.model.caller import Caller
from learning_hub.model.errors import MOST_ERRORS, FieldError, InvalidFields, LearningHubError, TooLarge
from learning_hub.model.received_event import ReceivedEvent, read_event_fast
from learning_hub.publish.publisher import Publisher
from learning_hub.publish.submission import Published
from learning_hub.services.events import read_any_event_body
from learning_hub.services.programs import closed_program_errors
from learning_hub.store.database import Database

SUBMITTED_AT_ONCE = 500
# Groups of one batch that the writer holds at once: enough to keep it busy, and few compared with the backlog that all
# callers share.
MOST_UNDER_WAY = 4
# How long events are read before other requests are served. An invalid one takes twenty times as long as a valid one.
READ_SECONDS = 0.001

# The outcome of one event, or its error.
Result = Published | LearningHubError
_Pending = asyncio.Future[Published] | LearningHubError


class BatchPublishing:
    """Publishes batches; the limits are those of single events."""

    def __init__(self, database: Database, publisher: Publisher, *, max_body_bytes: int, max_data_bytes: int) -> None:
        self._database = database
        self._publisher = publisher
        self._max_body_bytes = max_body_bytes
        self._max_data_bytes = max_data_bytes

    async def publish(
        self, caller: Caller, bodies: Sequence[bytes | Raw], *, confirm: Callable[[], Awaitable[None]]
    ) -> list[Result]:
        """
        Publish each of *bodies*; the next events are read while earlier ones are written.

        Args:
            caller: The publisher.
            bodies: The events' bodies, as sent.
            confirm: Called before each group; after its error nothing more is stored, since a batch may take many
                seconds and the key may be revoked meanwhile.

        Returns:
            The result of each event, in order; MOST_ERRORS bad fields of all of them are listed.
        """
        batch = _Batch(self._database, self._publisher, caller, self._max_body_bytes, self._max_data_bytes)
        results: list[Result] = []
        under_way: deque[list[_Pending]] = deque()
        for start in range(0, len(bodies), SUBMITTED_AT_ONCE):
            group = bodies[start : start + SUBMITTED_AT_ONCE]
            try:
                await confirm()
            except LearningHubError as error:
                under_way.append([error] * len(group))
            else:
                under_way.append(await batch.submit(group))
            if len(under_way) == MOST_UNDER_WAY:
                results += await _results_of(under_way.popleft())
        for pending in under_way:
            results += await _results_of(pending)
        return results


class _Batch:
    """The events of one request on their way to the writer."""

    def __init__(
        self, database: Database, publisher: Publisher, caller: Caller, max_body_bytes: int, max_data_bytes: int
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._caller = caller
        self._max_body_bytes = max_body_bytes
        self._max_data_bytes = max_data_bytes
        self._program_errors: dict[str, list[FieldError]] = {}
        self._listed = 0

    async def submit(self, bodies: Sequence[bytes | Raw]) -> list[_Pending]:
        """Submit events in the order of the batch, in which events of one source record are stored."""
        pending: list[_Pending] = []
        began = time.perf_counter()
        for body in map(bytes, bodies):
            if time.perf_counter() - began > READ_SECONDS:
                await asyncio.sleep(0)
                began = time.perf_counter()
            try:
                self._need_size(body)
                # The fast path here saves a coroutine for each event.
                event = read_event_fast(body, max_data_bytes=self._max_data_bytes) or await self._read(body)
                pending.append(self._publisher.submit(event, self._caller))
            except InvalidFields as error:
                pending.append(self._shortened(error))
            except LearningHubError as error:
                # Its traceback would keep the body, and all that was read of it.
                pending.append(error.with_traceback(None))
        return pending

    def _shortened(self, error: InvalidFields) -> InvalidFields:
        """The error without the bad fields beyond MOST_ERRORS of the batch, which would take hundreds of megabytes."""
        shortened = InvalidFields(error.errors, most=MOST_ERRORS - self._listed, more=error.more)
        self._listed += len(shortened.errors)
        return shortened

    def _need_size(self, body: bytes) -> None:
        if len(body) > self._max_body_bytes:
            raise TooLarge(f"The event has {len(body)} bytes; the limit is {self._max_body_bytes}.")

    async def _read(self, body: bytes) -> ReceivedEvent:
        return await read_any_event_body(
            body, max_data_bytes=self._max_data_bytes, program_errors=self._errors_of_program
        )

    async def _errors_of_program(self, program_id: str) -> list[FieldError]:
        """Why a Program takes no events; each Program is looked up once."""
        if program_id not in self._program_errors:
            self._program_errors[program_id] = await closed_program_errors(self._database, self._caller, program_id)
        return self._program_errors[program_id]


async def _results_of(pending: list[_Pending]) -> list[Result]:
    results: list[Result] = []
    for each in pending:
        if isinstance(each, LearningHubError):
            results.append(each)
            continue
        if not each.done():
            await asyncio.wait([each])
        try:
            results.append(each.result())
        except LearningHubError as error:
            results.append(error)
    return results
