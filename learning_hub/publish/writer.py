"""
The group commit: the one place through which events get into the feed.

Requests that arrive while a commit is in the air are written together by the next one. There is no timer: a lone
request is written at once. What is taken in and not settled is bounded, in events and in bytes of their data, those
of publishers that have hung up and those being written included; past that the answer is Unavailable.

Two entries of one source record get into the feed in the order in which they arrived, whatever their types.
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
from learning_hub.model.event import LatestEntry, NewEvent, SourceKey, judge
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


class SourceRecord(msgspec.Struct, frozen=True):
    """What order goes by: the entries of one source event, whatever their types."""

    program_id: str
    publisher_system_id: str
    publisher_event_id: str


class Submission:
    """One event waiting to be written, and the future its publisher waits on."""

    __slots__ = ("content_hash", "event", "future", "idempotency_key", "record", "rounds", "size")

    def __init__(self, event: NewEvent, idempotency_key: str | None) -> None:
        self.event = event
        self.idempotency_key = idempotency_key
        self.record = SourceRecord(event.publisher_program_id, event.publisher_system_id, event.publisher_event_id)
        self.size = len(event.data)
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
        self._unsettled = 0
        self._unsettled_bytes = 0
        self._something = asyncio.Event()

    async def publish(self, event: NewEvent, idempotency_key: str | None = None) -> Published:
        """
        Write *event*; returns once it is durably committed.

        Raises:
            InvalidFields: Its Program takes no events.
            Conflict: The Idempotency-Key was used with other content.
            Unavailable: The database is away, or too many are waiting; it may be sent again.
        """
        if not self._has_room_for(event):
            raise Unavailable("Too many events are waiting to be stored.", retry_after_seconds=1)
        submission = Submission(event, idempotency_key)
        self._waiting.append(submission)
        self._unsettled += 1
        self._unsettled_bytes += submission.size
        self._something.set()
        return await submission.future

    def _has_room_for(self, event: NewEvent) -> bool:
        """Whether the bounds hold with *event* as well; one that is larger than the bound may come alone."""
        return self._unsettled == 0 or (
            self._unsettled < MAX_BACKLOG and self._unsettled_bytes + len(event.data) <= MAX_BACKLOG_BYTES
        )

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
                    self._unsettled -= len(batch) - len(again)
                    self._unsettled_bytes -= sum(item.size for item in batch) - sum(item.size for item in again)
                    if again:
                        self._waiting = again + self._waiting
                        self._something.set()
        finally:
            for submission in self._waiting:
                submission.fail(Unavailable("The hub is stopping."))

    async def _write_or_fail(self, batch: list[Submission]) -> list[Submission]:
        """Write *batch*; returns those that must go into the next one, in the order of their arrival."""
        try:
            outcome = await self._write(batch)
        except InTheWay:
            return self._again(batch, lost=batch)
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
        """One that the database refuses must not fail its neighbours."""
        again: list[Submission] = []
        for submission in batch:
            is_behind = any(other.record == submission.record for other in again)
            again += [submission] if is_behind else await self._write_or_fail([submission])
        return again

    async def _write(self, batch: list[Submission]) -> Batch:
        async with self._database.transaction() as connection:
            outcome = Batch(connection, batch)
            await outcome.settle()
        # Committed: only now may anybody be told.
        for submission, published in outcome.answers:
            submission.answer(published)
            EVENTS_PUBLISHED.labels(published.status).inc()
        for submission, error in outcome.failures:
            submission.fail(error)
        if outcome.stored:
            EVENTS_IN_COMMIT.observe(outcome.stored)
            self._bells.ring(self._bells.feed)
        return outcome


class Decision(msgspec.Struct, frozen=True):
    """What a submission comes to: the event it is now, and what to append where that is a new one."""

    submission: Submission
    event_uuid: UUID
    new: events.Appended | None


class Batch:
    """
    One transaction's worth of submissions: what to answer each of them once it is committed.

    Each is judged by the one before it of the same source, also where that one is written by the same statement. So
    one that must go round again takes all later ones of its source record along.
    """

    def __init__(self, connection: Connection, batch: Sequence[Submission]) -> None:
        self._connection = connection
        self._batch = batch
        self._decisions: list[Decision] = []
        self._again: set[Submission] = set()
        self._kept: set[tuple[str, str]] = set()
        self.answers: list[tuple[Submission, Published]] = []
        self.failures: list[tuple[Submission, Exception]] = []
        self.lost: list[Submission] = []  # another process was first: look again
        self.stored = 0

    @property
    def again(self) -> list[Submission]:
        """Those that must go into the next batch, in the order of their arrival."""
        return [submission for submission in self._batch if submission in self._again]

    async def settle(self) -> None:
        """Judge every submission and store what is new."""
        fresh = await self._of_open_programs(await self._answered_before())
        latest = await self._latest(fresh)
        self._decisions = [self._judge(submission, latest) for submission in fresh]
        await self._keep_answers()
        await self._append()
        for decision in self._decisions:
            self._answer(decision.submission, "stored" if decision.new else "same", decision.event_uuid)

    async def _answered_before(self) -> list[Submission]:
        """Answer those whose Idempotency-Key is known; returns the others, without second uses of one key."""
        keyed = [submission.kept_under for submission in self._batch if submission.idempotency_key]
        if not keyed:
            return list(self._batch)
        kept = await events.find_kept_answers(self._connection, keyed)
        fresh: list[Submission] = []
        second_uses, taken = [], set()
        for submission in self._batch:
            key = submission.kept_under if submission.idempotency_key else None
            if key in kept:
                self._answer_as_kept(submission, kept[key])
                continue
            fresh.append(submission)
            if key in taken:
                second_uses.append(submission)
            elif key:
                taken.add(key)
        behind = self._go_round(fresh, second_uses)
        return [submission for submission in fresh if submission not in behind]

    def _answer_as_kept(self, submission: Submission, kept: events.KeptAnswer) -> None:
        if kept.request_hash == submission.request_hash():
            self._answer(submission, "stored" if kept.status == 201 else "same", kept.event_uuid)
            return
        self.failures.append((submission, idempotency_key_reused()))

    async def _of_open_programs(self, batch: list[Submission]) -> list[Submission]:
        """Refuse those of Programs that take no events; returns the others."""
        asked = {submission.record.program_id for submission in batch}
        closed = await events.closed_programs(self._connection, asked)
        for submission in batch:
            if why := closed.get(submission.record.program_id):
                self.failures.append((submission, InvalidFields([FieldError("PublisherProgramId", why)])))
        return [submission for submission in batch if submission.record.program_id not in closed]

    async def _latest(self, fresh: Sequence[Submission]) -> dict[SourceKey, LatestEntry | None]:
        sources = list({submission.event.source_key: None for submission in fresh})
        return dict(zip(sources, await events.latest_entries(self._connection, sources), strict=True))

    @staticmethod
    def _judge(submission: Submission, latest: dict[SourceKey, LatestEntry | None]) -> Decision:
        """Decide by the latest entry of the source; what is new becomes the latest for those that come after."""
        source = submission.event.source_key
        before = latest[source]
        verdict = judge(before, submission.content_hash)
        if verdict.would_be == "same" and before is not None:
            return Decision(submission, before.event_uuid, None)
        new = events.Appended(
            event=submission.event,
            event_uuid=new_uuid(),
            content_hash=submission.content_hash,
            verdict=verdict,
            created_utc=now(),
        )
        latest[source] = LatestEntry(
            new.event_uuid, verdict.version, verdict.revision, new.content_hash, is_withdrawal=False
        )
        return Decision(submission, new.event_uuid, new)

    async def _keep_answers(self) -> None:
        """Store Idempotency-Keys; a submission whose key another writer has just taken goes round again."""
        keyed = [decision for decision in self._decisions if decision.submission.idempotency_key]
        if not keyed:
            return
        # In one order for all writers, so that two of them never wait for each other in a ring.
        keyed.sort(key=lambda decision: decision.submission.kept_under)
        answers = [
            (
                *decision.submission.kept_under,
                events.KeptAnswer(
                    decision.submission.request_hash(), 201 if decision.new else 200, decision.event_uuid
                ),
            )
            for decision in keyed
        ]
        self._kept = await events.keep_answers(self._connection, answers)
        lost = [decision.submission for decision in keyed if decision.submission.kept_under not in self._kept]
        await self._take_back(lost)

    async def _append(self) -> None:
        new = [decision.new for decision in self._decisions if decision.new]
        if not new:
            return
        stored = await events.append_events(self._connection, new)
        lost = [
            decision.submission for decision in self._decisions if decision.new and decision.event_uuid not in stored
        ]
        gone = await self._take_back(lost)
        if stored & gone:
            await events.take_back(self._connection, [item for item in new if item.event_uuid in stored & gone])
        self.stored = len(stored - gone)

    async def _take_back(self, lost: list[Submission]) -> set[UUID]:
        """
        Let those that lost a race go round again, with all that were judged by them, and free their keys.

        Returns:
            The uuids of events that are not to be.
        """
        if not lost:
            return set()
        self.lost += lost
        behind = self._go_round([decision.submission for decision in self._decisions], lost)
        # Only what this transaction kept: a key that was lost is another's.
        if keys := self._kept & {submission.kept_under for submission in behind}:
            await events.forget_answers(self._connection, list(keys))
        gone = {decision.event_uuid for decision in self._decisions if decision.new and decision.submission in behind}
        self._decisions = [decision for decision in self._decisions if decision.submission not in behind]
        return gone

    def _go_round(self, submissions: list[Submission], first: list[Submission]) -> set[Submission]:
        """Put *first* into the next batch, and whatever comes after one of them in its source record."""
        behind, records = set(first), set()
        for submission in submissions:
            if submission in behind or submission.record in records:
                behind.add(submission)
                records.add(submission.record)
        self._again |= behind
        return behind

    def _answer(self, submission: Submission, status: Literal["stored", "same"], event_uuid: UUID) -> None:
        key = EventKey(submission.event.publisher_program_id, event_uuid)
        self.answers.append((submission, Published(status, key)))
