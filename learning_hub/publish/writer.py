"""
The group commit: the one place through which events get into the feed.

Requests that arrive while a commit is in the air are written together by the next one. There is no timer: a lone
request is written at once. What is taken in and not settled is bounded, in events and in bytes of their data, those
of publishers that have hung up and those being written included; past that the answer is Unavailable.

While more are waiting than one batch holds, a second one is written beside the first, so that the database has work
while the hub makes ready what comes next.

Two entries of one source record get into the feed in the order in which they arrived, whatever their types: what is
being written keeps others of its record waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from uuid import UUID

from learning_hub.metrics import EVENTS_IN_COMMIT, EVENTS_PUBLISHED
from learning_hub.model.clock import now
from learning_hub.model.errors import LearningHubError, Unavailable
from learning_hub.model.ids import EventKey
from learning_hub.model.received_event import ReceivedEvent
from learning_hub.publish.classification import Batch
from learning_hub.publish.submission import Published, Submission
from learning_hub.store import events
from learning_hub.store.database import Database
from learning_hub.store.driver_errors import DataRefused, InTheWay
from learning_hub.store.notifications import Notifications

log = logging.getLogger(__name__)

MAX_BATCH = 500
MAX_BACKLOG = 20_000
MAX_BACKLOG_BYTES = 64 * 1024 * 1024
MAX_LOST_RACES = 50
# From so many on, the bulk load is faster, although it goes to the database and back five times.
COPIED_FROM = 100
# Of data. asyncpg sends half a mebibyte at once, and before it sends more it waits for the server, which may be gone;
# that is noticed only when the time is up, as it is where other fields are so long that it comes to that all the same.
COPIED_BYTES = 384 * 1024


class Writer:
    """Writes submissions in batches; `run` must be running for anything to be written."""

    def __init__(self, database: Database, notifications: Notifications) -> None:
        self._database = database
        self._notifications = notifications
        self._waiting: list[Submission] = []
        self._unsettled = 0
        self._unsettled_bytes = 0
        self._writing: list[list[Submission]] = []
        self._something = asyncio.Event()
        self._much = asyncio.Event()
        self._copying_pays = True

    def submit(self, event: ReceivedEvent, idempotency_key: str | None = None) -> Submission:
        """
        Have *event* written; its future is done once it is durably committed.

        Raises:
            Unavailable: Too many are waiting; it may be sent again.
        """
        if not self._has_room_for(event):
            raise Unavailable("Too many events are waiting to be stored.", retry_after_seconds=1)
        submission = Submission(event, idempotency_key, self._loop.create_future())
        self._waiting.append(submission)
        self._unsettled += 1
        self._unsettled_bytes += submission.size
        self._call_writers()
        return submission

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        # Kept, as asking for it is a call to the kernel each time.
        return asyncio.get_running_loop()

    async def publish(self, event: ReceivedEvent, idempotency_key: str | None = None) -> Published:
        """
        Write *event*; returns once it is durably committed.

        Raises:
            InvalidFields: Its Program takes no events.
            Conflict: The Idempotency-Key was used with other content.
            Unavailable: The database is away, or too many are waiting; it may be sent again.
        """
        return await self.submit(event, idempotency_key).future

    def _has_room_for(self, event: ReceivedEvent) -> bool:
        """Whether the bounds hold with *event* as well; one that is larger than the bound may come alone."""
        return self._unsettled == 0 or (
            self._unsettled < MAX_BACKLOG
            and self._unsettled_bytes + len(event.publisher_event_data) <= MAX_BACKLOG_BYTES
        )

    async def run(self) -> None:
        """Write what is waiting, until cancelled."""
        try:
            async with asyncio.TaskGroup() as writers:
                writers.create_task(self._write_on(self._something, least=1))
                writers.create_task(self._write_on(self._much, least=MAX_BATCH))
        finally:
            for submission in self._waiting:
                submission.fail(Unavailable("The hub is stopping."))

    def _call_writers(self) -> None:
        if self._waiting:
            self._something.set()
        if len(self._waiting) >= MAX_BATCH:
            self._much.set()

    async def _write_on(self, is_called: asyncio.Event, *, least: int) -> None:
        """Write batch after batch, as long as at least so many are waiting."""
        while True:
            await is_called.wait()
            batch = self._take(least)
            if not batch:
                is_called.clear()
                continue
            self._writing.append(batch)
            again = await self._write_or_fail(batch)
            self._writing.remove(batch)
            self._unsettled -= len(batch) - len(again)
            self._unsettled_bytes -= sum(item.size for item in batch) - sum(item.size for item in again)
            self._waiting[:0] = again
            self._call_writers()

    def _take(self, least: int) -> list[Submission]:
        """The next batch, without those whose source record is being written."""
        if len(self._waiting) < least:
            return []
        held = {submission.record for batch in self._writing for submission in batch}
        batch: list[Submission] = []
        left: list[Submission] = []
        for place, submission in enumerate(self._waiting):
            if len(batch) == MAX_BATCH:
                left += self._waiting[place:]
                break
            (left if submission.record in held else batch).append(submission)
        self._waiting = left
        return batch

    async def _write_or_fail(self, batch: list[Submission]) -> list[Submission]:
        """Write *batch*; returns those that must go into the next one, in the order of their arrival."""
        left = batch
        try:
            left = await self._append_first(batch)
            if not left:
                return []
            outcome = await self._judge(left)
        except InTheWay:
            return self._again(left, lost=left)
        except DataRefused as error:
            if len(left) > 1:
                return await self._write_one_by_one(left)
            left[0].fail(error)
            return []
        except BaseException as error:
            self._fail_all(left, error)
            if isinstance(error, asyncio.CancelledError):
                raise
            return []
        return self._again(outcome.again, lost=outcome.lost)

    @staticmethod
    def _again(submissions: list[Submission], *, lost: list[Submission]) -> list[Submission]:
        """Those that go round again, without those that have *lost* too many races."""
        for submission in lost:
            submission.rounds += 1
            if submission.rounds > MAX_LOST_RACES:
                submission.fail(Unavailable("Others keep writing the same source; try again."))
        return [item for item in submissions if item.rounds <= MAX_LOST_RACES]

    @staticmethod
    def _fail_all(batch: list[Submission], error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            error = Unavailable("The hub is stopping.")
        elif not isinstance(error, LearningHubError):
            log.error("write_failed", exc_info=error)
        for submission in batch:
            submission.fail(error)

    async def _write_one_by_one(self, batch: list[Submission]) -> list[Submission]:
        """One that the database refuses must not fail the others."""
        again: list[Submission] = []
        for submission in batch:
            is_behind = any(other.record == submission.record for other in again)
            again += [submission] if is_behind else await self._write_or_fail([submission])
        return again

    async def _append_first(self, batch: list[Submission]) -> list[Submission]:
        """
        Store those that are the first of their source, as nearly all are.

        Returns:
            The others, in the order of their arrival; also those with an Idempotency-Key, and several of one source
            record, of which a later one must not get into the feed before an earlier one.
        """
        of_record = Counter(map(attrgetter("record"), batch))
        asked = [item for item in batch if item.idempotency_key is None and of_record[item.record] == 1]
        if not asked:
            return batch
        created_utc = now()
        new = dict(zip(events.new_uuids(len(asked)), [item.event for item in asked], strict=True))
        missed = await self._store_first(new, created_utc)
        stored = [
            (submission, Published("stored", EventKey(submission.record.program_id, event_uuid)))
            for submission, event_uuid in zip(asked, new, strict=True)
            if not missed or event_uuid not in missed
        ]
        self._tell(stored, stored=len(stored))
        if len(stored) == len(batch):
            return []
        told = {submission for submission, _ in stored}
        return [submission for submission in batch if submission not in told]

    async def _store_first(self, new: dict[UUID, ReceivedEvent], created_utc: datetime) -> set[UUID]:
        """
        Store them in whichever way is likely to be the faster one; returns the uuids of those not stored.

        The bulk load is in vain where one of them has an entry already, and that is seldom one alone: a publisher
        sends all of its year again.
        """
        program_id = self._program_to_copy(new)
        if program_id and self._copying_pays:
            if await events.copy_first(self._database, program_id, new, created_utc):
                return set()
            self._copying_pays = False
        missed = await events.append_first(self._database, new, created_utc)
        if program_id and not missed:
            self._copying_pays = True
        return missed

    @staticmethod
    def _program_to_copy(new: dict[UUID, ReceivedEvent]) -> str | None:
        """
        The Program of all of them, where they are many, and as a rule so small that the driver sends them at once.

        Partitions of Programs would be written to one after the other, and not in the order of the source keys.
        """
        if len(new) < COPIED_FROM or sum(len(event.publisher_event_data) for event in new.values()) > COPIED_BYTES:
            return None
        program_ids = {event.publisher_program_id for event in new.values()}
        return program_ids.pop() if len(program_ids) == 1 else None

    async def _judge(self, batch: list[Submission]) -> Batch:
        """Store what is new of *batch*, judged by what is there of each source."""
        async with self._database.transaction() as connection:
            outcome = Batch(connection, batch)
            await outcome.settle()
        self._tell(outcome.answers, stored=outcome.stored)
        for submission, error in outcome.failures:
            submission.fail(error)
        return outcome

    def _tell(self, answers: Iterable[tuple[Submission, Published]], *, stored: int) -> None:
        """Answer publishers; what they are told is committed, *stored* of it just now."""
        told = Counter[str]()
        for submission, published in answers:
            submission.answer(published)
            told[published.status] += 1
        for status, count in told.items():
            EVENTS_PUBLISHED.labels(status).inc(count)
        if stored:
            EVENTS_IN_COMMIT.observe(stored)
            self._notifications.notify(self._notifications.feed)
