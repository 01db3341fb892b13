"""
What tests stand on: one PostgreSQL server for a whole test run, a fresh database for each test, a hub over real HTTP.

The server is the embedded one, or the one of LEARNING_HUB_TEST_DATABASE_URL. Workers of pytest-xdist share it. A
database is a copy of a template that is migrated once.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from cryptography.fernet import Fernet
from delivery_arrows import REFUSE_UNLISTED
from hypothesis import settings as hypothesis_settings
from imis_hub import ImisHub
from kept_renderer import kept_renderers
from running import ADMIN_KEY, RunningHub, running_hub
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from learning_hub.sandbox import RunningSandbox, running_sandbox
from learning_hub.settings import Settings
from learning_hub.store import migrations
from learning_hub.store.database import Database
from learning_hub.store.embedded import EmbeddedServer

T = TypeVar("T")

# Inherited by the workers of pytest-xdist; the process that made it cleans up after all of them.
RUN_FOLDER = "LEARNING_HUB_TEST_RUN_FOLDER"
GIVEN_SERVER = "LEARNING_HUB_TEST_DATABASE_URL"
# A hub keeps up to ten connections, and every worker of pytest-xdist runs several at a time.
MAX_CONNECTIONS = 300
# Where tests share what takes long to start, and so belong on one worker.
SHARING_FILES = ("tests/acceptance/test_demo.py",)

# The same examples in every run, however long each takes on a busy machine, and nothing kept in the tree.
hypothesis_settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
# Other ones in every run, and more of them: `pytest --hypothesis-profile=explore`.
hypothesis_settings.register_profile("explore", deadline=None, database=None, max_examples=1000)
hypothesis_settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[RUN_FOLDER] = tempfile.mkdtemp(prefix="learning-hub-tests-")
        # Nothing here speaks TLS by the authorities of the machine; without them a process starts a tenth sooner.
        os.environ.setdefault("SSL_CERT_FILE", os.devnull)
        # Beside the packages, not in the tree: the constants that Hypothesis finds in the code, and its table of all
        # characters, which takes each worker two seconds to make.
        os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(sys.prefix) / "hypothesis"))


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    folder = Path(os.environ.pop(RUN_FOLDER))
    _run(_clean_up(folder))
    shutil.rmtree(folder, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "unit":
            item.add_marker("quick")


class _Schedule(LoadScopeScheduling):  # type: ignore[misc]  # without types
    """Any worker takes any test, but for those of a file that share something."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file in SHARING_FILES else nodeid


# xdist's own groups (`--dist loadgroup`) are silently none with pytest 9.2, which keeps the ids of tests elsewhere.
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _Schedule(config, log)


@pytest.fixture(scope="session")
def server_address() -> str:
    """The address of the test run's PostgreSQL server, with a database that tests leave alone."""
    folder = Path(os.environ[RUN_FOLDER])
    with _lock(folder):
        return _run(_start(folder))


@pytest.fixture(scope="session")
def template_database(server_address: str) -> str:
    """The name of a migrated database that nobody connects to."""
    folder = Path(os.environ[RUN_FOLDER])
    name = f"{_prefix(folder)}_template"
    with _lock(folder):
        if not (folder / "template").exists():
            _run(_execute(server_address, f'CREATE DATABASE "{name}"'))
            _run(migrations.migrate(address_of(server_address, name)))
            _run(_execute(address_of(server_address, name), REFUSE_UNLISTED))
            (folder / "template").touch()
    return name


@pytest.fixture(scope="session", autouse=True)
def _renderers_are_kept() -> Iterator[None]:
    """Hubs within this process render in processes that are started once."""
    with kept_renderers() as renderer, pytest.MonkeyPatch.context() as patch:
        patch.setattr("learning_hub.main.Renderer", renderer)
        yield


@pytest.fixture
async def one_day() -> None:
    """Midnight UTC is not near: all events of a test are in one bucket."""
    moment = datetime.now(UTC)
    left = datetime.combine(moment.date() + timedelta(days=1), time(), UTC) - moment
    if left < timedelta(seconds=90):
        await asyncio.sleep(left.total_seconds())


