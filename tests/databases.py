"""
The PostgreSQL server of a test run, and fresh databases on it.

The server is the embedded one, or the one of LEARNING_HUB_TEST_DATABASE_URL. Workers of pytest-xdist share it. A
database is a copy of a template that is migrated once.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
from delivery_arrows import REFUSE_UNLISTED

from learning_hub.store import migrations
from learning_hub.store.embedded import EmbeddedServer

T = TypeVar("T")

# Inherited by the workers of pytest-xdist; the process that made it cleans up after all of them.
RUN_FOLDER = "LEARNING_HUB_TEST_RUN_FOLDER"
GIVEN_SERVER = "LEARNING_HUB_TEST_DATABASE_URL"
SERVER_SETTINGS = (
    # The data need not outlive the test run.
    "fsync = off",
    "full_page_writes = off",
    # A database lives for a second.
    "autovacuum = off",
    # A hub keeps up to ten connections, and every worker of pytest-xdist runs several at a time.
    "max_connections = 300",
    "max_prepared_transactions = 10",
)
# Where a database is copied in a fifth of the time. A run takes less than half of the space that must be free.
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 << 30
PREFIX = "learning-hub-tests-"
# Types and other objects with lower ids are PostgreSQL's own, and the same in every database.
FIRST_OWN_ID = 16384


def in_memory() -> Path | None:
    """Where folders are in memory, if there is enough of it."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES else None


def make_run_folder() -> None:
    """Make the folder of this test run."""
    os.environ[RUN_FOLDER] = tempfile.mkdtemp(prefix=PREFIX, dir=in_memory())


def remove_run_folder() -> None:
    """Stop the server, and remove the folder."""
    folder = Path(os.environ.pop(RUN_FOLDER))
    asyncio.run(_clean_up(folder))
    shutil.rmtree(folder, ignore_errors=True)


class Databases:
    """
    The databases of one worker of the test run; *address* is that of a database that tests leave alone.

    Its connection to the server runs on a loop in a thread, so that tests that run a loop can use it as well as others.
    """

    def __init__(self) -> None:
        self._folder = Path(os.environ[RUN_FOLDER])
        self._name = f"hub_{self._folder.name.removeprefix(PREFIX)}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="databases", daemon=True)
        self._thread.start()
        with _lock(self._folder):
            self.address = self._run(_start(self._folder))
            self._connection = self._run(asyncpg.connect(self.address, timeout=60))

    def close(self) -> None:
        self._run(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def address_of(self, name: str) -> str:
        """The address of the database called *name*."""
        return urlsplit(self.address)._replace(path=f"/{name}").geturl()

    def template(self) -> str:
        """The name of a migrated database that nobody connects to."""
        name = f"{self._name}_template"
        made = self._folder / "template"
        with _lock(self._folder):
            if not made.exists():
                self._execute(f'CREATE DATABASE "{name}"')
                self._run(migrations.migrate(self.address_of(name)))
                self._run(_execute_once(self.address_of(name), REFUSE_UNLISTED))
                made.touch()
        return name

    @contextmanager
    def fresh(self, template: str | None) -> Iterator[str]:
        """The address of a new database, a copy of *template* or empty; it is dropped at the end of the block."""
        name = f"{self._name}_{uuid4().hex}"
        # The default strategy writes every page of the template to the log, at four times the cost.
        copy = f'TEMPLATE "{template}" STRATEGY FILE_COPY' if template else ""
        self._execute(f'CREATE DATABASE "{name}" {copy}')
        try:
            yield self.address_of(name)
        finally:
            self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        self._run(self._connection.execute(statement))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


@contextmanager
def types_read_once() -> Iterator[None]:
    """
    The driver reads the types of arrays once, not for each connection.

    That takes four times as long as connecting, and tests make ten thousand connections.
    """
    # It has no public name.
    driver: Any = asyncpg.Connection
    read_types = driver._introspect_types
    known: dict[frozenset[int], Any] = {}

    async def read_once(connection: Any, ids: Iterable[int], seconds: float | None) -> tuple[Any, Any]:
        wanted = frozenset(ids)
        if wanted not in known:
            types, statement = await read_types(connection, ids, seconds)
            if max(wanted) >= FIRST_OWN_ID:
                return types, statement
            known[wanted] = types
        return known[wanted], _Named

    driver._introspect_types = read_once
    try:
        yield
    finally:
        driver._introspect_types = read_types


class _Named:
    """A statement with a name, which leaves the unnamed one that the driver has prepared as it is."""

    name = "types"


async def _start(folder: Path) -> str:
    if given := os.environ.get(GIVEN_SERVER):
        return given
    server = EmbeddedServer(folder)
    address = await _start_embedded(server)
    if not (folder / "started").exists():
        for setting in SERVER_SETTINGS:
            await _execute_once(address, f"ALTER SYSTEM SET {setting}")
        await server.stop()
        address = await _start_embedded(server)
        (folder / "started").touch()
    return address


async def _start_embedded(server: EmbeddedServer) -> str:
    with warnings.catch_warnings():
        # Its wheel asks for XDG_RUNTIME_DIR, which is often unset and then only warned about.
        warnings.simplefilter("ignore")
        return await server.start()


async def _clean_up(folder: Path) -> None:
    if (folder / "started").exists():
        server = EmbeddedServer(folder)
        await _start_embedded(server)
        await server.stop()
    elif (folder / "template").exists():
        name = f"hub_{folder.name.removeprefix(PREFIX)}_template"
        await _execute_once(os.environ[GIVEN_SERVER], f'DROP DATABASE "{name}" WITH (FORCE)')


async def _execute_once(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address, timeout=60)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Only one process at a time: workers of pytest-xdist wait for each other."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
