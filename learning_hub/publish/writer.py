"""
The group commit: the one place through which events get into the feed.

Requests that arrive while a commit is in the air are written together by the next one. There is no timer: a lone
request is written at once. Past a bounded backlog the answer is Unavailable, never more memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec

from learning_hub.metrics import EVENTS_IN_COMMIT, EVENTS_PUBLISHED
from learning_hub.model.clock import now
from learning_hub.model.errors import Conflict, FieldError, InvalidFields, LearningHubError, Unavailable
from learning_hub.model.event import LatestEntry, NewEvent, SourceKey, Verdict, judge
from learning_hub.model.ids import EventKey, new_uuid
from learning_hub.store import events
from learning_hub.store.bells import Bells
from learning_hub.store.database import Connection, Database, DataRefused, InTheWay

log = logging.getLogger(__name__)

MAX_BATCH = 500
MAX_BACKLOG = 20_000
MAX_BACKLOG_BYTES = 64 * 1024 * 1024
MAX_LOST_RACES = 50


class Published(msgspec.Struct, frozen=True):
    """What became of an event: *status* `stored` (a new feed entry) or `same`, and the event it is now."""

    status: Literal["stored", "same"]
    key: EventKey


def request_hash(source_key: SourceKey, content_hash: bytes) -> bytes:
    """What an Idempotency-Key stands for, of 32 bytes: the source key and the content."""
    return hashlib.sha256(msgspec.json.encode(source_key) + content_hash).digest()


def idempotency_key_reused() -> Conflict:
    """The refusal of an Idempotency-Key that stands for something else."""
    return Conflict("This Idempotency-Key was used with other content.", code="idempotency_key_reused")


class Submission:
    """One event waiting to be written, and the future its publisher waits on."""

    __slots__ = ("content_hash", "event", "future", "idempotency_key", "rounds")

    def __init__(self, event: NewEvent, idempotency_key: str | None) -> None:
        self.event = event
        self.idempotency_key = idempotency_key
        self.content_hash = event.content_hash()
        self.future: asyncio.Future[Published] = asyncio.get_running_loop().create_future()
        self.rounds = 0

    @property
    def kept_under(self) -> tuple[str, str]:
        return (self.event.publisher_program_id, self.idempotency_key or "")

    def request_hash(self) -> bytes:
        return request_hash(self.event.source_key, self.content_hash)

    def answer(self, published: Published) -> None:
        if not self.future.done():
            self.future.set_result(published)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Writer:
    """Writes submissions in batches, one batch at a time; `run` must be running for anything to be written."""

    def __init__(self, database: Database, bells: Bells) -> None:
        self._database = database
        self._bells = bells
        self._waiting: list[Submission] = []
        self._waiting_bytes = 0
        self._something = asyncio.Event()

    async def publish(self, event: NewEvent, idempotency_key: str | None = None) -> Published:
        """
        Write *event*; returns once it is durably committed.

        Raises:
            InvalidFields: Its Program takes no events.
            Conflict: The Idempotency-Key was used with other content.
            Unavailable: The database is away, or too many are waiting; it may be sent again.
        """
        if len(self._waiting) >= MAX_BACKLOG or self._waiting_bytes >= MAX_BACKLOG_BYTES:
            raise Unavailable("Too many events are waiting to be stored.", retry_after_seconds=1)
        submission = Submission(event, idempotency_key)
        self._waiting.append(submission)
        self._waiting_bytes += len(event.data)
        self._something.set()
        try:
            return await submission.future
        finally:
            self._waiting_bytes -= len(event.data)

    async def run(self) -> None:
        """Write what is waiting, until cancelled."""
        try:
            while True:
                await self._something.wait()
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                if not self._waiting:
                    self._something.clear()
                if batch:
                    again = await self._write_or_fail(batch)
                    if again:
                        self._waiting = again + self._waiting
                        self._something.set()
        finally:
            for submission in self._waiting:
                submission.fail(Unavailable("The hub is stopping."))

    async def _write_or_fail(self, batch: list[Submission]) -> list[Submission]:
        """Write *batch*; returns those that lost a race and go into the next one."""
        try:
            lost, deferred = await self._write(batch)
        except InTheWay:
            lost, deferred = batch, []
        except DataRefused as error:
            if len(batch) > 1:
                return await self._write_one_by_one(batch)
            batch[0].fail(error)
            return []
        except BaseException as error:
            self._fail_all(batch, error)
            if isinstance(error, asyncio.CancelledError):
                raise
            return []
        for submission in lost:
            submission.rounds += 1
            if submission.rounds > MAX_LOST_RACES:
                submission.fail(Unavailable("Others keep writing the same source; try again."))
        return [submission for submission in lost + deferred if not submission.future.done()]

    @staticmethod
    def _fail_all(batch: list[Submission], error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            error = Unavailable("The hub is stopping.")
        elif not isinstance(error, LearningHubError):
            log.error("write_failed", exc_info=error)
        for submission in batch:
            submission.fail(error)

    async def _write_one_by_one(self, batch: list[Submission]) -> list[Submission]:
        """One that the database refuses must not fail its neighbours."""
        again = []
        for submission in batch:
            again += await self._write_or_fail([submission])
        return again

    async def _write(self, batch: list[Submission]) -> tuple[list[Submission], list[Submission]]:
        async with self._database.transaction() as connection:
            outcome = Batch(connection)
            await outcome.settle(batch)
        # Committed: only now may anybody be told.
        for submission, published in outcome.answers:
            submission.answer(published)
            EVENTS_PUBLISHED.labels(published.status).inc()
        for submission, error in outcome.failures:
            submission.fail(error)
        if outcome.stored:
            EVENTS_IN_COMMIT.observe(outcome.stored)
            self._bells.ring(self._bells.feed)
        return outcome.lost, outcome.deferred


class Batch:
    """One transaction's worth of submissions: what to answer each of them once it is committed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.answers: list[tuple[Submission, Published]] = []
        self.failures: list[tuple[Submission, Exception]] = []
        self.lost: list[Submission] = []  # another process was first: look again
        self.deferred: list[Submission] = []  # must wait for one before them in this batch
        self.stored = 0

    async def settle(self, batch: list[Submission]) -> None:
        """Judge every submission and store what is new."""
        fresh = await self._of_open_programs(await self._answered_before(batch))
        latest = await events.latest_entries(self._connection, [submission.event.source_key for submission in fresh])
        self._judge(fresh, latest)
        if self._same or self._new:
            await self._keep_answers()
        await self._append()

    async def _of_open_programs(self, batch: list[Submission]) -> list[Submission]:
        """Refuse those of Programs that take no events; returns the others."""
        asked = {submission.event.publisher_program_id for submission in batch}
        closed = await events.closed_programs(self._connection, asked)
        for submission in batch:
            if why := closed.get(submission.event.publisher_program_id):
                self.failures.append((submission, InvalidFields([FieldError("PublisherProgramId", why)])))
        return [submission for submission in batch if submission.event.publisher_program_id not in closed]

    async def _answered_before(self, batch: list[Submission]) -> list[Submission]:
        """Answer those whose Idempotency-Key is known; returns the others, without second uses of one key."""
        keyed = [submission for submission in batch if submission.idempotency_key]
        if not keyed:
            return batch
        kept = await events.find_kept_answers(self._connection, [item.kept_under for item in keyed])
        fresh, taken = [], set()
        for submission in batch:
            before = kept.get(submission.kept_under) if submission.idempotency_key else None
            if before is None and submission.idempotency_key and submission.kept_under in taken:
                self.deferred.append(submission)
            elif before is None:
                fresh.append(submission)
                taken.add(submission.kept_under)
            elif before.request_hash != submission.request_hash():
                self.failures.append((submission, idempotency_key_reused()))
            else:
                self._answer(submission, "stored" if before.status == 201 else "same", before.event_uuid)
        return fresh

    def _judge(self, fresh: Sequence[Submission], latest: Sequence[LatestEntry | None]) -> None:
        """Sort into new and same; a second one of a source goes into the next batch, to be judged by the first."""
        self._new: list[tuple[Submission, events.Appended]] = []
        self._same: list[tuple[Submission, UUID]] = []
        taken: set[SourceKey] = set()
        for submission, before in zip(fresh, latest, strict=True):
            source = submission.event.source_key
            if source in taken:
                self.deferred.append(submission)
                continue
            verdict = judge(before, submission.content_hash)
            if verdict.would_be == "same" and before is not None:
                self._same.append((submission, before.event_uuid))
            else:
                taken.add(source)
                self._new.append((submission, self._appended(submission, verdict)))
        # In one order for all writers, so that two of them never wait for each other in a ring.
        self._new.sort(key=lambda item: msgspec.structs.astuple(item[0].event.source_key))

    @staticmethod
    def _appended(submission: Submission, verdict: Verdict) -> events.Appended:
        return events.Appended(
            event=submission.event,
            event_uuid=new_uuid(),
            content_hash=submission.content_hash,
            verdict=verdict,
            created_utc=now(),
        )

    async def _keep_answers(self) -> None:
        """Store Idempotency-Keys; a submission whose key another writer has just taken goes round again."""
        keyed = [
            (submission, events.KeptAnswer(submission.request_hash(), status, event_uuid))
            for status, event_uuid, submission in [
                *((201, appended.event_uuid, submission) for submission, appended in self._new),
                *((200, event_uuid, submission) for submission, event_uuid in self._same),
            ]
            if submission.idempotency_key
        ]
        if not keyed:
            return
        keyed.sort(key=lambda item: item[0].kept_under)
        kept = await events.keep_answers(
            self._connection, [(*submission.kept_under, answer) for submission, answer in keyed]
        )
        lost = {id(submission) for submission, _ in keyed if submission.kept_under not in kept}
        self.lost += [submission for submission, _ in keyed if id(submission) in lost]
        self._new = [item for item in self._new if id(item[0]) not in lost]
        self._same = [item for item in self._same if id(item[0]) not in lost]

    async def _append(self) -> None:
        stored = await events.append_events(self._connection, [item for _, item in self._new]) if self._new else set()
        self.stored = len(stored)
        lost_keys = []
        for submission, item in self._new:
            if item.event_uuid in stored:
                self._answer(submission, "stored", item.event_uuid)
            else:
                self.lost.append(submission)
                if submission.idempotency_key:
                    lost_keys.append(submission.kept_under)
        for submission, event_uuid in self._same:
            self._answer(submission, "same", event_uuid)
        if lost_keys:
            await events.forget_answers(self._connection, lost_keys)

    def _answer(self, submission: Submission, status: Literal["stored", "same"], event_uuid: UUID) -> None:
        key = EventKey(submission.event.publisher_program_id, event_uuid)
        self.answers.append((submission, Published(status, key)))
