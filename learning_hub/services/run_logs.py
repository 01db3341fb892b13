"""Logs of runs: read as a whole, or followed while the run goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator

from learning_hub.model.caller import Caller
from learning_hub.model.run import RunLine
from learning_hub.process.run_log import Stretch, follow, read
from learning_hub.services.runs import no_such_run
from learning_hub.store import run_log
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications
from learning_hub.store.run_log import Place, Standing


class RunLogs:
    """Reads logs of runs."""

    def __init__(self, database: Database, notifications: Notifications) -> None:
        self._database = database
        self._notifications = notifications

    async def need(self, caller: Caller, run_id: str) -> Standing:
        """The run as its log begins; NotFound where there is none in the caller's Programs."""
        standing = await run_log.standing(self._database, run_id)
        if standing is None or not caller.may_use(standing.program_id):
            raise no_such_run()
        return standing

    def read(self, run_id: str, standing: Standing) -> AsyncIterator[list[RunLine]]:
        """All lines as they are now, in order, some thousand at a time."""
        return read(self._database, run_id, standing)

    def follow(self, run_id: str, standing: Standing, after: Place) -> AsyncIterator[Stretch]:
        """The lines after a position, and those that come, until the run ends or the hub stops."""
        return follow(self._database, self._notifications, run_id, standing, after)
