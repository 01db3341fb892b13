"""A submission: an event for the writer, with the future of its publisher's response."""

from __future__ import annotations

import asyncio
import hashlib

import msgspec

from learning_hub.model.errors import Conflict
from learning_hub.model.event import PublishingOutcome, SourceKey
from learning_hub.model.ids import EventKey
from learning_hub.model.precondition import NO_PRECONDITION, Precondition
from learning_hub.model.received_event import ReceivedEvent


class Published(msgspec.Struct, frozen=True, gc=False):
    """The outcome of a submission, and the key of the event that was stored now or before."""

    outcome: PublishingOutcome
    key: EventKey


def request_hash(source_key: SourceKey, content_hash: bytes) -> bytes:
    """The 32-byte hash of a source key and a content hash, which is stored with an Idempotency-Key."""
    return hashlib.sha256(msgspec.json.encode(source_key) + content_hash).digest()


def idempotency_key_reused() -> Conflict:
    """The error for an Idempotency-Key that was used with another event."""
    return Conflict("This Idempotency-Key was used with other content.", code="idempotency_key_reused")


class SourceRecord(msgspec.Struct, frozen=True, gc=False):
    """The key of a source record; its events, whatever their types, are stored in the order of their arrival."""

    program_id: str
    publisher_system_id: str
    publisher_event_id: str


class Submission:
    """
    One event waiting to be written, and the future that its publisher waits for.

    *size* is the size of its data in bytes; *lost_races* counts how often another process wrote its source first.
    """

    __slots__ = ("event", "future", "idempotency_key", "lost_races", "precondition", "record", "size")

    def __init__(
        self,
        event: ReceivedEvent,
        idempotency_key: str | None,
        precondition: Precondition,
        future: asyncio.Future[Published],
    ) -> None:
        self.event = event
        self.idempotency_key = idempotency_key
        self.precondition = precondition
        self.record = SourceRecord(event.publisher_program_id, event.publisher_system_id, event.publisher_event_id)
        self.size = len(event.publisher_event_data)
        self.future = future
        self.lost_races = 0

    @property
    def is_plain(self) -> bool:
        """Whether it can be stored without looking at anything but its event."""
        return self.idempotency_key is None and self.precondition is NO_PRECONDITION

    @property
    def kept_under(self) -> tuple[str, str]:
        return (self.event.publisher_program_id, self.idempotency_key or "")

    def request_hash(self) -> bytes:
        return request_hash(self.event.source_key, self.event.content_hash)

    def answer(self, published: Published) -> None:
        if not self.future.done():
            self.future.set_result(published)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)
