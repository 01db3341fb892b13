"""An event on its way to the writer, and what its publisher is answered."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Literal

import msgspec

from learning_hub.model.errors import Conflict
from learning_hub.model.event import SourceKey
from learning_hub.model.ids import EventKey
from learning_hub.model.received_event import ReceivedEvent


class Published(msgspec.Struct, frozen=True, gc=False):
    """What became of an event: *status* `stored` (a new feed entry) or `same`, and the event it is now."""

    status: Literal["stored", "same"]
    key: EventKey


def request_hash(source_key: SourceKey, content_hash: bytes) -> bytes:
    """What an Idempotency-Key stands for, of 32 bytes: the source key and the content."""
    return hashlib.sha256(msgspec.json.encode(source_key) + content_hash).digest()


def idempotency_key_reused() -> Conflict:
    """The refusal of an Idempotency-Key that stands for something else."""
    return Conflict("This Idempotency-Key was used with other content.", code="idempotency_key_reused")


class SourceRecord(msgspec.Struct, frozen=True, gc=False):
    """What order goes by: the entries of one source event, whatever their types."""

    program_id: str
    publisher_system_id: str
    publisher_event_id: str


class Submission:
    """One event waiting to be written, and the future its publisher waits on."""

    __slots__ = ("event", "future", "idempotency_key", "record", "rounds", "size")

    def __init__(self, event: ReceivedEvent, idempotency_key: str | None, future: asyncio.Future[Published]) -> None:
        self.event = event
        self.idempotency_key = idempotency_key
        self.record = SourceRecord(event.publisher_program_id, event.publisher_system_id, event.publisher_event_id)
        self.size = len(event.publisher_event_data)
        self.future = future
        self.rounds = 0

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
