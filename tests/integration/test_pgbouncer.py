"""PgBouncer between the hub and its database: session mode works as it comes, transaction mode is refused."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

import pytest
from factories import an_event_body
from msgspec.structs import replace
from running import running_hub

from learning_hub.settings import Settings
from learning_hub.store.database import Database
from learning_hub.store.database_server import DatabaseNotReadyError, bring_up_to_date

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")


@contextmanager
def pgbouncer(database_address: str, mode: str) -> Iterator[str]:
    """The address of the database through a PgBouncer in pool mode *mode*, which accepts connections."""
    parts = urlsplit(database_address)
    (host,) = parse_qs(parts.query).get("host", [parts.hostname or ""])
    # It does not run as root, and must reach the socket of the server.
    user = Path(host).stat().st_uid if host.startswith("/") else pwd.getpwnam("nobody").pw_uid
    with tempfile.TemporaryDirectory(prefix="learning-hub-pgbouncer-") as name:
        yield from _running(Path(name), parts, host, mode, user)


def _running(folder: Path, parts: SplitResult, host: str, mode: str, user: int) -> Iterator[str]:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    (folder / "users.txt").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={host} port={parts.port or 5432} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"pool_mode = {mode}\n"
    )
    assert PGBOUNCER
    if os.geteuid() == 0:
        for path in (folder, *folder.iterdir()):
            os.chown(path, user, -1)
    process = subprocess.Popen(
        [PGBOUNCER, folder / "pgbouncer.ini"],
        user=user if os.geteuid() == 0 else None,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield f"postgresql://postgres@127.0.0.1:{port}{parts.path}"
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            assert time.monotonic() < end, "PgBouncer does not accept connections"
            time.sleep(0.05)
        else:
            return


async def test_session_mode_works_as_it_comes(database_address: str, settings: Settings) -> None:
    """Through a PgBouncer in session mode, with only the mode set, the hub starts, is ready and stores events."""
    with pgbouncer(database_address, "session") as address:
        await bring_up_to_date(address)
        database = Database(address, max_connections=5)
        await database.open()
        async with running_hub(replace(settings, database_url=address), database) as hub:
            await hub.make_program()
            assert (await hub.client.post("/events", json=an_event_body())).status_code == 201
            assert (await hub.client.get("/health/ready")).status_code == 200
        await database.close()


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_pooler_without_sessions_is_refused(database_address: str, mode: str) -> None:
    """A start through a PgBouncer that lends its connections for a transaction ends with a sentence."""
    with pgbouncer(database_address, mode) as address, pytest.raises(DatabaseNotReadyError) as refused:
        await bring_up_to_date(address)
    # One in statement mode refuses the first transaction itself.
    assert mode == "statement" or "pooler in transaction mode" in str(refused.value)
