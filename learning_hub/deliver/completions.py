"""Outcomes written down together: those that come while others are being written go with the next ones."""

from __future__ import annotations

import asyncio

from learning_hub.model.delivery import Claimed, Completion
from learning_hub.store import queue
from learning_hub.store.database import Database
from learning_hub.store.driver_errors import DataRefused

_MOST = 200

_Waiting = tuple[Claimed, Completion, asyncio.Future[queue.Completed]]


class Completions:
    """Settles deliveries; there is no timer: a lone outcome is written at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def complete(self, claimed: Claimed, completion: Completion) -> queue.Completed:
        """
        What became of the outcome, once it is written durably.

        Raises:
            Unavailable: The database is away; it may be tried again.
            DataRefused: What came back cannot be stored.
        """
        if completion.pause is not None:
            return await queue.complete(self._database, claimed, completion)
        settled: asyncio.Future[queue.Completed] = asyncio.get_running_loop().create_future()
        self._waiting.append((claimed, completion, settled))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        return await settled

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                await self._write(batch)
        finally:
            self._writing = None

    async def _write(self, batch: list[_Waiting]) -> None:
        try:
            written = await queue.complete_together(
                self._database, [(claimed, outcome) for claimed, outcome, _ in batch]
            )
        except DataRefused as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            # One that the database refuses must not fail the others.
            for one in batch:
                await self._write([one])
        except Exception as error:  # noqa: BLE001 - each of them is told
            _fail(batch, error)
        else:
            for (_, _, future), settled in zip(batch, written, strict=True):
                if not future.done():
                    future.set_result(settled)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for _, _, future in batch:
        if not future.done():
            future.set_exception(error)
