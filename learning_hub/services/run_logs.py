"""Logs of runs: read a whole log, or follow it while the run continues."""

from __future__ import annotations

from collections.abc import AsyncIterator

from learning_hub.model.caller import Caller
from learning_hub.model.run_log import LoggedRun, LogPosition, RunLine
from learning_hub.process.run_log import LogPart, follow, read
from learning_hub.services.runs import no_such_run
from learning_hub.store import run_log
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications


class RunLogs:
    """Reads logs of runs."""

    def __init__(self, database: Database, notifications: Notifications) -> None:
        self._database = database
        self._notifications = notifications

    async def need(self, caller: Caller, run_id: str) -> LoggedRun:
        """The run as its log reports it; NotFound if it does not exist in the caller's Programs."""
        run = await run_log.find_run(self._database, run_id)
        if run is None or not caller.may_use(run.program_id):
            raise no_such_run()
        return run

    def read(self, run_id: str, run: LoggedRun) -> AsyncIterator[list[RunLine]]:
        """All present lines, in order, up to 10,000 at a time."""
        return read(self._database, run_id, run)

    def follow(self, run_id: str, run: LoggedRun, after: LogPosition) -> AsyncIterator[LogPart]:
        """The lines after a position, and new lines until the run ends or the hub stops."""
        return follow(self._database, self._notifications, run_id, run, after)
