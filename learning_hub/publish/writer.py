"""
The group commit: the Writer appends all events to the feed.

Submissions that arrive during a commit are written together by the next one. A submission that arrives alone is written
at once, without a timer. The number of unanswered submissions, and the bytes of their data, are bounded. These include
submissions that are being written and those whose publishers have disconnected; beyond the bounds a submission fails
with Unavailable.

While more submissions are waiting than one batch holds, a second batch is written at the same time, so that the
database has work while the hub prepares the next batch.

Two entries of one source record are appended in the order in which they arrived, whatever their types: a submission
waits while another one of its source record is being written.

First events of their source take the fast path, `_append_first`; all other submissions are classified in one
transaction (`classification.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from operator import attrgetter
from uuid import UUID

from learning_hub.metrics import EVENTS_IN_COMMIT, EVENTS_PUBLISHED
from learning_hub.model.errors import LearningHubError, Unavailable
from learning_hub.model.ids import EventKey
from learning_hub.model.precondition import NO_PRECONDITION, Precondition
from learning_hub.model.received_event import ReceivedEvent
from learning_hub.publish.classification import SubmissionBatch
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
# The number of events from which the bulk load is faster, although it takes five round trips to the database.
COPIED_FROM = 100
# The most bytes of data in a bulk load. asyncpg sends half a mebibyte at once, and waits for the server before it sends
# more. If the server is gone, that is noticed only after the time limit. The same happens if other fields are so long
# that they reach that size.
COPIED_BYTES = 384 * 1024


class Writer:
    """Writes submissions in batches; `run` must be running for anything to be written."""

    def __init__(self, database: Database, notifications: Notifications) -> None:
        self._database = database
        self._notifications = notifications
        self._waiting: list[Submission] = []
        self._unanswered = 0
        self._unanswered_bytes = 0
        self._writing: list[list[Submission]] = []
        self._any_waiting = asyncio.Event()
        self._full_batch_waiting = asyncio.Event()
        self._copying_pays = True

    def submit(
        self,
        event: ReceivedEvent,
        idempotency_key: str | None = None,
        precondition: Precondition = NO_PRECONDITION,
    ) -> Submission:
        """
        Add *event* to the next batch; the submission's future is done once it is durably committed.

        Raises:
            Unavailable: Too many submissions are waiting; the event may be sent again.
        """
        submission = Submission(event, idempotency_key, precondition, self._loop.create_future())
        if not self._has_room_for(submission):
            raise Unavailable("Too many events are waiting to be stored.", retry_after_seconds=1)
        self._waiting.append(submission)
        self._unanswered += 1
        self._unanswered_bytes += submission.size
        self._wake_writers()
        return submission

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        # Cached, because finding the loop takes a system call each time.
        return asyncio.get_running_loop()

    async def publish(self, event: ReceivedEvent, idempotency_key: str | None = None) -> Published:
        """
        Write *event*; returns once it is durably committed.

        Raises:
            InvalidFields: Its Program accepts no events.
            Conflict: The Idempotency-Key was used with other content.
            Unavailable: The database is away, or too many submissions are waiting; the event may be sent again.
        """
        return await self.submit(event, idempotency_key).future

    def _has_room_for(self, submission: Submission) -> bool:
        """Whether the bounds hold with *submission* added; a submission that exceeds them alone is accepted alone."""
        return self._unanswered == 0 or (
            self._unanswered < MAX_BACKLOG and self._unanswered_bytes + submission.size <= MAX_BACKLOG_BYTES
        )

    async def run(self) -> None:
        """Write waiting submissions, until cancelled."""
        try:
            async with asyncio.TaskGroup() as writers:
                writers.create_task(self._write_batches(self._any_waiting, least=1))
                writers.create_task(self._write_batches(self._full_batch_waiting, least=MAX_BATCH))
        finally:
            for submission in self._waiting:
                submission.fail(Unavailable("The hub is stopping."))

    def _wake_writers(self) -> None:
        if self._waiting:
            self._any_waiting.set()
        if len(self._waiting) >= MAX_BATCH:
            self._full_batch_waiting.set()

    async def _write_batches(self, is_woken: asyncio.Event, *, least: int) -> None:
        """Write batch after batch, as long as at least *least* submissions are waiting."""
        while True:
            await is_woken.wait()
            batch = self._take(least)
            if not batch:
                is_woken.clear()
                continue
            self._writing.append(batch)
            retried = await self._write_or_fail(batch)
            self._writing.remove(batch)
            self._unanswered -= len(batch) - len(retried)
            self._unanswered_bytes -= sum(item.size for item in batch) - sum(item.size for item in retried)
            self._waiting[:0] = retried
            self._wake_writers()

    def _take(self, least: int) -> list[Submission]:
        """The next batch, without submissions whose source record is being written."""
        if len(self._waiting) < least:
            return []
        held = {submission.record for batch in self._writing for submission in batch}
        batch: list[Submission] = []
        left: list[Submission] = []
        for index, submission in enumerate(self._waiting):
            if len(batch) == MAX_BATCH:
                left += self._waiting[index:]
                break
            (left if submission.record in held else batch).append(submission)
        self._waiting = left
        return batch

    async def _write_or_fail(self, batch: list[Submission]) -> list[Submission]:
        """Write *batch*; returns the submissions that must be retried in the next batch, in the order of arrival."""
        left = batch
        try:
            left = await self._append_first(batch)
            if not left:
                return []
            classified = await self._write_classified(left)
        except InTheWay:
            return self._without_exhausted(left, lost=left)
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
        return self._without_exhausted(classified.retried, lost=classified.lost)

    @staticmethod
    def _without_exhausted(retried: list[Submission], *, lost: list[Submission]) -> list[Submission]:
        """The submissions of *retried* that have not lost too many races; *lost* are those that have just lost one."""
        for submission in lost:
            submission.lost_races += 1
            if submission.lost_races > MAX_LOST_RACES:
                submission.fail(Unavailable("Others keep writing the same source; try again."))
        return [item for item in retried if item.lost_races <= MAX_LOST_RACES]

    @staticmethod
    def _fail_all(batch: list[Submission], error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            error = Unavailable("The hub is stopping.")
        elif not isinstance(error, LearningHubError):
            log.error("write_failed", exc_info=error)
        for submission in batch:
            submission.fail(error)

    async def _write_one_by_one(self, batch: list[Submission]) -> list[Submission]:
        """Write each submission alone, so that one that the database refuses does not fail the others."""
        retried: list[Submission] = []
        for submission in batch:
            follows_retried = any(other.record == submission.record for other in retried)
            retried += [submission] if follows_retried else await self._write_or_fail([submission])
        return retried

    async def _append_first(self, batch: list[Submission]) -> list[Submission]:
        """
        The fast path: store the submissions that are the first of their source, which nearly all are.

        Returns:
            The other submissions, in the order of their arrival. These include those with an Idempotency-Key or a
            precondition, and all of a source record with several, because a later one must not be appended before an
            earlier one.
        """
        of_record = Counter(map(attrgetter("record"), batch))
        candidates = [item for item in batch if item.is_plain and of_record[item.record] == 1]
        if not candidates:
            return batch
        new = dict(zip(events.new_uuids(len(candidates)), [item.event for item in candidates], strict=True))
        not_stored = await self._store_first(new)
        stored = [
            (submission, Published("stored", EventKey(submission.record.program_id, event_uuid)))
            for submission, event_uuid in zip(candidates, new, strict=True)
            if not not_stored or event_uuid not in not_stored
        ]
        self._answer(stored, stored=len(stored))
        if len(stored) == len(batch):
            return []
        answered = {submission for submission, _ in stored}
        return [submission for submission in batch if submission not in answered]

    async def _store_first(self, new: dict[UUID, ReceivedEvent]) -> set[UUID]:
        """
        Store first events by the statement or the bulk load, whichever is likely to be faster.

        The bulk load stores nothing if a source already has an entry. That is seldom the case for only one event: a
        publisher typically sends all events of a year again.

        Returns:
            The uuids of the events that were not stored.
        """
        program_id = self._program_to_copy(new)
        if program_id and self._copying_pays:
            if await events.copy_first(self._database, program_id, new):
                return set()
            self._copying_pays = False
        not_stored = await events.append_first(self._database, new)
        if program_id and not not_stored:
            self._copying_pays = True
        return not_stored

    @staticmethod
    def _program_to_copy(new: dict[UUID, ReceivedEvent]) -> str | None:
        """
        The Program of events to load in bulk; None if they are of several Programs, too few or too large.

        Their size is limited so that asyncpg usually sends them at once. Events of several Programs would be written to
        the partitions of the Programs one after the other, and not in the order of the source keys.
        """
        if len(new) < COPIED_FROM or sum(len(event.publisher_event_data) for event in new.values()) > COPIED_BYTES:
            return None
        program_ids = {event.publisher_program_id for event in new.values()}
        return program_ids.pop() if len(program_ids) == 1 else None

    async def _write_classified(self, submissions: list[Submission]) -> SubmissionBatch:
        """Classify the submissions by the latest entry of each source, and store the new events."""
        async with self._database.transaction() as connection:
            batch = SubmissionBatch(connection, submissions)
            await batch.write()
        self._answer(batch.answers, stored=batch.stored)
        for submission, error in batch.failures:
            submission.fail(error)
        return batch

    def _answer(self, answers: Iterable[tuple[Submission, Published]], *, stored: int) -> None:
        """Answer publishers after the commit, which stored *stored* of the events."""
        counts = Counter[str]()
        for submission, published in answers:
            submission.answer(published)
            counts[published.outcome] += 1
        for outcome, count in counts.items():
            EVENTS_PUBLISHED.labels(outcome).inc(count)
        if stored:
            EVENTS_IN_COMMIT.observe(stored)
            self._notifications.notify(self._notifications.feed)
