"""Completions stored together: those that arrive during a write go with the next one (group commit)."""

from __future__ import annotations

import asyncio

from learning_hub.model.claimed_delivery import ClaimedDelivery, Completion
from learning_hub.store import queue
from learning_hub.store.database import Database
from learning_hub.store.driver_errors import DataRefused

_MOST_AT_ONCE = 200

_Waiting = tuple[ClaimedDelivery, Completion, asyncio.Future[queue.Completed]]


class Completions:
    """Completes deliveries; a lone completion is stored at once, without waiting for others."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def complete(self, claimed: ClaimedDelivery, completion: Completion) -> queue.Completed:
        """
        What became of the completion, once it is stored durably.

        Raises:
            Unavailable: The database is away; the call may be repeated.
            DataRefused: The completion cannot be stored.
        """
        if completion.subscriber_failure is not None:
            return await queue.complete(self._database, claimed, completion)
        stored: asyncio.Future[queue.Completed] = asyncio.get_running_loop().create_future()
        self._waiting.append((claimed, completion, stored))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        return await stored

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
                await self._write(batch)
        finally:
            self._writing = None

    async def _write(self, batch: list[_Waiting]) -> None:
        try:
            written = await queue.complete_together(
                self._database, [(claimed, completion) for claimed, completion, _ in batch]
            )
        except DataRefused as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            # A completion that the database refuses must not fail the others.
            for waiting in batch:
                await self._write([waiting])
        except Exception as error:  # noqa: BLE001 - each waiting caller gets it
            _fail(batch, error)
        else:
            for (_, _, stored), completed in zip(batch, written, strict=True):
                if not stored.done():
                    stored.set_result(completed)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for _, _, stored in batch:
        if not stored.done():
            stored.set_exception(error)
