"""
The slow path into the feed: submissions are classified by the latest entry of their source, in one transaction.

The slow path takes revisions, repeated events, submissions with an Idempotency-Key, and several events of one source
record. The fast path for first events is in `writer.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from learning_hub.model.errors import FieldError, InvalidFields, PreconditionFailed
from learning_hub.model.event import LatestEntry, PublishingOutcome, SourceKey, classify
from learning_hub.model.ids import EventKey, new_uuid
from learning_hub.publish.submission import Published, Submission, idempotency_key_reused
from learning_hub.store import events, idempotency_keys, programs
from learning_hub.store.database import Connection


class Decision(msgspec.Struct, frozen=True):
    """The event that answers a submission, and what to append if that event is new."""

    submission: Submission
    event_uuid: UUID
    new: events.Appended | None

    @property
    def outcome(self) -> PublishingOutcome:
        return "stored" if self.new else "same"


class SubmissionBatch:
    """
    The submissions of one transaction, and the answer of each once the transaction is committed.

    A submission is classified by the submission before it of the same source, even if the same statement writes both.
    If a submission must be retried, all later ones of its source record are therefore retried in the next batch too.
    """

    def __init__(self, connection: Connection, submissions: Sequence[Submission]) -> None:
        self._connection = connection
        self._submissions = submissions
        self._decisions: list[Decision] = []
        self._retried: set[Submission] = set()
        self._kept: set[tuple[str, str]] = set()
        self.answers: list[tuple[Submission, Published]] = []
        self.failures: list[tuple[Submission, Exception]] = []
        self.lost: list[Submission] = []  # another process was first: classify again
        self.stored = 0

    @property
    def retried(self) -> list[Submission]:
        """The submissions that must be retried in the next batch, in the order of their arrival."""
        return [submission for submission in self._submissions if submission in self._retried]

    async def write(self) -> None:
        """Classify all submissions, store the new events, and fill in answers, failures and submissions to retry."""
        fresh = await self._of_open_programs(await self._answered_before())
        latest = await self._latest(fresh)
        self._decisions = [
            self._decide(submission, latest) for submission in fresh if self._is_wanted(submission, latest)
        ]
        await self._keep_answers()
        await self._append()
        for decision in self._decisions:
            self._answer(decision.submission, decision.outcome, decision.event_uuid)

    async def _answered_before(self) -> list[Submission]:
        """Answer submissions whose Idempotency-Key is stored; returns the others, without second uses of a key."""
        keyed = [submission.kept_under for submission in self._submissions if submission.idempotency_key]
        if not keyed:
            return list(self._submissions)
        kept = await idempotency_keys.find(self._connection, keyed)
        fresh: list[Submission] = []
        second_uses, used = [], set()
        for submission in self._submissions:
            key = submission.kept_under if submission.idempotency_key else None
            if key in kept:
                self._answer_as_kept(submission, kept[key])
                continue
            fresh.append(submission)
            if key in used:
                second_uses.append(submission)
            elif key:
                used.add(key)
        retried = self._retry(second_uses, among=fresh)
        return [submission for submission in fresh if submission not in retried]

    def _answer_as_kept(self, submission: Submission, kept: idempotency_keys.KeptOutcome) -> None:
        if kept.request_hash == submission.request_hash():
            self._answer(submission, kept.outcome, kept.event_uuid)
            return
        self.failures.append((submission, idempotency_key_reused()))

    async def _of_open_programs(self, submissions: list[Submission]) -> list[Submission]:
        """Refuse the submissions of Programs that accept no events; returns the others."""
        program_ids = {submission.record.program_id for submission in submissions}
        closed = await programs.closed(self._connection, program_ids)
        for submission in submissions:
            if reason := closed.get(submission.record.program_id):
                self.failures.append((submission, InvalidFields([FieldError("PublisherProgramId", reason)])))
        return [submission for submission in submissions if submission.record.program_id not in closed]

    async def _latest(self, fresh: Sequence[Submission]) -> dict[SourceKey, LatestEntry | None]:
        sources = list({submission.event.source_key: None for submission in fresh})
        return dict(zip(sources, await events.latest_entries(self._connection, sources), strict=True))

    def _is_wanted(self, submission: Submission, latest: dict[SourceKey, LatestEntry | None]) -> bool:
        """Whether its precondition holds of the latest entry of its source; it fails otherwise."""
        before = latest[submission.event.source_key]
        try:
            submission.precondition.check(*([before.tag] if before else []))
        except PreconditionFailed as error:
            self.failures.append((submission, error))
            return False
        return True

    @staticmethod
    def _decide(submission: Submission, latest: dict[SourceKey, LatestEntry | None]) -> Decision:
        """Classify by the latest entry of the source; a new event becomes the latest for the submissions after it."""
        source = submission.event.source_key
        before = latest[source]
        classification = classify(before, submission.event.content_hash)
        if classification.would_be == "same" and before is not None:
            return Decision(submission, before.event_uuid, None)
        new = events.Appended(
            event=submission.event,
            event_uuid=new_uuid(),
            classification=classification,
        )
        latest[source] = LatestEntry(
            new.event_uuid, classification.version, classification.revision, new.event.content_hash, is_withdrawal=False
        )
        return Decision(submission, new.event_uuid, new)

    async def _keep_answers(self) -> None:
        """Store Idempotency-Keys; a submission is retried if another writer has just stored its key."""
        keyed = [decision for decision in self._decisions if decision.submission.idempotency_key]
        if not keyed:
            return
        # All writers use the same order, so that two of them do not deadlock.
        keyed.sort(key=lambda decision: decision.submission.kept_under)
        answers = [
            (
                *decision.submission.kept_under,
                idempotency_keys.KeptOutcome(decision.submission.request_hash(), decision.outcome, decision.event_uuid),
            )
            for decision in keyed
        ]
        self._kept = await idempotency_keys.insert(self._connection, answers)
        lost = [decision.submission for decision in keyed if decision.submission.kept_under not in self._kept]
        await self._roll_back(lost)

    async def _append(self) -> None:
        new = [decision.new for decision in self._decisions if decision.new]
        if not new:
            return
        stored = await events.append_events(self._connection, new)
        lost = [
            decision.submission for decision in self._decisions if decision.new and decision.event_uuid not in stored
        ]
        rolled_back = await self._roll_back(lost)
        if stored & rolled_back:
            deleted = [item for item in new if item.event_uuid in stored & rolled_back]
            await events.delete_appended(self._connection, deleted)
        self.stored = len(stored - rolled_back)

    async def _roll_back(self, lost: list[Submission]) -> set[UUID]:
        """
        Retry the submissions that lost a race, and all that were classified by them, and delete their keys.

        Returns:
            The uuids of new events that must be deleted from the feed.
        """
        if not lost:
            return set()
        self.lost += lost
        retried = self._retry(lost, among=[decision.submission for decision in self._decisions])
        # Only keys that this transaction stored; a key that lost the race belongs to another writer.
        if keys := self._kept & {submission.kept_under for submission in retried}:
            await idempotency_keys.delete(self._connection, list(keys))
        rolled_back = {
            decision.event_uuid for decision in self._decisions if decision.new and decision.submission in retried
        }
        self._decisions = [decision for decision in self._decisions if decision.submission not in retried]
        return rolled_back

    def _retry(self, submissions: list[Submission], *, among: list[Submission]) -> set[Submission]:
        """Retry *submissions* in the next batch, with those *among* which follow one of them in its source record."""
        retried, records = set(submissions), set()
        for submission in among:
            if submission in retried or submission.record in records:
                retried.add(submission)
                records.add(submission.record)
        self._retried |= retried
        return retried

    def _answer(self, submission: Submission, outcome: PublishingOutcome, event_uuid: UUID) -> None:
        key = EventKey(submission.event.publisher_program_id, event_uuid)
        self.answers.append((submission, Published(outcome, key)))
