"""
The long way into the feed: submissions judged by what is there of their source, in one transaction.

For revisions, repetitions, Idempotency-Keys, and several events of one source record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec

from learning_hub.model.clock import now
from learning_hub.model.errors import FieldError, InvalidFields
from learning_hub.model.event import LatestEntry, SourceKey, classify
from learning_hub.model.ids import EventKey, new_uuid
from learning_hub.publish.submission import Published, Submission, idempotency_key_reused
from learning_hub.store import events, idempotency_keys
from learning_hub.store.database import Connection


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
        kept = await idempotency_keys.find(self._connection, keyed)
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

    def _answer_as_kept(self, submission: Submission, kept: idempotency_keys.StoredResponse) -> None:
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
        classification = classify(before, submission.event.content_hash)
        if classification.would_be == "same" and before is not None:
            return Decision(submission, before.event_uuid, None)
        new = events.Appended(
            event=submission.event,
            event_uuid=new_uuid(),
            classification=classification,
            created_utc=now(),
        )
        latest[source] = LatestEntry(
            new.event_uuid, classification.version, classification.revision, new.event.content_hash, is_withdrawal=False
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
                idempotency_keys.StoredResponse(
                    decision.submission.request_hash(), 201 if decision.new else 200, decision.event_uuid
                ),
            )
            for decision in keyed
        ]
        self._kept = await idempotency_keys.insert(self._connection, answers)
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
            await events.delete_appended(self._connection, [item for item in new if item.event_uuid in stored & gone])
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
            await idempotency_keys.delete(self._connection, list(keys))
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
