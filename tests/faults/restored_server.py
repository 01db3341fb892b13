"""A PostgreSQL server of a test's own, and the ways in which its database goes back in time."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from learning_hub.store import migrations
from learning_hub.store.embedded import EmbeddedServer
from learning_hub.store.server_process import ServerProcess, _Programs

WAYS = ("cold copy", "dump", "standby")


class RestoredServer:
    """
    Servers below *folder*, of which one at a time is used: the first, and the one that is put in its place.

    The ways to go back: a *cold copy* of the home, taken while the server was stopped and put back; a *dump*, restored
    into another cluster; a *standby* that lacks the end and is promoted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._first, self._kept = folder / "first", folder / "kept"
        for home in (self._first, self._kept):
            home.mkdir()
        self.embedded = EmbeddedServer(self._first)

    async def start(self) -> str:
        """The address of the database."""
        address = await self.embedded.start()
        await migrations.migrate(address)
        return address

    async def stop(self) -> None:
        await self.embedded.stop()

    async def restart(self) -> None:
        """Stop the server although hubs are connected, and start it again."""
        await asyncio.to_thread(ServerProcess(self._first / "postgres").stop)
        await self.embedded.start()

    async def keep(self, way: str) -> None:
        """Keep the present state; for a cold copy the server is stopped meanwhile, and nobody may use it."""
        if way == "cold copy":
            await self.stop()
            _copy(self._first, self._kept)
            return
        await self.embedded.start()
        if way == "dump":
            await self._run("pg_dump", "-Fc", "-f", "dump", "-d", self.embedded.address())
        else:
            await self._run(
                "pg_basebackup", "-c", "fast", "-X", "stream", "-D", "kept/postgres", "-d", self.embedded.address()
            )

    async def go_back(self, way: str) -> None:
        """Stop the server, and put one with what was kept in its place."""
        await self.stop()
        if way == "cold copy":
            shutil.rmtree(self._first)
            _copy(self._kept, self._first)
            self.embedded = EmbeddedServer(self._first)
            return
        if way == "standby":
            # One that gets nothing more from its primary.
            (self._kept / "postgres" / "standby.signal").touch()
        self.embedded = EmbeddedServer(self._kept)
        address = await self.embedded.start()
        if way == "dump":
            await self._run("pg_restore", "--no-owner", "-d", address, "dump")
        else:
            await self._run("psql", "-d", address, "-c", "SELECT pg_promote()")

    async def _run(self, program: str, *arguments: str) -> None:
        programs = _Programs.installed()
        for folder in (self._folder, self._kept):
            programs.let_in(folder)
        await asyncio.to_thread(programs.run, program, *arguments, folder=self._folder)


def _copy(source: Path, target: Path) -> None:
    """Copy a home as `cp -a` does: with its owners."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    for copied in [target, *target.rglob("*")]:
        original = source / copied.relative_to(target)
        shutil.chown(copied, original.stat().st_uid, original.stat().st_gid)


@asynccontextmanager
async def restored_server(folder: Path) -> AsyncIterator[RestoredServer]:
    """A server that is stopped at the end."""
    server = RestoredServer(folder)
    try:
        yield server
    finally:
        await server.stop()
