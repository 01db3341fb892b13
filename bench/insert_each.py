"""
The hub without its group commit: `python -m bench.insert_each serve …` writes each event with its own statement.

Everything else is the same: the server, the checks, the statement, and the number of connections to PostgreSQL.
"""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

from learning_hub.cli import main
from learning_hub.model.ids import EventKey
from learning_hub.model.precondition import NO_PRECONDITION, Precondition
from learning_hub.model.received_event import ReceivedEvent
from learning_hub.publish.submission import Published, Submission
from learning_hub.publish.writer import Writer
from learning_hub.store.events import append_first, new_uuids


class InsertEach(Writer):
    """Writes new events at once, each in a transaction of its own."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._inserting: set[asyncio.Task[None]] = set()

    def submit(
        self,
        event: ReceivedEvent,
        idempotency_key: str | None = None,
        precondition: Precondition = NO_PRECONDITION,
    ) -> Submission:
        submission = Submission(event, idempotency_key, precondition, self._loop.create_future())
        task = asyncio.create_task(self._insert(submission))
        self._inserting.add(task)
        task.add_done_callback(self._inserting.discard)
        return submission

    async def _insert(self, submission: Submission) -> None:
        (event_uuid,) = new_uuids(1)
        if await append_first(self._database, {event_uuid: submission.event}):
            raise ValueError("The source of the event has an entry already.")
        submission.answer(Published("stored", EventKey(submission.record.program_id, event_uuid)))
        self._notifications.notify(self._notifications.feed)


if __name__ == "__main__":
    with patch("learning_hub.main.Writer", InsertEach):
        main()
