"""
The embedded PostgreSQL server, for settings that name no database.

It is installed from a wheel and reached over a unix socket. Several hub processes may share one home. The server
outlives a hub that was killed, and the next start finds it again. A clean stop ends the server only when no other hub
is connected to it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import asyncpg

from learning_hub.model.errors import Unavailable
from learning_hub.settings import SettingsError
from learning_hub.store.server_process import HOME, PORT, ServerProcess
from learning_hub.store.start_waiting import Waiting

log = logging.getLogger(__name__)

START_SECONDS = 120
# How long a server that ends by itself is started again: processes of a killed one may still be ending.
FAILING_SECONDS = 20
START_AGAIN_SECONDS = 30
CHECK_SECONDS = 1
COUNT_OTHERS = Path(__file__).with_name("embedded.sql")


class EmbeddedServer:
    """A PostgreSQL server with its data under *home*/postgres."""

    def __init__(self, home: Path) -> None:
        self.data_folder = home.expanduser().resolve() / "postgres"
        self._process = ServerProcess(self.data_folder)
        self._is_started = False
        self._socket_folder: Path | None = None

    async def start(self) -> str:
        """
        Start the server, or find the running one, and wait until it responds.

        Returns:
            Its address for asyncpg (database `postgres`).

        Raises:
            SettingsError: The home folder cannot hold the data.
            Unavailable: The server does not respond within 120 seconds, or does not run for 20 seconds; the log under
                the data folder says why.
        """
        _make_folders(self.data_folder)
        loop = asyncio.get_running_loop()
        deadline, runs_by = loop.time() + START_SECONDS, loop.time() + FAILING_SECONDS
        with Waiting("the embedded PostgreSQL is being started") as waiting:
            while True:
                self._is_started = True
                try:
                    await _to_the_end(self._process.start)
                except (subprocess.SubprocessError, OSError) as error:
                    waiting.reason = f"the embedded PostgreSQL does not start: {error}"
                # While the server is alive, for example during a recovery, it is waited for.
                while await asyncio.to_thread(self._process.pid) is not None:
                    if (failure := await self._failure()) is None:
                        return self.address()
                    waiting.reason = f"the embedded PostgreSQL does not accept connections: {failure}"
                    if loop.time() > deadline:
                        raise self._does_not_start(failure)
                    await asyncio.sleep(0.05)
                if words := self._process.last_words():
                    waiting.reason = f"the embedded PostgreSQL does not start: {words}"
                if loop.time() > runs_by:
                    raise self._does_not_start(words)
                await asyncio.sleep(0.2)

    async def _failure(self) -> str | None:
        """Why the server does not respond, or None."""
        self._socket_folder = self._process.socket_folder()
        if self._socket_folder is None:
            return "it has no socket yet"
        try:
            connection = await asyncpg.connect(self.address(), timeout=5)
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            return str(error) or type(error).__name__
        await connection.close()
        return None

    def _does_not_start(self, reason: str) -> Unavailable:
        return Unavailable(
            f"The embedded PostgreSQL does not start{': ' if reason else ''}{reason.rstrip('.')}; "
            f"see {self.data_folder / 'log'}."
        )

    def address(self, database: str = "postgres") -> str:
        """The address of *database* on the started server."""
        return f"postgresql://postgres:@/{database}?host={quote(str(self._socket_folder), safe='/')}&port={PORT}"

    async def keep_running(self) -> None:
        """Check every second whether the server accepts connections, and start it again when it does not."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            assert self._socket_folder is not None  # noqa: S101 - the server was started
            try:
                _, writer = await asyncio.open_unix_connection(self._socket_folder / f".s.PGSQL.{PORT}")
                writer.close()
            except (ConnectionRefusedError, FileNotFoundError):
                log.error("embedded_server_died")  # noqa: TRY400 - a traceback would say nothing
                await self._start_again()
            except OSError:
                # The hub has no descriptor left for the check, for example, which says nothing of the server.
                log.warning("embedded_server_not_checked")

    async def _start_again(self) -> None:
        try:
            async with asyncio.timeout(START_AGAIN_SECONDS):
                await self.start()
        except Exception:
            log.exception("embedded_server_start_failed")
        else:
            log.warning("embedded_server_started_again")

    async def stop(self) -> None:
        """Stop the server, unless another hub uses it."""
        if not self._is_started:
            return
        if await self._others_connected():
            log.info("embedded_server_left_running")
            return
        await asyncio.to_thread(self._process.stop)

    async def _others_connected(self) -> bool:
        if self._socket_folder is None:
            return False
        try:
            connection = await asyncpg.connect(self.address(), timeout=5)
            try:
                return bool(await connection.fetchval(COUNT_OTHERS.read_text(encoding="utf-8")))
            finally:
                await connection.close()
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False


def _make_folders(data_folder: Path) -> None:
    """
    Make the data folder, writable for the hub.

    Raises:
        SettingsError: The folder cannot be made, or is not writable.
    """
    for folder in (data_folder.parent, data_folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            is_in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
            reason = "a file is in the way" if is_in_the_way else error.strerror
            raise SettingsError(f"{HOME}: the folder {folder} cannot be made: {reason}.") from error
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise SettingsError(f"{HOME}: the hub may not write to {folder}. Give it to the user the hub runs as.")


async def _to_the_end(work: Callable[[], None]) -> None:
    """Run *work* in a thread; if the caller is cancelled, only after it has ended, as nothing can end it."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
