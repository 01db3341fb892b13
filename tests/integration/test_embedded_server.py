"""The embedded PostgreSQL starts in a folder of any name, after any crash, and harms no other process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from learning_hub.settings import SettingsError
from learning_hub.store.embedded import EmbeddedServer

ODD = "sp ace 'q' \"d\" $(touch run) $HOME `touch run` & % # ü , ;"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home with a database whose server does not run."""
    with tempfile.TemporaryDirectory(prefix="learning-hub-home-") as folder:
        asyncio.run(_start_and_stop(Path(folder)))
        yield Path(folder)


async def _start_and_stop(home: Path) -> None:
    async with _running(home):
        pass


@asynccontextmanager
async def _running(home: Path) -> AsyncIterator[EmbeddedServer]:
    server = EmbeddedServer(home)
    try:
        async with asyncio.timeout(30):
            await server.start()
        assert (home / "postgres").samefile(await _folder_of(server))
        yield server
    finally:
        await server.stop()


async def _folder_of(server: EmbeddedServer) -> Path:
    connection = await asyncpg.connect(server.address())
    try:
        return Path(await connection.fetchval("SHOW data_directory"))
    finally:
        await connection.close()


@pytest.mark.parametrize("name", [ODD, "long" + "/a-folder-with-a-long-name" * 8])
async def test_a_home_of_any_name_serves(name: str, tmp_path: Path) -> None:
    """A name with characters of the shell, or longer than the path of a socket may be, is a name like any other."""
    home = tmp_path / name
    async with _running(home) as server:
        os.kill(int((home / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        async with _running(home) as again:
            # The connections of a hub that runs have the address of the first.
            assert again.address() == server.address()
    names = {path.name for folder in (Path(), home, home / "postgres") for path in folder.iterdir()}
    assert not names & {"run", "postmaster.pid"}


async def test_a_pid_file_that_names_another_process_is_not_believed(home: Path) -> None:
    """The server starts, and the process whose number the file has goes on."""
    pid_file = home / "postgres" / "postmaster.pid"
    other = subprocess.Popen(  # noqa: ASYNC220 - it only sleeps
        ["/bin/sleep", "60"],
        user="pgserver" if os.geteuid() == 0 else None,
    )
    try:
        pid_file.write_text(f"{other.pid}\n{home}/postgres\n1712346200\n5432\n{home}/postgres\n\n  0 0\nready   \n")
        (home / "postgres" / ".s.PGSQL.5432.lock").write_text(pid_file.read_text())
        async with _running(home):
            assert int(pid_file.read_text().split()[0]) != other.pid
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("content", ["", "\n", "garbage \0 \xff", "-4\n", "99999999999999999999\n", "0\n"])
async def test_a_pid_file_without_a_process_is_no_obstacle(home: Path, content: str) -> None:
    """An empty file, as a full disk leaves it, and garbage keep no server from starting."""
    (home / "postgres" / "postmaster.pid").write_text(content, encoding="latin-1")
    async with _running(home):
        pass


async def test_a_killed_server_is_started_again(home: Path) -> None:
    """After SIGKILL the next start recovers the database."""
    async with _running(home) as first:
        os.kill(int((home / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        async with _running(home):
            pass
        await first.stop()


async def test_a_second_hub_finds_the_running_server(home: Path) -> None:
    """Two hubs with one home use one server, which runs until the last of them stops."""
    async with _running(home) as first:
        connection = await asyncpg.connect(first.address())
        async with _running(home) as second:
            assert second.address() == first.address()
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


async def test_half_a_database_is_reported(tmp_path: Path) -> None:
    """A folder in which the making of a database was cut short is not taken for one."""
    folder = tmp_path / "postgres"
    async with _running(tmp_path):
        pass
    (folder / "global" / "pg_control").unlink()
    with pytest.raises(SettingsError, match="is incomplete"):
        await EmbeddedServer(tmp_path).start()


async def test_a_server_that_cannot_start_says_why_and_is_cancelled_at_once(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The start logs within two seconds what it waits for, and ends when it is cancelled."""
    configuration = home / "postgres" / "postgresql.auto.conf"
    kept = configuration.read_bytes()
    configuration.write_text("shared_preload_libraries = 'no_such_library'\n")
    try:
        starting = asyncio.ensure_future(EmbeddedServer(home).start())
        await asyncio.sleep(1.8)
        starting.cancel()
        async with asyncio.timeout(2):
            await asyncio.wait([starting])
        assert starting.cancelled()
    finally:
        configuration.write_bytes(kept)
    waiting = [record for record in caplog.records if record.message == "start_waiting"]
    assert "no_such_library" in str(vars(waiting[0])["waiting_for"])


async def test_why_no_database_can_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What initdb prints when it fails is the error, and the start leaves nothing behind."""
    monkeypatch.setenv("LC_ALL", "no_SUCH.locale")
    server = EmbeddedServer(tmp_path)
    with pytest.raises(SettingsError, match=r"no database can be made in .*: initdb: error: .*locale"):
        await server.start()
    assert list((tmp_path / "postgres").iterdir()) == []
