"""The watch over the embedded PostgreSQL server."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from learning_hub.store import embedded
from learning_hub.store.embedded import EmbeddedServer


class WatchedServer(EmbeddedServer):
    """A server that is not running, and counts how often it is started."""

    starts = 0

    async def start(self) -> str:
        self.starts += 1
        return "an address"


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """This process may open no more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The numbers below are those of the standard streams.
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_hub_without_descriptors_does_not_start_its_database_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A check that fails for lack of file descriptors says nothing of the server; one that it refuses does."""
    monkeypatch.setattr(embedded, "CHECK_SECONDS", 0.05)
    server = WatchedServer(tmp_path)
    server._socket_folder = tmp_path
    watch = asyncio.create_task(server.keep_running())
    try:
        with no_descriptors_left():
            await asyncio.sleep(0.5)
        assert server.starts == 0
        assert "embedded_server_not_checked" in caplog.text
        assert "embedded_server_died" not in caplog.text
        async with asyncio.timeout(10):
            while not server.starts:  # noqa: ASYNC110 - the watch has no event
                await asyncio.sleep(0.05)
    finally:
        watch.cancel()
