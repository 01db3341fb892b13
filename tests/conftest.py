"""What tests stand on: a PostgreSQL server for the whole test run, a database for each test, a hub over real HTTP."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zlib import crc32

import pytest
from cryptography.fernet import Fernet
from databases import Databases, make_run_folder, remove_run_folder, types_read_once
from hypothesis import settings as hypothesis_settings
from imis_hub import ImisHub
from kept_renderer import kept_renderers
from running import ADMIN_KEY, RunningHub, running_hub, served
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from learning_hub.sandbox import RunningSandbox, Site, seeds
from learning_hub.sandbox.app import build_app
from learning_hub.sandbox.protocol import SandboxProtocol
from learning_hub.settings import Settings
from learning_hub.store.database import Database

# Where tests share what takes long to start, and so belong on one worker.
SHARING_FILES = ("tests/acceptance/test_demo.py",)
# Folders of tests that take long, of which none should be left over at the end of a run.
LONG_FOLDERS = ("acceptance", "faults")

# The same examples in every run, however long each takes on a busy machine, and nothing kept in the tree.
hypothesis_settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
# Other ones in every run, and more of them: `pytest --hypothesis-profile=explore`.
hypothesis_settings.register_profile("explore", deadline=None, database=None, max_examples=1000)
hypothesis_settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        make_run_folder()
        # Nothing here speaks TLS by the authorities of the machine; without them a process starts a tenth sooner.
        os.environ.setdefault("SSL_CERT_FILE", os.devnull)
        # Beside the packages, not in the tree: the constants that Hypothesis finds in the code, and its table of all
        # characters, which takes each worker two seconds to make.
        os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(sys.prefix) / "hypothesis"))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        remove_run_folder()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "unit":
            item.add_marker("quick")
    if hasattr(config, "workerinput"):
        items.sort(key=_moment_in_run)
        _spare_the_garbage_collector()


def _moment_in_run(item: pytest.Item) -> float:
    """
    When a test runs on one of several workers, between 0 and 1.

    Tests of one folder wait, or compute, at the same time, so that processors are idle or crowded: they are mixed, in
    the same order in each run.
    """
    moment = crc32(item.nodeid.encode()) / 2**32
    return moment * 0.7 if item.path.parent.name in LONG_FOLDERS else moment


def _spare_the_garbage_collector() -> None:
    """What was imported and collected stays until the end: it need not be searched for garbage again and again."""
    gc.collect()
    gc.freeze()


class _Schedule(LoadScopeScheduling):  # type: ignore[misc]  # without types
    """Any worker takes any test, but for those of a file that share something."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file in SHARING_FILES else nodeid


# xdist's own groups (`--dist loadgroup`) are silently none with pytest 9.2, which keeps the ids of tests elsewhere.
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _Schedule(config, log)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """The server's databases, for this worker of the test run."""
    with types_read_once():
        opened = Databases()
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def server_address(databases: Databases) -> str:
    """The address of the test run's PostgreSQL server, with a database that tests leave alone."""
    return databases.address


@pytest.fixture(scope="session")
def template_database(databases: Databases) -> str:
    """The name of a migrated database that nobody connects to."""
    return databases.template()


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
def empty_database_address(databases: Databases) -> Iterator[str]:
    """The address of a database without any tables."""
    with databases.fresh(None) as address:
        yield address


@pytest.fixture
def database_address(databases: Databases, template_database: str) -> Iterator[str]:
    """The address of a fresh, migrated database of this test's own."""
    with databases.fresh(template_database) as address:
        yield address


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
async def imis() -> AsyncIterator[RunningSandbox]:
    """A sandbox iMIS of this test's own, on the loop of the test."""
    site = Site(seeds.USERNAME, seeds.PASSWORD)
    async with served(build_app(site), SandboxProtocol) as address:
        yield RunningSandbox(address, seeds.USERNAME, seeds.PASSWORD, site)


@pytest.fixture
def imis_hub(hub: RunningHub, imis: RunningSandbox) -> ImisHub:
    """A hub and an iMIS; `set_up` makes one deliver to the other."""
    return ImisHub(hub, imis)