@pytest.fixture
async def empty_database_address(server_address: str) -> AsyncIterator[str]:
    """The address of a database without any tables."""
    async for address in _database(server_address, ""):
        yield address


@pytest.fixture
async def database_address(server_address: str, template_database: str) -> AsyncIterator[str]:
    """The address of a fresh, migrated database of this test's own."""
    async for address in _database(server_address, _copy_of(template_database)):
        yield address


@pytest.fixture
def database_address_for_a_loop_of_its_own(server_address: str, template_database: str) -> Iterator[str]:
    """The same, for a test that runs a loop itself."""
    name = f"{_prefix(Path(os.environ[RUN_FOLDER]))}_{uuid4().hex}"
    _run(_execute(server_address, f'CREATE DATABASE "{name}" {_copy_of(template_database)}'))
    yield address_of(server_address, name)
    _run(_execute(server_address, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
async def database(database_address: str) -> AsyncIterator[Database]:
    """A fresh database, opened."""
    opened = Database(database_address, max_connections=10)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def settings(database_address: str, tmp_path: Path) -> Settings:
    """
    Settings for a hub on this test's database.

    A test that needs others overrides this fixture with one of its own: `return replace(settings, rate_limit=5)`.
    """
    return Settings(
        database_url=database_address,
        home=tmp_path / "home",
        admin_key=ADMIN_KEY,
        secret_keys=(Fernet.generate_key().decode(),),
        allowed_private_targets=("127.0.0.1", "localhost"),
        max_connections=10,
    )


@pytest.fixture
async def hub(settings: Settings, database: Database) -> AsyncIterator[RunningHub]:
    """A whole hub over real HTTP; its client has the admin key."""
    async with running_hub(settings, database) as running:
        yield running


@pytest.fixture
async def hub_without_worker(settings: Settings, database: Database) -> AsyncIterator[RunningHub]:
    """A hub that takes events and answers questions, and delivers nothing by itself."""
    async with running_hub(settings, database, with_worker=False) as running:
        yield running


@pytest.fixture
def imis() -> Iterator[RunningSandbox]:
    """A sandbox iMIS of this test's own."""
    with running_sandbox() as running:
        yield running


@pytest.fixture
def imis_hub(hub: RunningHub, imis: RunningSandbox) -> ImisHub:
    """A hub and an iMIS; `set_up` makes one deliver to the other."""
    return ImisHub(hub, imis)


def address_of(server_address: str, database: str) -> str:
    """The address of another database of the same server."""
    return urlsplit(server_address)._replace(path=f"/{database}").geturl()


def _copy_of(template: str) -> str:
    # The default strategy writes every page of the template to the log, at four times the cost.
    return f'TEMPLATE "{template}" STRATEGY FILE_COPY'


async def _database(server_address: str, template: str) -> AsyncIterator[str]:
    name = f"{_prefix(Path(os.environ[RUN_FOLDER]))}_{uuid4().hex}"
    await _execute(server_address, f'CREATE DATABASE "{name}" {template}')
    yield address_of(server_address, name)
    await _execute(server_address, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _start(folder: Path) -> str:
    if given := os.environ.get(GIVEN_SERVER):
        return given
    server = EmbeddedServer(folder)
    address = await _start_embedded(server)
    if not (folder / "started").exists():
        # The data need not outlive the test run.
        await _execute(address, "ALTER SYSTEM SET fsync = off")
        await _execute(address, f"ALTER SYSTEM SET max_connections = {MAX_CONNECTIONS}")
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
        await _execute(os.environ[GIVEN_SERVER], f'DROP DATABASE "{_prefix(folder)}_template" WITH (FORCE)')


async def _execute(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address, timeout=60)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _prefix(folder: Path) -> str:
    return f"hub_{folder.name.removeprefix('learning-hub-tests-')}"


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a loop of its own, whether or not this thread has one running."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()


class _lock:  # noqa: N801 - used like a function
    """Only one process at a time: workers of pytest-xdist wait for each other."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "lock").open("w")

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()
